"""The commands that ask: their numbers equal an independent count, and no visitor writes on the terminal."""

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.asking import NOW, arrive, ask, hit, store, told, unseen
from tests.hits import CHROME, FIREFOX, SITE
from tests.service import ROOT
from tests.waiting import until
from tracker.hit import Hit
from tracker.raw import encode

YESTERDAY = f"{NOW - timedelta(days=1):%Y-%m-%d}"
AT = ("--at", f"{NOW:%Y-%m-%d}")
HOSTILE = "/[bold red]x[/]\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u200b\r\n\x9b31m:smile:"

pytestmark = pytest.mark.usefixtures("shell")


def some(count: int) -> list[Hit]:
    """Hits of two days, seven pages and two browsers."""
    dice = random.Random(count)
    return [
        hit(
            f"/{dice.randrange(7)}",
            at=NOW - timedelta(minutes=dice.randrange(1800)),
            bytes=dice.randrange(5000),
            agent=dice.choice([FIREFOX, CHROME]),
            visitor=f"visitor-{dice.randrange(20)}",
        )
        for _ in range(count)
    ]


def today(hits: list[Hit]) -> list[Hit]:
    return [found for found in hits if found.at.date() == NOW.date()]


def expected(hits: list[Hit]) -> list[dict[str, Any]]:
    """The labels of url, most hits first, equals by label."""
    counts = Counter(found.path for found in hits)
    sizes = {path: sum(found.bytes for found in hits if found.path == path) for path in counts}
    order = sorted(counts, key=lambda path: (-counts[path], path))
    return [{"label": path, "hits": counts[path], "bytes": sizes[path]} for path in order]


def test_top_as_json_equals_an_independent_count(redis: Redis) -> None:
    hits = some(300)
    store(redis, hits)
    found = json.loads(told("top", "url", *AT, "--json"))
    assert found["labels"] == expected(today(hits))
    assert found["hits"] == len(today(hits))
    assert found["before"]["hits"] > 0
    both = json.loads(
        told("top", "url", "--from", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--to", AT[1], "--json")
    )
    assert both["labels"] == expected(hits)[:10]
    second = json.loads(told("top", "url", *AT, "--limit", "3", "--page", "2", "--order", "label", "--json"))
    assert [row["label"] for row in second["labels"]] == ["/3", "/4", "/5"]


def test_top_shows_labels_shares_sums_and_the_bucket_before(redis: Redis) -> None:
    store(
        redis, [*[hit("/a", bytes=1500)] * 1234, hit("/b"), *[hit("/a", at=NOW - timedelta(days=1))] * 1000]
    )
    shown = told("top", "url", *AT)
    head, sums, *_ = shown.splitlines()
    assert head == f"{SITE} · url · day 2025-03-14 · UTC"
    assert "1,235 hits, 1.85 MB, 2 labels  ▲ 24 % (before: 1,000 hits)" in sums
    [row] = [line.split() for line in shown.splitlines() if line.startswith("/a")]
    assert row == ["/a", "1,234", "████████████", "99.9", "%", "1.85", "MB"]


def test_series_equals_an_independent_count_and_draws_bars(redis: Redis) -> None:
    hits = some(200)
    store(redis, hits)
    span = ("--bucket", "hour", *AT)
    found = json.loads(told("series", "url", "/3", *span, "--json"))
    hours = Counter(f"hour:{row.at:%Y-%m-%dT%H}" for row in today(hits) if row.path == "/3")
    assert {point["bucket"]: point["hits"] for point in found["points"] if point["hits"]} == hours
    assert len(found["points"]) == 24
    shown = told("series", "url", "/3", *span)
    assert f"{SITE} · url · /3 · hour 2025-03-14 00 to 2025-03-14 23 · UTC" in shown
    assert "█" * 36 in shown


def test_series_without_a_time_ends_now(redis: Redis) -> None:
    store(redis, [hit("/a", at=datetime.now(UTC))])
    for kind, points in (("hour", 24), ("day", 30), ("month", 12)):
        found = json.loads(told("series", "url", "/a", "--bucket", kind, "--json"))
        assert len(found["points"]) in (points, points + 1)
        assert found["hits"] == 1


def test_hits_as_json_are_as_they_are_stored_with_their_ids(redis: Redis) -> None:
    hits = some(50)
    store(redis, hits)
    lines = told("hits", "--limit", "30", "--json").splitlines()
    rows = [json.loads(line) for line in lines]
    ids = [row.pop("id") for row in rows]
    assert rows == [json.loads(encode(found)) for found in hits[-30:]]
    entries: Any = redis.xrange(f"hitwall:{{{SITE}}}:raw")
    assert ids == [name.decode() for name, _ in entries[-30:]]
    early = told(
        "hits", "--to", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--limit", "1000", "--json"
    ).splitlines()
    assert len(early) == len(hits) - len(today(hits))


def test_hits_are_a_line_each(redis: Redis) -> None:
    store(redis, [hit("/a", query="b=1", title="A", agent=FIREFOX, remote="203.0.113.7", event="signup")])
    line = f"{NOW:%Y-%m-%d %H:%M:%S}  203.0.113.7      signup /a?b=1  A  Firefox 140\n"
    assert told("hits") == line


def test_sites_are_listed_with_their_day(redis: Redis) -> None:
    now = datetime.now(UTC)
    days = (now, now + timedelta(days=1))  # whichever day it is when we ask
    store(redis, [hit(at=at, site=site, bytes=500) for at in days for site in (SITE, "other.example")])
    found = json.loads(told("sites", "--json"))["sites"]
    assert [(row["site"], row["hits"], row["bytes"]) for row in found] == [
        (SITE, 1, 500),
        ("other.example", 1, 500),
    ]
    assert [line.split()[:2] for line in told("sites").splitlines()[-2:]] == [
        [SITE, "1"],
        ["other.example", "1"],
    ]


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
def test_an_export_holds_every_label_and_every_hit(redis: Redis, tmp_path: Path, form: str) -> None:
    hits = some(1200)
    store(redis, hits)
    labels = read(told("export", "url", *AT, "--format", form), form)
    assert [(row["label"], int(row["hits"])) for row in labels] == [
        (row["label"], row["hits"]) for row in expected(today(hits))
    ]
    file = tmp_path / "hits"
    assert told("export", "hits", "--format", form, "--output", str(file)) == ""
    rows = read(file.read_text(), form)
    assert [(row["path"], int(row.get("bytes") or 0)) for row in rows] == [(h.path, h.bytes) for h in hits]
    assert len(read(told("export", "hits", *AT, "--format", form), form)) == len(today(hits))


def read(text: str, form: str) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    if form == "ndjson":
        return [json.loads(line) for line in text.splitlines()]
    whole = json.loads(text)
    return list(whole["labels"] if isinstance(whole, dict) else whole)


def test_an_export_with_json_is_one_in_the_format_json(redis: Redis) -> None:
    store(redis, [hit("/a"), hit("/b")])
    for what in ("url", "hits"):
        assert told("export", what, *AT, "--json") == told("export", what, *AT, "--format", "json")


def test_an_empty_export_is_an_empty_array_or_a_header(redis: Redis) -> None:
    store(redis, [hit()])
    assert told("export", "hits", "--to", "1999-01-01", "--format", "json") == "[]\n"
    assert told("export", "url", "--at", "1999-01-01") == "label,hits,bytes\n"


def test_a_spreadsheet_runs_nothing_of_an_export(redis: Redis) -> None:
    store(redis, [hit(title="=cmd|' /C calc'!A0", path="/x")])
    assert read(told("export", "title", *AT), "csv")[0]["label"] == "'=cmd|' /C calc'!A0"
    assert read(told("export", "hits"), "csv")[0]["title"] == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["top", "nosuch"], 1, "No summary is named nosuch. There are: "),
        (["top", "url", "--site", "no.example"], 1, "No hit of the site no.example has been seen."),
        (["hits", "--site", "no.example"], 1, "No hit of the site no.example has been seen."),
        (["watch", "--once", "--site", "no.example"], 1, "No hit of the site no.example has been seen."),
        (["export", "nosuch"], 1, "No summary is named nosuch."),
        (["series", "url", "/nothing"], 1, "Nothing was counted there"),
        (["top", "url", "--at", "yesterday"], 2, "--at takes a month, day, hour or moment"),
        (["hits", "--from", "x"], 2, "--from takes"),
        (["watch"], 1, "hitwall watch --once"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    redis: Redis, arguments: list[str], status: int, sentence: str
) -> None:
    store(redis, [hit()])
    answer = ask(*arguments)
    assert (answer.exit_code, answer.stdout) == (status, "")
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_site_is_named_where_there_are_several(redis: Redis) -> None:
    assert "put the script tag on one" in ask("top", "url").stderr
    store(redis, [hit(), hit(site="other.example")])
    assert f"name one with --site: {SITE}, other.example." in ask("top", "url").stderr
    assert f"{SITE} · url" in told("top", "url", "--site", SITE)


def test_what_visitors_send_neither_commands_the_terminal_nor_is_markup(redis: Redis) -> None:
    sent = {"path": HOSTILE, "title": HOSTILE, "referrer": f"https://{HOSTILE}", "event": ""}
    store(redis, [hit(**sent), hit("/b", event=HOSTILE, at=NOW), hit(at=datetime.now(UTC), **sent)])
    for arguments in (
        ["top", "title", *AT],
        ["top", "event", *AT],
        ["series", "event", clean_label(redis), *AT],
        ["hits"],
        ["watch", "--once", "--bucket", "month"],
    ):
        shown = told(*arguments)
        assert unseen(shown) == [], arguments
        assert "[bold red]x[/]" in shown, arguments
        assert ":smile:" in shown, arguments


def clean_label(redis: Redis) -> str:
    """The label under which the hostile event counts."""
    found = json.loads(told("top", "event", *AT, "--json"))
    return str(found["labels"][0]["label"])


@contextmanager
def following(*options: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes], IO[bytes]]]:
    """`hitwall hits --follow`, what it tells and what it complains of."""
    command = [sys.executable, "-m", "hitwall", "hits", "--follow", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        try:
            yield process, process.stdout, process.stderr
        finally:
            process.kill()


def test_follow_tells_a_hit_as_it_arrives_and_ends_silently_on_ctrl_c(redis: Redis) -> None:
    store(redis, [hit("/a"), hit("/b")])
    with following("--json", "--limit", "1") as (process, told, complaints):
        assert json.loads(told.readline())["path"] == "/b"
        for path in ("/c", "/d"):
            arrive(redis, path)
            assert json.loads(told.readline())["path"] == path
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert (told.read(), complaints.read()) == (b"", b"")


def test_follow_goes_on_when_redis_is_back(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tmp_path, free_port) as server, Redis.from_url(server.url) as own:
        monkeypatch.setenv("REDIS_URL", server.url)
        arrive(own, "/a")
        with following("--json") as (_, told, complaints):
            assert json.loads(told.readline())["path"] == "/a"
            os.kill(server.pid, signal.SIGKILL)
            assert b"Redis is out of reach, trying again" in complaints.readline()
            until(lambda: not server.alive())
            server.start()
            arrive(own, "/b")
            assert json.loads(told.readline())["path"] == "/b"


def test_what_the_encoding_of_a_terminal_lacks_becomes_a_question_mark(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(redis, [hit("/größe")])
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "hitwall", "top", "url", *AT]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    assert b"/gr??e " in shown


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_follow_ends_silently_when_its_reader_has_gone(redis: Redis, options: list[str]) -> None:
    store(redis, [hit("/a")])
    with following(*options) as (process, told, complaints):
        assert b"/a" in told.readline()
        told.close()
        assert process.wait(10) == 0
        assert complaints.read() == b""


def test_a_long_label_is_cut_with_an_ellipsis(redis: Redis) -> None:
    store(redis, [hit("/" + "long" * 100)])
    [row] = [line for line in told("top", "url", *AT).splitlines() if line.startswith("/long")]
    assert "…  " in row
    assert len(row) <= 100
