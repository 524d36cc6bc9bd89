"""The ledger: what was acknowledged against what is stored and counted, hit by hit, by their paths."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import Any, cast

from redis import Redis

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.recount import Recount
from summaries.tally import OTHER
from summaries.verify import Comparison
from tests.faults.load import Load
from tests.service import counted
from tests.waiting import until
from tracker import keys
from tracker.raw import START, RawLog, order
from tracker.settings import Settings

FULL = os.environ.get("HITWALL_FAULTS") == "full"  # all rounds and sizes, as `make faults` has them
SETTLED = 90.0  # seconds until all that was spooled is handed over and counted
PIECE = 5000  # raw hits read at once
PROPERTY = "fault"  # under which a test's report carries its rows, from the processes of xdist, too


@dataclass(frozen=True)
class Row:
    """One fault; all but the first are numbers."""

    fault: str
    rounds: int
    sent: int
    acknowledged: int
    stored: int
    counted: int
    lost: int
    doubled: int


class Table:
    """The rows of one test."""

    def __init__(self, note: Callable[[str, object], None]) -> None:
        self._note = note

    def add(self, row: Row) -> None:
        self._note(PROPERTY, asdict(row))


def settle(
    redis: Redis,
    loads: Load | Sequence[Load],
    fault: str,
    rounds: int = 1,
    sites: Collection[str] = (),
    settings: Settings | None = None,
    gone: Collection[str] = (),
) -> Row:
    """End the loads, wait until all is stored and counted, and hold the counters against the raw log.

    The settings are those of the service: with them the wait begins with its spool. Paths in `gone`, which
    the fault itself takes, count as not acknowledged. Fails where an acknowledged hit is not stored, any is
    stored twice, or a counter is not what a recount of the raw log says.
    """
    loads = [loads] if isinstance(loads, Load) else loads
    sites = sites or sorted({load.site for load in loads})
    for load in loads:
        load.stop()
    if settings is not None:
        until(lambda: not left(settings), SETTLED)
    until(lambda: all(is_counted(redis, site) for site in sites), SETTLED)
    row = audit(redis, loads, fault, rounds, sites, gone)
    for site in sites:
        verify(redis, site, settings or Settings())
    assert (row.lost, row.doubled, row.counted) == (0, 0, row.stored), row
    assert row.acknowledged, row
    return row


def each_once(fault: str, rounds: int, hits: int) -> Row:
    """The row of a test that has seen for itself that each of so many hits is stored and counted once."""
    return Row(fault, rounds, hits, hits, hits, hits, 0, 0)


def left(settings: Settings) -> list[str]:
    """Files of the spool."""
    return [path.name for path in settings.spool.glob("*.spool")]


def is_counted(redis: Redis, site: str) -> bool:
    """Whether every summary has counted up to the last raw hit, and no counter is to be put right."""
    if redis.exists(keys.holes(site)):
        return False
    last = cast(Any, redis.xrevrange(keys.raw(site), count=1))
    cursors = cast(dict[bytes, bytes], redis.hgetall(keys.cursor(site)))
    newest = last[0][0].decode() if last else START
    return bool(cursors or not last) and all(order(c.decode()) >= order(newest) for c in cursors.values())


def audit(
    redis: Redis,
    loads: Iterable[Load],
    fault: str,
    rounds: int,
    sites: Iterable[str],
    gone: Collection[str] = (),
) -> Row:
    """The row, by the path of each hit; doubled are also those that nobody was told of."""
    stored: Counter[tuple[str, str]] = Counter()
    total = 0
    for site in sites:
        paths = Counter(paths_of(redis, site))
        stored.update({(site, path): number for path, number in paths.items()})
        total += compare(redis, site, paths)
    sent = {(load.site, path) for load in loads for path in load.paths}
    acknowledged = {(load.site, path) for load in loads for path in load.acknowledged - set(gone)}
    missing = acknowledged - stored.keys()
    return Row(
        fault,
        rounds,
        sent=len(sent),
        acknowledged=len(acknowledged),
        stored=stored.total(),
        counted=total,
        lost=len(missing),
        doubled=sum(max(0, stored[hit] - 1) for hit in sent),
    )


def paths_of(redis: Redis, site: str) -> Iterator[str]:
    """The path of every raw hit that is no canary's."""
    raw, cursor = RawLog(redis), START
    while entries := raw.after(site, cursor, PIECE):
        cursor = entries[-1][0]
        yield from (hit.path for _, hit in entries if hit and hit.source != "canary")


def compare(redis: Redis, site: str, paths: Counter[str]) -> int:
    """Hits that are counted, the same in `server` and `url`; in this, path by path, while all fit in."""
    urls, totals = counted(redis, "url", site), counted(redis, "server", site)
    assert sum(urls.values()) == sum(totals.values())
    if OTHER not in urls:
        differing = {path for path in {*urls, *paths} if urls.get(path, 0) != paths[path]}
        assert not differing, sorted(differing)[:10]
    return sum(totals.values())


def verify(redis: Redis, site: str, settings: Settings) -> None:
    """What `hitwall verify` does: law 3 by an independent recount."""
    picked, calendar = chosen(settings), Calendar.of(settings)
    recount = Recount(RawLog(redis), site, picked, calendar, settings.max_labels)
    report = Comparison(redis, recount).verify(lambda done, total: None)
    assert (report.differ, report.differences[:5]) == (0, []), report.differences[:5]
    assert report.counters, "nothing was compared"


def rows_of(reports: Iterable[Any]) -> list[Row]:
    """The rows that these reports of pytest carry, one for each fault: those of several tests are added."""
    found = [
        Row(**value)
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    found.sort(key=lambda row: row.fault)
    return [_sum(fault, list(rows)) for fault, rows in groupby(found, key=lambda row: row.fault)]


def _sum(fault: str, rows: list[Row]) -> Row:
    return Row(fault, *(sum(getattr(row, name) for row in rows) for name in NUMBERS))


NUMBERS = [field.name for field in fields(Row)][1:]


def as_text(rows: list[Row]) -> list[str]:
    """The table, in lines."""
    wide = max([len(row.fault) for row in rows], default=0) + 2
    lines = ["fault".ljust(wide) + "".join(name.rjust(14) for name in NUMBERS)]
    for row in rows:
        lines.append(row.fault.ljust(wide) + "".join(f"{getattr(row, name):,}".rjust(14) for name in NUMBERS))
    return lines
