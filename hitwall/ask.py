"""Commands that ask: top, series, hits, sites, export, watch."""

from contextlib import suppress
from itertools import islice
from typing import Any

import click
import msgspec

from hitwall import export as exporting
from hitwall import screen, tail
from hitwall.asking import (
    Asking,
    Rows,
    Times,
    Whose,
    json_option,
    kind_option,
    limit_option,
    page_option,
    row_options,
    site_option,
    time_options,
    whose_options,
    wish,
)
from hitwall.processes import stopping
from hitwall.tables import console, hit_line, series_table, sites_table, summary_table
from hitwall.watching import View, Watch
from hitwall.wording import inert
from summaries.figures import RawHit
from summaries.formats import ndjson
from summaries.frame import dump
from summaries.questions import MOST_LABELS, BadQuestion, NotKnown

MOST_LINES = 10_000  # raw hits that are held to show the last of them

CUT: Any = {"no_wrap": True, "overflow": "ellipsis"}  # on a screen a hit is one line
WHOLE: Any = {"soft_wrap": True}

from_option = click.option("--from", "start", default="", help="Hits since then: 2026-11-21, 2026-11-21T06 …")
to_option = click.option("--to", "end", default="", help="Hits up to the end of that time.")


def tell_json(answer: Any) -> None:
    click.echo(inert(msgspec.json.encode(answer).decode()))


@click.command()
@click.argument("summary")
@site_option
@time_options
@row_options
@limit_option
@page_option
@json_option
def top(summary: str, site: str | None, times: Times, as_json: bool, **given: Any) -> None:
    """The labels of SUMMARY with the most hits: `hitwall top url`.

    Summaries are url, title, referrer, campaign, browser, platform, device, language, country, ip, visitor,
    event, status, bot, minute, server, and yours.

    Of today, unless --bucket, --at, --from and --to say otherwise; several buckets are added up.
    """
    asking = Asking.begin()
    found = asking.questions.summary(asking.site(site), summary, asking.span(times), wish(**given))
    if as_json:
        tell_json(found)
    else:
        console().print(summary_table(found, asking.questions.calendar.zone))


@click.command()
@click.argument("summary")
@click.argument("label")
@site_option
@time_options
@json_option
def series(summary: str, label: str, site: str | None, times: Times, as_json: bool) -> None:
    """The hits of one LABEL over time: `hitwall series url /blog`.

    The last 24 hours, 30 days or 12 months, unless --at, --from and --to say otherwise.
    """
    asking = Asking.begin()
    found = asking.questions.series(asking.site(site), summary, label, asking.past(times))
    if not found.hits:
        where = f"{found.points[0].bucket} to {found.points[-1].bucket}"
        raise click.ClickException(f"Nothing was counted there ({where}): see hitwall top {summary}.")
    if as_json:
        tell_json(found)
    else:
        console().print(series_table(found, asking.questions.calendar.zone))


@click.command(short_help="The last raw hits; with --follow on as they arrive.")
@site_option
@from_option
@to_option
@click.option(
    "--limit", type=click.IntRange(0, MOST_LINES), default=20, show_default=True, help="Hits shown first."
)
@click.option("--follow", "-f", is_flag=True, help="Go on as hits arrive, until Ctrl-C.")
@whose_options
@json_option
def hits(site: str | None, follow: bool, as_json: bool, limit: int, whose: Whose, **given: str) -> None:
    """The last raw hits, the newest at the end; with --json as they are stored, a line each."""
    asking = Asking.begin()
    name = asking.site(site)
    window = asking.window((given["start"], given["end"]), whose, limit)
    paper, zone = console(), asking.questions.calendar.zone

    def show(found: RawHit) -> None:
        if as_json:
            click.echo(inert(ndjson(RawHit, [found])), nl=False)
        else:
            paper.print(hit_line(found, zone), **CUT if paper.is_terminal else WHOLE)

    with suppress(KeyboardInterrupt):
        end = tail.end_of(asking.redis, name)
        for found in tail.newest(asking.questions, name, window, end):
            show(found)
        for found in tail.follow(asking.redis, name, end, stopping()) if follow else ():
            if window.holds(found.hit):
                show(found)


@click.command()
@json_option
def sites(as_json: bool) -> None:
    """Every site and what it has had today."""
    asking = Asking.begin()
    found = asking.questions.sites(asking.now)
    if as_json:
        tell_json({"sites": found})
    else:
        console().print(sites_table(found, asking.now, asking.questions.calendar.zone))


@click.command(short_help="All labels of a summary, or all raw hits, as a file.")
@click.argument("what", metavar="SUMMARY|hits")
@site_option
@time_options
@row_options
@whose_options
@click.option("--format", "form", type=click.Choice(exporting.FORMATS), default="csv", show_default=True)
@json_option
@click.option("--output", type=click.File("w", encoding="utf-8", atomic=True), default="-", help="A file.")
def export(what: str, times: Times, rows: Rows, whose: Whose, as_json: bool, **given: Any) -> None:
    """All labels of a summary, or all raw hits: `hitwall export url`, `hitwall export hits`.

    Without a time: the labels of today, every hit there is. Text that a spreadsheet would take for a
    formula begins with an apostrophe more in CSV.
    """
    asking = Asking.begin()
    name, form = asking.site(given["site"]), "json" if as_json else given["form"]
    if what == "hits":
        window = asking.window((times.start or times.at, times.end or times.at), whose)
        pieces = exporting.of_hits(tail.every(asking.questions, name, window), form)
    else:
        found = asking.questions.summary(name, what, asking.span(times), wish(rows, MOST_LABELS))
        pieces = exporting.of_summary(found, form)
    for piece in pieces:
        given["output"].write(piece if form == "csv" and not given["output"].isatty() else inert(piece))


@click.command(short_help="The wall in this terminal.")
@site_option
@kind_option
@click.option("--once", is_flag=True, help="Print one picture and end: for mails and files.")
@json_option
def watch(site: str | None, kind: str, once: bool, as_json: bool) -> None:
    """The wall in this terminal, live until q; with --json a frame a line, as it changes.

    Keys: h, d and m for the hour, the day and the month, s for the next site.
    """
    asking = Asking.begin()
    name = asking.site(site)
    asking.questions.cursors(name)  # a name of no site ends here
    watching, paper = Watch(asking, View(name, kind)), console()
    if as_json:
        with suppress(KeyboardInterrupt):
            for frame in islice(watching.frames(), 1 if once else None):
                click.echo(inert(dump(frame)))
    elif once:
        screen.once(watching, paper)
    else:
        screen.show(watching, [row.site for row in asking.questions.sites(asking.now)], paper)


EXPECTED = (BadQuestion, NotKnown)
COMMANDS: list[click.Command] = [top, series, hits, sites, export, watch]
