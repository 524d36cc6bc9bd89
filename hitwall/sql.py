"""Commands of the SQL archive: archive, report."""

import click

COMMANDS: list[click.Command] = []
