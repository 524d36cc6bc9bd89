"""The labels with the most hits, as Redis picks them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries.tally import Row
from summaries.tops import Tops
from tests.hits import PROPERTY, SITE
from tracker import keys

DAY = "day:2126-11-21"
LABELS = st.sampled_from([f"/{letter}" for letter in "abcdefghijklmno"]) | st.text(min_size=1, max_size=5)
FOUND = st.dictionaries(LABELS, st.tuples(st.integers(1, 9) | st.just(2**53), st.integers(0, 9)), max_size=40)


def fill(redis: Redis, summary: str, found: dict[str, tuple[int, int]]) -> None:
    for place, measure in enumerate(keys.MEASURES):
        sums: dict[Any, Any] = {label: pair[place] for label, pair in found.items() if pair[place]}
        if sums:
            redis.hset(keys.counter(SITE, measure, summary, DAY), mapping=sums)


def best(found: dict[str, tuple[int, int]], most: int | None) -> list[Row]:
    rows = sorted((label, *sums) for label, sums in found.items())
    return sorted(rows, key=lambda row: row[1], reverse=True)[:most]


@given(found=FOUND, capped=st.booleans(), most=st.sampled_from([0, 1, 3, 10, None]))
@PROPERTY
def test_the_top_of_a_counter_is_that_of_all_its_labels(
    redis: Redis, found: dict[str, tuple[int, int]], capped: bool, most: int | None
) -> None:
    redis.flushdb()
    found = found | ({"(other)": (5, 0)} if capped else {})
    fill(redis, "url", found)
    redis.hset(keys.cursor(SITE), mapping={"url": "5-0", "ip": "4-0"})
    cursors, tallies = Tops(redis).read(SITE, {("url", DAY): most, ("ip", DAY): 10})
    tally = tallies["url", DAY]
    assert (tally.distinct, tally.capped) == (len(found) - capped, capped)
    assert sorted(row[1] for row in tally.rows.values()) == sorted(row[1] for row in best(found, most))
    assert all(found[label] == (hits, size) for label, hits, size in tally.rows.values())
    assert (tallies["ip", DAY].distinct, tallies["ip", DAY].top()) == (0, [])
    assert cursors == {b"url": b"5-0", b"ip": b"4-0"}


@pytest.mark.parametrize("labels", [500, 5000], ids=["a compact hash", "a hash table"])
def test_none_is_missed_and_none_is_there_twice_among_many(redis: Redis, labels: int) -> None:
    found = {f"/page-{n}": (n * 7919 % labels + 1, n) for n in range(labels)}
    fill(redis, "url", found)
    _, tallies = Tops(redis).read(SITE, {("url", DAY): 100})
    assert tallies["url", DAY].top() == best(found, 100)


def test_a_value_that_is_no_number_fails(redis: Redis) -> None:
    redis.hset(keys.counter(SITE, "hits", "url", DAY), "/", "12.5")
    with pytest.raises(ValueError, match="invalid literal"):
        Tops(redis).read(SITE, {("url", DAY): 10})
