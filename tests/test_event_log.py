"""The log: a line an event, for people or programs, in which nothing of a stranger's is obeyed."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hitwall.event_log import formatter
from tests.service import Service
from tests.waiting import until

STRANGER = "/\x1b[2J\n2026-11-21T06:31:11.000Z ERROR forged: line\u202e\x00\u2028\x9b31m"
TOKEN = "a-token-of-this-test"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
PLAIN = re.compile(rf"{TIME} (INFO|WARNING|ERROR) [a-z_.]+: .*|  .*|Wall http.*")


def event(message: str, *told: object, error: Exception | None = None) -> logging.LogRecord:
    trouble: Any = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("tracker.test", logging.WARNING, "test.py", 1, message, told, trouble)
    record.created = datetime(2026, 11, 21, 6, 31, 11, 234_000, UTC).timestamp()
    return record


def raised(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_for_people_an_event_is_a_line_with_its_time_in_utc() -> None:
    said = formatter("text").format(event("%d hits wait", 3))
    assert said == "2026-11-21T06:31:11.234Z WARNING tracker.test: 3 hits wait"


def test_for_programs_it_is_an_object_a_line() -> None:
    said = json.loads(formatter("json").format(event("%d hits wait", 3)))
    assert said == {
        "time": "2026-11-21T06:31:11.234000+00:00",
        "level": "WARNING",
        "logger": "tracker.test",
        "message": "3 hits wait",
    }


@given(st.text() | st.just(STRANGER))
def test_law_12_what_a_stranger_sent_ends_no_line_and_moves_no_cursor(text: str) -> None:
    plain = formatter("text").format(event("a path: %s", text))
    assert plain.isprintable()
    packed = formatter("json").format(event("a path: %s", text))
    assert packed.isascii()
    assert packed.isprintable()
    assert json.loads(packed)["message"] == f"a path: {text}"


@given(st.text() | st.just(STRANGER))
def test_law_12_nor_in_a_traceback(text: str) -> None:
    first, *rest = formatter("text").format(event("failed", error=raised(text))).split("\n")
    assert first.endswith("failed")
    assert [line for line in rest if not (line.startswith("  ") and line.isprintable())] == []
    packed = formatter("json").format(event("failed", error=raised(text)))
    assert packed.isprintable()
    assert "ValueError" in json.loads(packed)["error"]


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.mark.parametrize("form", ["text", "json"])
def test_all_processes_log_in_that_form_and_tell_no_secret(
    form: str, redis: Redis, redis_url: str, free_port: int, tmp_path: Path
) -> None:
    web = Service(redis_url, log=form, token=TOKEN, trusted_proxies="1")
    counter = Service(f"redis://127.0.0.1:{free_port}/0", log=form)
    with (tmp_path / "web").open("wb") as web.log, (tmp_path / "counter").open("wb") as counter.log:
        try:
            web.start("serve")
            counter.start("count")
            for target in (f"/?token={TOKEN}&q=a-query", f"/live?channel=x&token={TOKEN}", "/a.gif?a-query"):
                web.get(target, X_Forwarded_For="203.0.113.7", Authorization=f"Bearer {TOKEN}")
            kill_worker(web)
            until(lambda: lines(tmp_path / "web") and lines(tmp_path / "counter"))
        finally:
            web.stop()
            counter.stop()
    said = lines(tmp_path / "web") + lines(tmp_path / "counter")
    assert any("SIGKILL" in line for line in said), said  # gunicorn's own
    assert any("counting waits for Redis" in line for line in said), said
    for line in said:
        assert json.loads(line)["level"] if form == "json" else PLAIN.fullmatch(line), line
    assert not re.search(rf"{TOKEN}|a-query|203\.0\.113\.7", "\n".join(said))


def kill_worker(web: Service) -> None:
    """kill -9 of the worker, and the line of gunicorn's master about it."""
    [worker] = web.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: "SIGKILL" in Path(str(getattr(web.log, "name", ""))).read_text())


def test_what_ends_a_greenlet_is_a_line_too_without_what_it_was_about() -> None:
    code = (
        "import gevent, hitwall.web, hitwall.event_log as e; e.set_up('json');"
        "gevent.get_hub().print_exception = hitwall.web.tell;"
        "gevent.spawn(lambda: 1 / 0).join()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = json.loads(done.stderr)
    assert (said["logger"], said["message"]) == ("hitwall.web", "a greenlet failed")
    assert "ZeroDivisionError" in said["error"]
