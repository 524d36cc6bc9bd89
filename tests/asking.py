"""Asking in tests: hits of a morning that are counted for ever, and what commands answer."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner, Result
from redis import Redis

from hitwall.cli import main
from summaries.counting import Counting
from tests.hits import SITE
from tests.hits import hit as hit_of
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.settings import Settings

NOW = datetime(2025, 3, 14, 6, 31, 11, tzinfo=UTC)
FOREVER = Settings.read({f"HITWALL_KEEP_{kind}": "0" for kind in ("HOUR", "DAY", "RAW")})


def hit(path: str = "/", **fields: Any) -> Hit:
    return hit_of(path, **{"at": NOW, **fields})


def store(redis: Redis, hits: list[Hit]) -> None:
    """Append and count."""
    raw = RawLog(redis)
    for found in hits:
        raw.append(found.site, [found], f"test-{id(hits)}", raw.length(found.site) + 1)
    counting = Counting.of(FOREVER, redis)
    for site in {found.site for found in hits}:
        while counting.step(site).hits:
            pass


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(*arguments: str) -> str:
    answer = ask(*arguments)
    assert answer.exit_code == 0, answer.output
    return answer.output


def unseen(text: str) -> list[str]:
    """Characters that a terminal would obey or hide."""
    return [
        c
        for c in text
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\u200c\u200d"
    ]


def arrive(redis: Redis, path: str) -> None:
    RawLog(redis).append(SITE, [hit(path, at=datetime.now(UTC))], f"test-{path.strip('/')}", 1)
