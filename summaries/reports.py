"""Reports: the tutorial's questions, answered by the SQL archive over all hits that were ever archived."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Engine, select

from summaries import page_views
from summaries import report_rows as rows
from summaries.buckets import Calendar
from summaries.page_views import Question
from tracker.database import check, engine_for, telling
from tracker.schema import cursors
from tracker.settings import Settings

LIMIT = 10  # rows of a report, where nothing else is asked for
MOST_ROWS = 1000  # that may be asked for; a trail has up to 200 pages each


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Of which site, from `start` up to but not at `end` (aware), how many rows at most."""

    site: str
    start: datetime
    end: datetime
    limit: int = LIMIT
    by: Literal["remote", "visitor"] = "remote"  # for trail: whose pages
    bots: bool = False  # count bots, too; they count anyway with HITWALL_COUNT_BOTS


@dataclass(frozen=True)
class Report:
    """A question: what it answers, in which rows, and how."""

    about: str
    row: type[msgspec.Struct]
    answer: Callable[[Connection, Question], list[Any]]


REPORTS: Mapping[str, Report] = {
    "views": Report("Page views, addresses and visitors: one row", rows.Views, page_views.views),
    "days": Report("Page views, addresses and visitors of each day", rows.Day, page_views.days),
    "pages": Report("Pages by title, most viewed first", rows.Page, page_views.pages),
    "hours": Report("Six spans of four hours of the day, busiest first", rows.Span, page_views.hours),
    "busiest": Report("Any four hours of the day in a row, busiest first", rows.Span, page_views.busiest),
    "agents": Report("User agents, most views first", rows.Agent, page_views.agents),
    "languages": Report("First preferred languages, most views first", rows.Language, page_views.languages),
    "referrers": Report("Domains that visitors came from", rows.Referrer, page_views.referrers),
    "cookies": Report("Visitors by cookie, most views first", rows.Cookie, page_views.cookies),
    "trail": Report("Pages in order, of the busiest addresses or visitors", rows.Trail, page_views.trail),
}


class Reports:
    """The reports of one archive. Any thread may ask; each question has a connection of its own."""

    def __init__(self, engine: Engine, calendar: Calendar, bots: bool = False) -> None:
        self._engine = engine
        self._calendar = calendar
        self._bots = bots

    @classmethod
    def of(cls, settings: Settings, address: str = "") -> "Reports":
        """Of the archive at that address, else of the settings. Raises NoArchive where none is there."""
        engine = engine_for(address or settings.archive, reading=True)
        with telling(engine), engine.connect() as connection:
            check(connection)
        return cls(engine, Calendar.of(settings), settings.count_bots)

    def sites(self) -> list[str]:
        """Every site in the archive, in order."""
        with telling(self._engine), self._engine.connect() as connection:
            return sorted(connection.scalars(select(cursors.c.site)))

    def answer(self, name: str, asked: Asked) -> list[msgspec.Struct]:
        """The rows of a report, of the type in REPORTS. KeyError where there is none of that name.

        Raises NoArchive where the database fails. A site that is not in the archive has no rows.
        """
        report = REPORTS[name]
        start, end = asked.start.astimezone(UTC), asked.end.astimezone(UTC)
        whose = None if asked.bots or self._bots else False
        question = Question(asked.site, start, end, asked.limit, asked.by, whose, self._calendar)
        with telling(self._engine), self._engine.connect() as connection:
            return report.answer(connection, question)
