"""The head of a request: what it says, how it may come, and what is refused of it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitwall.head import MOST_BYTES, MOST_HOST, MOST_LINES, REFUSALS, Head, Refused, check_begun, read
from hitwall.incoming import Incoming
from tests.smuggling import PLAIN, REFUSED

GET = "GET / HTTP/1.1\r\nHost: a"
BYTES = [request for request, _ in [*REFUSED.values(), *PLAIN.values()] if len(request) < 500]


class Wire:
    """As much of a socket as is asked for: what has come, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._sock = self.hub = self
        self._read_event = None

    def wait(self, event: None) -> None: ...

    def recv(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        self.pieces[:0] = [piece[size:]] if piece[size:] else []
        return piece[:size]


def heads(pieces: list[bytes]) -> list[Head | str]:
    """All heads of a connection, without their bodies, and how it ends."""
    found: list[Head | str] = []
    incoming = Incoming(Wire([piece for piece in pieces if piece]))
    try:
        while head := incoming.head():
            incoming.read(head.length)
            found.append(head)
    except ValueError as error:
        found.append(str(error) if isinstance(error, Refused) else "400")
    return found


@given(st.lists(st.sampled_from(BYTES), min_size=1, max_size=3), st.lists(st.integers(0, 700), max_size=8))
def test_it_does_not_matter_in_what_pieces_requests_come(requests: list[bytes], cuts: list[int]) -> None:
    text = b"".join(requests)
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    assert heads(pieces) == heads([text])


@given(st.binary(max_size=300))
def test_law_12_any_bytes_are_a_head_or_refused(text: bytes) -> None:
    assert all(isinstance(found, Head) or found in REFUSALS for found in heads([text]))


@given(
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z0-9-]{1,20}", fullmatch=True), st.text("aä\xa0\x85 \t,;=", max_size=9)
    )
)
def test_headers_come_as_wsgi_wants_them(sent: dict[str, str]) -> None:
    lines = [f"{name}:{value}" for name, value in sent.items()]
    expected: dict[str, str] = {}
    for name, value in sent.items():
        key = "HTTP_" + name.upper().replace("-", "_")
        value = value.strip(" \t")
        expected[key] = f"{expected[key]},{value}" if key in expected else value
    found = read("\r\n".join([GET, *lines]).encode("latin-1"))
    assert found.fields == {"HTTP_HOST": "a", **expected}
    assert (found.method, found.target, found.version, found.length) == ("GET", "/", "HTTP/1.1", 0)


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (["Cookie: a=1", "cookie: b=2"], {"HTTP_COOKIE": "a=1; b=2"}),
        (["Content-Type: a", "Content-Type: b"], {"CONTENT_TYPE": "a"}),
        (
            ["X-Forwarded-For: a, b", "X-A: d", "x-forwarded-for: c"],
            {"HTTP_X_FORWARDED_FOR": "a, b,c", "HTTP_X_A": "d"},
        ),
        (["X_Forwarded_For: 1.2.3.4", "X-Forwarded_For: 1.2.3.4"], {}),
    ],
)
def test_what_stands_twice_or_would_pass_for_another(lines: list[str], fields: dict[str, str]) -> None:
    assert read("\r\n".join([GET, *lines]).encode()).fields == {"HTTP_HOST": "a", **fields}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"GET /{'a' * 8175} HTTP/1.1\r\nHost: a", ""),
        (f"GET /{'a' * 8176} HTTP/1.1\r\nHost: a", "414"),
        (GET + "a" * (MOST_HOST - 1), ""),
        (GET + "a" * MOST_HOST, "400"),
        (GET + "\r\nX: 1" * (MOST_LINES - 1), ""),
        (GET + "\r\nX: 1" * MOST_LINES, "431"),
        (GET + f"\r\nX: {'a' * (MOST_BYTES - 14)}", ""),
        (GET + f"\r\nX: {'a' * (MOST_BYTES - 13)}", "431"),
    ],
    ids=str,
)
def test_the_bounds_are_where_they_are_said_to_be(text: str, reason: str) -> None:
    for sent in ([text.encode() + b"\r\n\r\n"], [text[:9].encode(), text[9:].encode() + b"\r\n", b"\r\n"]):
        assert [head if isinstance(head, str) else "" for head in heads(sent)] == [reason]


@pytest.mark.parametrize(
    "begun",
    [
        "\r\n",
        "\n",
        "GET / HTTP/1.1\n",
        "GET / HTTP/2.0\r\n",
        GET + "\n",
        GET + "\r\n folded\r\n",
        GET + "\r\nno colon\r\n",
        GET + "\r\nHost: b\r\n",
    ],
)
def test_nobody_waits_for_the_rest_of_what_is_wrong_already(begun: str) -> None:
    with pytest.raises(ValueError, match=r"line|host|name|value|HOST|control"):
        check_begun(begun.encode(), True)


@pytest.mark.parametrize(
    ("begun", "reason"),
    [("a" * 8192, "414"), ("GET / HTTP/1.1\r\n" + "a" * (MOST_BYTES + 1), "431")],
    ids=["line", "header"],
)
def test_nobody_waits_for_the_end_of_what_is_too_long_already(begun: str, reason: str) -> None:
    check_begun(begun[:-1].encode(), False)
    with pytest.raises(Refused, match=reason):
        check_begun(begun.encode(), False)


def test_a_body_may_be_read_by_lines() -> None:
    incoming = Incoming(Wire([b"ab\ncd", b"e\nfgh", b"\n", b"rest"]))
    assert [incoming.readline(size) for size in (9, 9, 2, 9, 9, 9)] == [
        b"ab\n",
        b"cde\n",
        b"fg",
        b"h\n",
        b"rest",
        b"",
    ]
