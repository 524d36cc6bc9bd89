"""Hits with any value in any field, generated, and how an SQL database gives them back."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.hits import SITE
from tracker.entries import MOST_BYTES
from tracker.hit import Hit

FIELDS = [field.name for field in msgspec.structs.fields(Hit)]

odd_text = st.text(max_size=20) | st.sampled_from(
    ["\x00", "a\x00b", "\U0001f9f1", "' \" \\ %s %(x)s :x ?", " x "]
)
numbers = st.integers(-(2**63) + 1, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(-1e9, 1e9) | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=5,
)
dicts = st.dictionaries(odd_text, odd_text, max_size=3)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
archived_hits = st.builds(
    Hit,
    site=st.just(SITE),
    at=st.datetimes(datetime(1970, 1, 3), datetime(8999, 12, 30), timezones=zones),
    **{name: odd_text for name in FIELDS if Hit.__annotations__[name] is str and name != "site"},
    **dict.fromkeys(("status", "width"), numbers),
    **{"bytes": st.integers(0, MOST_BYTES)},
    **dict.fromkeys(("headers", "params", "ip_info"), dicts),
    **{name: st.dictionaries(odd_text, json_values, max_size=3) for name in ("view_args", "track_var")},
    seconds=st.floats(-1e300, 1e300),
    authorization=st.booleans(),
)


def as_stored(one: Hit) -> Hit:
    """NUL cannot be stored in PostgreSQL; here it is written otherwise than in the product."""
    fields: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.asdict(one)).replace(
            b"\\u0000", "\N{REPLACEMENT CHARACTER}".encode()
        )
    )
    return Hit(**fields | {"at": one.at})
