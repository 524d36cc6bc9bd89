"""Commands that tend the counters: status, verify, recount."""

import click

COMMANDS: list[click.Command] = []
