"""What a pixel request says: every field, every refusal."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from tests.hits import FIREFOX, NOW, PROPERTY
from tracker import form
from tracker import hit as hits
from tracker.headers import HEAD_BYTES
from tracker.hit import BadHit, Hit
from tracker.pixel import PixelReader
from tracker.raw import encode
from tracker.settings import Settings
from tracker.visitors import Visitors

PAGE = "url=https://example.com/"
VISITOR = "abcdefgh-1234"
REASONS = {
    "bad length",
    "bad number",
    "bad site",
    "bad visitor",
    "body too large",
    "broken percent escape",
    "control character",
    "header too large",
    "no length",
    "no url",
    "not UTF-8",
    "not a web page",
    "too many parameters",
    "url too long",
}
REFUSED = {
    "nothing": ("", "no url", 400),
    "empty url": ("url=", "no url", 400),
    "no url but a title": ("t=Blog", "no url", 400),
    "data": ("url=data:text/html,x", "not a web page", 400),
    "javascript": ("url=javascript:alert(1)", "not a web page", 400),
    "100 kB": (PAGE + "a" * 100_000, "url too long", 414),
    "lone percent": (PAGE + "%", "broken percent escape", 400),
    "half an escape": (PAGE + "%4", "broken percent escape", 400),
    "no hex": (PAGE + "%zz", "broken percent escape", 400),
    "broken escape in another parameter": (PAGE + "&t=100%", "broken percent escape", 400),
    "NUL": (PAGE + "%00", "control character", 400),
    "NUL in the title": (PAGE + "&t=a%00b", "control character", 400),
    "line feed in the url": (PAGE + "%0a", "control character", 400),
    "line feed in the referrer": (PAGE + "&ref=a%0Ab", "control character", 400),
    "escape character in the event": (PAGE + "&e=%1b", "control character", 400),
    "lone surrogate": (PAGE + "%ED%A0%80", "not UTF-8", 400),
    "overlong NUL": (PAGE + "%C0%80", "not UTF-8", 400),
    "Latin-1": (PAGE + "%FC", "not UTF-8", 400),
    "raw byte": (PAGE + "\xff", "not UTF-8", 400),
    "raw byte in a name": (PAGE + "&\xff=1", "not UTF-8", 400),
    "too many parameters": (PAGE + "&a=1" * 50, "too many parameters", 400),
    "negative bytes": (PAGE + "&b=-1", "bad number", 400),
    "fraction": (PAGE + "&b=1.5", "bad number", 400),
    "too many bytes": (PAGE + f"&b={2**32 + 1}", "bad number", 400),
    "a thousand digits": (PAGE + "&b=" + "9" * 1000, "bad number", 400),
    "digits of another script": (PAGE + "&w=%D9%A3", "bad number", 400),
    "width": (PAGE + "&w=wide", "bad number", 400),
    "short visitor": (PAGE + "&v=1234567", "bad visitor", 400),
    "long visitor": (PAGE + "&v=" + "a" * 65, "bad visitor", 400),
    "markup as visitor": (PAGE + "&v=<script>alert(1)", "bad visitor", 400),
    "site": (PAGE + "&s={x}", "bad site", 400),
    "host": ("url=https://{x}/", "bad site", 400),
}
Read = Callable[..., Hit]


def environ(query: str = PAGE, body: bytes | None = None, **headers: str) -> dict[str, Any]:
    """A request as WSGI hands it over; header names as Python spells them."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": "GET" if body is None else "POST",
        "QUERY_STRING": query,
        "REMOTE_ADDR": "203.0.113.7",
    }
    if body is not None:
        made |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    return made | {f"HTTP_{name.upper()}": value for name, value in headers.items()}


@pytest.fixture
def reader(redis: Redis) -> Callable[..., PixelReader]:
    def make(**settings: Any) -> PixelReader:
        chosen = Settings(**settings)
        return PixelReader(chosen, Visitors(chosen.visitor, redis))

    return make


@pytest.fixture
def read(reader: Callable[..., PixelReader]) -> Read:
    """The hit of a request under the default settings."""
    return lambda *args, **headers: reader().read(environ(*args, **headers), NOW)


def test_every_parameter_has_its_field(read: Read) -> None:
    fields = {
        "url": "https://www.example.com/größe?q=Bücher&page=2&q=3#top",
        "ref": "https://lobste.rs/s/1?a=ü",
        "t": " Große \n Bücher\t",
        "v": VISITOR,
        "e": "sign up",
        "b": "40113",
        "w": "1920",
    }
    headers = {"user_agent": FIREFOX, "accept_language": "de,en;q=0.5", "dnt": "0", "x_other": "1"}
    assert read(urlencode(fields), **headers) == Hit(
        at=NOW,
        site="example.com",
        path="/größe",
        source="pixel",
        query="q=Bücher&page=2&q=3",
        title="Große Bücher",
        referrer="https://lobste.rs/s/1?a=ü",
        remote="203.0.113.7",
        visitor=VISITOR,
        agent=FIREFOX,
        language="de,en;q=0.5",
        event="sign up",
        bytes=40113,
        width=1920,
        headers={"DNT": "0"},
        params={"q": "Bücher", "page": "2"},
    )


def test_url_alone_is_a_hit_and_of_a_repeated_parameter_the_first_counts(read: Read) -> None:
    assert read() == Hit(at=NOW, site="example.com", path="/", source="pixel", remote="203.0.113.7")
    assert read(PAGE + "&url=https://other.example/&b=&w=").site == "example.com"
    assert read("url=%2Fblog&s=example.com").path == "/blog"
    assert read(f"&{PAGE}&b={2**32}").bytes == 2**32


@pytest.mark.parametrize(("query", "reason", "status"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bad_request_is_refused_with_its_reason(
    read: Read, method: str, query: str, reason: str, status: int
) -> None:
    posted = ("", query.encode("latin-1")) if method == "POST" else (query,)
    if len(query) > 16_384 and method == "POST":
        reason, status = "body too large", 413
    with pytest.raises(BadHit) as refused:
        read(*posted)
    assert (refused.value.reason, refused.value.status) == (reason, status)
    assert reason in REASONS


@pytest.mark.parametrize("name", ["user_agent", "cookie", "x_forwarded_for", "x_whatever"])
def test_a_header_of_64_kb_is_refused(read: Read, name: str) -> None:
    with pytest.raises(BadHit, match="header too large") as refused:
        read(**{name: "a" * 65_536})
    assert refused.value.status == 431
    assert read(**{name: "a" * 8_192 if name != "cookie" else ""}).site == "example.com"


@pytest.mark.parametrize(
    ("changed", "reason", "status"),
    [
        ({"CONTENT_LENGTH": "16385"}, "body too large", 413),
        ({"CONTENT_LENGTH": "9" * 30}, "body too large", 413),
        ({"CONTENT_LENGTH": "-1"}, "bad length", 400),
        ({"CONTENT_LENGTH": "x"}, "bad length", 400),
        ({"CONTENT_LENGTH": ""}, "no url", 400),
        ({"CONTENT_LENGTH": "4"}, "no url", 400),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, "no length", 411),
    ],
    ids=str,
)
def test_a_body_needs_a_good_length(
    reader: Callable[..., PixelReader], changed: dict[str, str], reason: str, status: int
) -> None:
    posted = environ("", PAGE.encode()) | changed
    with pytest.raises(BadHit) as refused:
        reader().read(posted, NOW)
    assert (refused.value.reason, refused.value.status) == (reason, status)


def test_a_posted_hit_is_the_hit_that_would_have_been_got(read: Read) -> None:
    query = PAGE + "blog&t=Blog&b=3"
    assert read("", query.encode()) == read(query) == read("t=Blog", ("&" + query).encode())


@pytest.mark.parametrize("header", ["dnt", "sec_gpc"])
@pytest.mark.parametrize("mode", ["cookie", "hash", "off"])
def test_who_asks_not_to_be_tracked_has_no_visitor_and_a_network(
    reader: Callable[..., PixelReader], mode: str, header: str
) -> None:
    asking = environ(f"{PAGE}&v={VISITOR}", cookie=f"_hitwall={VISITOR}") | {f"HTTP_{header.upper()}": "1"}
    hit = reader(visitor=mode).read(asking, NOW)
    assert (hit.visitor, hit.remote) == ("", "203.0.113.0")
    assert list(hit.headers.values()) == ["1"]
    untold = reader(visitor=mode).read(asking | {f"HTTP_{header.upper()}": "0"}, NOW)
    assert (bool(untold.visitor), untold.remote) == (mode != "off", "203.0.113.7")


@pytest.mark.parametrize("header", ["dnt", "sec_gpc"])
def test_who_asks_not_to_be_tracked_leaves_the_address_nowhere(
    reader: Callable[..., PixelReader], header: str
) -> None:
    asking = environ(x_forwarded_for="198.51.100.77", x_real_ip="198.51.100.77")
    asking |= {f"HTTP_{header.upper()}": "1"}
    hit = reader(headers=("*",), trusted_proxies=1).read(asking, NOW)
    assert hit.remote == "198.51.100.0"
    assert "198.51.100.77" not in repr(hit)


@pytest.mark.parametrize(
    ("query", "cookie", "visitor"),
    [
        ("", "", ""),
        (f"&v={VISITOR}", "", VISITOR),
        ("", f"_hitwall={VISITOR}", VISITOR),
        ("", f"a=1; _hitwall={VISITOR}; b=2", VISITOR),
        (f"&v={VISITOR}", "_hitwall=another-one", VISITOR),
        ("", f"not_hitwall={VISITOR}", ""),
    ],
)
def test_in_cookie_mode_the_visitor_is_the_script_s_or_the_cookie_s(
    read: Read, query: str, cookie: str, visitor: str
) -> None:
    assert read(PAGE + query, cookie=cookie).visitor == visitor


def test_a_foreign_cookie_is_refused_in_cookie_mode_only(reader: Callable[..., PixelReader]) -> None:
    foreign = environ(cookie="_hitwall=<script>")
    with pytest.raises(BadHit, match="bad visitor"):
        reader().read(foreign, NOW)
    assert reader(visitor="off").read(foreign, NOW).visitor == ""


def test_a_hashed_visitor_is_the_same_within_a_day_and_site_and_browser_only(
    reader: Callable[..., PixelReader], redis: Redis
) -> None:
    mine = reader(visitor="hash")

    def visitor(days: int = 0, query: str = PAGE, agent: str = FIREFOX, **changed: str) -> str:
        return mine.read(environ(query, user_agent=agent) | changed, NOW + timedelta(days=days)).visitor

    first = visitor()
    assert visitor(query=f"{PAGE}blog&v={VISITOR}") == first
    other = reader(visitor="hash").read(environ(user_agent=FIREFOX), NOW + timedelta(hours=17))
    assert other.visitor == first  # another process of the same day
    others = [
        visitor(days=1),
        visitor(agent="curl/8"),
        visitor(query="url=https://other.example/"),
        visitor(REMOTE_ADDR="203.0.113.8"),
    ]
    assert len({first, *others}) == 5
    assert visitor() == first
    salts = list(redis.scan_iter("hitwall:salt:*"))
    assert len(salts) == 2
    assert all(0 < redis.ttl(salt) <= 172_800 for salt in salts)


def test_only_the_headers_of_the_settings_are_kept(reader: Callable[..., PixelReader]) -> None:
    sent = environ(
        sec_ch_ua='"Firefox"', x_one="1", cookie=f"_hitwall={VISITOR}", authorization="Basic x", accept="*/*"
    )
    assert reader().read(sent, NOW).headers == {"Sec-CH-UA": '"Firefox"'}
    named = reader(headers=("X-One", "Cookie", "authorization")).read(sent, NOW)
    assert named.headers == {"X-One": "1"}
    whole = reader(headers=("*",)).read(sent, NOW)
    assert whole.headers == {"Sec-Ch-Ua": '"Firefox"', "X-One": "1", "Accept": "*/*"}
    assert VISITOR not in repr(whole.headers)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("plain", "plain"),
        ("Größe".encode().decode("latin-1"), "Größe"),
        ("\xff\xfe", "\ufffd\ufffd"),
        ("\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        ("a\x00b\tc\x1bd", "a b c d"),
        ("ä".encode().decode("latin-1") * 600, "ä" * 256),
    ],
    ids=ascii,
)
def test_a_header_s_bytes_are_utf_8_or_replaced_and_cut(read: Read, sent: str, kept: str) -> None:
    hit = read(user_agent=sent, sec_ch_ua=sent)
    assert (hit.agent, hit.headers["Sec-CH-UA"]) == (kept, kept)


def test_long_fields_are_cut_and_long_queries_dropped(read: Read) -> None:
    query = "&".join(f"p{n}=%" for n in range(70))
    fields = {"url": f"https://e.com/?{query}", "t": "ü" * 2000, "e": "e" * 500, "ref": "r" * 5000}
    hit = read(urlencode(fields))
    assert (len(hit.title.encode()), len(hit.event), len(hit.referrer)) == (512, 128, 2048)
    assert len(hit.params) == 50
    assert hit.query == query


PIECES = st.sampled_from([b"url=", b"https://", b"example.com", b"/", b"&", b"=", b"%", b"%00", b"%ed%a0"])
PIECES |= st.sampled_from([b"v=", b"b=", b"t=", b"ref=", b"s=", b"e=", b"#/", b"?", b"@", b":80", b"1", b"+"])
QUERIES = st.lists(PIECES | st.binary(max_size=4), max_size=20).map(b"".join)


@given(query=QUERIES, header=st.binary(max_size=20), posted=st.booleans())
@example(query=PAGE.encode() + b"&url=%C3%A4?%FF=%00", header=b"\xed\xa0\x80", posted=False)
@PROPERTY
def test_any_bytes_give_a_hit_or_a_refusal_with_a_known_reason(
    redis: Redis, query: bytes, header: bytes, posted: bool
) -> None:
    text, value = query.decode("latin-1"), header.decode("latin-1")
    names = ("user_agent", "cookie", "accept_language", "x_forwarded_for", "sec_ch_ua")
    request = environ("" if posted else text, query if posted else None, **dict.fromkeys(names, value))
    settings = Settings(trusted_proxies=1, headers=("*",))
    try:
        result: Hit | BadHit = PixelReader(settings, Visitors("cookie", redis)).read(request, NOW)
    except BadHit as bad:
        result = bad
    if isinstance(result, BadHit):
        assert result.reason in REASONS
        assert 400 <= result.status < 500
        assert (str(result).isascii(), str(result).isprintable()) == (True, True)
    else:
        encode(result)  # raises for a lone surrogate
        assert result.path[:1] == "/"


USUAL = st.sampled_from(
    ["https://www.example.com", "http://example.com:80", "HTTPS://a@b.example./", "http:///a", ""]
)
PAGES = st.builds(
    "".join, st.tuples(USUAL, st.text(max_size=6) | st.sampled_from(["/a?b=1&c=%C3%A4#/d", "?a=/", "/"]))
)
SENT = st.builds(
    lambda page, rest: urlencode({"url": page, **rest}).encode(),
    PAGES,
    st.dictionaries(
        st.sampled_from(["s", "v", "b", "w", "t", "ref", "e"]), st.text(max_size=12) | st.just("12345678")
    ),
)


@given(query=QUERIES | SENT, header=st.binary(max_size=20), posted=st.booleans())
@PROPERTY
def test_the_quick_way_and_the_careful_one_make_the_same_of_any_request(
    redis: Redis, query: bytes, header: bytes, posted: bool
) -> None:
    text, value = query.decode("latin-1"), header.decode("latin-1")
    reader = PixelReader(Settings(trusted_proxies=1, headers=("*",)), Visitors("cookie", redis))

    def outcome(**told: Any) -> Any:
        names = ("user_agent", "cookie", "accept_language", "x_forwarded_for")
        request = environ("" if posted else text, query if posted else None, **dict.fromkeys(names, value))
        try:
            return reader.read(request | told, NOW)
        except BadHit as bad:
            return str(bad), bad.status

    quick = outcome(**{HEAD_BYTES: len(query) + 200})
    with pytest.MonkeyPatch.context() as careful:
        careful.setattr(form, "usual", lambda raw: None)
        careful.setattr(hits, "_origin", lambda address: ("", ""))
        assert outcome() == quick


TELLING = ("user_agent", "accept_language", "dnt", "sec_gpc", "sec_ch_ua", "x_forwarded_for", "cookie")


@given(
    browsers=st.lists(st.fixed_dictionaries({name: st.sampled_from(["", "1", "b"]) for name in TELLING})),
    named=st.sampled_from([("Sec-CH-UA", "DNT"), ("X-Forwarded-For",), ("Cookie", "User-Agent"), ("*",), ()]),
)
@PROPERTY
def test_what_is_remembered_of_browsers_and_pages_changes_no_hit(
    redis: Redis, browsers: list[dict[str, str]], named: tuple[str, ...]
) -> None:
    def reader() -> PixelReader:
        return PixelReader(Settings(trusted_proxies=1, headers=named), Visitors("cookie", redis))

    remembering = reader()
    for number, headers in enumerate([*browsers, *browsers]):
        query = f"{PAGE}{number % 2}&ref=/&t=%2B&s=s{number % 3}.example"
        request = environ(query, None, **{name: text for name, text in headers.items() if text})
        assert remembering.read(request | {HEAD_BYTES: 100}, NOW) == reader().read(request, NOW)


def test_nothing_of_who_sent_a_request_is_remembered_with_its_browser(
    reader: Callable[..., PixelReader],
) -> None:
    for named in (("Cookie", "DNT"), ("X-Forwarded-For",), ("X-Real-IP",), ("*",)):
        one = reader(headers=named)
        secret = {"cookie": "_hitwall=secret-1", "x_forwarded_for": "203.0.113.9", "x_real_ip": "203.0.113.9"}
        one.read(environ(PAGE, None, **secret) | {HEAD_BYTES: 100}, NOW)
        one.read(environ(PAGE, None, **{**secret, "cookie": "_hitwall=secret-2"}) | {HEAD_BYTES: 100}, NOW)
        assert one.browsers._known.cache_info().currsize == ("Cookie" in named)
