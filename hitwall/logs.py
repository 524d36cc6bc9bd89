"""The command import: logs of a web server, to their end."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hitwall.following import reader_of
from hitwall.log_report import Report
from tracker.backlog import Backlog
from tracker.connection import connect
from tracker.fields import printable
from tracker.log_file import STDIN, BadLog, LogFile
from tracker.log_import import Interrupted, LogImport, insist
from tracker.raw import RawLog, order
from tracker.settings import Settings

PAUSE = 0.05  # seconds between two looks at a counter that is behind
STALLED = 10.0  # seconds without a step of the counter after which nobody waits for it

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command("import", short_help="Store the requests of web-server logs, each once.")
@click.argument("files", nargs=-1, type=FILE, metavar="[FILE]...")
@click.option("--site", required=True, help="The site whose log it is, such as example.com.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def import_logs(files: tuple[Path, ...], site: str, as_json: bool) -> None:
    """Store the requests of web-server logs as hits of their own time, each once.

    FILE is a log in combined or common format or JSON of nginx or Caddy, and may be compressed
    with gzip; - or none is standard input. What was imported before adds nothing, a log that has
    grown adds its new lines, and an import that was interrupted goes on where it stopped.
    """
    if not files and sys.stdin.isatty():
        raise click.UsageError("Name a FILE, or pipe a log in.")
    settings = Settings.read()
    redis = connect(settings.running_redis())
    reader = reader_of(settings, redis, site)
    report, backlog = Report(reader.site), Backlog(redis, reader.site)
    try:
        with progress() as bars:
            for path in files or (STDIN,):
                with opened(path) as log:
                    import_log(
                        LogImport(RawLog(redis, settings.replicas), log, reader), backlog, report, bars
                    )
        report.stop_clock()
        report.counted = wait_for_counter(backlog) if report.total().hits else ""
    finally:
        click.echo(report.as_json() if as_json else report.as_text())
    if report.holds_no_log():
        raise click.ClickException("None of the lines could be read as one of a web server's log.")


def progress() -> Progress:
    """Bars on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:,} lines a second"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def opened(path: Path) -> Iterator[LogFile]:
    """The log at that path. Raises ClickException."""
    try:
        log = LogFile.open(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from None
    with closing(log):
        yield log


def import_log(importing: LogImport, backlog: Backlog, report: Report, bars: Progress) -> None:
    """Import a log to its end. Raises Interrupted and BadLog."""
    log = importing.log
    report.add(str(log.path), importing.tally)
    bar = bars.add_task(printable(log.path.name), total=log.size() or None, rate=0)
    while insist(importing.step):
        report.stop_clock()
        bars.update(bar, completed=log.read_so_far(), rate=report.rate())
        while insist(backlog.is_full):
            time.sleep(PAUSE)


def wait_for_counter(backlog: Backlog) -> str:
    """A word of COUNTED: the counting process gets the time it needs, as long as it gets on."""
    last, counted, since = backlog.last(), "", time.monotonic()
    while backlog.has_counter() and time.monotonic() - since < STALLED:
        if order(backlog.counted()) >= order(last):
            return "yes"
        if backlog.counted() != counted:
            counted, since = backlog.counted(), time.monotonic()
        time.sleep(PAUSE)
    return "not yet" if backlog.has_counter() else "nobody counts"


EXPECTED = (BadLog, Interrupted)
COMMANDS: list[click.Command] = [import_logs]
