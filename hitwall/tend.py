"""Commands that tend the counters: status, verify, recount."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import click
import msgspec
from redis import Redis, RedisError
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from hitwall.state import lines, spool
from hitwall.wording import clean
from summaries.buckets import KINDS, Calendar
from summaries.chosen import Chosen, chosen
from summaries.differences import NO_NUMBER, Report
from summaries.health import on_disk
from summaries.recount import Recount, Unsettled
from summaries.status import Observer
from summaries.verify import Comparison
from tracker.connection import connect
from tracker.raw import RawLog
from tracker.settings import BadSetting, Settings

SHOWN = 20  # differences of a site in a table

Work = Callable[[Comparison, Callable[[int, int], None]], Report]

site_option = click.option("--site", help="Only this site; else every one.")
summary_option = click.option("--summary", "summaries", multiple=True, help="Only this summary; repeatable.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")


@click.command(short_help="Recount the raw log and tell what differs.")
@site_option
@summary_option
@json_option
def verify(site: str | None, summaries: tuple[str, ...], as_json: bool) -> None:
    """Recount the raw log and compare: exit status 1 where a counter differs.

    Changes nothing, and nothing has to stop for it. Counters older than the raw log cannot be checked.
    """
    reports = _each(site, summaries, Comparison.verify)
    _tell(reports, as_json, "differ")
    if any(report.differ for report in reports):
        raise SystemExit(1)


@click.command(short_help="Put right every counter that differs from the raw log.")
@site_option
@summary_option
@json_option
def recount(site: str | None, summaries: tuple[str, ...], as_json: bool) -> None:
    """Compare as verify does, and put right every counter that differs.

    Counting and walls go on meanwhile; whoever reads a counter finds the old number or the right one.
    After a change of what hits count as (HITWALL_URL_PARAMS, HITWALL_COUNT_BOTS, a hook of yours) it puts the
    past under the new labels, too, as far back as the raw log reaches.
    """
    _tell(_each(site, summaries, Comparison.mend), as_json, "mended")


@click.command(short_help="Hits, counters, lag, and when memory will be full.")
@json_option
def status(as_json: bool) -> None:
    """What there is of each site, how far it is counted, and when memory will be full.

    The forecast takes the rate of the last 24 hours as it is; memory is measured on samples. Where Redis is
    out of reach it tells what waits on disk, and ends with exit status 1.
    """
    settings = Settings.read()
    names = list(chosen(settings).hooks)
    try:
        found = Observer(settings, connect(settings.running_redis()), names, datetime.now(UTC)).status()
    except (RedisError, BadSetting):
        waiting = on_disk(settings)
        said = (
            msgspec.json.encode({"spool": waiting}).decode()
            if as_json
            else "\n".join(spool(waiting, settings.spool_bytes, settings.timezone))
        )
        click.echo(said, nl=bool(said))
        raise
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo("\n".join(lines(found, settings.timezone)))


def _each(site: str | None, summaries: tuple[str, ...], work: Work) -> list[Report]:
    """The reports of the sites, one after the other, with progress where somebody watches."""
    settings = Settings.read()
    redis = connect(settings.running_redis())
    picked = _pick(chosen(settings), summaries)
    console = Console(stderr=True)
    reports = []
    for name in _sites(redis, site):
        recount = Recount(RawLog(redis), name, picked, Calendar.of(settings), settings.max_labels)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            reading = progress.add_task(f"{name}: hits read", total=recount.raw.length(name))
            comparing = progress.add_task(f"{name}: counters compared", total=None)
            recount.told = partial(progress.advance, reading)
            report = work(Comparison(redis, recount), partial(_show, progress, comparing))
        reports.append(report)
    return reports


def _show(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def _pick(counted: Chosen, summaries: tuple[str, ...]) -> Chosen:
    for name in summaries:
        if name not in counted.hooks:
            known = ", ".join(sorted(counted.hooks))
            raise click.ClickException(f"No summary {name} is counted. There are: {known}.")
    hooks = {name: hook for name, hook in counted.hooks.items() if name in (summaries or counted.hooks)}
    return Chosen(hooks, counted.apart)


def _sites(redis: Redis, site: str | None) -> list[str]:
    seen = sorted(RawLog(redis).sites())
    if site is not None and site not in seen:
        known = f"There are: {', '.join(seen[:SHOWN])}." if seen else "There are none yet."
        raise click.ClickException(f"No hit of the site {site} has been seen. {known}")
    return seen if site is None else [site]


def _tell(reports: list[Report], as_json: bool, fate: str) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"sites": reports}))
        return
    for report in reports:
        compared = f"{report.counters:,} counters compared, {report.differ - report.left:,} {fate}"
        click.echo(f"{report.site}: {compared}; {_covered(report)}.")
        if report.differences:
            _tell_differences(report)
        if report.unchecked:
            click.echo(
                f"{report.unchecked:,} older counters cannot be checked: their raw hits are forgotten."
            )
        for name, hits in report.failed.items():
            left = "; its counters are left as they are" if report.left else ""
            click.echo(f"The summary {name} failed on {hits:,} hits, which it does not count{left}.")
    if not reports:
        click.echo("No hit has been seen yet.")


def _covered(report: Report) -> str:
    if not any(report.since.values()):
        return "the raw log holds all hits there were"
    return "from " + ", ".join(str(report.since[kind]).replace(":", " ", 1) for kind in KINDS)


def _tell_differences(report: Report) -> None:
    table = Table()
    for head in ("summary", "bucket", "label"):
        table.add_column(head, overflow="fold")
    for head in ("counted", "raw log"):
        table.add_column(head, justify="right")
    for each in report.differences[:SHOWN]:
        words = (each.summary, each.bucket, each.label, _numbers(each.counted), _numbers(each.raw))
        table.add_row(*(Text(clean(word)) for word in words))
    Console().print(table)
    if report.labels > SHOWN:
        click.echo(f"… and {report.labels - SHOWN:,} more")


def _numbers(pair: list[int] | None) -> str:
    """Hits, and bytes where there are any."""
    if pair is None:
        return "-"
    hits, size = ("no number" if n == NO_NUMBER else f"{n:,}" for n in pair)
    return hits if size == "0" else f"{hits}, {size} B"


EXPECTED = (Unsettled,)
COMMANDS: list[click.Command] = [status, verify, recount]
