"""What is a page and what is not; what is kept of a hit."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import NOW, SITE, generated_hits, hit
from tracker import fields
from tracker.hit import MAX_URL, BadHit, Hit, cut, parse_page, site_name
from tracker.hit import SITE as NAMES

PAGES = {
    "http": ("http://example.com/", "", ("example.com", "/", "")),
    "https": ("https://example.com/blog/", "", ("example.com", "/blog/", "")),
    "no path": ("https://example.com", "", ("example.com", "/", "")),
    "query without path": ("https://example.com?a=1", "", ("example.com", "/", "a=1")),
    "scheme and host have no case, the path has": (
        "HTTPS://WWW.Example.COM/Blog",
        "",
        ("example.com", "/Blog", ""),
    ),
    "www": ("https://www.example.com/", "", ("example.com", "/", "")),
    "www inside": ("https://a.www.example.com/", "", ("a.www.example.com", "/", "")),
    "final dot": ("https://example.com./", "", ("example.com", "/", "")),
    "port": ("http://localhost:8000/a", "", ("localhost:8000", "/a", "")),
    "default port of http": ("http://example.com:80/", "", ("example.com", "/", "")),
    "default port of https": ("https://example.com:443/", "", ("example.com", "/", "")),
    "the other's default port": ("https://example.com:80/", "", ("example.com:80", "/", "")),
    "userinfo": ("https://me:secret@example.com/a", "", ("example.com", "/a", "")),
    "at sign in the path": ("https://example.com/@me", "", ("example.com", "/@me", "")),
    "query": ("https://example.com/a?b=1&c=/?", "", ("example.com", "/a", "b=1&c=/?")),
    "anchor": ("https://example.com/a?b=1#top", "", ("example.com", "/a", "b=1")),
    "hash route": ("https://example.com/#/settings", "", ("example.com", "/#/settings", "")),
    "hash bang": ("https://example.com/app#!inbox", "", ("example.com", "/app#!inbox", "")),
    "hash route after a query": ("https://example.com/a?b#/c?d", "", ("example.com", "/a#/c?d", "b")),
    "fragment without path": ("https://example.com#/c", "", ("example.com", "/#/c", "")),
    "umlauts": ("https://example.com/größe", "", ("example.com", "/größe", "")),
    "line separator": ("https://example.com/a\u2028b", "", ("example.com", "/a\u2028b", "")),
    "bare path with a site": ("/a?b=1", "www.Example.com", ("example.com", "/a", "b=1")),
    "two slashes are a path": ("//evil.example/a", "example.com", ("example.com", "//evil.example/a", "")),
    "site named": ("https://cdn.example/a", "example.com", ("example.com", "/a", "")),
    "longest": ("https://e.com/" + "a" * (MAX_URL - 14), "", ("e.com", "/" + "a" * (MAX_URL - 14), "")),
}
NO_PAGES = {
    "empty": ("", "", "not a web page"),
    "bare path without a site": ("/a", "", "not a web page"),
    "relative path": ("a/b", "example.com", "not a web page"),
    "data": ("data:text/html,<p>", "", "not a web page"),
    "data with a site": ("data:text/html,<p>", "example.com", "not a web page"),
    "javascript": ("javascript:alert(1)//http://example.com/", "", "not a web page"),
    "ftp": ("ftp://example.com/", "", "not a web page"),
    "file": ("file:///etc/passwd", "", "not a web page"),
    "empty host": ("https:///a", "", "not a web page"),
    "only userinfo": ("https://me@/a", "", "not a web page"),
    "two at signs": ("https://a@b@example.com/", "", "not a web page"),
    "space before": (" https://example.com/", "", "not a web page"),
    "100 kB": ("https://example.com/" + "a" * 100_000, "", "url too long"),
    "one too long": ("https://e.com/" + "a" * (MAX_URL - 13), "", "url too long"),
    "NUL": ("https://example.com/\0", "", "control character"),
    "line feed": ("https://example.com/a\nb", "", "control character"),
    "line feed in the host": ("https://exam\nple.com/", "", "control character"),
    "delete": ("https://example.com/\x7f", "", "control character"),
    "braces in the host": ("https://{example}.com/", "", "bad site"),
    "space in the host": ("https://exam ple.com/", "", "bad site"),
    "IPv6 in the host": ("http://[::1]:8000/", "", "bad site"),
    "umlaut in the host": ("https://größe.example/", "", "bad site"),
    "empty port": ("https://example.com:/", "", "bad site"),
    "long port": ("https://example.com:123456/", "", "bad site"),
    "hyphen first": ("https://-example.com/", "", "bad site"),
    "only dots": ("https://.../", "", "bad site"),
    "long host": ("https://" + "a" * 254 + "/", "", "bad site"),
    "bad site with a good page": ("https://example.com/", "a:b:c", "bad site"),
    "site with a line feed": ("/a", "example.com\n", "bad site"),
}


@pytest.mark.parametrize(("url", "site", "page"), PAGES.values(), ids=PAGES)
def test_a_page_is_host_path_and_query(url: str, site: str, page: tuple[str, str, str]) -> None:
    found = parse_page(url, site)
    assert (found.site, found.path, found.query) == page


@pytest.mark.parametrize(("url", "site", "reason"), NO_PAGES.values(), ids=NO_PAGES)
def test_what_is_no_page_is_refused_with_a_reason(url: str, site: str, reason: str) -> None:
    with pytest.raises(BadHit, match="^" + reason) as refused:
        parse_page(url, site)
    assert refused.value.reason == reason
    assert refused.value.status == (414 if reason == "url too long" else 400)


@given(url=st.text() | st.text().map("https://".__add__), site=st.text(max_size=5))
def test_any_text_is_a_page_with_a_plain_site_or_refused(url: str, site: str) -> None:
    try:
        page = parse_page(url, site)
    except BadHit:
        return
    assert NAMES.fullmatch(page.site)
    assert page.path[:1] == "/"


@pytest.mark.parametrize("port", ["", ":1", ":65535"])
def test_a_site_name_is_taken_as_it_is_once_it_is_one(port: str) -> None:
    name = site_name("WWW.Example.com" + port)
    assert name == "example.com" + port == site_name(name)


@given(st.text(), st.integers(0, 40))
def test_cut_is_the_longest_prefix_that_fits(text: str, size: int) -> None:
    short = cut(text, size)
    assert text.startswith(short)
    assert len(short.encode()) <= size
    assert short == text or len(text[: len(short) + 1].encode()) > size


@given(generated_hits())
def test_a_hit_is_the_same_after_json(given_hit: Hit) -> None:
    stored = msgspec.json.encode(given_hit)
    assert msgspec.json.decode(stored, type=Hit) == given_hit


@given(generated_hits())
def test_empty_fields_are_not_stored(given_hit: Hit) -> None:
    stored = json.loads(msgspec.json.encode(given_hit))
    assert all(stored.values())
    kept = {name: value for name, value in msgspec.structs.asdict(given_hit).items() if value}
    assert set(stored) == set(kept)


def test_a_stored_hit_reads_by_eye() -> None:
    text = msgspec.json.encode(hit("/größe", bytes=3)).decode()
    assert re.sub(r"\s", "", text) == (
        '{"at":"2126-11-21T06:31:11Z","site":"example.com","path":"/größe","source":"pixel","bytes":3}'
    )


def test_a_hit_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        hit().path = "/other"  # type: ignore[misc]
    assert (hit().at, hit().site) == (NOW, SITE)


def test_a_field_holds_nothing_that_a_terminal_would_obey() -> None:
    """Escape and its form of eight bits, a bell, ends of lines (ECMA-48)."""
    assert fields.text("a\x1b[31mb\x9b0mc\x07d\r\ne\x85f", "title") == "a [31mb 0mc d  e f"
