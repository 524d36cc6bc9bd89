"""The audit of the pins finds what it is there to find, on an index and a database of its own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.audit import FILES, ROOT, Pin, audit, pins

PAGES: dict[str, Any] = {}


class Index(BaseHTTPRequestHandler):
    """Answers as PyPI does, from PAGES."""

    def do_GET(self) -> None:
        page = PAGES.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"filename": name, "hashes": {"sha256": "0"}, "yanked": False, **more}


@pytest.fixture
def index() -> Iterator[str]:
    PAGES.clear()
    files = [
        file("zope_event-6.2-py3-none-any.whl"),
        file("zope.event-6.2.tar.gz"),
        file("zope.event-6.2.exe"),
    ]
    PAGES["/simple/zope-event/"] = {"files": files}
    PAGES["/pypi/zope-event/6.2/json"] = {"vulnerabilities": []}
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


GOOD = [Pin("zope-event", "6.2")]


def test_a_pin_that_is_offered_and_without_a_hole_passes(index: str) -> None:
    assert audit(GOOD, index) == ([], [])


def test_a_version_that_is_not_offered_or_a_package_that_is_unknown_fails(index: str) -> None:
    wrong, _ = audit([Pin("zope-event", "6.3"), Pin("unknown", "1")], index)
    assert wrong[0].startswith("unknown 1 could not be looked up")
    assert wrong[1] == "zope-event 6.3 is not offered any more"


def test_a_version_that_was_withdrawn_fails(index: str) -> None:
    PAGES["/simple/zope-event/"]["files"][0]["yanked"] = "it eats data"
    assert audit(GOOD, index)[0] == ["zope_event-6.2-py3-none-any.whl was withdrawn: it eats data"]


def test_a_file_without_a_digest_fails(index: str) -> None:
    PAGES["/simple/zope-event/"]["files"][1]["hashes"] = {}
    assert audit(GOOD, index)[0] == ["zope.event-6.2.tar.gz has no digest"]


def test_a_known_hole_fails_unless_it_was_taken_back(index: str) -> None:
    hole = {"id": "PYSEC-2026-1", "fixed_in": ["6.2.1"], "withdrawn": None}
    PAGES["/pypi/zope-event/6.2/json"] = {"vulnerabilities": [hole]}
    assert audit(GOOD, index)[0] == ["zope-event 6.2: PYSEC-2026-1, mended in 6.2.1"]
    hole["withdrawn"] = "2026-11-21T00:00:00Z"
    assert audit(GOOD, index)[0] == []


def test_that_advisories_could_not_be_asked_is_told(index: str) -> None:
    del PAGES["/pypi/zope-event/6.2/json"]
    wrong, unasked = audit(GOOD, index)
    assert (wrong, len(unasked)) == ([], 1)
    assert unasked[0].endswith("/pypi/zope-event/6.2/json: 404")


def test_every_line_of_the_requirements_is_a_pin(tmp_path: Path) -> None:
    found = pins(ROOT / name for name in FILES)
    assert Pin("flask", "3.1.3") in found
    assert len(found) > 60
    loose = tmp_path / "loose.txt"
    loose.write_text("flask>=3\n")
    with pytest.raises(ValueError, match="no pin"):
        pins([loose])
