"""Any hit that JSON can hold, its fields as odd as their types allow."""

from datetime import UTC

from hypothesis import strategies as st

from tracker.hit import Hit

NAMES = st.text(max_size=5) | st.sampled_from(["$where", "a.b", "\x00", "_id", "at"])
TEXTS = st.dictionaries(NAMES, st.text(max_size=5), max_size=3)


def any_hits(largest: int) -> st.SearchStrategy[Hit]:
    """Hits with numbers from -`largest` to `largest`."""
    numbers = st.integers(-largest, largest) | st.sampled_from([largest, -largest])
    floats = st.floats(-largest, largest)
    values = st.recursive(
        st.none() | st.booleans() | numbers | floats | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    )
    dicts = st.dictionaries(NAMES, values, max_size=3)
    return st.builds(
        Hit,
        at=st.datetimes(timezones=st.just(UTC)),
        authorization=st.booleans(),
        seconds=floats,
        **dict.fromkeys(("site", "path", "source", "query", "agent", "username"), st.text(max_size=8)),
        **dict.fromkeys(("status", "bytes", "width"), numbers),
        **dict.fromkeys(("headers", "params", "ip_info"), TEXTS),
        **dict.fromkeys(("view_args", "track_var"), dicts),
    )
