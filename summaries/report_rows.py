"""What the reports say: a row of each."""

from datetime import datetime

import msgspec

MOST_PAGES = 200  # pages of one trail; its count of views goes on


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
