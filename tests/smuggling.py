"""Requests that two servers could read differently: one table, to be sent to any handler of requests.

Source: https://www.rfc-editor.org/rfc/rfc9112 and https://portswigger.net/web-security/request-smuggling
"""

import re
import socket
from collections.abc import Mapping
from contextlib import suppress

SMUGGLED = b"/a.gif?url=https://example.com/smuggled"  # the target of a request hidden in another
HIDDEN = b"GET " + SMUGGLED + b" HTTP/1.1\r\nHost: a\r\n\r\n"
TARGET = b"/a.gif?url=https://example.com/outer"
GET = b"GET " + TARGET + b" HTTP/1.1\r\nHost: a\r\n"
POST = b"POST " + TARGET + b" HTTP/1.1\r\nHost: a\r\n"
API = b"POST /api/hits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = API + CHUNKED + b"\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)
END = b"\r\n"

# Name -> the bytes, and the statuses that may answer them; then the connection has to be closed.
REFUSED: Mapping[str, tuple[bytes, tuple[int, ...]]] = {
    # How long the body is.
    "length and chunks": (POST + LENGTH + CHUNKED + END + b"0\r\n\r\n" + HIDDEN, (400,)),
    "chunks and length": (POST + CHUNKED + LENGTH + END + b"0\r\n\r\n" + HIDDEN, (400,)),
    "two lengths": (POST + b"Content-Length: 0\r\n" + LENGTH + END + HIDDEN, (400,)),
    "the same length twice": (POST + LENGTH + LENGTH + END + HIDDEN, (400,)),
    "two lengths in a line": (POST + b"Content-Length: 0, 5\r\n\r\n" + HIDDEN, (400,)),
    "a length with a sign": (POST + b"Content-Length: +0\r\n\r\n" + HIDDEN, (400,)),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n" + HIDDEN, (400,)),
    "a length in hexadecimal": (POST + b"Content-Length: 0x0\r\n\r\n" + HIDDEN, (400,)),
    "a length with a fraction": (POST + b"Content-Length: 0.0\r\n\r\n" + HIDDEN, (400,)),
    "a length with underscores": (POST + b"Content-Length: 0_0\r\n\r\n" + HIDDEN, (400,)),
    "an empty length": (POST + b"Content-Length:\r\n\r\n" + HIDDEN, (400,)),
    "a length of other digits": (POST + b"Content-Length: \xd9\xa0\r\n\r\n" + HIDDEN, (400,)),
    "a length beyond all": (POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + HIDDEN, (400,)),
    "a length of a GET too long": (GET + b"Content-Length: 99999999999999999\r\n\r\n" + HIDDEN, (400,)),
    "a length on HEAD": (HIDDEN.replace(b"GET", b"HEAD")[:-2] + LENGTH + END + HIDDEN, (400,)),
    # Transfer codings.
    "gzip": (POST + b"Transfer-Encoding: gzip\r\n\r\n" + HIDDEN, (400,)),
    "gzip, chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN, (400,)),
    "chunked, identity": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN, (400,)),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN, (400,)),
    "xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN, (400,)),
    "chunked in quotes": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN, (400,)),
    "chunked after a vertical tab": (
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        (400,),
    ),
    "chunked twice": (POST + CHUNKED + CHUNKED + END + b"0\r\n\r\n" + HIDDEN, (400,)),
    "an empty coding": (POST + b"Transfer-Encoding:\r\n" + LENGTH + END + HIDDEN, (400,)),
    "a coding with an underscore": (
        POST + b"Transfer_Encoding: chunked\r\n" + b"Content-Length: x\r\n\r\n",
        (400,),
    ),
    "chunks in HTTP/1.0": (POST.replace(b"1.1", b"1.0") + CHUNKED + END + b"0\r\n\r\n" + HIDDEN, (411,)),
    "chunks where a length is needed": (POST + CHUNKED + END + b"0\r\n\r\n", (411,)),
    # Chunks.
    "a chunk size that is none": (CHUNKS + b"zz\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size with a sign": (CHUNKS + b"+5\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a negative chunk size": (CHUNKS + b"-1\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size with 0x": (CHUNKS + b"0x5\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size after a blank": (CHUNKS + b" 5\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size before a blank": (CHUNKS + b"5 \r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "an empty chunk size": (CHUNKS + b"\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "an empty size with an extension": (CHUNKS + b";a=b\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size beyond all": (CHUNKS + b"f" * 17 + b"\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk longer than its size": (CHUNKS + b"3\r\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk that ends in LF": (CHUNKS + b"5\r\nhello\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size that ends in LF": (CHUNKS + b"5\nhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk size that ends in CR": (CHUNKS + b"5\rhello\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "LF in a chunk extension": (CHUNKS + b"2;\nxx\r\n4c\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "CR in a chunk extension": (CHUNKS + b"2;a\rb\r\nhe\r\n0\r\n\r\n" + HIDDEN, (411,)),
    "a chunk extension of 64 kB": (
        CHUNKS + b"5;" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n" + HIDDEN,
        (411,),
    ),
    "a trailer with a blank": (CHUNKS + b"0\r\nX-A : 1\r\n\r\n" + HIDDEN, (411,)),
    "a trailer that is none": (CHUNKS + b"0\r\nGET / HTTP/1.1\r\n\r\n" + HIDDEN, (411,)),
    "a trailer with LF": (CHUNKS + b"0\r\nX-A: 1\nX-B: 2\r\n\r\n" + HIDDEN, (411,)),
    "trailers without an end": (CHUNKS + b"0\r\n" + b"X-A: 1\r\n" * 30_000 + END + HIDDEN, (411,)),
    "chunks that would not be read": (POST.replace(TARGET, b"/absent") + CHUNKED + END + HIDDEN, (411,)),
    "a body beyond all": (POST + b"Content-Length: 99999999\r\n\r\n" + HIDDEN, (413,)),
    # Header lines.
    "a folded line": (GET + b"X-A: 1\r\n 2\r\n\r\n" + HIDDEN, (400,)),
    "a folded first line": (b"GET " + TARGET + b" HTTP/1.1\r\n Host: a\r\n\r\n" + HIDDEN, (400,)),
    "a folded length": (POST + b"Content-Length:\r\n 0\r\n\r\n" + HIDDEN, (400,)),
    "a blank before the colon": (POST + b"Content-Length : 5\r\n\r\n" + HIDDEN, (400,)),
    "a tab before the colon": (POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + HIDDEN, (400,)),
    "a bare LF": (GET + b"X-A: 1\n\r\n" + HIDDEN, (400,)),
    "a bare LF before a header": (POST + b"X-A: 1\nTransfer-Encoding: chunked\r\n\r\n" + HIDDEN, (400,)),
    "a bare CR": (GET + b"X-A: 1\rX-B: 2\r\n\r\n" + HIDDEN, (400,)),
    "a bare CR before a header": (POST + b"X-A: 1\rContent-Length: 5\r\n\r\n" + HIDDEN, (400,)),
    "an end of bare LFs": (GET + b"X-A: 1\n\n" + HIDDEN, (400,)),
    "an end of a bare LF": (GET + b"\n" + HIDDEN, (400,)),
    "NUL in a header": (GET + b"X-A: \0\r\n\r\n" + HIDDEN, (400,)),
    "NUL in a name": (GET + b"X-\0A: 1\r\n\r\n" + HIDDEN, (400,)),
    "an escape in a header": (GET + b"X-A: \x1b[31m\r\n\r\n" + HIDDEN, (400,)),
    "a name of UTF-8": (GET + "X-Ä: 1\r\n\r\n".encode() + HIDDEN, (400,)),
    "no name": (GET + b": 1\r\n\r\n" + HIDDEN, (400,)),
    "no colon": (GET + b"nonsense\r\n\r\n" + HIDDEN, (400,)),
    "two hosts": (GET + b"Host: b\r\n\r\n" + HIDDEN, (400,)),
    "no host": (b"GET " + TARGET + b" HTTP/1.1\r\n\r\n" + HIDDEN, (400,)),
    "a host with a path": (b"GET " + TARGET + b" HTTP/1.1\r\nHost: a/b\r\n\r\n" + HIDDEN, (400,)),
    "too many lines": (GET + b"X-A: 1\r\n" * 101 + END + HIDDEN, (431,)),
    "a line of 64 kB": (GET + b"X-A: " + b"a" * 65_536 + b"\r\n\r\n" + HIDDEN, (431,)),
    "a name of 64 kB": (GET + b"a" * 65_536 + b": 1\r\n\r\n" + HIDDEN, (431,)),
    # The request line.
    "HTTP/0.9": (b"GET " + TARGET + b"\r\n" + HIDDEN, (400,)),
    "HTTP/1.2": (GET.replace(b"1.1", b"1.2") + END + HIDDEN, (400,)),
    "HTTP/2.0": (GET.replace(b"1.1", b"2.0") + END + HIDDEN, (400,)),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, (400,)),
    "a version in small letters": (GET.replace(b"HTTP", b"http") + END + HIDDEN, (400,)),
    "a version with a zero": (GET.replace(b"1.1", b"1.01") + END + HIDDEN, (400,)),
    "no version": (b"GET " + TARGET + b" \r\nHost: a\r\n\r\n" + HIDDEN, (400,)),
    "four words": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN, (400,)),
    "tabs between the words": (GET.replace(b" ", b"\t") + END + HIDDEN, (400,)),
    "two blanks between the words": (GET.replace(b" ", b"  ", 1) + END + HIDDEN, (400,)),
    "a line that ends in LF": (GET.replace(b"\r\n", b"\n", 1) + END + HIDDEN, (400,)),
    "a line that ends in CR": (GET.replace(b"\r\n", b"\r", 1) + END + HIDDEN, (400,)),
    "a blank first": (b" " + GET + END + HIDDEN, (400,)),
    "NUL in the target": (GET.replace(b"outer", b"ou\0ter") + END + HIDDEN, (400,)),
    "CR in the target": (GET.replace(b"outer", b"ou\rter") + END + HIDDEN, (400,)),
    "a method that is no word": (GET.replace(b"GET", b"G(T") + END + HIDDEN, (400,)),
    "a method that is empty": (GET[3:] + END + HIDDEN, (400,)),
    "a line of 100 kB": (b"GET /a.gif?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN, (414,)),
    "a line that never ends": (b"G" * 20_000, (414,)),
    "a binary protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + HIDDEN, (400,)),
    # Methods that belong to proxies.
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n" + HIDDEN, (400,)),
}

# Whole requests that are refused for what they say; how they end is plain, so the next one is answered.
PLAIN: Mapping[str, tuple[bytes, int]] = {
    "a hit that is none": (b"GET /a.gif HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method that is none of ours": (b"TRACE /a.gif HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "TRACE elsewhere": (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "a page that is not there": (b"GET /absent HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    "an absolute target": (b"GET http://evil.example/a.gif HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    "a GET with a body": (b"GET /a.gif HTTP/1.1\r\nHost: a\r\n" + LENGTH + END + HIDDEN, 400),
    "a post with a body that is not read": (
        b"POST /absent HTTP/1.1\r\nHost: a\r\n" + LENGTH + END + HIDDEN,
        404,
    ),
    "a request for HTTP/2": (
        b"GET /a.gif HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        400,
    ),
    "an expectation": (b"GET /a.gif HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", 400),
}


def talk(port: int, request: bytes, seconds: float = 10.0) -> bytes:
    """All that comes back until the connection is closed. TimeoutError where it stays open."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as door:
        answer = b""
        with suppress(ConnectionError):  # it may be closed while we still send
            door.sendall(request)
        with suppress(ConnectionError):
            while piece := door.recv(65_536):
                answer += piece
        return answer


def statuses(answer: bytes) -> list[int]:
    """Of all answers on a connection, as their status lines tell them."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n[A-Za-z-]+: ", answer)]
