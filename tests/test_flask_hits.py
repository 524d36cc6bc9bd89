"""What a request to a Flask application counts as: each field, and what hostile input leaves of it."""

import base64
import enum
import math
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import flask
import pytest
from flask import Flask, g, request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from tests.hits import FIREFOX, PROPERTY
from tracker import headers, raw, scalars
from tracker.fields import params
from tracker.flask_hits import LONGEST, MAX_BYTES, SITES, FlaskReader, Visit, address, place
from tracker.hit import MAX_URL, BadHit, Hit
from tracker.settings import Settings

APP = Flask("shop")
ADDRESS = "203.0.113.7"


def environ(path: str = "/", **headers: str) -> dict[str, Any]:
    """A request as WSGI hands it over; header names as Python spells them."""
    made = EnvironBuilder(path, "http://www.example.com/", environ_base={"REMOTE_ADDR": ADDRESS})
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {**made.get_environ(), **named}


def read(sent: dict[str, Any], track_var: Any = None, size: int = 5, **settings: str) -> Hit:
    reader = FlaskReader("shop", "", Settings.read(settings))
    with APP.request_context(sent):
        g.track_var = track_var
        return reader.read(request, Visit(), 200, size)


def kept(**entries: Any) -> dict[str, Any]:
    return scalars.flat(entries)


def test_every_field_of_a_request() -> None:
    sent = environ(
        "/blog/?page=2",
        user_agent=FIREFOX,
        accept_language="de-DE,en;q=0.5",
        referer="https://lobste.rs/s/1",
        x_forwarded_for="198.51.100.9",
    )
    before = datetime.now(UTC)
    hit = read(sent, {"plan": "pro"}, size=1234)
    assert before <= hit.at <= datetime.now(UTC)
    assert hit == Hit(
        at=hit.at,
        site="example.com",
        path="/blog/",
        source="flask",
        query="page=2",
        referrer="https://lobste.rs/s/1",
        remote=ADDRESS,
        agent=FIREFOX,
        language="de-DE,en;q=0.5",
        status=200,
        bytes=1234,
        headers={"X-Forwarded-For": "198.51.100.9"},
        params={"page": "2"},
        method="GET",
        origin="http://www.example.com",
        protocol="HTTP/1.1",
        app="shop",
        track_var={"plan": "pro"},
    )


PATHS = {
    ("", "/"): "/",
    ("", ""): "/",
    ("/app", ""): "/app",
    ("/app", "/x"): "/app/x",
    ("", "/a b"): "/a%20b",
    ("", "/grün"): "/gr%C3%BCn",
    ("", "/50%"): "/50%25",
    ("", "/a?b#c"): "/a%3Fb%23c",
    ("", '/"<>`{}^\\'): "/%22%3C%3E%60%7B%7D%5E%5C",
    ("", "/a:@!$&'()*+,;=~[]|-._z"): "/a:@!$&'()*+,;=~[]|-._z",
    ("", "/a\x00\x1b\x7f\n"): "/a%00%1B%7F%0A",
    ("", "*"): "/*",
}


@pytest.mark.parametrize(("parts", "shown"), PATHS.items(), ids=repr)
def test_the_path_is_the_one_that_a_browser_shows(parts: tuple[str, str], shown: str) -> None:
    script, path = (part.encode().decode("latin-1") for part in parts)
    assert address({"SCRIPT_NAME": script, "PATH_INFO": path, "QUERY_STRING": ""}) == (shown, "")


def test_the_query_stays_as_it_was_sent_but_for_what_no_address_may_hold() -> None:
    as_sent = "q=%E4%F6&a=b+c&x=[1]|{}^`\\'%zz"
    assert read(environ() | {"QUERY_STRING": as_sent}).query == as_sent
    hostile = read(environ() | {"QUERY_STRING": 'q=a b#"<>\x00\xc3\xbc'})
    assert hostile.query == "q=a%20b%23%22%3C%3E%00%C3%BC"
    assert hostile.params == {"q": 'a b#"<> ü'}


@pytest.mark.parametrize("first", ["/", "/a", "/aa"])
@pytest.mark.parametrize("rest", ["", "a" * 5000, "ä" * 600, "ä" * 900])
def test_an_address_that_is_too_long_is_cut_and_never_within_an_escape(first: str, rest: str) -> None:
    path = (first + rest).encode().decode("latin-1")
    hit = read(environ() | {"PATH_INFO": path, "QUERY_STRING": "%C3%A4" * 900})
    whole = f"{hit.path}?{hit.query}" if hit.query else hit.path
    assert MAX_URL - 3 <= len(whole) <= MAX_URL
    for part in (hit.path, hit.query):
        assert b"%" not in unquote_to_bytes(part)


@pytest.mark.parametrize(("more", "left"), [(94, 94), (95, 95), (96, 95), (97, 95)])
def test_the_question_mark_is_part_of_the_address(more: int, left: int) -> None:
    hit = read(environ() | {"PATH_INFO": "/" + "a" * 3999, "QUERY_STRING": "q" * more})
    assert (len(hit.path), len(hit.query)) == (4000, left)


HOSTS = {
    ("http", "example.com"): ("example.com", "http://example.com"),
    ("http", "WWW.Example.COM:80"): ("example.com", "http://www.example.com"),
    ("https", "www.example.com:443"): ("example.com", "https://www.example.com"),
    ("https", "example.com:80"): ("example.com:80", "https://example.com:80"),
    ("https", "www.example.com:8443"): ("example.com:8443", "https://www.example.com:8443"),
    ("http", "127.0.0.1:5000"): ("127.0.0.1:5000", "http://127.0.0.1:5000"),
    ("javascript", "example.com"): ("example.com", "http://example.com"),
    ("http", "a" * 200): ("a" * 200, ""),  # longer than an origin may be
    ("http", "a_b"): ("", ""),
    ("http", "[::1]:5000"): ("", ""),
    ("http", "a/b"): ("", ""),
    ("http", "{x}"): ("", ""),
}


@pytest.mark.parametrize(("sent", "expected"), HOSTS.items(), ids=repr)
def test_the_site_is_the_host_and_the_origin_has_its_scheme(
    sent: tuple[str, str], expected: tuple[str, str]
) -> None:
    assert place(*sent) == expected


def test_law_10_hosts_that_are_remembered_are_short() -> None:
    before = place.cache_info()
    with pytest.raises(BadHit):
        read(environ(host="x" * (LONGEST + 1)))
    assert place.cache_info() == before
    assert place.cache_info().maxsize == SITES


def test_without_a_host_header_the_server_names_the_site() -> None:
    sent = environ()
    del sent["HTTP_HOST"]
    assert read(sent | {"SERVER_NAME": "shop.example", "SERVER_PORT": "80"}).site == "shop.example"


@pytest.mark.parametrize("host", ["a b", "", "x" * (LONGEST + 1), "example.com:http", "ex\x00ample.com"])
def test_a_host_that_is_none_is_no_hit_but_under_a_name_of_our_own(host: str) -> None:
    sent = environ(host=host) | {"SERVER_NAME": "_", "SERVER_PORT": "80"}
    with pytest.raises(BadHit, match="bad host: set TRACK_USAGE_SITE"):
        read(sent)
    with APP.request_context(environ()):
        hit = FlaskReader("shop", "our.example", Settings()).read(request, Visit(), 200, 0)
    assert (hit.site, hit.origin) == ("our.example", "http://www.example.com")


def test_a_host_that_the_application_does_not_trust_makes_no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    # Flask 3.1 sets it as TRUSTED_HOSTS says, Flask 2.3 leaves that to the application.
    monkeypatch.setattr(flask.Request, "trusted_hosts", ["www.example.com"])
    assert read(environ()).site == "example.com"
    with pytest.raises(BadHit, match="untrusted host: it is none of TRUSTED_HOSTS"):
        read(environ(host="made-up.example"))
    with APP.request_context(environ(host="made-up.example")):
        hit = FlaskReader("shop", "our.example", Settings()).read(request, Visit(), 400, 0)
    assert hit.site == "our.example"


def test_the_client_is_found_through_the_proxies_of_the_settings() -> None:
    sent = environ(x_forwarded_for="198.51.100.1, 198.51.100.2, 10.0.0.1")
    assert read(sent).remote == ADDRESS
    assert read(sent, HITWALL_TRUSTED_PROXIES="2").remote == "198.51.100.2"
    assert read(sent).headers == {"X-Forwarded-For": "198.51.100.1, 198.51.100.2, 10.0.0.1"}
    assert read(environ() | {"REMOTE_ADDR": None}).remote == ""  # a server on a socket of the file system


@pytest.mark.parametrize("wish", [{"dnt": "1"}, {"sec_gpc": "1"}, {"dnt": "1", "sec_gpc": "1"}])
@pytest.mark.parametrize("names", ["", "*", "Sec-CH-UA", "DNT,X-Forwarded-For", "dnt"])
def test_who_asks_not_to_be_tracked_leaves_no_address_but_the_wish(wish: dict[str, str], names: str) -> None:
    sent = environ(**wish, x_forwarded_for=ADDRESS, x_real_ip=ADDRESS, forwarded=f"for={ADDRESS}")
    hit = read(sent, HITWALL_HEADERS=names, HITWALL_TRUSTED_PROXIES="1")
    assert hit.remote == "203.0.113.0"
    assert ADDRESS not in raw.encode(hit).decode()
    told = {name.lower().replace("-", "_"): value for name, value in hit.headers.items()}
    assert told.items() >= wish.items()
    assert len(told) == len(hit.headers)


def test_a_header_that_a_test_client_sends_beyond_latin_1_is_no_reason_not_to_count() -> None:
    hit = read(environ(user_agent="Bücher \u65e5"))
    assert hit.agent == "B\ufffdcher ?"


def test_no_wish_is_kept_where_none_is_named() -> None:
    assert read(environ(dnt="0"), HITWALL_HEADERS="Sec-CH-UA").headers == {}


def test_credentials_are_told_of_and_never_kept() -> None:
    secret = base64.b64encode(b"anna:geheim").decode()
    for header in (f"Basic {secret}", "Bearer geheim", "Basic !!", "geheim"):
        sent = environ(authorization=header, proxy_authorization=header, cookie="geheim")
        hit = read(sent, HITWALL_HEADERS="*")
        assert hit.authorization
        assert hit.username == ("anna" if secret in header else "")
        assert b"geheim" not in raw.encode(hit)
        assert secret.encode() not in raw.encode(hit)
    assert not read(environ(authorization="")).authorization


def test_law_10_the_headers_of_a_hit_have_a_bound() -> None:
    many = {f"x_{number}": "v" * 10_000 for number in range(1000)}
    hit = read(environ(**{"x" * 10_000: "v"}, **many, x_forwarded_for=ADDRESS), HITWALL_HEADERS="*")
    assert len(hit.headers) == headers.MOST + 1
    assert hit.headers["X-Forwarded-For"] == ADDRESS
    assert len(raw.encode(hit)) < 80_000


def test_the_name_of_digest_authentication() -> None:
    digest = 'Digest username="anna", realm="r", nonce="n", uri="/", response="x"'
    assert read(environ(authorization=digest)).username == "anna"


def test_a_name_is_one_line_of_bounded_length() -> None:
    long = base64.b64encode(("a\nb" + "ö" * 500).encode()).decode()
    assert read(environ(authorization=f"Basic {long}")).username == "a b" + "ö" * 125


def test_a_body_counts_up_to_the_most_that_counters_add_exactly() -> None:
    assert read(environ(), size=2**60).bytes == MAX_BYTES


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Sly(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("read me not")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("read me not")


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
SOME_ID = uuid.UUID(int=7)
VALUES = {
    "text": ("text", "text"),
    "number": (3, 3),
    "fraction": (0.5, 0.5),
    "truth": (True, True),
    "nothing": (None, None),
    "list": ([1, "a"], '[1,"a"]'),
    "dict": ({"a": {"b": None}}, '{"a":{"b":null}}'),
    "tuple": ((1, 2), "[1,2]"),
    "id": (SOME_ID, str(SOME_ID)),
    "day": (date(2026, 11, 21), "2026-11-21"),
    "decimal": (Decimal("1.50"), "1.50"),
    "path": (Path("/tmp"), "/tmp"),
    "bytes": (b"abc", "YWJj"),
    "enum": (Colour.RED, "red"),
    "number of an enum": (Level.HIGH, "3"),
    "large number": (2**53 + 1, str(2**53 + 1)),
    "too large a number": (10**5000, "<int>"),
    "not a number": (math.nan, "nan"),
    "endless": (-math.inf, "-inf"),
    "long": ("ä" * 9000, "ä" * 512),
    "control characters": ("a\x1b[31m\x00\n", "a [31m  "),
    "half a character": ("a\ud800", "a?"),
    "class": (dict, "<class 'dict'>"),
    "one's own text": (Sly("sly"), "sly"),
    "hostile": (Hostile(), "<Hostile>"),
    "hostile within": ([1, Hostile()], "<list>"),
    "itself": (ITSELF, "<list>"),
    "odd key": ({(1, 2): 3}, '{"(1, 2)":3}'),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES.keys())
def test_a_value_stays_what_it_is_or_becomes_its_json_text(value: Any, expected: Any) -> None:
    assert kept(name=value) == {"name": expected}
    assert raw.decode(raw.encode(read(environ(), {"name": value}))).track_var == {"name": expected}


def test_values_are_read_at_once_as_they_may_be_bound_to_the_request() -> None:
    items = [1]
    found = kept(items=items)
    items.append(2)
    assert found == {"items": "[1]"}


def test_law_10_the_values_of_a_hit_have_a_bound() -> None:
    found = scalars.flat({f"{number:03}" + "n" * 500: "v" for number in range(500)})
    assert len(found) == scalars.MOST
    assert {len(name) for name in found} == {scalars.NAME}


@pytest.mark.parametrize("value", [None, {}, [], "text", 3, [("a", 1)], {"a"}, Hostile()])
def test_what_is_no_dict_of_values_is_none(value: Any) -> None:
    assert scalars.flat(value) == {}


def test_names_of_values_are_texts() -> None:
    found = scalars.flat({1: "a", None: "b", "c\n": "d", ("e",): "f"})
    assert found == {"1": "a", "None": "b", "c ": "d", "('e',)": "f"}


ANY_TEXT = st.text(max_size=60) | st.text(st.characters(max_codepoint=255), max_size=60)
NAMES = st.sampled_from(
    [
        *("HTTP_HOST", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REMOTE_ADDR", "HTTP_USER_AGENT"),
        *("HTTP_REFERER", "HTTP_DNT", "HTTP_ACCEPT_LANGUAGE", "HTTP_AUTHORIZATION", "HTTP_SEC_CH_UA"),
        *("HTTP_X_FORWARDED_FOR", "REQUEST_METHOD", "SERVER_PROTOCOL", "wsgi.url_scheme"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@PROPERTY
@given(st.dictionaries(NAMES, ANY_TEXT), st.sampled_from(["0", "1", "2"]), st.sampled_from(["*", "DNT"]))
def test_any_request_is_a_hit_that_can_be_stored_or_none(sent: dict[str, str], hops: str, names: str) -> None:
    try:
        hit = read(environ() | sent, HITWALL_TRUSTED_PROXIES=hops, HITWALL_HEADERS=names)
    except (BadHit, UnicodeEncodeError):  # Werkzeug, of a path or query beyond WSGI's Latin-1
        return
    assert raw.decode(raw.encode(hit)) == hit
    assert params(hit.query) == hit.params


@PROPERTY
@given(ANYTHING | st.dictionaries(st.text() | st.integers(), ANYTHING))
def test_any_values_are_a_hit_that_can_be_stored(values: Any) -> None:
    hit = read(environ(), values)
    assert raw.decode(raw.encode(hit)) == hit
