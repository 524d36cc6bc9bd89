"""Figures: what the questions of `questions` are answered with, for the API and the command line."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from tracker.hit import Hit

Label = Annotated[str, Meta(description="What hits count under.")]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=0, description="Bytes transferred.")]
Distinct = Annotated[int, Meta(ge=0, description="Labels without (other).")]
Moment = Annotated[datetime, Meta(tz=True)]
Bucket = Annotated[str, Meta(description="Bucket, or the first and the last of those that are merged.")]
Cursor = Annotated[str, Meta(description="Id in the raw log up to which hits are counted in here.")]


class Row(Struct, frozen=True):
    """A label and what was counted under it."""

    label: Label
    hits: Count
    bytes: Size


class Total(Struct, frozen=True):
    """The sums over all labels of a summary."""

    hits: Count
    bytes: Size
    distinct: Distinct


class Summary(Struct, frozen=True, kw_only=True):
    """One summary in one bucket, or in several merged; `labels` is a page of those that match."""

    site: str
    summary: str
    bucket: Bucket
    start: Moment
    end: Annotated[datetime, Meta(tz=True, description="The first moment after it.")]
    zone: Annotated[str, Meta(description="Time zone in which buckets are named.", examples=["UTC"])]
    cursor: Cursor
    exact: Annotated[
        bool, Meta(description="False: read in parts; hits that came in meanwhile may be counted in here.")
    ] = True
    hits: Count
    bytes: Size
    distinct: Distinct
    capped: Annotated[bool, Meta(description="There were more labels than are kept: they are in (other).")]
    before: Annotated[
        Total | None, Meta(description="As many buckets before; null where nothing is known of them.")
    ]
    matching: Annotated[int, Meta(ge=0, description="Labels that the search finds, on all pages.")]
    page: Annotated[int, Meta(ge=1)]
    limit: Annotated[int, Meta(ge=1, description="Labels of a page.")]
    labels: list[Row]


class Point(Struct, frozen=True):
    """One bucket of a series."""

    bucket: str
    start: Moment
    hits: Count
    bytes: Size


class Series(Struct, frozen=True, kw_only=True):
    """One label over time: a point for every bucket, also where nothing was counted."""

    site: str
    summary: str
    label: Label
    cursor: Cursor
    hits: Count
    bytes: Size
    points: list[Point]


class RawHit(Struct, frozen=True):
    """A hit and its id in the raw log."""

    id: str
    hit: Hit


class Hits(Struct, frozen=True):
    """Raw hits; `next` is the id after which there may be more, None where there are none."""

    site: str
    hits: list[RawHit]
    next: str | None


class SiteRow(Struct, frozen=True):
    """A site and what it has had today."""

    site: str
    hits: Count
    bytes: Size
    visitors: Count
    last: Annotated[Moment | None, Meta(description="When the last hit happened; null for none.")]
