"""/metrics: what it says is so, of all workers, and stands in docs/operating.md."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from hitwall.measuring import BEGIN, YOUNG, directory
from summaries import counting_report
from summaries.counting import Counting
from summaries.counting_report import LATE, NAMED, CountingReport, reported
from summaries.fold import Sums
from tests.hits import SITE, hit
from tests.service import ROOT, Service, running
from tests.waiting import until
from tracker import keys
from tracker.raw import RawLog
from tracker.settings import Settings

TABLE = re.compile(r"^\| `(hitwall_\w+)` \| (\w+) \| .+ \|$", re.M)
STORED = 'hitwall_hits_total{door="pixel",result="stored"}'
# What must be said with its unit, in base units: https://prometheus.io/docs/practices/naming/
NAMED_BY = {
    "counter": re.compile(r"hitwall_[a-z_]+_total"),
    "histogram": re.compile(r"hitwall_[a-z_]+_(seconds|hits)"),
    "gauge": re.compile(r"hitwall[a-z_]*(_seconds|_bytes|_info|_up|_failing|_viewers)"),
}


def families(text: str) -> dict[str, str]:
    """Name -> type of all that is told; each once, with its help."""
    found = list(text_string_to_metric_families(text))
    assert [family.name for family in found if not family.documentation] == []
    assert len({family.name for family in found}) == len(found)
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type for family in found
    }


def samples(service: Service) -> dict[str, float]:
    """`name{label="value"}` -> value, as the text has it."""
    answer = service.get("/metrics")
    assert answer.status == 200
    lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def two(redis: Redis, redis_url: str) -> Iterator[Service]:
    """Two workers and a counter; no canary."""
    with running(redis_url, workers="2", canary="0") as service:
        yield service


def test_all_that_is_told_stands_in_the_documentation_in_proper_form(redis: Redis, redis_url: str) -> None:
    with running(redis_url, canary="1") as service:
        service.get("/a.gif")
        service.get("/live?channel=unknown.example")
        late = ("hitwall_canary_seconds ", "hitwall_refused_hits_total{", "hitwall_lag_seconds ")
        until(lambda: all(name in service.get("/metrics").body.decode() for name in late))
        text = service.get("/metrics").body.decode()
    told = families(text)
    assert told == dict(TABLE.findall((ROOT / "docs" / "operating.md").read_text()))
    assert [name for name, kind in told.items() if not NAMED_BY[kind].fullmatch(name)] == []


def test_whichever_worker_answers_tells_the_sum_of_all_and_none_takes_its_numbers_along(
    two: Service,
) -> None:
    for n in range(40):
        assert two.hit(f"https://example.com/{n}").status == 200
    assert {samples(two)[STORED] for _ in range(20)} == {40}
    until(lambda: samples(two).get("hitwall_counted_hits_total") == 40)
    for killed in two.workers():
        os.kill(killed, signal.SIGKILL)
        until(lambda gone=killed: gone not in two.workers() and len(two.workers()) == 2)  # type: ignore[misc]
    until(two.answers)
    assert samples(two)[STORED] == 40
    for n in range(10):
        assert two.hit(f"https://example.com/{n}").status == 200
    assert {samples(two)[STORED] for _ in range(10)} == {50}
    found = samples(two)
    assert found["hitwall_append_seconds_count"] == found["hitwall_batch_hits_count"] == 50
    assert found["hitwall_batch_hits_sum"] == 50


def test_what_doors_refuse_is_told_by_reason(two: Service) -> None:
    for _ in range(3):
        two.get("/a.gif")
    two.get("/a.gif?url=nonsense")
    refused = 'hitwall_hits_total{door="pixel",result="refused"}'
    until(lambda: samples(two).get(refused) == 4)
    found = samples(two)
    assert found['hitwall_refused_hits_total{reason="no url"}'] == 3
    assert found['hitwall_refused_hits_total{reason="not a web page"}'] == 1


def test_streams_and_their_frames_are_told(two: Service) -> None:
    two.hit()
    with two.frames(bucket="month") as frames:
        next(frame for frame in frames if frame["hits"] == 1)
        found = samples(two)
        assert found["hitwall_viewers"] == 1
        assert found["hitwall_frames_sent_total"] >= 1
    assert two.get("/live?channel=unknown.example").status == 404
    assert samples(two)['hitwall_streams_refused_total{status="404"}'] == 1


def test_without_redis_it_answers_in_time_and_says_so(free_port: int) -> None:
    service = Service(f"redis://:secret@127.0.0.1:{free_port}/0", canary="0")
    try:
        service.start("serve")
        assert service.hit().status == 200  # on disk
        begun = time.monotonic()
        answer = service.get("/metrics")
        assert time.monotonic() - begun < 5
        found = samples(service)
    finally:
        service.stop()
    assert (found["hitwall_redis_up"], found["hitwall_counting_up"]) == (0, 0)
    assert found["hitwall_spool_bytes"] > 0
    assert found['hitwall_hits_total{door="pixel",result="spooled"}'] == 1
    assert b"secret" not in answer.body
    assert b"127.0.0.1" not in answer.body
    assert "hitwall_counted_hits_total" not in found


def test_its_directory_goes_with_the_process_and_one_that_was_left_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # to be put back
    left, young = tmp_path / f"{BEGIN}left", tmp_path / f"{BEGIN}young"
    for folder, age in ((left, 2 * YOUNG), (young, 0)):
        folder.mkdir()
        (folder / "lock").touch()
        os.utime(folder / "lock", (time.time() - age, time.time() - age))
    with directory():
        made = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        os.utime(made / "lock", (0, 0))
        with directory():
            assert set(tmp_path.glob(f"{BEGIN}*")) > {made, young}
            assert not left.exists()
    assert set(tmp_path.glob(f"{BEGIN}*")) == {young}


STRANGER = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
os.geteuid = lambda: 12345
from hitwall.measuring import directory
with directory():
    print("begun")
"""


def test_a_place_that_somebody_else_has_made_is_left_alone_and_holds_up_no_start(tmp_path: Path) -> None:
    planted = tmp_path / f"{BEGIN}planted"
    planted.mkdir()
    os.mkfifo(planted / "lock")  # whoever opens it waits until somebody reads
    os.utime(planted / "lock", (0, 0))
    command = [sys.executable, "-c", STRANGER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.stdout == "begun\n", done.stderr
    assert planted.exists()


def test_an_application_that_counts_itself_gets_no_metrics_of_ours() -> None:
    code = (
        "import sys, tracker.extension, tracker.storage.http, tracker.storage.redis_db, tracker.storage.sql;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_counter_tells_what_it_counted_what_failed_and_how_late_it_was(redis: Redis) -> None:
    counting = Counting.of(Settings(keep_hour=None, keep_day=None), redis)

    def section(_: object) -> str:
        raise ZeroDivisionError

    counting.hooks = {"server": counting.hooks["server"], "section": section}
    RawLog(redis).append(SITE, [hit(f"/{n}") for n in range(3)], "test", 1)
    redis.xadd(keys.raw(SITE), {"hit": "nonsense"})
    counting.step(SITE)
    redis.delete(keys.COUNTING)
    lag, text = until(lambda: newly(counting.report, redis))
    told = text.decode().splitlines()
    assert 0 <= lag < 20
    assert {
        "hitwall_counted_hits_total 4.0",
        'hitwall_hook_errors_total{summary="section"} 3.0',
        "hitwall_unreadable_entries_total 1.0",
        "hitwall_apply_seconds_count 1.0",
    } <= set(told)
    assert 0 < redis.ttl(keys.COUNTING) <= 10


def newly(report: CountingReport, redis: Redis) -> tuple[float, bytes]:
    """What it tells, as soon as it does; false until then."""
    report.tell()
    return reported(redis) or ()  # type: ignore[return-value]


def test_of_many_late_sites_a_few_are_named_those_that_lag_most(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_report, "EVERY", 60.0)
    report = CountingReport(redis)
    report.tell()  # the next one is due after all that follows
    for n in range(50):
        report.counted(f"site-{n}.example", 1, 0.001, LATE + n)
    report.counted("quick.example", 1, 0.001, 0.1)
    report.due = 0.0
    lag, text = newly(report, redis)
    assert lag == LATE + 49
    named = re.findall(r'hitwall_site_lag_seconds\{site="site-(\d+)\.example"\}', text.decode())
    assert sorted(map(int, named)) == list(range(50 - NAMED, 50))
    assert b"quick.example" not in text


def test_what_redis_cannot_take_of_it_stops_no_counting(free_port: int) -> None:
    with Redis.from_url(f"redis://127.0.0.1:{free_port}/0") as nowhere:
        report = CountingReport(nowhere)
        report.failed(0, Sums())
        report.tell()


def test_it_needs_the_token_where_the_api_does(redis: Redis, redis_url: str) -> None:
    service = Service(redis_url, token="a-token-of-this-test", public="*")
    try:
        service.start("serve")
        assert service.get("/metrics").status == 401
        assert service.get("/metrics", Authorization="Bearer a-token-of-this-test").status == 200
        assert service.get("/healthz").status == 200
    finally:
        service.stop()
