"""What of a body is sent: bytes of ordinary answers, of streams and of files, each counted once."""

import gc
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, g, jsonify, redirect, request, send_file, stream_with_context
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response as BareResponse

from tests.tracked import Tracked, served, told

MIXED: list[Any] = ["ä", "b", b"c"]


class Own(Response):
    """An application's own class of responses."""

    default_mimetype = "text/plain"


BODIES = {
    "text": (lambda: "größe", 7),
    "bytes": (lambda: b"12345", 5),
    "dict": (lambda: {"a": 1}, 8),
    "json": (lambda: jsonify([1, 2]), 6),
    "tuple": (lambda: ("abc", 202, {"X-A": "b"}), 3),
    "empty": (lambda: "", 0),
    "no content": (lambda: ("never sent", 204), 0),
    "not modified": (lambda: ("never sent", 304), 0),
    "redirect": (lambda: redirect("/elsewhere"), None),
    "chunks of text": (lambda: Response(MIXED), 4),
    "tuple of chunks": (lambda: Response(("ä", "b")), 3),
    "generator": (lambda: (chunk for chunk in ["ä", "b"]), 3),
    "iterator of bytes": (lambda: Response(iter([b"123", b"", b"4"])), 4),
    "own class": (lambda: Own("abcd"), 4),
    "werkzeug's class": (lambda: BareResponse("abcde"), 5),
    "another application": (lambda: BareResponse("abcdef"), 6),
    "file": (lambda: send_file(io.BytesIO(b"x" * 100_000), "text/plain"), 100_000),
    "file that is no passthrough": (lambda: Response(io.BytesIO(b"one\ntwo\n")), 8),
}


@pytest.mark.parametrize(("view", "size"), BODIES.values(), ids=BODIES.keys())
def test_the_bytes_are_those_of_the_body_that_is_sent(view: Any, size: int | None) -> None:
    site = Tracked()
    site.app.add_url_rule("/body", "body", view)
    _, chunks = served(site.app, "/body")
    assert site.hit.bytes == sum(map(len, chunks))
    assert size in (None, site.hit.bytes)


@pytest.mark.parametrize(("view", "size"), BODIES.values(), ids=BODIES.keys())
def test_the_answer_to_head_has_no_bytes_and_counts_once(view: Any, size: int | None) -> None:
    site = Tracked()
    site.app.add_url_rule("/body", "body", view)
    served(site.app, "/body", method="HEAD")
    assert (site.hit.method, site.hit.bytes) == ("HEAD", 0)


def streaming() -> tuple[Tracked, list[str]]:
    """An application whose /stream sends three chunks of 10 bytes, and what its generator did."""
    site, did = Tracked(), []

    @site.app.route("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            try:
                for number in range(3):
                    yield f"{request.path[:1]}{number:09}"
                did.append("sent")
            finally:
                did.append("closed")

        g.track_var["kind"] = "stream"
        return Response(stream_with_context(chunks()), mimetype="text/plain")

    return site, did


def test_a_streamed_body_counts_once_when_it_has_been_sent() -> None:
    site, did = streaming()
    response = site.client.get("/stream")
    assert site.hits == []
    assert len(response.data) == 30
    assert len(site.hits) == 1
    response.close()
    assert told(site.hit) == ("GET", "/stream", 200, 30)
    assert site.hit.track_var == {"kind": "stream"}
    assert did == ["sent", "closed"]


@pytest.mark.parametrize(("read", "size"), [(0, 0), (1, 10), (2, 20)])
def test_of_a_stream_that_the_visitor_leaves_counts_what_was_sent(read: int, size: int) -> None:
    site, did = streaming()
    served(site.app, "/stream", read=read)
    gc.collect()
    assert site.hit.bytes == size
    assert did == ["closed"]


def test_a_stream_that_tells_its_length_counts_what_was_sent_all_the_same() -> None:
    site = Tracked()
    length = {"Content-Length": "30"}
    site.app.add_url_rule(
        "/stream", "stream", lambda: Response((b"x" * 10 for _ in range(3)), headers=length)
    )
    served(site.app, "/stream", read=1)
    assert site.hit.bytes == 10


def test_a_stream_that_breaks_counts_what_was_sent_and_raises_as_without_us() -> None:
    site = Tracked()

    def broken() -> Iterator[bytes]:
        yield b"12345"
        raise ZeroDivisionError

    site.app.add_url_rule("/broken", "broken", lambda: Response(broken()))
    with pytest.raises(ZeroDivisionError):
        served(site.app, "/broken")
    assert site.hit.bytes == 5


def test_the_body_of_the_host_is_closed_once_also_where_nobody_has_read_it() -> None:
    site = Tracked()

    class Body:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield b"abc"

        def close(self) -> None:
            self.closed += 1

    bodies: list[Body] = []

    def view() -> Response:
        bodies.append(Body())
        return Response(bodies[-1])

    site.app.add_url_rule("/body", "body", view)
    served(site.app, "/body")
    served(site.app, "/body", read=0)
    served(site.app, "/body", method="HEAD")
    assert [body.closed for body in bodies] == [1, 1, 1]
    assert [hit.bytes for hit in site.hits] == [3, 0, 0]


@pytest.fixture
def files(tmp_path: Path) -> Tracked:
    (tmp_path / "page.txt").write_bytes(b"0123456789" * 1000)
    site = Tracked()
    site.app.static_folder = tmp_path
    site.app.add_url_rule("/file", "file", lambda: send_file(tmp_path / "page.txt"))
    return site


FILES = {
    "whole": ({}, 200, 10_000),
    "part": ({"Range": "bytes=10-19"}, 206, 10),
    "end": ({"Range": "bytes=-100"}, 206, 100),
    "no such part": ({"Range": "bytes=20000-"}, 416, None),
    "known": ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304, 0),
}


@pytest.mark.parametrize("path", ["/file", "/static/page.txt"])
@pytest.mark.parametrize(("headers", "status", "size"), FILES.values(), ids=FILES.keys())
def test_a_file_counts_once_with_the_bytes_that_are_sent(
    files: Tracked, path: str, headers: dict[str, str], status: int, size: int | None
) -> None:
    _, chunks = served(files.app, path, headers=headers)
    assert files.hit.status == status
    assert files.hit.bytes == sum(map(len, chunks))
    assert size in (None, files.hit.bytes)


def test_a_file_stays_one_that_the_server_may_send_by_itself(files: Tracked) -> None:
    class Wrapper:
        def __init__(self, file: io.BufferedReader, size: int = 0) -> None:
            self.file = file

    environ = EnvironBuilder("/file").get_environ() | {"wsgi.file_wrapper": Wrapper}
    body = files.app(environ, lambda *_: None)  # type: ignore[arg-type]
    assert isinstance(body, Wrapper)
    body.file.close()
    assert files.hit.bytes == 10_000
