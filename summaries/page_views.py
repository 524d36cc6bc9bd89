"""Page views in the SQL archive: one function for each report. All sums are the database's."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Select, case, func, select
from sqlalchemy.sql.elements import ColumnElement

from summaries.buckets import Calendar
from summaries.report_rows import (
    MOST_PAGES,
    Agent,
    Cookie,
    Day,
    Language,
    Page,
    Referrer,
    Span,
    Step,
    Trail,
    Views,
)
from tracker.schema import QUARTER, hits

SPAN = 4  # hours, as in the tutorial
MOST_DAYS = 400  # days listed; of a longer time the last ones


@dataclass(frozen=True)
class Question:
    """What a report is asked; times are UTC."""

    site: str
    start: datetime
    end: datetime  # not part of it
    limit: int
    by: str  # the column that tells who it was: remote or visitor
    bot: bool | None  # None: bots count like anybody
    calendar: Calendar  # whose days and hours are meant


def views(connection: Connection, asked: Question) -> list[Views]:
    """One row: how many page views, from how many addresses, of how many visitors."""
    return [Views(*_totals(connection, asked, asked.start, asked.end))]


def days(connection: Connection, asked: Question) -> list[Day]:
    """Every day of the time asked for, oldest first, also those without views."""
    found: list[Day] = []
    start = asked.start.astimezone(asked.calendar.zone).date()
    last = (asked.end - timedelta(microseconds=1)).astimezone(asked.calendar.zone).date()
    for day in (last - timedelta(days=n) for n in range(min(MOST_DAYS, (last - start).days + 1))):
        begin, end = asked.calendar.span(f"day:{day}")
        sums = _totals(connection, asked, max(begin, asked.start), min(end, asked.end))
        found.append(Day(day.isoformat(), *sums))
    return found[::-1]


def pages(connection: Connection, asked: Question) -> list[Page]:
    """By title, as the tutorial has it; pages without one are told apart by their paths."""
    name = case((hits.c.title == "", hits.c.path), else_="")
    count = func.count()
    page = hits.c.title, name
    each = (
        _viewed(asked, hits.c.title, hits.c.path)
        .add_columns(
            func.sum(count).over(partition_by=page).label("views"),
            count.over(partition_by=page).label("paths"),
            func.row_number().over(partition_by=page, order_by=(count.desc(), hits.c.path)).label("rank"),
        )
        .group_by(hits.c.title, hits.c.path)
        .subquery()
    )
    top = (
        select(each.c.title, each.c.path, each.c.paths, each.c.views)
        .where(each.c.rank == 1)
        .order_by(each.c.views.desc(), each.c.title, each.c.path)
        .limit(asked.limit)
    )
    return [Page(title, path, paths, int(sum)) for title, path, paths, sum in connection.execute(top)]


def hours(connection: Connection, asked: Question) -> list[Span]:
    """The day in six spans, each from a multiple of four hours."""
    profile = _profile(connection, asked)
    return _busiest([(hour, sum(profile[hour : hour + SPAN])) for hour in range(0, 24, SPAN)])


def busiest(connection: Connection, asked: Question) -> list[Span]:
    """Four hours in a row, from each full hour on; also over midnight."""
    twice = _profile(connection, asked) * 2
    return _busiest([(hour, sum(twice[hour : hour + SPAN])) for hour in range(24)])[: asked.limit]


def agents(connection: Connection, asked: Question) -> list[Agent]:
    return [Agent(*row) for row in _top(connection, asked, hits.c.agent)]


def languages(connection: Connection, asked: Question) -> list[Language]:
    return [Language(*row) for row in _top(connection, asked, hits.c.tongue)]


def referrers(connection: Connection, asked: Question) -> list[Referrer]:
    return [Referrer(*row) for row in _top(connection, asked, hits.c.domain)]


def cookies(connection: Connection, asked: Question) -> list[Cookie]:
    """Visitors, with their first and last view in the time asked for."""
    ends = func.min(hits.c.at), func.max(hits.c.at)
    return [Cookie(*row) for row in _top(connection, asked, hits.c.visitor, *ends)]


def trail(connection: Connection, asked: Question) -> list[Trail]:
    """The pages of those with the most views, each in the order of their times."""
    who = hits.c[asked.by]
    counts = dict(_top(connection, asked, who))
    number = func.row_number().over(partition_by=who, order_by=(hits.c.at, hits.c.ms, hits.c.seq))
    each = _viewed(asked, who.label("who"), hits.c.at, hits.c.path, number.label("number"))
    walk = each.where(who.in_(counts)).subquery()
    steps: dict[str, list[Step]] = {name: [] for name in counts}
    query = select(walk).where(walk.c.number <= MOST_PAGES).order_by(walk.c.who, walk.c.number)
    for name, at, path, _ in connection.execute(query):
        steps[name].append(Step(at, path))
    return [Trail(name, count, steps[name]) for name, count in counts.items()]


def _viewed(asked: Question, *columns: ColumnElement[Any]) -> Select[Any]:
    """Of the page views asked for; a custom event is none."""
    wanted = [hits.c.site == asked.site, hits.c.at >= asked.start, hits.c.at < asked.end, hits.c.event == ""]
    if asked.bot is not None:
        wanted.append(hits.c.bot == asked.bot)
    return select(*columns).where(*wanted)


def _top(
    connection: Connection, asked: Question, label: Column[Any], *more: ColumnElement[Any]
) -> list[tuple[Any, ...]]:
    """The labels with the most views, equals in their own order; hits without one do not count."""
    count = func.count()
    query = _viewed(asked, label, count, *more).where(label != "").group_by(label)
    return [tuple(row) for row in connection.execute(query.order_by(count.desc(), label).limit(asked.limit))]


def _totals(connection: Connection, asked: Question, start: datetime, end: datetime) -> tuple[int, int, int]:
    part = replace(asked, start=start, end=end)
    whose = (func.count(func.nullif(column, "").distinct()) for column in (hits.c.remote, hits.c.visitor))
    views, addresses, visitors = connection.execute(_viewed(part, func.count(), *whose)).one()
    return views, addresses, visitors


def _profile(connection: Connection, asked: Question) -> list[int]:
    """Views of the 24 hours of the day. Hits of a quarter of an hour are of one hour in every zone."""
    profile = [0] * 24
    query = _viewed(asked, hits.c.quarter, func.count()).group_by(hits.c.quarter)
    for quarter, views in connection.execute(query):
        profile[datetime.fromtimestamp(quarter * QUARTER, asked.calendar.zone).hour] += views
    return profile


def _busiest(spans: list[tuple[int, int]]) -> list[Span]:
    ordered = sorted(spans, key=lambda span: (-span[1], span[0]))
    return [Span(f"{hour:02}:00-{(hour + SPAN) % 24:02}:00", views) for hour, views in ordered]
