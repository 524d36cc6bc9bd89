"""Commands that ask: top, series, hits, sites, watch, export."""

import click

COMMANDS: list[click.Command] = []
