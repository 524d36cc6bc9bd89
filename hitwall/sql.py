"""Commands of the SQL archive: archive, report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hitwall import processes
from hitwall.tables import console
from hitwall.wording import inert
from summaries.buckets import Calendar
from summaries.report_rows import LIMIT, MOST_ROWS, REPORTS, Asked, Step
from summaries.reports import Reports
from tracker.archive import Archive, Copied, follow
from tracker.connection import connect
from tracker.raw import START, RawLog, order
from tracker.settings import NoArchive, Settings

WEEK = 7  # days
WIDE = 200  # columns where the output is no terminal: nobody wants an agent on three lines of a file
DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("url", default="")
@click.option("--site", default="", help="Only this site; else all.")
@click.option("--follow", "following", is_flag=True, help="Go on with what comes, until SIGTERM or Ctrl-C.")
def archive(url: str, site: str, following: bool) -> None:
    """Copy the raw log into the SQL database at URL, each hit once.

    URL is sqlite:///hits.db, postgresql://user@host/name or mariadb://user@host/name; where none is
    given, HITWALL_ARCHIVE. The database keeps how far each site is copied: run it as often as you
    like, interrupt it, run several at once. Its tables are made and brought up to date.
    """
    settings = Settings.read()
    raw = RawLog(connect(settings.running_redis()))
    kept = Archive.open(url or settings.archive, raw)
    if following:
        tell(follow(kept, site, processes.stopping()), [site] if site else [])
        return
    known = sorted(raw.sites())
    if site and site not in known:
        raise click.ClickException(f"There is no hit of {site}. Sites: {', '.join(known) or 'none yet'}")
    sites = [site] if site else known
    tell((copied for each in sites for copied in kept.copy(each)), sites)


def tell(steps: Iterable[Copied], sites: Sequence[str]) -> None:
    """Show the steps as they are done, and at the end what was archived of each site."""
    copied = Counter(dict.fromkeys(sites, 0))
    left_out: Counter[str] = Counter()
    for step in watched(steps):
        copied[step.site] += step.entries - step.left_out
        left_out[step.site] += step.left_out
        if step.gap:
            click.echo(gap(step.site, *step.gap), err=True)
    for site, hits in sorted(copied.items()):
        lost = f", {left_out[site]} left out that cannot be read or stored" if left_out[site] else ""
        click.echo(f"{site}: {hits} {'hit' if hits == 1 else 'hits'} archived{lost}")
    if not copied:
        click.echo("Nothing to archive: there is no hit yet.")


def watched(steps: Iterable[Copied]) -> Iterator[Copied]:
    """The steps, with a line that counts them where somebody looks."""
    look = (SpinnerColumn(), TextColumn("{task.completed:,} hits archived"), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*look, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=None)
        for step in steps:
            progress.advance(task, step.entries)
            yield step


def gap(site: str, cursor: str, whole: str) -> str:
    """What may be missing between two stream ids."""
    since = "" if cursor == START else f" that came after {moment(cursor)}"
    return f"{site}: the raw log has forgotten hits up to {moment(whole)}; those{since} are missing."


def moment(id: str) -> str:
    """When the entry with this stream id came."""
    return f"{datetime.fromtimestamp(order(id)[0] / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


@click.command("report", short_help="Answer a question from the SQL archive.")
@click.argument("name", type=click.Choice(list(REPORTS)), required=False, metavar="[NAME]")
@click.option("--site", default="", help="Needed where the archive has several.")
@click.option("--from", "first", type=DATE, metavar="DATE", help="First day, as in 2026-11-21.")
@click.option("--to", "last", type=DATE, metavar="DATE", help="Last day; else today.")
@click.option(
    "--days", default=WEEK, type=click.IntRange(1, 36500), show_default=True, help="Without --from."
)
@click.option("--limit", default=LIMIT, type=click.IntRange(1, MOST_ROWS), show_default=True, help="Rows.")
@click.option(
    "--by",
    default="remote",
    type=click.Choice(["remote", "visitor"]),
    help="Trails of addresses or of visitors.",
)
@click.option("--bots", is_flag=True, help="Count bots, too.")
@click.option("--archive", "url", default="", help="The database; else HITWALL_ARCHIVE.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def report(name: str | None, site: str, url: str, as_json: bool, **given: Any) -> None:
    """Answer a question from the archive; without NAME, list the questions.

    Days begin and end in HITWALL_TIMEZONE. A custom event is no page view, and bots do not count
    unless HITWALL_COUNT_BOTS or --bots says so.
    """
    settings = Settings.read()
    if name is None:
        for known, row in REPORTS.items():
            click.echo(f"{known:10} {row.about}")
        return
    reports = Reports.of(settings, url)
    days = (given.pop("first"), given.pop("last"), given.pop("days"))
    start, end = span(settings.timezone, datetime.now(UTC), days)
    asked = Asked(site=the_site(reports.sites(), site), start=start, end=end, **given)
    rows = reports.answer(name, asked)
    if as_json:
        head = {"site": asked.site, "report": name, "from": start, "to": end}
        click.echo(inert(msgspec.json.encode({**head, "rows": rows}).decode()))
    elif rows:
        show(rows, settings.timezone)
    else:
        click.echo(f"Nothing of {asked.site} from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC.")


def the_site(sites: Sequence[str], wanted: str) -> str:
    """The site asked for, or the only one there is."""
    if not sites:
        raise click.ClickException("The archive is empty: hitwall archive fills it.")
    if wanted in sites or (not wanted and len(sites) == 1):
        return wanted or sites[0]
    problem = f"The archive has no site {wanted}." if wanted else "Which site? Name it with --site."
    raise click.ClickException(f"{problem} Sites: {', '.join(sites)}")


def span(
    zone: ZoneInfo, now: datetime, days: tuple[datetime | None, datetime | None, int]
) -> tuple[datetime, datetime]:
    """From the beginning of the first day to the end of the last, in UTC."""
    first, last, length = days
    end = last.date() if last else now.astimezone(zone).date()
    start = first.date() if first else end - timedelta(days=length - 1)
    if start > end:
        raise click.ClickException(f"--from {start} is after --to {end}.")
    calendar = Calendar(zone)
    return calendar.span(f"day:{start}")[0], calendar.span(f"day:{end}")[1]


def show(rows: Sequence[msgspec.Struct], zone: ZoneInfo) -> None:
    """The rows as a table, numbers to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for field in msgspec.structs.fields(rows[0]):
        right = field.type is int
        table.add_column(field.name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value, zone)) for value in msgspec.structs.astuple(row)))
    output = console()
    if not output.is_terminal:
        output.width = WIDE
    output.print(table)


def cell(value: Any, zone: ZoneInfo) -> str:
    """As a person reads it; what would steer a terminal is shown as a sign."""
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return " → ".join(cell(step.path, zone) for step in value if isinstance(step, Step))
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in str(value))


EXPECTED = (NoArchive,)
COMMANDS: list[click.Command] = [archive, report]
