"""The summaries under the names that Flask-Track-Usage gave them: sumUrl is `url`, sumRemote is `ip` …

As a hook of a storage such a name has nothing to do: what RedisStorage appends is counted by `hitwall
count`, and the hits of any other storage are folded when somebody asks.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from summaries.buckets import KINDS, Calendar
from summaries.chosen import Chosen, chosen
from summaries.counted_sums import CountedSums
from summaries.fold import Tallies, fold
from summaries.folded_sums import folded
from summaries.spans import BadQuestion
from summaries.stretch import Stretch
from tracker import fields
from tracker.hit import BadHit, Hit, parse_page
from tracker.settings import Settings
from tracker.storage import Storage
from tracker.storage.redis_db import RedisStorage

MOST_ROWS = 500_000  # of one kind, in the answer to somebody who wants all; some 200 MB
PICKED = 16  # settings whose summaries are remembered; an application has one
NAMELESS = "nowhere"  # the site of an address that names none

Table = tuple[str, Tallies]  # bucket, label -> [hits, bytes]
Rows = list[dict[str, Any]]


class Sum:
    """A summary under an old name; `key` is what its rows call the label."""

    def __init__(self, name: str, summary: str, key: str) -> None:
        self.__name__ = name
        self.summary = summary
        self.key = key

    def __call__(self, **usage: object) -> "Sum":
        """Counts nothing, see above. It was a class there: `sumUrl()` is `sumUrl`."""
        return self

    def __repr__(self) -> str:
        return self.__name__

    def get_sum(
        self,
        storage: Storage,
        span: tuple[datetime | None, datetime | None],
        page: tuple[int, int],
        target: str | None,
    ) -> dict[str, Rows]:
        """For "hour", "day" and "month" a page of rows, the newest bucket first, in it the most hits first.

        A row is {"date": start of the bucket (aware UTC), key: label, "hits": n, "transfer": bytes}; the
        sites of a storage are added up. `page` is how many rows, 0 for all on the first page, and which page
        of them. Raises Away, BadQuestion where that is too much for one answer, NotImplementedError where
        the summary is not counted.
        """
        if min(page[0], page[1] - 1) < 0:
            raise ValueError(f"limit takes 0 or more, page 1 or more: not {page[0]} and {page[1]}")
        settings = storage.settings
        picked, calendar, now = _picked(settings), Calendar.of(settings), datetime.now(UTC)
        stretch = Stretch.of(calendar, *span, now)
        if self.summary == "url" and target is not None:
            target = _page(target, picked, calendar)
        if isinstance(storage, RedisStorage):
            counted = self._counters(storage, stretch, picked)
            tables: Mapping[str, Iterable[Table]] = {k: counted.tables(k, target, now) for k in KINDS}
        else:
            self._know(picked)
            wanted = (target, page[0] * page[1])
            tables = folded(storage.hits(*stretch.whole()), self.summary, picked, stretch, wanted)
        return {kind: self._rows(calendar, tables[kind], page) for kind in KINDS}

    def _counters(self, storage: RedisStorage, stretch: Stretch, picked: Chosen) -> CountedSums:
        """Another process counts; it may count what these settings do not name."""
        counted = CountedSums(storage.redis, sorted(storage.sites()), self.summary, stretch)
        if not counted.known():
            self._know(picked)
        return counted

    def _know(self, picked: Chosen) -> None:
        if self.summary not in picked.hooks:
            setting = "HITWALL_GEOIP" if self.summary == "country" else "HITWALL_SUMMARIES"
            raise NotImplementedError(f"{self} has no numbers: {setting} must be set for {self.summary}.")

    def _rows(self, calendar: Calendar, tables: Iterable[Table], page: tuple[int, int]) -> Rows:
        """The page of these tables, all in one row of rows."""
        limit, number = page
        if number > 1 and not limit:
            return []
        first = limit * (number - 1)
        found = (
            {"date": calendar.span(bucket)[0], self.key: label, "hits": hits, "transfer": size}
            for bucket, table in tables
            for label, (hits, size) in sorted(table.items(), key=lambda item: (-item[1][0], item[0]))
        )
        rows = list(islice(found, first, first + (limit or MOST_ROWS + 1)))
        if len(rows) > max(limit, MOST_ROWS):
            raise BadQuestion("limit", f"is 0 and there are more than {MOST_ROWS} rows: take them in pages")
        return rows


def _page(target: str, picked: Chosen, calendar: Calendar) -> str:
    """The label under which a page counts, by its address, its path or the label itself."""
    try:
        page = parse_page(target, NAMELESS)
    except BadHit:
        return target
    hit = Hit(
        at=datetime.now(UTC),
        site=NAMELESS,
        path=page.path,
        query=page.query,
        params=fields.params(page.query),
        source="api",
    )
    runs = fold([hit], {"url": picked.hooks["url"]}, calendar).runs
    return next(iter(runs[0].sums["url"]), target)


@lru_cache(maxsize=PICKED)
def _picked(settings: Settings) -> Chosen:
    return chosen(settings)


sumUrl = Sum("sumUrl", "url", "url")
sumUrls = Sum("sumUrls", "url", "url")
sumRemote = Sum("sumRemote", "ip", "remote_addr")
sumRemotes = Sum("sumRemotes", "ip", "remote_addr")
sumUserAgent = Sum("sumUserAgent", "browser", "user_agent_string")
sumUserAgents = Sum("sumUserAgents", "browser", "user_agent_string")
sumLanguage = Sum("sumLanguage", "language", "language")
sumLanguages = Sum("sumLanguages", "language", "language")
sumServer = Sum("sumServer", "server", "server_name")
sumVisitor = Sum("sumVisitor", "visitor", "visitor_id")
sumVisitors = Sum("sumVisitors", "visitor", "visitor_id")
sumGeo = Sum("sumGeo", "country", "country")
