"""The API door: what programs post is stored as told, once a key, and what is wrong is named by line."""

import json
import subprocess
import sys
import textwrap
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis, RedisError

from summaries.counting import Counting
from tests.cutting import cutting
from tests.hits import FIREFOX, PROPERTY
from tests.service import ROOT, counted
from tracker import keys
from tracker.bodies import pieces
from tracker.connection import connect
from tracker.hit import BadHit, Hit
from tracker.posted import PostedHit
from tracker.posting import CHUNK, MAX_BODY, MAX_HIT, MAX_HITS, TOLD, Posted, Posting
from tracker.raw import START, RawLog
from tracker.settings import Settings
from tracker.sites import Sites

NOW = datetime(2026, 11, 21, 6, 31, 11, tzinfo=UTC)
SITE = "example.com"
JSON, LINES = "application/json", "application/x-ndjson"
PAGE = {"url": "https://example.com/"}


def door(redis: Redis, **settings: Any) -> Posting:
    chosen = Settings(**settings)
    return Posting(chosen, redis, Sites(chosen, redis))


def post(redis: Redis, sent: Any, key: str | None = None, **settings: Any) -> Posted:
    return door(redis, **settings).post_hits(json.dumps(sent).encode(), JSON, key, NOW)


def stored(redis: Redis, site: str = SITE) -> list[Hit]:
    return [hit for _, hit in RawLog(redis).after(site, START, 100_000) if hit]


def one(redis: Redis, sent: dict[str, Any], **settings: Any) -> Hit:
    """The hit that is stored where this is sent."""
    assert post(redis, {**PAGE, **sent}, **settings).stored == 1
    return stored(redis)[-1]


def refused(redis: Redis, sent: Any, **settings: Any) -> str:
    """Why this hit alone is refused; nothing of it is stored."""
    answer = post(redis, sent, **settings)
    assert (answer.stored, answer.refused_total, redis.exists(keys.raw(SITE))) == (0, 1, 0)
    return answer.refused[0].reason


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"url": f"https://example.com/{n}", **fields} for n in range(count)]


def lines(hits: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, hits)).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b' {"url": "https://example.com/"}\n', "application/json"),
        (b'[ {"url": "https://example.com/"} ] ', "Application/JSON; charset=utf-8"),
        (b'\n\n{"url": "https://example.com/"}\r\n  \n', "application/x-ndjson"),
        (b'{"url": "https://example.com/"}', "application/jsonl"),
    ],
)
def test_a_hit_an_array_and_lines_are_taken(redis: Redis, body: bytes, kind: str) -> None:
    answer = door(redis).post_hits(body, kind, None, NOW)
    assert answer == Posted(stored=1, refused=[], refused_total=0, repeated=False)
    assert stored(redis) == [Hit(at=NOW, site=SITE, path="/", source="api")]


def test_the_good_hits_are_stored_where_others_are_bad_and_each_is_named_by_its_line(redis: Redis) -> None:
    body = b'{"url": "https://example.com/a"}\n\n{"url": 1}\n{"url": \n\xff\n{"url": "ftp://x/"}\n[]\n{"url": "https://example.com/b"}'
    answer = door(redis).post_hits(body, LINES, None, NOW)
    assert [hit.path for hit in stored(redis)] == ["/a", "/b"]
    assert (answer.stored, answer.refused_total) == (2, 5)
    assert [(bad.line, bad.reason) for bad in answer.refused] == [
        (3, "bad field"),
        (4, "not JSON"),
        (5, "not JSON"),
        (6, "not a web page"),
        (7, "bad field"),
    ]
    assert answer.refused[0].detail == "Expected `str`, got `int` - at `$.url`"
    refusals = redis.hgetall(keys.refused(NOW))
    assert refusals == {b"bad field": b"2", b"not JSON": b"2", b"not a web page": b"1"}


def test_an_answer_names_a_bounded_number_of_refused_hits_and_counts_all(redis: Redis) -> None:
    answer = post(redis, [{}] * (TOLD + 50))
    assert (len(answer.refused), answer.refused_total) == (TOLD, TOLD + 50)


WHOLE: dict[str, tuple[bytes, str, str | None, int, str]] = {
    "a form": (b"url=x", "application/x-www-form-urlencoded", None, 415, "unknown Content-Type"),
    "text, which any page may send": (b"{}", "text/plain", None, 415, "unknown Content-Type"),
    "no type": (b"{}", "", None, 415, "unknown Content-Type"),
    "no JSON": (b"{", JSON, None, 400, "not JSON"),
    "nothing": (b"", JSON, None, 400, "not JSON"),
    "a number": (b"1", JSON, None, 400, "not JSON"),
    "no UTF-8": (b'["\xff"]', JSON, None, 400, "not JSON"),
    "an open array": (b"[{}", JSON, None, 400, "not JSON"),
    "a comma too many": (b"[{},]", JSON, None, 400, "not JSON"),
    "two values": (b"{} {}", JSON, None, 400, "not JSON"),
    "something after the array": (b"[] 1", JSON, None, 400, "not JSON"),
    "a deep nest": (b"[" * 100_000, JSON, None, 400, "not JSON"),
    "a long number": (b"[" + b"1" * 100_000, JSON, None, 400, "not JSON"),
    "an empty key": (b"[]", JSON, "", 400, "bad Idempotency-Key"),
    "a long key": (b"[]", JSON, "k" * 201, 400, "bad Idempotency-Key"),
    "a foreign key": (b"[]", JSON, "schlüssel", 400, "bad Idempotency-Key"),
    "too many bytes": (b" " * (MAX_BODY + 1), LINES, None, 413, "body too large"),
    "too many lines": (b"{}\n" * (MAX_HITS + 1), LINES, None, 413, "too many hits"),
    "too long an array": (b"[" + b"{}," * MAX_HITS + b"{}]", JSON, None, 413, "too many hits"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_wrong_with_the_whole_is_refused_with_its_status(redis: Redis, name: str) -> None:
    body, kind, key, status, reason = WHOLE[name]
    with pytest.raises(BadHit) as bad:
        door(redis).post_hits(body, kind, key, NOW)
    assert (bad.value.status, bad.value.reason) == (status, reason)
    assert redis.keys() == []


def test_nothing_is_stored_where_an_array_breaks_off_after_good_hits(redis: Redis) -> None:
    with pytest.raises(BadHit):
        door(redis).post_hits(json.dumps(many(3000)).encode()[:-1], JSON, "k", NOW)
    assert redis.exists(keys.raw(SITE)) == 0


def test_every_field_is_stored_as_it_was_told(redis: Redis) -> None:
    told = {
        "title": "Blog",
        "referrer": "https://lobste.rs/s/1",
        "remote": "203.0.113.7",
        "visitor": "visitor-1",
        "agent": FIREFOX,
        "language": "de,en;q=0.5",
        "event": "signup",
        "status": 201,
        "bytes": 4011,
        "width": 1920,
        "params": {"p": "12"},
        "method": "POST",
        "endpoint": "blog.show",
        "blueprint": "blog",
        "view_args": {"slug": "größe", "page": 2, "draft": False, "ratio": 0.5, "none": None},
        "username": "anna",
        "seconds": 0.25,
        "track_var": {"plan": "free"},
    }
    sent = {"site": "www.Example.com", "path": "/blog/#/x", "query": "p=1", "at": "2026-11-20T23:30:00+01:00"}
    post(redis, {**told, **sent, "headers": {"dnt": "0", "Cookie": "secret", "X-Other": "1"}})
    at = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    page: dict[str, Any] = {"site": SITE, "path": "/blog/#/x", "query": "p=1", "headers": {"DNT": "0"}}
    assert stored(redis) == [Hit(**told, **page, at=at, source="api")]  # type: ignore[arg-type]


def test_fields_are_cleaned_as_at_the_other_doors(redis: Redis) -> None:
    hit = one(redis, {"title": " a\n\tb\0c ", "agent": "x\x1b[31m", "event": "e" * 500, "username": "a\nb"})
    assert (hit.title, hit.agent, hit.event, hit.username) == ("a b c", "x [31m", "e" * 128, "a b")
    hit = one(redis, {"url": "http://www.example.com:80/a?b=c%20d&e"})
    assert (hit.site, hit.path, hit.query, hit.params) == (SITE, "/a", "b=c%20d&e", {"b": "c d", "e": ""})
    assert one(redis, {"remote": "[::ffff:203.0.113.7]:99"}).remote == "203.0.113.7"
    assert one(redis, {"view_args": {"a\n": "b\0"}}).view_args == {"a ": "b "}


def test_the_sites_name_may_be_told_beside_the_address(redis: Redis) -> None:
    post(redis, {**PAGE, "site": "www.other.example"})
    assert [hit.site for hit in stored(redis, "other.example")] == ["other.example"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "no url"),
        ({"site": SITE}, "no url"),
        ({"site": SITE, "path": "blog"}, "no url"),
        ({**PAGE, "path": "/"}, "two pages"),
        ({"site": SITE, "path": "/?a"}, "bad path"),
        ({"site": SITE, "path": "/", "query": "a#b"}, "bad path"),
        ({"site": "a b", "path": "/"}, "bad site"),
        ({"url": "javascript:alert(1)"}, "not a web page"),
        ({"url": "https://example.com/\n"}, "control character"),
        ({**PAGE, "remote": "localhost"}, "bad address"),
        ({**PAGE, "visitor": "short"}, "bad visitor"),
        ({**PAGE, "visitor": "visitor-1\n"}, "bad visitor"),
        ({**PAGE, "at": "1969-12-31T23:59:59Z"}, "bad time"),
        ({**PAGE, "at": "0001-01-01T00:00:00+14:00"}, "bad time"),
        ({**PAGE, "at": "9999-12-31T23:59:59-14:00"}, "bad time"),
        ({**PAGE, "at": "2026-11-22T06:31:12Z"}, "bad time"),
        ({**PAGE, "at": "2026-11-21T06:31:12"}, "bad field"),
        ({**PAGE, "at": 1763706671}, "bad field"),
        ({**PAGE, "source": "pixel"}, "bad field"),
        ({**PAGE, "bytes": -1}, "bad field"),
        ({**PAGE, "bytes": 2**33}, "bad field"),
        ({**PAGE, "status": 600}, "bad field"),
        ({**PAGE, "view_args": {"a": [1]}}, "bad field"),
        ({**PAGE, "view_args": {"a": 2**70}}, "bad field"),
        ({**PAGE, "title": "a" * MAX_HIT}, "hit too large"),
        ([[{}]], "bad field"),
    ],
    ids=str,
)
def test_a_hit_that_is_none_is_refused_with_its_reason(redis: Redis, sent: Any, reason: str) -> None:
    assert refused(redis, sent) == reason


def test_a_site_that_may_not_count_here_is_refused_and_the_others_are_stored(redis: Redis) -> None:
    answer = post(redis, [PAGE, {"url": "https://other.example/"}], sites=(SITE,))
    assert (answer.stored, [bad.reason for bad in answer.refused]) == (1, ["unknown site"])
    assert RawLog(redis).sites() == {SITE}


def test_visitors_are_told_apart_as_the_setting_says(redis: Redis) -> None:
    who = {"remote": "203.0.113.7", "agent": FIREFOX, "visitor": "visitor-1"}
    assert one(redis, who).visitor == "visitor-1"
    assert one(redis, who, visitor="off").visitor == ""
    first, again = (one(redis, who, visitor="hash").visitor for _ in range(2))
    other = one(redis, {**who, "agent": "other"}, visitor="hash").visitor
    assert len(first) == 32
    assert first == again != other
    assert one(redis, {"agent": FIREFOX}, visitor="hash").visitor == ""


def test_who_asks_not_to_be_tracked_is_stored_without_visitor_and_with_the_network(redis: Redis) -> None:
    who = {
        "remote": "203.0.113.7",
        "visitor": "visitor-1",
        "headers": {"Sec-Gpc": "1", "X-Real-IP": "203.0.113.7"},
    }
    for mode in ("cookie", "hash"):
        hit = one(redis, who, visitor=mode, headers=("*",))
        assert (hit.remote, hit.visitor, hit.headers) == ("203.0.113.0", "", {"Sec-Gpc": "1"})


def test_law_2_a_request_that_is_sent_again_is_stored_once(redis: Redis) -> None:
    hits = [*many(CHUNK + 7), {"url": "https://other.example/"}, {}]
    first = post(redis, hits, "key")
    again = post(redis, hits, "key")
    assert (first.stored, first.repeated) == (CHUNK + 8, False)
    assert again == msgspec.structs.replace(first, repeated=True)
    assert len(stored(redis)) == CHUNK + 7
    assert len(stored(redis, "other.example")) == 1
    assert redis.hgetall(keys.refused(NOW)) == {b"no url": b"1"}
    assert post(redis, hits, "other key").repeated is False
    assert len(stored(redis)) == 2 * (CHUNK + 7)


def test_without_a_key_every_request_is_stored(redis: Redis) -> None:
    for _ in range(2):
        post(redis, many(CHUNK + 7))
    assert len(stored(redis)) == 2 * (CHUNK + 7)


def test_a_key_with_other_content_is_refused_and_stores_nothing(redis: Redis) -> None:
    post(redis, PAGE, "key")
    with pytest.raises(BadHit, match="other content") as bad:
        post(redis, [{"url": "https://a.example/"}, PAGE], "key")
    assert bad.value.status == 422
    assert RawLog(redis).sites() == {SITE}
    assert len(stored(redis)) == 1


def test_a_key_with_other_content_is_refused_for_whichever_site_it_is(redis: Redis) -> None:
    post(redis, {"url": "ftp://example.com/"}, "key")  # stores nothing: the key is still free
    post(redis, PAGE, "key")
    with pytest.raises(BadHit, match="other content") as bad:
        post(redis, {"url": "https://a.example/"}, "key")
    assert bad.value.status == 422
    assert RawLog(redis).sites() == {SITE}
    assert post(redis, PAGE, "key").repeated
    assert len(stored(redis)) == 1


def test_the_time_that_was_not_told_is_that_of_the_first_try(redis: Redis) -> None:
    body = json.dumps(PAGE).encode()
    door(redis).post_hits(body, JSON, "key", NOW)
    assert door(redis).post_hits(body, JSON, "key", NOW + timedelta(hours=1)).repeated
    assert [hit.at for hit in stored(redis)] == [NOW]


def test_the_same_request_many_times_at_once_is_stored_once(redis: Redis) -> None:
    body = lines(many(3 * CHUNK))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: door(redis).post_hits(body, LINES, "key", NOW), range(4)))
    assert [answer.stored for answer in answers] == [3 * CHUNK] * 4
    assert Counter(hit.path for hit in stored(redis)) == Counter(f"/{n}" for n in range(3 * CHUNK))


def test_law_2_a_request_cut_off_anywhere_and_sent_again_is_stored_once(redis: Redis, redis_url: str) -> None:
    body = lines(many(4 * CHUNK))
    cuts: list[int] = []
    for answered in range(1, 2000, 9):
        redis.flushdb()
        with cutting(redis_url, answered) as url, suppress(RedisError), connect(url) as client:
            assert door(client).post_hits(body, LINES, "key", NOW).stored == 4 * CHUNK
            break
        cuts.append(len(stored(redis)))
        assert door(redis).post_hits(body, LINES, "key", NOW).stored == 4 * CHUNK
        assert [hit.path for hit in stored(redis)] == [f"/{n}" for n in range(4 * CHUNK)]
    assert set(cuts) == {n * CHUNK for n in range(5)}  # also where all is stored and only the answer is lost


TEXT = st.text(max_size=20)
LABEL = st.text(st.characters(exclude_categories=["C"]), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | LABEL
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2026, 11, 22), timezones=st.just(UTC))
VALID = st.fixed_dictionaries(
    {
        "site": st.sampled_from([SITE, "other.example"]),
        "path": st.sampled_from(["/", "/größe/", "/a#/route?b"]),
    },
    optional={
        "query": st.sampled_from(["a=b", "a=%20&c"]),
        "at": TIMES.map(datetime.isoformat),
        "title": st.sampled_from(["", "Blog & <b>more</b>", "größe"]),
        "referrer": LABEL,
        "remote": st.ip_addresses().map(str).filter(lambda ip: "::ffff:" not in ip),
        "visitor": st.from_regex(r"\A[A-Za-z0-9_-]{8,64}\Z"),
        "agent": LABEL,
        "language": LABEL,
        "event": LABEL,
        "status": st.integers(0, 599),
        "bytes": st.integers(0, 2**32),
        "width": st.integers(0, 2**32),
        "params": st.dictionaries(LABEL, LABEL, min_size=1, max_size=3),
        "username": LABEL,
        "seconds": st.floats(0, 86_400),
        "view_args": st.dictionaries(LABEL, SCALAR, max_size=3),
        "track_var": st.dictionaries(LABEL, SCALAR, max_size=3),
    },
)  # fmt: skip


@given(st.lists(VALID, max_size=8), st.sampled_from([JSON, LINES]))
@PROPERTY
def test_whatever_is_valid_is_stored_exactly_as_told(redis: Redis, sent: list[Any], kind: str) -> None:
    redis.flushdb()
    body = json.dumps(sent).encode() if kind == JSON else lines(sent)
    answer = door(redis).post_hits(body, kind, "key", NOW)
    assert answer == Posted(stored=len(sent), refused=[], refused_total=0, repeated=False)
    for site in (SITE, "other.example"):
        told = [hit for hit in sent if hit["site"] == site]
        found = stored(redis, site)
        assert len(found) == len(told)
        for hit, row in zip(found, told, strict=True):
            said = {name: getattr(hit, name) for name in row}
            assert said == {**row, "at": datetime.fromisoformat(row["at"])} if "at" in row else said == row
    assert door(redis).post_hits(body, kind, "key", NOW).stored == len(sent)
    assert sum(len(stored(redis, site)) for site in (SITE, "other.example")) == len(sent)


NAMES = st.sampled_from(PostedHit.__struct_fields__) | TEXT
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES: st.SearchStrategy[bytes] = (
    st.binary(max_size=200)
    | st.text('{}[],:" \n\\u0d8"url1e9.-', max_size=60).map(str.encode)
    | st.lists(JSONISH, max_size=4).map(lambda values: json.dumps(values).encode())
    | st.lists(JSONISH, max_size=4).map(lambda values: "\n".join(map(json.dumps, values)).encode())
)


@given(BODIES, st.sampled_from([JSON, LINES]), st.none() | TEXT)
@PROPERTY
def test_any_bytes_are_answered_or_refused(redis: Redis, body: bytes, kind: str, key: str | None) -> None:
    redis.flushdb()
    try:
        answer = door(redis).post_hits(body, kind, key, NOW)
    except BadHit:
        assert RawLog(redis).sites() == set()
    else:
        assert answer.stored == sum(len(stored(redis, site)) for site in RawLog(redis).sites())
        assert msgspec.json.decode(msgspec.json.encode(answer), type=Posted) == answer


@given(st.lists(JSONISH, max_size=6), st.sampled_from([None, 1]))
@PROPERTY
def test_an_array_is_taken_apart_into_its_values(values: list[Any], indent: int | None) -> None:
    found = list(pieces(json.dumps(values, indent=indent).encode(), JSON))
    assert [place for place, _ in found] == list(range(1, len(values) + 1))
    assert repr([json.loads(text) for _, text in found]) == repr(values)


def test_law_3_what_is_posted_is_counted(redis: Redis) -> None:
    hits = [{"url": f"https://example.com/{n % 7}", "bytes": n} for n in range(2500)]
    door(redis).post_hits(lines(hits), LINES, "key", NOW)
    counting = Counting.of(Settings(), redis)
    while counting.step(SITE).hits:
        pass
    assert counted(redis, "url") == Counter(f"/{n % 7}" for n in range(2500))


def test_others_have_their_turn_while_ten_thousand_hits_are_read(redis: Redis, redis_url: str) -> None:
    code = f"""
        from gevent import monkey
        monkey.patch_all()
        import gevent
        from datetime import UTC, datetime
        from redis import Redis
        from tracker.posting import Posting
        from tracker.settings import Settings
        from tracker.sites import Sites
        redis = Redis.from_url({redis_url!r})
        turns = 0
        def others() -> None:
            global turns
            while True:
                turns += 1
                gevent.sleep(0)
        gevent.spawn(others)
        posting = Posting(Settings(), redis, Sites(Settings(), redis))
        body = b'{{"url": "https://example.com/"}}\\n' * 10_000
        print(posting.post_hits(body, "application/jsonl", None, datetime.now(UTC)).stored, turns)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, turns = map(int, done.stdout.split())
    assert count == 10_000
    assert turns >= 100


def test_the_schema_names_and_describes_every_field() -> None:
    schemas: Any = msgspec.json.schema_components([PostedHit])[1]
    fields = schemas["PostedHit"]["properties"]
    assert set(fields) == set(PostedHit.__struct_fields__)
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert set(fields) - {"url"} == set(Hit.__struct_fields__) - {"source"}
