"""Queries: the parameters of every endpoint of the API, and the answers that are no figures by themselves."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from summaries.figures import Moment, SiteRow
from summaries.ranking import MOST_ROWS
from summaries.raw_hits import MOST_HITS
from summaries.report_rows import MOST_ROWS as MOST_REPORTED
from summaries.spans import MAX_BUCKETS, SAYS, TIME

LONGEST = 512  # characters of a label or a search; labels are cut at as many bytes
ID = "takes an id of the raw log such as 1795273464709-4"
STREAM_ID = r"^[0-9]{1,16}-[0-9]{1,16}$"

Time = Annotated[
    str, Meta(pattern=f"^{TIME}$", examples=["2026-11-21", "2026-11", "2026-11-21T06"], extra={"says": SAYS})
]


class Plain(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What every question takes."""

    format: (
        Annotated[
            Literal["json", "csv", "ndjson"],
            Meta(description="Format of the answer, before what Accept says; CSV and NDJSON hold its rows."),
        ]
        | UnsetType
    ) = UNSET


class Timed(Plain, frozen=True, kw_only=True):
    """When: `at`, or `from` and `to`; the bucket of now where nothing is said."""

    bucket: Annotated[Literal["hour", "day", "month"], Meta(description="Kind of the buckets.")] = "day"
    at: (
        Annotated[
            Time, Meta(description="The bucket, or a time in it; all buckets of a time that is longer.")
        ]
        | UnsetType
    ) = UNSET
    from_: (
        Annotated[
            Time, Meta(description=f"The first bucket, in place of at; up to {MAX_BUCKETS} are read at once.")
        ]
        | UnsetType
    ) = UNSET
    to: Annotated[Time, Meta(description="The last bucket; that of now by default.")] | UnsetType = UNSET


class SummaryQuery(Timed, frozen=True, kw_only=True):
    """Which labels of a summary."""

    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS, description="Labels of a page.")] = 10
    page: Annotated[int, Meta(ge=1, le=1_000_000, description="The page, from 1.")] = 1
    order: Annotated[
        Literal["hits", "bytes", "label"],
        Meta(description="Most hits or bytes first, or by label; equals are in order of their labels."),
    ] = "hits"
    search: Annotated[
        str,
        Meta(max_length=LONGEST, description="Only labels that hold this, in any letter case."),
    ] = ""


class LabelQuery(Timed, frozen=True, kw_only=True):
    """Which label; in the query it may hold what a path cannot, such as `/../`."""

    label: Annotated[str, Meta(max_length=LONGEST, description="The label.", examples=["/blog"])]


class HitsQuery(Plain, frozen=True, kw_only=True):
    """Which raw hits: those that happened in a time, a page of them."""

    from_: Annotated[Time, Meta(description="Hits from then on.")] | UnsetType = UNSET
    to: (
        Annotated[Time, Meta(description="Hits up to the end of this month, day or hour; before a moment.")]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            str,
            Meta(
                pattern=STREAM_ID,
                description="The id to go on from: next of the page before.",
                extra={"says": ID},
            ),
        ]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST_HITS, description="Hits of a page.")] = 100
    order: Annotated[
        Literal["newest", "oldest"], Meta(description="By arrival: the last or the first one first.")
    ] = "newest"


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """No parameter."""


class Sites(msgspec.Struct, frozen=True):
    """Every site, by name."""

    sites: list[SiteRow]


class Described(msgspec.Struct, frozen=True):
    """A summary that is counted."""

    name: str
    description: Annotated[str, Meta(description="What a hit counts under.")]
    cursor: Annotated[str, Meta(description="Id in the raw log up to which it has counted.")]


class Summaries(msgspec.Struct, frozen=True):
    """The summaries of a site that who asks may see, by name."""

    site: str
    summaries: list[Described]
    personal: Annotated[
        bool,
        Meta(description="Whether who asks may see what is about people: addresses, visitors, raw hits."),
    ]


class ReportQuery(Plain, frozen=True, kw_only=True):
    """Which hits of the archive, and how many rows."""

    from_: Annotated[Time, Meta(description="From then on; a week before to by default.")] | UnsetType = UNSET
    to: (
        Annotated[Time, Meta(description="Up to the end of it, or before a moment; now by default.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST_REPORTED, description="Rows at most.")] = 10
    by: Annotated[Literal["remote", "visitor"], Meta(description="Of a trail: whose pages.")] = "remote"
    bots: Annotated[bool, Meta(description="Count bots, too.")] = False


class ReportAnswer(msgspec.Struct, frozen=True):
    """The rows of a report; their fields hang on which one it is."""

    site: str
    report: str
    about: str
    start: Moment
    end: Moment
    rows: Annotated[list[Any], Meta(extra_json_schema={"items": {"type": "object"}})]
