"""The example application and the snippets of the migration guide, run as they stand."""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import fields
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import summaries
from tests.promised import ask, count, served
from tests.service import ROOT, counted, running
from tests.waiting import until
from tracker.settings import Settings, variable
from tracker.storage.redis_db import RedisStorage

GUIDE = (ROOT / "docs" / "flask-track-usage.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)
OLD = """
CREATE TABLE flask_usage (id INTEGER PRIMARY KEY, url VARCHAR(128), ua_browser VARCHAR(16),
 ua_language VARCHAR(16), ua_platform VARCHAR(16), ua_version VARCHAR(16), blueprint VARCHAR(16),
 view_args VARCHAR(64), status INTEGER, remote_addr VARCHAR(24), xforwardedfor VARCHAR(24),
 authorization BOOLEAN, ip_info VARCHAR(1024), path VARCHAR(32), speed FLOAT, datetime DATETIME,
 username VARCHAR(128), track_var VARCHAR(128));
INSERT INTO flask_usage VALUES
 (1, 'http://shop.example/a/?b=1', 'firefox', 'de', 'linux', '60.0', NULL, '{}', 200, '203.0.113.7', NULL, 0,
  NULL, '/a/', 0.25, '2018-04-15 08:45:12.000000', 'ada', '{}'),
 (2, 'cut', NULL, NULL, NULL, NULL, NULL, '{}', 200, '203.0.113.7', NULL, 0, NULL, '/', 0.1,
  '2018-04-15 08:45:13.000000', NULL, '{}'),
 (3, 'http://shop.example/', NULL, NULL, NULL, NULL, NULL, 'null', 404, NULL, NULL, NULL, NULL, '/', NULL,
  '2018-04-16 08:45:13.000000', NULL, '{}');
"""


def test_the_example_counts_itself_and_its_numbers_are_those_of_the_api(
    redis: Redis, redis_url: str, tmp_path: Path, free_port: int
) -> None:
    file = ROOT / "tests" / "examples" / "app.py"
    named = {"REDIS_URL": redis_url, "FLASK_TRACK_USAGE_SITE": "shop.example"}
    with running(redis_url) as service, served(file, tmp_path, free_port, **named):
        for path in ("/", "/offers/7", "/offers/7", "/usage"):
            ask(free_port, path)
        until(lambda: counted(redis, "url", "shop.example") == {"/offers/7": 2, "/": 1})
        labels = json.loads(service.get("/api/shop.example/summaries/url?bucket=month").body)["labels"]
        assert {row["label"] for row in labels} <= {"/offers/7", "/"}
        usage = ask(free_port, "/usage")
        until(lambda: re.findall(r"^http://.*/offers/7 took \d+ ms$", (tmp_path / "out").read_text(), re.M))
        assert "shop.example" in service.get("/api/sites").body.decode()
    assert [row["path"] for row in usage["newest"]] == ["/offers/7", "/offers/7", "/"]
    assert usage["newest"][2]["track_var"] == '{"plan": "pro"}'
    assert {row["url"] for row in usage["pages"]["hour"]} == {"/", "/offers/7"}
    assert parsedate_to_datetime(usage["pages"]["month"][0]["date"]).day == 1


def run_the_guide(names: dict[str, Any]) -> None:
    """Its snippets, one after the other, in the working directory, where an old database is."""
    with closing(sqlite3.connect("old.db")) as old:
        old.executescript(OLD)
    for snippet in SNIPPETS:
        exec(compile(snippet, "docs/flask-track-usage.md", "exec"), names)


@pytest.mark.usefixtures("shell")
def test_the_snippets_of_the_guide_work(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    run_the_guide(names)
    assert re.fullmatch(r"http://localhost/ \d\S*\n", capsys.readouterr().out)
    assert names["newest"] == names["pages"] == []


@pytest.mark.usefixtures("shell")
def test_old_data_comes_along_once(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    run_the_guide(names)
    exec(SNIPPETS[-1], names)
    storage: RedisStorage = names["storage"]
    count(redis)
    first, second = storage.get_usage()[::-1]
    assert (first["url"], first["speed"], first["username"]) == ("http://shop.example/a/?b=1", 0.25, "ada")
    assert (first["date"].isoformat(), second["status"]) == ("2018-04-15T08:45:12+00:00", 404)
    months = storage.get_sum(summaries.sumUrl)["month"]
    assert [(row["date"].strftime("%Y-%m"), row["url"], row["hits"]) for row in months] == [
        ("2018-04", "/", 1),
        ("2018-04", "/a", 1),
    ]


def test_the_imports_of_the_guide_are_there() -> None:
    rows = re.findall(r"^\| `(flask_track_usage[^`]*)` .*\| `([^`]+)`", GUIDE, re.M)
    assert len(rows) == 8
    for old, new in rows:
        module, _, name = new.rpartition(".")
        assert hasattr(import_module(module), name)
        assert old.rpartition(".")[2] == name


def test_every_setting_of_the_guide_is_one_that_is_read() -> None:
    named = set(re.findall(r"TRACK_USAGE_[A-Z_]+|HITWALL_[A-Z_]+", GUIDE))
    code = "".join(path.read_text() for path in (ROOT / "tracker").glob("*.py"))
    ours = {variable(row) for row in fields(Settings)} | set(re.findall(r"TRACK_USAGE_[A-Z_]+", code))
    assert named - ours == {"TRACK_USAGE_FREEGEOIP_ENDPOINT"}  # of which the guide says that it is not read
