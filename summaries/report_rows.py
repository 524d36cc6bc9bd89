"""What may be asked of the archive, and the rows of each report. Without SQL, which takes 0.3 s to import."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

LIMIT = 10  # rows of a report, where nothing else is asked for
MOST_ROWS = 1000  # that may be asked for; a trail has up to 200 pages each
MOST_PAGES = 200  # pages of one trail; its count of views goes on


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Of which site, from `start` up to but not at `end` (aware), how many rows at most."""

    site: str
    start: datetime
    end: datetime
    limit: int = LIMIT
    by: Literal["remote", "visitor"] = "remote"  # for trail: whose pages
    bots: bool = False  # count bots, too; they count anyway with HITWALL_COUNT_BOTS


class Views(msgspec.Struct, frozen=True):
    views: int
    addresses: int
    visitors: int


class Day(msgspec.Struct, frozen=True):
    day: str  # 2026-11-21, in the zone of the settings
    views: int
    addresses: int
    visitors: int


class Page(msgspec.Struct, frozen=True):
    title: str
    path: str  # its most viewed
    paths: int  # how many pages have that title
    views: int


class Span(msgspec.Struct, frozen=True):
    hours: str  # 08:00-12:00, in the zone of the settings
    views: int


class Agent(msgspec.Struct, frozen=True):
    agent: str
    views: int


class Language(msgspec.Struct, frozen=True):
    language: str
    views: int


class Referrer(msgspec.Struct, frozen=True):
    domain: str
    views: int


class Cookie(msgspec.Struct, frozen=True):
    visitor: str
    views: int
    first: datetime
    last: datetime


class Step(msgspec.Struct, frozen=True):
    at: datetime
    path: str


class Trail(msgspec.Struct, frozen=True):
    who: str  # the address, or the visitor
    views: int
    pages: list[Step]  # in order, the first MOST_PAGES


@dataclass(frozen=True)
class Report:
    """A question: what it answers, and in which rows."""

    about: str
    row: type[msgspec.Struct]


REPORTS: Mapping[str, Report] = {  # each is answered by the function of its name in page_views
    "views": Report("Page views, addresses and visitors: one row", Views),
    "days": Report("Page views, addresses and visitors of each day", Day),
    "pages": Report("Pages by title, most viewed first", Page),
    "hours": Report("Six spans of four hours of the day, busiest first", Span),
    "busiest": Report("Any four hours of the day in a row, busiest first", Span),
    "agents": Report("User agents, most views first", Agent),
    "languages": Report("First preferred languages, most views first", Language),
    "referrers": Report("Domains that visitors came from", Referrer),
    "cookies": Report("Visitors by cookie, most views first", Cookie),
    "trail": Report("Pages in order, of the busiest addresses or visitors", Trail),
}
