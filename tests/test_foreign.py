"""What is none of ours under a key of ours is set aside: told, kept, and out of the way."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from redis import Redis, ResponseError
from redis.crc import key_slot

from tests.hits import NOW, SITE
from tracker import keys
from tracker.foreign import set_aside, undisturbed

BUCKET = "day:2126-11-21"
COUNTER = keys.counter(SITE, "hits", "url", BUCKET)
OURS = {
    keys.raw(SITE): "stream",
    keys.cursor(SITE): "cursors",
    keys.seen(SITE, "web-1"): "number",
    keys.trimmed(SITE): "id",
    keys.holes(SITE): "set",
    keys.active(SITE, NOW): "hll",
    keys.failed(SITE, NOW): "counts",
    COUNTER: "counts",
    keys.counter(SITE, "bytes", "url", BUCKET): "counts",
    keys.SITES: "set",
    keys.LEASE: "string",
    keys.refused(NOW): "counts",
    keys.salt(NOW): "string",
    keys.posted("0af" * 10 + "12"): "string",
}
FILL: dict[str, Callable[[Redis, str], Any]] = {
    "stream": lambda redis, key: redis.xadd(key, {"hit": "x"}),
    "set": lambda redis, key: redis.sadd(key, "a"),
    "hash": lambda redis, key: redis.hset(key, "a", "b"),
    "counts": lambda redis, key: redis.hset(key, mapping={"/": "12", "/a": "999999999999999"}),
    "cursors": lambda redis, key: redis.hset(key, "url", "1763706671234-0"),
    "string": lambda redis, key: redis.set(key, b"\xff\x00 any"),
    "number": lambda redis, key: redis.set(key, "12"),
    "id": lambda redis, key: redis.set(key, "1763706671234-0"),
    "hll": lambda redis, key: redis.pfadd(key, "visitor"),
}
STRANGE: dict[str, Callable[[Redis, str], Any]] = {
    "a list": lambda redis, key: redis.rpush(key, "theirs"),
    "a sorted set": lambda redis, key: redis.zadd(key, {"theirs": 1}),
}
NUMBERS = ["", "abc", "1.5", "-1", "1e3", " 1", "0x1", "inf", "nan", "9" * 16, "1\n", "\u0661"]


def everything(redis: Redis) -> dict[bytes, bytes | None]:
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


@pytest.mark.parametrize("key", OURS)
@pytest.mark.parametrize("strange", STRANGE)
def test_another_type_is_renamed_whole_and_told(
    redis: Redis, key: str, strange: str, caplog: pytest.LogCaptureFixture
) -> None:
    STRANGE[strange](redis, key)
    redis.expire(key, 1000)
    theirs, kind = redis.dump(key), cast(bytes, redis.type(key)).decode()
    moved = set_aside(redis, {key: OURS[key]})
    place = moved[key]
    assert redis.dump(place) == theirs
    assert redis.exists(key) == (key == keys.holes(SITE))  # which says that all counters may wait
    assert 0 < redis.ttl(place) <= 1000
    assert caplog.messages == [f"{key} was not ours, it held a {kind}: that lies at {place} now"]
    found = keys.parse(place)
    assert found is not None
    assert (found.kind, found.detail in key) == ("foreign" if found.site else "stray", True)
    assert key_slot(key.encode()) == key_slot(place.encode())  # a cluster renames within a slot


@pytest.mark.parametrize("kind", FILL)
def test_what_is_ours_or_not_there_stays_as_it_is(redis: Redis, kind: str) -> None:
    assert set_aside(redis, {COUNTER: kind}) == {}
    FILL[kind](redis, COUNTER)
    before = everything(redis)
    assert set_aside(redis, {COUNTER: kind}) == {}
    assert everything(redis) == before


@pytest.mark.parametrize("text", NUMBERS)
def test_fields_that_are_no_numbers_are_copied_away_and_the_numbers_stay(redis: Redis, text: str) -> None:
    redis.hset(COUNTER, mapping={"/": "7", "/theirs": text})
    place = set_aside(redis, {COUNTER: "counts"})[COUNTER]
    assert redis.hgetall(COUNTER) == {b"/": b"7"}
    assert redis.hgetall(place) == {b"/": b"7", b"/theirs": text.encode()}
    (hole,) = cast(set[bytes], redis.smembers(keys.holes(SITE)))
    assert keys.parse_hole(hole) == ("url", BUCKET)


@pytest.mark.parametrize("kind", ["number", "id"])
def test_a_string_with_another_value_is_renamed(redis: Redis, kind: str) -> None:
    redis.set(keys.trimmed(SITE), "any word")
    place = set_aside(redis, {keys.trimmed(SITE): kind})[keys.trimmed(SITE)]
    assert redis.get(place) == b"any word"


@pytest.mark.parametrize("text", [b"", b"any word", b"HYLL", b"HYLL\x01" + b"\x00" * 11 + b"\xff" * 9])
def test_a_string_that_is_no_hyperloglog_is_renamed(redis: Redis, text: bytes) -> None:
    key = keys.active(SITE, NOW)
    redis.set(key, text)
    assert redis.get(set_aside(redis, {key: "hll"})[key]) == text


def test_a_stream_that_takes_no_more_is_renamed(redis: Redis) -> None:
    key = keys.raw(SITE)
    redis.xadd(key, {"hit": "x"}, id="18446744073709551615-18446744073709551614")
    assert set_aside(redis, {key: "stream"}) == {}
    redis.xadd(key, {"hit": "x"}, id="18446744073709551615-18446744073709551615")
    assert redis.xlen(set_aside(redis, {key: "stream"})[key]) == 2


@pytest.mark.parametrize("key", OURS)
def test_who_asks_again_is_answered(redis: Redis, key: str) -> None:
    redis.rpush(key, "theirs")

    def ask() -> int:
        FILL[OURS[key]](redis, key)
        return 1

    assert (
        undisturbed(
            redis, [keys.live(SITE), key], ask if OURS[key] != "string" else lambda: gotten(redis, key)
        )
        == 1
    )
    with pytest.raises(ResponseError, match="another reason"):
        undisturbed(redis, [key], failing)


def gotten(redis: Redis, key: str) -> int:
    redis.get(key)
    return 1


def failing() -> int:
    raise ResponseError("WRONGTYPE, or another reason")


def test_several_at_once_and_again_lose_nothing(redis: Redis) -> None:
    for n in range(3):
        redis.set(COUNTER, f"theirs {n}")
        redis.set(keys.holes(SITE), f"holes {n}")
        redis.lpush(keys.raw(SITE), f"raw {n}")
        assert len(set_aside(redis, {COUNTER: "counts", keys.raw(SITE): "stream"})) == 3
    for name, word in (("hits", "theirs"), ("holes", "holes")):
        kept = {redis.get(key) for key in redis.keys(f"*:foreign:{name}:*")}
        assert kept == {f"{word} {n}".encode() for n in range(3)}
    assert len(redis.keys("*:foreign:raw:*")) == 3
