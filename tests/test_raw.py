"""The raw log: once per position, in order, to be read from anywhere."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.hits import PROPERTY, SITE, hit
from tests.waiting import until
from tracker import keys
from tracker.raw import SEEN, START, Entry, RawLog, encode, milliseconds, oldest, order

# A delivery: which source sends, and how many of its batches it goes back (0: its next one).
DELIVERIES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 3)), max_size=25)


def paths(entries: list[Entry]) -> list[str]:
    return [found.path if found else "?" for _, found in entries]


def fill(redis: Redis, *names: str) -> RawLog:
    """A log with an entry of each of these ids, whose path is its id."""
    for name in names:
        redis.xadd(keys.raw(SITE), {"hit": encode(hit(f"/{name}"))}, id=name)
    return RawLog(redis)


def test_law_2_appending_the_same_batch_twice_appends_it_once(redis: Redis) -> None:
    raw = RawLog(redis)
    batch = [hit("/a"), hit("/b")]
    assert [raw.append(SITE, batch, "web-1", 1) for _ in range(3)] == [2, 0, 0]
    assert RawLog(redis).append(SITE, batch, "web-1", 1) == 0
    assert paths(raw.after(SITE, START, 10)) == ["/a", "/b"]
    assert raw.append(SITE, [hit("/c")], "web-1", 2) == 1
    assert raw.append(SITE, batch, "web-1", 1) == 0
    assert raw.append(SITE, batch, "web-2", 1) == 2
    assert raw.append("other.example", batch, "web-1", 1) == 2


@given(DELIVERIES)
@PROPERTY
def test_law_2_any_order_of_batches_and_repeats_leaves_each_batch_once_in_order(
    redis: Redis, deliveries: list[tuple[str, int, int]]
) -> None:
    redis.flushdb()
    raw = RawLog(redis)
    sent: dict[str, list[list[str]]] = {}
    expected: list[str] = []
    for source, back, size in deliveries:
        batches = sent.setdefault(source, [])
        if back == 0 or len(batches) < back:
            batches.append([f"/{source}/{len(batches)}/{n}" for n in range(size)])
            expected += batches[-1]
            back = 1
        position = len(batches) - back + 1
        raw.append(SITE, [hit(path) for path in batches[position - 1]], source, position)
    assert paths(raw.after(SITE, START, 1000)) == expected


def test_law_2_batches_of_many_sites_in_one_exchange_are_each_there_once(redis: Redis) -> None:
    raw = RawLog(redis)
    sites = [f"site-{n}.example" for n in range(30)]
    batches = [(site, [hit(f"/{site}", site=site)] * 2, "web-1", n) for n, site in enumerate(sites)]
    redis.script_flush()
    assert raw.append_each(batches, SEEN) == [False] * 30  # none is lost: who cannot say so tries it alone
    assert raw.append(*batches[0]) == 2
    assert [raw.append_each(batches, SEEN) for _ in range(2)] == [[True] * 30] * 2
    assert [raw.append(*batch) for batch in batches] == [0] * 30
    assert [paths(raw.after(site, START, 10)) for site in sites] == [[f"/{site}"] * 2 for site in sites]
    assert raw.sites() == set(sites)


def test_what_is_wrong_with_one_site_leaves_the_others_of_an_exchange_alone(redis: Redis) -> None:
    raw = RawLog(redis)
    raw.append("a.example", [hit()], "web-1", 1)
    redis.set(keys.raw("b.example"), "not ours")
    batches = [(f"{name}.example", [hit()], "web-1", 2) for name in "abc"]
    assert raw.append_each(batches, SEEN) == [True, False, True]
    assert raw.append(*batches[1]) == 1  # it is set aside
    assert [raw.length(site) for site, *_ in batches] == [2, 1, 1]


def test_a_site_is_known_as_soon_as_it_has_a_hit_and_its_source_is_remembered_for_a_day(redis: Redis) -> None:
    raw = RawLog(redis)
    assert raw.sites() == set()
    raw.append(SITE, [hit()], "web-1", 7)
    assert raw.sites() == {SITE}
    assert redis.get(keys.seen(SITE, "web-1")) == b"7"
    assert SEEN - 5 <= redis.ttl(keys.seen(SITE, "web-1")) <= SEEN


def test_an_entry_is_one_field_of_json(redis: Redis) -> None:
    RawLog(redis).append(SITE, [hit("/größe")], "web-1", 1)
    found: Any = redis.xrange(keys.raw(SITE))
    [(_, fields)] = found
    assert fields == {b"hit": encode(hit("/größe"))}
    assert "größe".encode() in fields[b"hit"]


def test_after_and_before_read_from_a_cursor(redis: Redis) -> None:
    raw = fill(redis, "5-1", "5-2", "7-0", "10-0")
    assert paths(raw.after(SITE, START, 10)) == ["/5-1", "/5-2", "/7-0", "/10-0"]
    assert paths(raw.after(SITE, "5-1", 2)) == ["/5-2", "/7-0"]
    assert paths(raw.after(SITE, "5-1", 10, upto="7-0")) == ["/5-2", "/7-0"]
    assert paths(raw.after(SITE, "10-0", 10)) == []
    assert paths(raw.before(SITE, "7-0", 2)) == ["/7-0", "/5-2"]
    assert paths(raw.before(SITE, START, 10)) == paths(raw.after("other.example", START, 10)) == []
    assert [name for name, _ in raw.after(SITE, START, 10)] == ["5-1", "5-2", "7-0", "10-0"]


def test_between_reads_what_arrived_from_start_up_to_but_not_at_the_end(redis: Redis) -> None:
    raw = fill(redis, "4999-9", "5000-0", "5000-1", "6999-0", "7000-0")
    start, end = (datetime.fromtimestamp(second, UTC) for second in (5, 7))
    assert (milliseconds(start), milliseconds(end)) == (5000, 7000)
    assert paths(raw.between(SITE, start, end, 10)) == ["/5000-0", "/5000-1", "/6999-0"]
    assert paths(raw.between(SITE, start, end, 1)) == ["/5000-0"]


def test_waiting_names_the_sites_that_have_entries_after_their_cursor(redis: Redis) -> None:
    raw = fill(redis, "5-0")
    raw.append("localhost:8000", [hit()], "web-1", 1)
    cursors = {SITE: START, "localhost:8000": START, "silent.example": START}
    assert raw.waiting(cursors, 1) == {SITE, "localhost:8000"}
    assert raw.waiting({SITE: "5-0", "silent.example": START}, 0.01) == set()


def test_waiting_ends_with_the_first_hit(redis: Redis, redis_url: str) -> None:
    with Redis.from_url(redis_url) as other, ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(RawLog(other).waiting, {SITE: START}, 4)
        until(lambda: redis.info("clients")["blocked_clients"] == 1)
        RawLog(redis).append(SITE, [hit()], "web-1", 1)
        assert blocked.result() == {SITE}


def test_trim_forgets_what_is_older_and_nothing_else(redis: Redis) -> None:
    raw = fill(redis, *(f"{n}-0" for n in range(1, 501)))
    assert raw.trim(SITE, START, 0, "600-0") == 0
    assert raw.whole_since(SITE) == START
    assert raw.trim(SITE, "400-0", 0, "600-0") == 399
    assert paths(raw.after(SITE, START, 1)) == ["/400-0"]
    assert raw.whole_since(SITE) == "399-0"


def forget(raw: RawLog, old: str, most: int, cursor: str) -> int:
    """All that is due."""
    gone = 0
    while part := raw.trim(SITE, old, most, cursor):
        gone += part
    return gone


def test_trim_forgets_what_is_beyond_the_length_and_no_hit_more(redis: Redis) -> None:
    raw = fill(redis, *(f"{n}-0" for n in range(1, 1501)))
    assert forget(raw, START, 400, "1500-0") == 1100
    assert raw.length(SITE) == 400
    assert raw.whole_since(SITE) == "1100-0"
    assert forget(raw, START, 0, "1500-0") == 0


@pytest.mark.parametrize("cursor", [START, "1-0", "777-0"])
@pytest.mark.parametrize("old", [START, "1200-0"])
def test_law_11_trim_forgets_nothing_after_the_cursor_however_long_or_old(
    redis: Redis, cursor: str, old: str
) -> None:
    raw = fill(redis, *(f"{n}-0" for n in range(1, 1501)))
    gone = forget(raw, old, 100, cursor)
    assert gone < max(1, order(cursor)[0])
    assert paths(raw.after(SITE, START, 1)) == [f"/{gone + 1}-0"]
    assert raw.whole_since(SITE) == (f"{gone}-0" if gone else START)


def test_what_is_due_goes_in_parts_and_goes_whole(redis: Redis) -> None:
    pipe = redis.pipeline(transaction=False)
    for n in range(1, 25_001):
        pipe.xadd(keys.raw(SITE), {"hit": "x"}, id=f"{n}-0")
    pipe.execute()
    raw = RawLog(redis)
    assert raw.trim(SITE, "24000-0", 0, "25000-0") <= 1000
    forget(raw, "24000-0", 0, "25000-0")
    assert raw.length(SITE) == 1001
    forget(raw, START, 500, "25000-0")
    assert raw.length(SITE) == 500


def test_a_log_that_is_forgotten_whole_is_whole_again_from_there(redis: Redis) -> None:
    raw = fill(redis, "1-0", "2-0", "3-0")
    assert raw.trim(SITE, "9-0", 0, "9-0") == 3
    assert (raw.length(SITE), raw.whole_since(SITE)) == (0, "3-0")
    fill(redis, "12-0")
    assert raw.trim(SITE, "9-0", 0, "12-0") == 0
    assert raw.whole_since(SITE) == "3-0"


@pytest.mark.parametrize(
    "fields",
    [
        {"hit": b"not JSON"},
        {"hit": b"{}"},
        {"hit": b'{"at":"2126-11-21T06:31:11Z","site":1,"path":"/","source":"x"}'},
        {"hit": b'{"at":"yesterday","site":"a","path":"/","source":"x"}'},
        {"hit": b'{"at":"2126-11-21T06:31:11Z","site":"a","path":"\xff","source":"x"}'},
        {"hit": b'{"at":"2126-11-21T06:31:11Z","site":"a","path":"\\ud800","source":"x"}'},
        {"hit": b""},
        {"other": b"1"},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_comes_as_none(redis: Redis, fields: dict[str, bytes]) -> None:
    raw = fill(redis, "1-0")
    redis.xadd(keys.raw(SITE), fields, id="2-0")  # type: ignore[arg-type]
    fill(redis, "3-0")
    assert paths(raw.after(SITE, START, 10)) == ["/1-0", "?", "/3-0"]


@given(st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 9)), min_size=1))
def test_stream_ids_are_ordered_as_numbers(ids: list[tuple[int, int]]) -> None:
    names = [f"{left}-{right}" for left, right in ids]
    assert [order(name) for name in names] == ids
    assert order(oldest(names)) == min(ids)
    assert order("17") == (17, 0)


def test_newest_goes_from_the_newest_down_to_an_id_whatever_the_size_of_a_piece(redis: Redis) -> None:
    raw = fill(redis, *(f"{n}-{m}" for n in range(1, 6) for m in range(2)))
    for piece in (1, 2, 3, 100):
        found = [name for name, _ in raw.newest(SITE, "3-1", piece)]
        assert found == ["5-1", "5-0", "4-1", "4-0", "3-1"]
    assert list(raw.newest(SITE, "6-0", 2)) == list(raw.newest("other.example", START, 2)) == []
    assert len(list(raw.newest(SITE, START, 4))) == 10
