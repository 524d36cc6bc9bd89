"""Lines of logs: every format becomes the same hit, and any text is a hit or a stated refusal."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import FIREFOX, NOW, PROPERTY, SITE
from tracker.access_log import parse_line, unescape
from tracker.hit import BadHit, Hit
from tracker.log_hits import MAX_BYTES, parse
from tracker.raw import decode, encode

LOG = Path(__file__).parent / "data" / "access.log"
REASONS = {"no request", "bad log line", "bad date", "bad url"}
AT = datetime(2026, 11, 21, 6, 31, 11, tzinfo=UTC)
BEGIN = "203.0.113.7 - - [21/Nov/2026:06:31:11 +0000] "
COMBINED = BEGIN + f'"GET /blog?a=1 HTTP/1.1" 200 512 "https://a.example/" "{FIREFOX}"'
HIT = Hit(
    at=AT,
    site=SITE,
    path="/blog",
    source="log",
    query="a=1",
    params={"a": "1"},
    referrer="https://a.example/",
    remote="203.0.113.7",
    agent=FIREFOX,
    status=200,
    bytes=512,
    method="GET",
)
NGINX = {
    "time_iso8601": "2026-11-21T06:31:11+00:00",
    "remote_addr": "203.0.113.7",
    "request": "GET /blog?a=1 HTTP/1.1",
    "status": "200",
    "body_bytes_sent": "512",
    "http_referer": "https://a.example/",
    "http_user_agent": FIREFOX,
}
CADDY = {
    "level": "info",
    "ts": AT.timestamp(),
    "logger": "http.log.access.log0",
    "request": {
        "remote_ip": "203.0.113.7",
        "remote_port": "50412",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": "example.com",
        "uri": "/blog?a=1",
        "headers": {"User-Agent": [FIREFOX], "Referer": ["https://a.example/"], "Cookie": ["REDACTED"]},
    },
    "size": 512,
    "status": 200,
}


def without(told: dict[str, Any], *names: str, **more: Any) -> str:
    """A JSON line without these fields, with others."""
    return json.dumps({name: value for name, value in told.items() if name not in names} | more)


SAME = {
    "combined": COMBINED,
    "virtual host": f"example.com:443 {COMBINED}",
    "virtual host without port": f"example.com {COMBINED}",
    "user": COMBINED.replace("- - [", "- frank ["),
    "user with a blank": COMBINED.replace("- - [", "- Jane Doe ["),
    "request time": f"{COMBINED} 0.002",
    "forwarded for": f'{COMBINED} "198.51.100.1, 203.0.113.9" rt=0.002 "-"',
    "zone": COMBINED.replace("06:31:11 +0000", "12:01:11 +0530"),
    "zone behind": COMBINED.replace("06:31:11 +0000", "01:31:11 -0500"),
    "escaped as Apache does": COMBINED.replace("GET /blog", r"GET /\x62log"),
    "with a port": COMBINED.replace("203.0.113.7 ", "203.0.113.7:51234 "),
    "nginx": json.dumps(NGINX),
    "nginx, time_local": without(NGINX, "time_iso8601", time_local="21/Nov/2026:07:31:11 +0100"),
    "nginx, msec": without(NGINX, "time_iso8601", msec="1795242671.000"),
    "nginx, time as a number": without(NGINX, "time_iso8601", time=AT.timestamp()),
    "nginx, in parts": without(NGINX, "request", request_method="GET", request_uri="/blog?a=1"),
    "nginx, numbers": without(NGINX, "status", "body_bytes_sent", status=200, bytes_sent=512),
    "nginx, cookie": without(NGINX, http_cookie="_hitwall=visitor-1", host="example.com"),
    "nginx, default escape": json.dumps(NGINX).replace("/blog", r"/\x62log"),
    "caddy": json.dumps(CADDY),
    "caddy, time in words": without(CADDY, "ts", ts="2026-11-21T06:31:11.000Z"),
}
ODD = {
    "empty": ("", "bad log line"),
    "words": ("hello world", "bad log line"),
    "no status": (BEGIN + '"GET / HTTP/1.1"', "bad log line"),
    "status in words": (COMBINED.replace(" 200 ", " OK "), "bad log line"),
    "cut off": (COMBINED[:-9], "bad log line"),
    "cut off in the referrer": (COMBINED[:90], "bad log line"),
    "no request": (BEGIN + '"-" 408 0 "-" "-"', "no request"),
    "empty request": (BEGIN + '"" 400 0 "-" "-"', "no request"),
    "TLS": (BEGIN + r'"\x16\x03\x01\x02\x00\x01" 400 226 "-" "-"', "no request"),
    "no target": (BEGIN + '"GET" 400 226 "-" "-"', "no request"),
    "no such month": (COMBINED.replace("Nov", "Nox"), "bad date"),
    "no such day": (COMBINED.replace("21/Nov", "31/Nov"), "bad date"),
    "no such zone": (COMBINED.replace("+0000", "+9900"), "bad date"),
    "date of another kind": (COMBINED.replace("21/Nov/2026:06:31:11 +0000", "x"), "bad date"),
    "before 1970": (COMBINED.replace("2026", "1969"), "bad date"),
    "in the future": (COMBINED.replace("2026", "2126"), "bad date"),
    "all": (BEGIN + '"OPTIONS * HTTP/1.0" 200 0 "-" "-"', "bad url"),
    "tunnel": (BEGIN + '"CONNECT mail.example:25 HTTP/1.1" 405 0 "-" "-"', "bad url"),
    "control character": (BEGIN + r'"GET /\x00 HTTP/1.1" 400 0 "-" "-"', "bad url"),
    "long": (BEGIN + f'"GET /{"a" * 5000} HTTP/1.1" 414 0 "-" "-"', "bad url"),
    "broken JSON": ('{"ts": 1', "bad log line"),
    "nested JSON": ('{"a":' * 10_000, "bad log line"),
    "JSON with a very large number": (f'{{"msec": {"9" * 9999}}}', "bad log line"),
    "JSON with half a character": (without(NGINX, status="\ud800"), "bad log line"),
    "empty JSON": ("{}", "no request"),
    "JSON without a time": (without(NGINX, "time_iso8601"), "bad log line"),
    "JSON with a time without zone": (without(NGINX, time_iso8601="2026-11-21T06:31:11"), "bad date"),
    "JSON with an endless time": (without(CADDY, ts=1e300), "bad date"),
    "JSON without a request": (without(NGINX, "request"), "no request"),
    "JSON of another kind": ('{"request": {"uri": 1, "headers": 2}, "ts": []}', "no request"),
}


def read(text: str, now: datetime = AT) -> Hit:
    return parse(text, SITE, now)


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_request_is_the_same_hit_in_every_format(text: str) -> None:
    assert read(text) == HIT


@pytest.mark.parametrize(("text", "reason"), ODD.values(), ids=ODD)
def test_what_is_no_request_is_refused_with_one_of_few_reasons(text: str, reason: str) -> None:
    assert reason in REASONS
    with pytest.raises(BadHit) as refused:
        read(text)
    assert refused.value.reason == reason


def test_common_format_has_neither_referrer_nor_agent() -> None:
    hit = read(BEGIN + '"HEAD /a HTTP/1.1" 304 -')
    assert (hit.path, hit.method, hit.status, hit.bytes, hit.referrer, hit.agent) == (
        "/a",
        "HEAD",
        304,
        0,
        "",
        "",
    )
    assert read(BEGIN + '"GET /" 200 7').bytes == 7  # HTTP/0.9


def test_what_only_json_tells_is_kept_and_cookies_are_not() -> None:
    hit = read(without(NGINX, http_accept_language="de,en;q=0.5", request_time="0.250", http_cookie="a=b"))
    assert (hit.language, hit.seconds, hit.headers) == ("de,en;q=0.5", 0.25, {})
    request = CADDY["request"] | {"client_ip": "198.51.100.9"}  # type: ignore[operator]
    hit = read(without(CADDY, request=request, duration=0.125))
    assert (hit.remote, hit.seconds) == ("198.51.100.9", 0.125)
    assert b"REDACTED" not in encode(hit)


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("2001:DB8::0:7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::1", "::1"),
        ("crawler.example.net", ""),
        ("-", ""),
    ],
)
def test_an_address_is_canonical_and_a_host_name_is_none(remote: str, expected: str) -> None:
    assert read(COMBINED.replace("203.0.113.7", remote)).remote == expected
    assert read(f"example.com:80 {COMBINED.replace('203.0.113.7', remote)}").remote == expected


def test_a_request_to_a_proxy_names_the_page_by_its_path() -> None:
    hit = read(COMBINED.replace("GET /blog", "GET http://other.example/blog"))
    assert (hit.site, hit.path) == (SITE, "/blog")


def test_escapes_are_undone() -> None:
    agent = r"a \"b\" \\ \xc3\xa4 \t \xff"
    assert read(COMBINED.replace(FIREFOX, agent)).agent == 'a "b" \\ ä   \ufffd'
    assert unescape(r"\x22\n\z") == '"\nz'


def test_numbers_have_bounds() -> None:
    assert read(COMBINED.replace(" 512 ", f" {10**18} ")).bytes == MAX_BYTES
    for seconds in ("NaN", "inf", "-1", "1e99", "?"):
        assert read(without(NGINX, request_time=seconds)).seconds == 0
    assert read(without(NGINX, status="²00", body_bytes_sent="-5")).status == 0


def test_the_clock_of_a_server_may_be_a_day_ahead() -> None:
    assert read(COMBINED, AT - timedelta(hours=23)) == HIT
    with pytest.raises(BadHit, match="bad date"):
        read(COMBINED, AT - timedelta(hours=25))


def test_every_line_of_a_real_log_is_a_hit() -> None:
    hits = [read(line) for line in LOG.read_text().splitlines()]
    assert len(hits) == 760
    assert all(hit.remote and hit.status and hit.method for hit in hits)


def check(text: str) -> None:
    """It is a hit that comes back from JSON as it is, or refused for one of the reasons."""
    reason = ""
    try:
        hit = read(text)
    except BadHit as bad:
        reason = bad.reason
    assert reason in REASONS if reason else decode(encode(hit)) == hit


@given(st.text() | st.text().map(COMBINED.__add__) | st.text().map(COMBINED[:60].__add__))
@PROPERTY
def test_any_text_is_a_hit_or_a_stated_refusal(text: str) -> None:
    check(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*NGINX, *CADDY, "msec", "request_time", "request_uri"]), JSON))
@PROPERTY
def test_any_object_is_a_hit_or_a_stated_refusal(told: dict[str, Any]) -> None:
    for known in (NGINX, CADDY):
        check(json.dumps(known | told))


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
ADDRESS = st.ip_addresses(v=4).map(str) | st.just("2001:db8::7")


def written(text: str) -> str:
    """As Apache writes it: bytes beyond ASCII, quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isascii() else "".join(f"\\x{byte:02x}" for byte in c.encode()) for c in escaped)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2126, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.tuples(ADDRESS, WORD, st.sampled_from(["GET", "POST", "PROPFIND"])),
    st.tuples(st.integers(100, 599), st.integers(0, MAX_BYTES)),
    st.tuples(WORD, WORD),
)
@PROPERTY
def test_a_line_written_from_parts_is_read_as_these_parts(
    at: datetime, offset: int, head: tuple[str, str, str], sizes: tuple[int, int], tail: tuple[str, str]
) -> None:
    remote, word, method = head
    path, (referrer, agent) = "/" + word.replace("?", "").replace("#", ""), tail
    local = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    request = f"{method} {written(path)} HTTP/1.1"
    hit = read(
        f'{remote} - - [{local:%d/%b/%Y:%H:%M:%S %z}] "{request}" {sizes[0]} {sizes[1]} '
        f'"{written(referrer)}" "{written(agent)}"',
        NOW,
    )
    assert (hit.at, hit.remote, hit.path, hit.method) == (local, remote, path, method)
    assert (hit.status, hit.bytes) == sizes
    assert [hit.referrer, hit.agent] == ["" if part == "-" else part for part in tail]
    assert hit.at.utcoffset() == timedelta(0)


def test_a_line_tells_what_it_tells_and_no_more() -> None:
    line = parse_line(COMBINED)
    assert (line.remote, line.target, line.status, line.seconds) == ("203.0.113.7", "/blog?a=1", "200", "")
