"""`make bench PEER=…`: the template, filled in for every hit, and a real load on a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.bench import parts, peer
from tests.bench.peer import NoTemplate, Peer
from tests.bench.report import UNKNOWN
from tests.bench.traffic import Visit, Visitor
from tests.service import ROOT

ANNA = Visitor("0123456789abcdef", "Mozilla/5.0 (X11)", "de-DE,de;q=0.9", "203.0.113.7")
VISIT = Visit(
    ANNA, "/blog/", "page=2&from=letter3", 'Über "uns" & co — a title', "https://lobste.rs/?q=1", 4711
)


def target(template: str, **environ: str) -> str:
    return Peer.of({"PEER": template, **environ}).lines([VISIT])[0][0]


def test_a_template_is_filled_in_with_percent_encoded_fields_of_the_visit() -> None:
    filled = target("http://127.0.0.1:8081/count?p={path}&r={referrer}&t={title}&q={query}&v={visitor}")
    assert filled.startswith(
        "/count?p=%2Fblog%2F&r=https%3A%2F%2Flobste.rs%2F%3Fq%3D1&t=%C3%9Cber%20%22uns%22%20%26"
    )
    assert parse_qs(urlsplit(filled).query) == {
        "p": [VISIT.path],
        "r": [VISIT.referrer],
        "t": [VISIT.title],
        "q": [VISIT.query],
        "v": [ANNA.name],
    }


def test_every_name_can_be_used_and_none_is_left_in_the_address() -> None:
    filled = target("http://[::1]:80?" + "&".join(f"{name}={{{name}}}" for name in peer.NAMES))
    assert filled.startswith(
        "/?url=https%3A%2F%2Fbench.example%2Fblog%2F%3Fpage%3D2%26from%3Dletter3&site=bench.example&"
    )
    assert "{" not in filled


def test_a_body_is_filled_in_as_json_and_may_hold_braces_of_its_own() -> None:
    made = Peer.of(
        {
            "PEER": "http://localhost/api/send",
            "PEER_BODY": '{"payload": {"url": "{path}", "title": "{title}"}}',
        }
    )
    line = made.lines([VISIT])[0]
    assert line[:4] == ("/api/send", ANNA.agent, ANNA.language, ANNA.address)
    assert json.loads(line[4]) == {"payload": {"url": VISIT.path, "title": VISIT.title}}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PEER": "localhost:8081/count?p={path}"}, "is no address"),
        ({"PEER": "ftp://127.0.0.1/{path}"}, "is no address"),
        ({"PEER": "http://127.0.0.1/count?p={path} now"}, "is no address"),
        ({"PEER": "http://127.0.0.1/#{path}"}, "is no address"),
        ({"PEER": "http://127.0.0.1/count?p=/"}, "names nothing of a hit"),
        ({"PEER": "http://127.0.0.1/count?p={page}"}, "belongs to no name"),
        ({"PEER": "http://127.0.0.1/count?p={path"}, "belongs to no name"),
        ({"PEER": "http://{site}/count?p={path}"}, "belongs to no name"),
        ({"PEER": "http://192.0.2.1/count?p={path}"}, "is not this machine"),
        ({"PEER": "http://stats.example.com/count?p={path}"}, "PEER_ANYWHERE=1"),
        ({}, "is no address"),
    ],
)
def test_what_is_no_template_is_refused_with_what_one_looks_like(
    environ: Mapping[str, str], said: str
) -> None:
    with pytest.raises(NoTemplate, match=said):
        Peer.of(environ)


def test_another_machine_is_loaded_only_when_that_is_said() -> None:
    assert target("https://stats.example.com/count?p={path}", PEER_ANYWHERE="1") == "/count?p=%2Fblog%2F"


def test_make_bench_says_at_once_what_is_wrong_with_a_template() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench", "peer"],
        cwd=ROOT,
        env={"PEER": "x"},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert said.stderr.startswith(
        "PEER=x is no address that hits could be sent to. It looks like this: PEER='http://"
    )


class Door(BaseHTTPRequestHandler):
    """Takes every hit but those of one page; keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["User-Agent"], self.headers["X-Forwarded-For"]))
        self.send_response(404 if "none" in self.path else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *said: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of wrk, which breaks its connections off in the end."""

    def handle_error(self, *who: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[ThreadingHTTPServer]:
    """A server of another system."""
    Door.asked = []
    with Server(("127.0.0.1", 0), Door) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_peer_gets_the_load_and_what_is_seen_of_it_is_told_in_the_columns_of_the_comparison(
    door: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ROUNDS", 1), ("SECONDS", 1), ("ASKED", 4)):
        monkeypatch.setattr(peer, name, value)
    gone = Visit(ANNA, "/none", "", "", "", 1)
    made = Peer.of(
        {"PEER": f"http://127.0.0.1:{door.server_port}/count?p={{path}}", "PEER_PID": f"{os.getpid()}"}
    )
    part = peer.measure(made, [VISIT, VISIT, VISIT, gone], tmp_path)
    row = dict(zip(part.head, part.rows[0], strict=True))
    assert int(row["answers/s"].replace(",", "")) > 0
    assert float(row["CPU s per 1,000"]) > 0
    assert row["p99"].endswith(" ms")
    assert row["memory at most"].endswith(" MB")
    assert [row[name] for name in ("stored and counted/s", "lost", "of the limit")] == [UNKNOWN] * 3
    assert "it answered 3 with 204, 1 with 404" in part.reading
    assert set(Door.asked) == {
        ("/count?p=%2Fblog%2F", ANNA.agent, ANNA.address),
        ("/count?p=%2Fnone", ANNA.agent, ANNA.address),
    }


def test_that_nobody_answers_at_its_address_is_said_instead_of_figures(
    free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEER", f"http://127.0.0.1:{free_port}/{{path}}")
    said = parts.measured(parts.PEER, tmp_path)
    assert said == f"nobody answers at http://127.0.0.1:{free_port}: [Errno 111] Connection refused"


def test_a_part_that_breaks_is_told_by_its_error_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEER", "nonsense")
    said = parts.measured(parts.PEER, tmp_path)
    assert isinstance(said, str)
    assert "PEER=nonsense is no address" in said
    assert "Traceback" in capfd.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["peer.log"]
