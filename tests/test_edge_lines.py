"""What nginx wrote of the pixels it answered: the same hits and the same refusals as at the door."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis, RedisError

from tests.edge import AT, edge_reader, line
from tests.hits import FIREFOX, PROPERTY
from tests.test_pixel import PAGE, QUERIES, REFUSED, VISITOR, environ
from tracker import canary, keys
from tracker.connection import connect
from tracker.edge_lines import CONTROLS, MOST_QUERY, SLICE, Lot, Taken
from tracker.entries import decode
from tracker.hit import CANARY, BadHit, Hit
from tracker.log_lines import MAX_LINE
from tracker.pixel import PixelReader
from tracker.settings import Settings
from tracker.visitors import Visitors

WHEN = datetime.fromtimestamp(AT, UTC)
NOW = WHEN + timedelta(seconds=1)


def read(redis: Redis, *texts: bytes, **settings: Any) -> Lot:
    return edge_reader(redis, **settings).read(texts, 1, NOW)


def hits_of(taken: Taken) -> list[tuple[int, Hit]]:
    """Each with the number of its line."""
    return list(zip(taken.numbers, map(decode, taken.after(0).splitlines()), strict=True))


def outcome(redis: Redis, *texts: bytes, **settings: Any) -> tuple[list[Hit], dict[str, int]]:
    """Hits in the order of their lines, and how many were refused for which reason."""
    lot = read(redis, *texts, **settings)
    numbered = sorted(pair for taken in lot.hits.values() for pair in hits_of(taken))
    refused: dict[str, int] = {}
    for reasons in lot.refused.values():
        for reason, number in reasons.items():
            refused[reason] = refused.get(reason, 0) + number
    return [hit for _, hit in numbered], refused


def at_the_door(
    redis: Redis, query: str, sent: dict[str, str], **settings: Any
) -> tuple[list[Hit], dict[str, int]]:
    chosen = Settings(**settings)
    given = {f"HTTP_{name.upper()}": text for name, text in sent.items() if text}
    request = environ(query) | given
    try:
        return [PixelReader(chosen, Visitors(chosen.visitor, redis)).read(request, WHEN)], {}
    except BadHit as bad:
        return [], {bad.reason: 1}


@pytest.mark.parametrize(("query", "reason", "_"), REFUSED.values(), ids=REFUSED)
def test_what_the_door_refuses_is_refused_for_the_same_reason(
    redis: Redis, query: str, reason: str, _: int
) -> None:
    assert outcome(redis, line(query)) == ([], {reason: 1})


HEADERS = ("user_agent", "accept_language", "cookie", "x_forwarded_for", "dnt", "sec_gpc", "sec_ch_ua")
TEXTS = st.sampled_from(
    ["", "1", "0", f"_hitwall={VISITOR}", "198.51.100.7, 203.0.113.7", FIREFOX, "a" * 8193]
)
SETTINGS = [
    {"sites": ("example.com",), "headers": ("*",)},
    {"trusted_proxies": 1, "visitor": "hash", "ip": "network"},
    {"visitor": "off", "ip": "hash", "headers": ("Sec-CH-UA", "User-Agent")},
]


@given(query=QUERIES, texts=st.lists(TEXTS | st.binary(max_size=9), min_size=7, max_size=7))
@pytest.mark.parametrize("settings", SETTINGS, ids=["named", "hash", "off"])
@example(query=PAGE.encode() + b"&t=\xc3\xa4%C3%A4", texts=[b'\xc3\xa4"\\\x01\x7f', b"\xff", *[b""] * 5])
@PROPERTY
def test_any_request_gives_what_it_gives_at_the_door(
    redis: Redis, settings: dict[str, Any], query: bytes, texts: list[str | bytes]
) -> None:
    decoded = (text.decode("latin-1") if isinstance(text, bytes) else text for text in texts)
    plain = [CONTROLS.sub("", text) for text in decoded]  # with which they do not get to the door
    headers = dict(zip(HEADERS, plain, strict=True))
    if not headers["x_forwarded_for"]:
        headers["x_forwarded_for"] = "203.0.113.7"  # as nginx adds it
    expected = at_the_door(redis, query.decode("latin-1"), headers, **settings)
    assert outcome(redis, line(query.decode("latin-1"), AT, **headers), **settings) == expected


def test_a_hit_has_the_time_of_its_line_however_late_it_is_read(redis: Redis) -> None:
    days_ago = WHEN - timedelta(days=9)
    [late], _ = outcome(redis, line(PAGE, days_ago.timestamp()))
    assert late.at == days_ago


@pytest.mark.parametrize("at", [AT + 90_000, -1.0, 1e300, 253402300800.0])
def test_a_time_that_is_not_yet_or_never_was_is_refused(redis: Redis, at: float) -> None:
    assert outcome(redis, line(PAGE, at)) == ([], {"bad date": 1})


def test_only_what_was_answered_with_success_is_a_hit_and_what_came_too_fast_is_counted(redis: Redis) -> None:
    texts = [line(PAGE, status=status) for status in ("200", "204", "400", "403", "413", "429", "499", "503")]
    hits, refused = outcome(redis, *texts)
    assert (len(hits), refused) == (2, {"too fast": 1})


def test_hits_keep_the_numbers_of_their_lines_and_refusals_their_day(redis: Redis) -> None:
    texts = [line(PAGE), line("url="), line(f"{PAGE}&s=other.example"), b"", line(PAGE)]
    lot = edge_reader(redis).read(texts, 11, NOW)
    assert {site: taken.numbers for site, taken in lot.hits.items()} == {
        "example.com": [11, 15],
        "other.example": [13],
    }
    assert lot.refused == {WHEN.date(): {"no url": 1}}


def test_hits_behind_a_line_are_those_of_later_lines_however_many_are_read_at_once(redis: Redis) -> None:
    size = 2 * SLICE + 3
    texts = [line(f"{PAGE}{n}&t=%0A%C2%85" if n % 3 else "url=") for n in range(size)]
    taken = read(redis, *texts).hits["example.com"]
    for begin in (0, 1, SLICE - 1, SLICE, 2 * SLICE + 1, size - 1, size):
        behind = [decode(text).path for text in taken.after(begin).splitlines()]
        assert behind == [f"/{n}" for n in range(begin, size) if n % 3]


def test_half_a_line_that_a_killed_nginx_left_takes_no_other_along(redis: Redis) -> None:
    whole = line(f"{PAGE}&t=%22&e={{%22at%22:", user_agent='{"at":1,')
    for end in range(1, len(whole)):
        hits, refused = outcome(redis, whole[:end] + whole, line(PAGE))
        assert len(hits) == 2
        assert refused == {"bad log line": 1}
    hits, refused = outcome(redis, whole[:50] + whole[:60] + whole)
    assert (len(hits), refused) == (1, {"bad log line": 1})


def test_a_line_of_an_older_configuration_is_read_as_well(redis: Redis) -> None:
    old = line(PAGE).replace(b'"query":', b'"method":"GET","query":')
    assert outcome(redis, old) == outcome(redis, line(PAGE))
    assert len(outcome(redis, old)[0]) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[1]",
        b'"a"',
        b"\xff\xfe",
        b"{" * 9000,
        b"GET / HTTP/1.1",
        b'{"at":1}',
        line(PAGE).replace(b'"DNT":""', b'"DNT":1'),
        line(PAGE).replace(b'"headers":{', b'"headers":[],"a":{'),
    ],
)
def test_what_is_no_line_of_ours_is_refused_and_stops_nothing(redis: Redis, text: bytes) -> None:
    hits, refused = outcome(redis, line(PAGE), text, line(PAGE))
    assert (len(hits), refused) == (2, {"bad log line": 1})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"user_agent": "a\x00"}, "malformed request"),
        ({"accept_language": "\x1b[31m"}, "malformed request"),
        ({"sec_ch_ua": "\n"}, "malformed request"),
        ({"cookie": "\x7f"}, "malformed request"),
        ({}, "url too long"),
    ],
    ids=str,
)
def test_what_the_door_s_web_server_refuses_is_no_hit(
    redis: Redis, headers: dict[str, Any], reason: str
) -> None:
    query = f"{PAGE}&t=".ljust(MOST_QUERY + (not headers), "a")
    assert outcome(redis, line(query, **headers)) == ([], {reason: 1})
    assert outcome(redis, line(query[:MOST_QUERY], user_agent="a\tb"))[1] == {}


def test_a_line_that_was_cut_for_its_length_is_refused(redis: Redis) -> None:
    cut = line(PAGE, user_agent="a" * MAX_LINE)[: MAX_LINE + 1]
    assert outcome(redis, cut, line(PAGE))[1] == {"too long": 1}


def test_empty_lines_are_nothing(redis: Redis) -> None:
    assert outcome(redis, b"", b"  ", b"\r") == ([], {})


@given(text=st.binary(max_size=60))
@PROPERTY
def test_no_bytes_stop_the_reading(redis: Redis, text: bytes) -> None:
    hits, _ = outcome(redis, text, line(PAGE) + text, text + line(PAGE), line(PAGE))
    assert 2 <= len(hits) <= 3


def test_sites_that_may_not_count_are_refused(redis: Redis) -> None:
    named = {"sites": ("example.com",)}
    assert outcome(redis, line("url=https://other.example/"), **named) == ([], {"unknown site": 1})
    texts = [line(f"url=https://site-{n}.example/") for n in range(3)]
    hits, refused = outcome(redis, *texts, max_sites=2)
    assert (len(hits), refused) == (2, {"too many sites": 1})


def test_the_canary_is_known_by_its_mark_and_taken_once(redis: Redis) -> None:
    marked = line(f"url=/{canary.mark(redis)}&s={CANARY}", user_agent="Hitwall canary")
    hits, refused = outcome(redis, marked, marked)
    assert [(hit.site, hit.source, hit.agent) for hit in hits] == [(CANARY, canary.SOURCE, "")]
    assert refused == {"reserved site": 1}


def test_a_hashed_visitor_has_the_salt_of_the_day_of_the_hit(redis: Redis) -> None:
    day_before = line(PAGE, AT - 86_400, user_agent=FIREFOX)
    [before, now], _ = outcome(redis, day_before, line(PAGE, user_agent=FIREFOX), visitor="hash")
    assert before.visitor != now.visitor
    assert redis.exists(keys.salt(before.at), keys.salt(now.at)) == 2


def test_without_redis_nothing_is_read_that_needs_it(free_port: int) -> None:
    with pytest.raises(RedisError):
        read(connect(f"redis://127.0.0.1:{free_port}/0"), line(PAGE), visitor="hash")
