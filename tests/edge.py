"""Lines as nginx writes them of the pixels it answers, and what reads them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from redis import Redis

from hitwall.redis_server import dying_with_parent
from tests.service import ROOT, TIMEOUT
from tests.waiting import until
from tracker.edge_import import EdgeImport
from tracker.edge_lines import EdgeReader
from tracker.hit import Hit
from tracker.log_follow import Follower
from tracker.pixel import PixelReader
from tracker.raw import RawLog
from tracker.settings import CLIENT_HINTS, Settings
from tracker.sites import Sites
from tracker.visitors import Visitors

HINTS = CLIENT_HINTS.split(",")
NUMBERS = count(1)  # no two lines of nginx are alike
SHORT = {ord(char): f"\\{name}" for char, name in zip('"\\\n\r\t\b\f', '"\\nrtbf', strict=True)}
ESCAPED = {code: f"\\u{code:04X}" for code in range(32)} | SHORT


AT = 1795305766.53  # on 22 November 2026


def line(query: str, at: float = AT, status: str = "200", **headers: str) -> bytes:
    """What nginx writes of a request, without its end; bytes are Latin-1, header names as Python has them."""
    sent = {name.upper().replace("_", "-"): text for name, text in headers.items()}
    texts = {
        "status": status,
        "query": query,
        "remote": "203.0.113.7",
        "forwarded": sent.get("X-FORWARDED-FOR", "203.0.113.7"),
        "agent": sent.get("USER-AGENT", ""),
        "language": sent.get("ACCEPT-LANGUAGE", ""),
        "cookie": sent.get("COOKIE", ""),
    }
    hints = ",".join(f'"{name}":"{_escaped(sent.get(name.upper(), ""))}"' for name in HINTS)
    told = ",".join(f'"{name}":"{_escaped(text)}"' for name, text in texts.items())
    return f'{{"at":{at:.3f},{told},"headers":{{{hints}}},"id":"2-{next(NUMBERS)}"}}'.encode("latin-1")


def _escaped(text: str) -> str:
    """As `escape=json` does: bytes that are not ASCII stay what they are."""
    return text.translate(ESCAPED)


def lines(numbers: Any, sites: int = 1) -> bytes:
    """Lines with their ends, of the pages with these numbers; the sites take turns."""
    pages = (f"url=https://site-{n % sites}.example/{n}" for n in numbers)
    return b"".join(line(page) + b"\n" for page in pages)


def edge_reader(redis: Redis, **settings: Any) -> EdgeReader:
    chosen = Settings(**settings)
    sites = Sites(chosen, redis)
    return EdgeReader(PixelReader(chosen, Visitors(chosen.visitor, redis)), sites.admitted)


def follower(redis: Redis, path: Path) -> Follower:
    """One that follows the log in this process."""
    raw, reader = RawLog(redis), edge_reader(redis)
    return Follower(path, lambda log: EdgeImport(redis, raw, log, reader))


def pages(numbers: Any) -> list[str]:
    return [f"/{n}" for n in sorted(numbers)]


def stored(redis: Redis) -> list[str]:
    """The paths of all sites' raw hits, numbers first by size."""
    return sorted((hit.path for hit in hits(redis)), key=lambda path: (len(path), path))


def hits(redis: Redis) -> list[Hit]:
    """The raw hits of all sites, site by site."""
    raw = RawLog(redis)
    return [hit for site in sorted(raw.sites()) for _, hit in raw.after(site, "0-0", 1_000_000) if hit]


@contextmanager
def following(url: str, *files: Path, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`hitwall follow --edge` of these files; it has to end well when it is told to, unless it was killed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
    environ |= {"REDIS_URL": url} | {f"HITWALL_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "hitwall", "follow", "--edge", *map(str, files)]
    process = subprocess.Popen(command, env=environ, cwd=ROOT, preexec_fn=dying_with_parent())
    try:
        yield process
    finally:
        until(lambda: process.poll() is not None or _heeds(process.pid, signal.SIGTERM), TIMEOUT)
        process.terminate()
        assert process.wait(TIMEOUT) in (0, -signal.SIGKILL)


def _heeds(pid: int, name: signal.Signals) -> bool:
    """Whether the process has a handler for that signal: one that has just begun has none. See proc(5)."""
    caught = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return any(int(mask, 16) >> (name - 1) & 1 for mask in caught)


def refused(redis: Redis) -> dict[str, int]:
    """Reason -> hits refused, of all days together."""
    found: dict[str, int] = {}
    for key in redis.scan_iter("hitwall:refused:*"):
        told: Any = redis.hgetall(key)
        for reason, number in told.items():
            found[reason.decode()] = found.get(reason.decode(), 0) + int(number)
    return found


__all__ = ["edge_reader", "follower", "following", "hits", "line", "lines", "pages"]
__all__ += ["refused", "stored"]
