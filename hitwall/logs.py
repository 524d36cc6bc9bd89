"""Commands that read log files: import, follow."""

import click

COMMANDS: list[click.Command] = []
