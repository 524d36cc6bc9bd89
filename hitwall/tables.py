"""Answers as tables for people: summaries, series, sites and raw hits."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from hitwall.bars import bar
from hitwall.wording import age, change, clean, count, label, many, percent, size
from summaries import hooks
from summaries.figures import RawHit, Series, SiteRow, Summary
from summaries.tally import OTHER

BAR = 12  # cells of a share's bar
LINE = 36  # cells of a point's bar in a series


def console() -> Console:
    """Where tables go: nothing in them is markup."""
    return Console(markup=False, highlight=False, emoji=False)


def table(*columns: str) -> Table:
    """Labels and bars at the left, cut where there is no room (see `label`); numbers at the right, whole."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, name in enumerate(columns):
        if place == 0 or not name:
            made.add_column(name)
        else:
            made.add_column(name, justify="right", no_wrap=True)
    return made


def head(parts: Iterable[str]) -> Text:
    first, *rest = map(clean, parts)
    return Text.assemble((first, "bold"), *(f" · {part}" for part in rest), overflow="fold")


def summary_table(found: Summary, zone: ZoneInfo) -> Group:
    """A page of labels under the sums of all."""
    rows = table(found.summary, "hits", "", "share", "bytes")
    most = max((row.hits for row in found.labels), default=0)
    for row in found.labels:
        name = label(row.label, "dim" if row.label == OTHER else "")
        share = Text(bar(row.hits / most if most else 0, BAR).ljust(BAR), "cyan")
        rows.add_row(name, count(row.hits), share, percent(row.hits, found.hits), size(row.bytes))
    pages = -(-found.matching // found.limit)
    foot = f"page {found.page} of {count(pages)}, {count(found.matching)} labels match"
    return Group(
        head([found.site, found.summary, _spoken(found.bucket), zone.key]),
        _totals(found),
        Text(),
        rows if found.labels else Text("Nothing was counted.", "dim"),
        *([Text(foot, "dim")] if pages > 1 else []),
    )


def _totals(found: Summary) -> Text:
    distinct = f"{'at least ' if found.capped else ''}{many(found.distinct, 'label')}"
    line = Text(f"{many(found.hits, 'hit')}, {size(found.bytes)}, {distinct}")
    if found.before:
        grown = change(found.hits, found.before.hits)
        was = f"before: {many(found.before.hits, 'hit')}"
        line.append(f"  {grown} ", "green" if grown.startswith("▲") else "red" if grown[:1] == "▼" else "")
        line.append(f"({was})", "dim")
    return line


def series_table(found: Series, zone: ZoneInfo) -> Group:
    """A line for each bucket, its bar measured by the greatest."""
    rows = table("bucket", "hits", "bytes", "")
    most = max((point.hits for point in found.points), default=0)
    for point in found.points:
        line = Text(bar(point.hits / most if most else 0, LINE), "cyan", no_wrap=True)
        rows.add_row(_spoken(point.bucket).partition(" ")[2], count(point.hits), size(point.bytes), line)
    first, last = found.points[0].bucket, found.points[-1].bucket.partition(":")[2]
    span = _spoken(first) + (f" to {last.replace('T', ' ')}" if len(found.points) > 1 else "")
    title = Text.assemble(
        (clean(found.site), "bold"), f" · {found.summary} · ", label(found.label), f" · {span}"
    )
    title.append(f" · {zone.key}")
    return Group(title, Text(f"{many(found.hits, 'hit')}, {size(found.bytes)}"), Text(), rows)


def sites_table(found: Iterable[SiteRow], now: datetime, zone: ZoneInfo) -> Group:
    """What each site has had today."""
    rows = table("site", "hits", "visitors", "bytes", "last hit")
    for row in found:
        last = f"{age(row.last, now)} ago" if row.last else "never"
        rows.add_row(clean(row.site), count(row.hits), count(row.visitors), size(row.bytes), last)
    return Group(head(["today", f"{now.astimezone(zone):%Y-%m-%d}", zone.key]), Text(), rows)


def hit_line(found: RawHit, zone: ZoneInfo) -> Text:
    """One hit on one line: time, address, event or path, title, browser, referrer."""
    hit = found.hit
    line = Text(f"{hit.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", "dim", no_wrap=True, overflow="ellipsis")
    line.append(f"  {clean(hit.remote or '-'):15}  ", "none")
    if hit.event:
        line.append_text(label(hit.event, "bold")).append(" ")
    line.append_text(label(hit.path + (f"?{hit.query}" if hit.query else "")))
    for beside in (hit.title, _one(hooks.browser(hit)), _one(hooks.referrer(hit))):
        if beside:
            line.append("  ").append_text(label(beside, "dim"))
    return line


def _one(labels: str | Iterable[str] | None) -> str:
    """What a hook says, on one line."""
    return labels if isinstance(labels, str) else " ".join(labels or ())


def _spoken(bucket: str) -> str:
    """`day 2026-11-21`, `hour 2026-11-21 06`."""
    kind, _, rest = bucket.partition(":")
    return f"{kind} {rest.replace('T', ' ').replace('..', ' to ')}"
