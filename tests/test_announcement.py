"""What comes on a site's channel: ours, or refused whole, whoever has published it."""

from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from summaries.announcement import FOREIGN, announcement
from summaries.frame import dump
from tests.hits import NOW
from tests.test_feed import HOUR, picture

ROWS = ["/a", 2, 0, "/b", 1, 7]
OURS = [["server", "url", "ip"], "5-0", "6-0", 1, '[{"path": "/a"}]', [["url", HOUR, 2, 0, ROWS]], 0]
ODD = [None, -1, 2**60, 1.5, float("nan"), b"x", "x", True, [], {}, [1], {"a": 1}, ["a"], "[[]]", "[" * 5000]
ODD += ["1-1-1", "9-0", msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 1)]


def spoilt(whole: Any, way: list[int], odd: Any) -> Any:
    """The same with something else at some place within."""
    if not way or not isinstance(whole, list) or not whole:
        return odd
    place, *rest = way
    place %= len(whole)
    return [*whole[:place], spoilt(whole[place], rest, odd), *whole[place + 1 :]]


def test_what_is_ours_is_taken() -> None:
    shown = picture()
    assert shown.take(announcement(msgpack.packb(OURS)), 0.0)
    assert shown.frame(NOW)["top"]["url"] == [("/a", 2, 0), ("/", 1, 0), ("/b", 1, 7)]
    assert shown.frame(NOW)["recent"] == [{"path": "/a"}]


@given(way=st.lists(st.integers(0, 6), min_size=1, max_size=4), odd=st.sampled_from(ODD))
def test_law_5_whatever_comes_is_refused_or_makes_a_frame(way: list[int], odd: Any) -> None:
    shown = picture()
    try:
        shown.take(announcement(msgpack.packb(spoilt(OURS, way, odd))), 0.0)
    except FOREIGN:
        return  # the picture is read anew
    assert dump(shown.frame(NOW))
