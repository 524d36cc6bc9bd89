"""Reports: the tutorial's questions, answered by the SQL archive over all hits that were ever archived."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from summaries import page_views
from summaries.buckets import Calendar
from summaries.page_views import Question
from summaries.report_rows import REPORTS, Asked
from tracker.database import check, engine_for, telling
from tracker.schema import cursors
from tracker.settings import Settings

ANSWERS: Mapping[str, Callable[[Connection, Question], list[Any]]] = {
    name: getattr(page_views, name) for name in REPORTS
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
        report = ANSWERS[name]
        start, end = asked.start.astimezone(UTC), asked.end.astimezone(UTC)
        whose = None if asked.bots or self._bots else False
        question = Question(asked.site, start, end, asked.limit, asked.by, whose, self._calendar)
        with telling(self._engine), self._engine.connect() as connection:
            return report(connection, question)
