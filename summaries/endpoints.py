"""Endpoints of the API: each declared once; routes, parsing and the OpenAPI document are made of this."""

from dataclasses import dataclass
from typing import Any

import msgspec

from summaries import queries as q
from summaries.figures import Hits, Point, RawHit, Row, Series, SiteRow, Summary
from summaries.formats import MIMETYPES
from summaries.report_rows import REPORTS
from tracker.posted import PostedHit
from tracker.posting import MAX_BODY, MAX_HITS, Posted


@dataclass(frozen=True)
class Endpoint:
    """A question over HTTP, and the Struct of its answer."""

    name: str
    path: str
    about: str
    query: type[msgspec.Struct]
    answer: type[Any]
    rows: type[msgspec.Struct] | None = None  # what CSV and NDJSON hold
    method: str = "GET"
    takes: Any = None  # what a body may be

    @property
    def formats(self) -> tuple[str, ...]:
        return tuple(MIMETYPES) if self.rows else ("json",)


COLUMNS = "; ".join(f"{name}: {', '.join(each.row.__struct_fields__)}" for name, each in REPORTS.items())
ENDPOINTS = (
    Endpoint("sites", "/api/sites", "Every site and its numbers of today.", q.Plain, q.Sites, SiteRow),
    Endpoint(
        "summaries", "/api/{site}/summaries", "The summaries of a site.", q.Plain, q.Summaries, q.Described
    ),
    Endpoint(
        "summary",
        "/api/{site}/summaries/{summary}",
        "The labels of a summary in a bucket, or in several merged, and the sums over all labels.",
        q.SummaryQuery,
        Summary,
        Row,
    ),
    Endpoint(
        "series",
        "/api/{site}/series/{summary}/{label}",
        "One label over time. Its slashes may stand as they are: /api/example.com/series/url//blog",
        q.Timed,
        Series,
        Point,
    ),
    Endpoint("label", "/api/{site}/series/{summary}", "One label over time.", q.LabelQuery, Series, Point),
    Endpoint("hits", "/api/{site}/hits", "Raw hits, page by page.", q.HitsQuery, Hits, RawHit),
    Endpoint(
        "report",
        "/api/{site}/reports/{report}",
        f"A report of the SQL archive, where HITWALL_ARCHIVE names one. Rows of each: {COLUMNS}.",
        q.ReportQuery,
        q.ReportAnswer,
        msgspec.Struct,
    ),
    Endpoint(
        "post_hits",
        "/api/hits",
        f"Store hits: one, an array or lines of up to {MAX_HITS} in {MAX_BODY} bytes. Sent again with the "
        "same Idempotency-Key they are stored once. Answered when they are in the raw log; hits that are "
        "none are told by line, and the others are stored.",
        q.Nothing,
        Posted,
        method="POST",
        takes=PostedHit | list[PostedHit],
    ),
    Endpoint("openapi", "/api/openapi.json", "This document.", q.Nothing, dict[str, Any]),
)
