"""Views: what each endpoint of the API answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from flask import g, request
from gevent import get_hub
from gevent.lock import BoundedSemaphore

from summaries import queries as q
from summaries.endpoints import ENDPOINTS
from summaries.frame import PERSONAL
from summaries.openapi import document
from summaries.questions import BadQuestion, NotKnown, Questions, Span, Window, Wish
from summaries.replies import Reply
from summaries.report_rows import REPORTS, Asked
from summaries.spans import moment
from tracker.hit import BadHit
from tracker.posting import MAX_BODY, Posted, Posting
from tracker.settings import Settings

WEEK = timedelta(days=7)  # of a report, where no time is named
# Of a process. Summaries take turns with the doors, some 5 ms each; reports take threads, of which there
# are ten, and the doors need some for the disk.
AT_ONCE = 3
LONGEST = 10  # seconds that others wait for theirs


class Busy(RuntimeError):
    """More is asked at once than a process answers beside its doors."""


class NoneStored(ValueError):
    """Of the hits that were posted none is one; `posted` tells of each."""

    def __init__(self, posted: Posted) -> None:
        first = posted.refused[0]
        super().__init__(f"No hit was stored. Line {first.line}: {first.reason}: {first.detail}.")
        self.posted = posted


class Views:
    """Answers the endpoints, each by the method of its name."""

    def __init__(self, settings: Settings, questions: Questions, posting: Posting) -> None:
        self._settings = settings
        self._ask = questions
        self._posting = posting
        self._reading = BoundedSemaphore(AT_ONCE)
        self._reporting = BoundedSemaphore(AT_ONCE)
        # SQL takes 0.3 s to import: only for an archive, and now, since gevent's threads had better not.
        self._reports: Any = import_module("summaries.reports").Reports if settings.archive else None
        self._document: dict[str, Any] = document(ENDPOINTS)

    def sites(self, query: q.Plain) -> Reply:
        """Those that may be seen by who asks."""
        wanted = self._settings.is_public if g.get("stranger") else None
        rows = self._ask.sites(datetime.now(UTC), wanted)
        return Reply(q.Sites(rows), rows)

    def summaries(self, query: q.Plain, site: str) -> Reply:
        cursors, hidden = self._ask.cursors(site), PERSONAL if g.get("stranger") else ()
        told = {name: about for name, about in self._ask.described().items() if name not in hidden}
        rows = [q.Described(name, about, cursors[name]) for name, about in told.items()]
        return Reply(q.Summaries(site, rows, not hidden), rows)

    def summary(self, query: q.SummaryQuery, site: str, summary: str) -> Reply:
        span = self._span(query, datetime.now(UTC))
        wish = Wish(query.limit, query.page, query.order, query.search)
        with _turn(self._reading):
            found = self._ask.summary(site, summary, span, wish)
        pages = {}
        if query.page * query.limit < found.matching:
            pages["next"] = {"page": str(query.page + 1)}
        if query.page > 1:
            pages["prev"] = {"page": str(query.page - 1)}
        return Reply(found, found.labels, found.cursor if found.exact else None, pages=pages)

    def series(self, query: q.Timed, site: str, summary: str, label: str) -> Reply:
        span = self._span(query, datetime.now(UTC))
        found = self._ask.series(site, summary, label, span)
        return Reply(found, found.points, found.cursor)

    def label(self, query: q.LabelQuery, site: str, summary: str) -> Reply:
        return self.series(query, site, summary, query.label)

    def hits(self, query: q.HitsQuery, site: str) -> Reply:
        calendar = self._ask.calendar
        window = Window(
            start=moment(calendar, "from", query.from_)[0] if query.from_ else None,
            end=moment(calendar, "to", query.to)[1] if query.to else None,
            after=query.after or "",
            limit=query.limit,
            order=query.order,
        )
        found = self._ask.hits(site, window)
        return Reply(found, found.hits, pages={"next": {"after": found.next}} if found.next else {})

    def report(self, query: q.ReportQuery, site: str, report: str) -> Reply:
        """In a thread of its own: a database blocks, and the doors and streams of this process would wait."""
        if report not in REPORTS:
            raise NotKnown(f"No report is named {report}. There are: {', '.join(REPORTS)}.")
        if self._reports is None:
            raise NotKnown("There is no archive: set HITWALL_ARCHIVE, and copy hits with hitwall archive.")
        start, end = self._times(query)
        asked = Asked(site=site, start=start, end=end, limit=query.limit, by=query.by, bots=query.bots)
        with _turn(self._reporting):
            rows = get_hub().threadpool.apply(lambda: self._reports.of(self._settings).answer(report, asked))
        about = REPORTS[report]
        found = q.ReportAnswer(site, report, about.about, start, end, rows)
        return Reply(found, rows, kind=about.row)

    def _times(self, query: q.ReportQuery) -> tuple[datetime, datetime]:
        calendar = self._ask.calendar
        end = moment(calendar, "to", query.to)[1] if query.to else datetime.now(UTC)
        start = moment(calendar, "from", query.from_)[0] if query.from_ else end - WEEK
        if start >= end:
            raise BadQuestion("from", "is not before to")
        return start, end

    def post_hits(self, query: q.Nothing) -> Reply:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise BadHit("unknown Content-Encoding", "send the JSON as it is, not compressed", 415)
        request.max_content_length = MAX_BODY
        key = request.headers.get("Idempotency-Key")
        sent = request.get_data()
        posted = self._posting.post_hits(sent, request.content_type or "", key, datetime.now(UTC))
        if posted.refused and not posted.stored:
            raise NoneStored(posted)
        return Reply(posted, version=None)

    def openapi(self, query: q.Nothing) -> Reply:
        return Reply(self._document)

    def _span(self, query: q.Timed, now: datetime) -> Span:
        texts = (query.at or "", query.from_ or "", query.to or "")
        return Span.of(self._ask.calendar, query.bucket, texts, now)


@contextmanager
def _turn(places: BoundedSemaphore) -> Iterator[None]:
    """One of few places. Raises Busy where none is free in time."""
    if not places.acquire(timeout=LONGEST):
        raise Busy("Too much is asked at once; ask again.")
    try:
        yield
    finally:
        places.release()
