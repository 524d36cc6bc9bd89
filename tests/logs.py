"""Logs for tests: lines of now, and an independent reading of a real log."""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from redis import Redis

from summaries.counting import Counting
from tests.hits import SITE
from tracker import keys
from tracker.hit import Hit
from tracker.log_file import LogFile
from tracker.log_import import LogImport
from tracker.log_reader import LogReader, Tally
from tracker.raw import START, RawLog
from tracker.settings import Settings
from tracker.visitors import Visitors

LOG = Path(__file__).parent / "data" / "access.log"
FOR_EVER = Settings(keep_hour=None, keep_day=None, keep_raw=None, keep_raw_max=0)
LINE = re.compile(r'(\S+) .*?\[(.*?)\] "(\S+) (\S+) \S+" (\d+) (\S+) "(.*?)" "(.*)"$')

Counts = dict[str, dict[str, int]]  # key -> label -> hits or bytes


def line(path: str, size: int = 7) -> str:
    """A request of a fixed moment for that path, with its end."""
    return f'203.0.113.7 - - [21/Nov/2025:06:31:11 +0000] "GET {path} HTTP/1.1" 200 {size} "-" "curl/8"\n'


def lines(numbers: Iterable[int]) -> str:
    return "".join(line(f"/{number}") for number in numbers)


def importing(redis: Redis, path: Path, mode: str = "off") -> LogImport:
    return LogImport(RawLog(redis), LogFile.open(path), LogReader(SITE, Visitors(mode, redis)))


def import_all(redis: Redis, path: Path, mode: str = "off") -> Tally:
    """Import a log to its present end."""
    with closing(LogFile.open(path)) as log:
        one = LogImport(RawLog(redis), log, LogReader(SITE, Visitors(mode, redis)))
        while one.step():
            pass
        return one.tally


def stored(redis: Redis, site: str = SITE) -> list[str]:
    """The paths of the raw hits, in order."""
    return [hit.path for _, hit in RawLog(redis).after(site, START, 1_000_000) if hit]


def paths(numbers: Iterable[int]) -> list[str]:
    return [f"/{number}" for number in numbers]


def count_all(redis: Redis, settings: Settings = FOR_EVER) -> Counting:
    """Count what is in the raw log."""
    counting = Counting.of(settings, redis)
    while counting.step(SITE).hits:
        pass
    return counting


def read_alike(text: str) -> Hit | None:
    """The hit of a line by a pattern and a date parser that the product has not."""
    found = LINE.match(text)
    if not found:
        return None
    remote, at, method, target, status, size, referrer, agent = found.groups()
    path, _, query = target.partition("#")[0].partition("?")
    return Hit(
        at=datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC),
        site=SITE,
        path=path,
        query=query,
        params=dict(reversed(parse_qsl(query, keep_blank_values=True))),
        source="log",
        remote=remote,
        method=method,
        status=int(status),
        bytes=0 if size == "-" else int(size),
        referrer="" if referrer == "-" else referrer,
        agent="" if agent == "-" else agent,
    )


def recount(hits: Iterable[Hit], counting: Counting) -> Counts:
    """What every counter must hold for these hits."""
    found: Counts = defaultdict(lambda: defaultdict(int))
    for hit in hits:
        buckets = [hit.at.strftime(form) for form in ("hour:%Y-%m-%dT%H", "day:%Y-%m-%d", "month:%Y-%m")]
        hooks = {"bot": counting.hooks["bot"]} if counting.apart(hit) else counting.hooks
        for name, hook in hooks.items():
            labels = hook(hit) or ()
            for label in {labels} if isinstance(labels, str) else set(labels):
                for bucket in buckets:
                    found[keys.counter(SITE, "hits", name, bucket)][label[:512]] += 1
                    if hit.bytes:
                        found[keys.counter(SITE, "bytes", name, bucket)][label[:512]] += hit.bytes
    return {key: dict(counts) for key, counts in found.items()}


def counters(redis: Redis) -> Counts:
    """What every counter holds; labels without bytes are left out."""
    found: Counts = {}
    for key in map(bytes.decode, redis.scan_iter(count=1000)):
        parsed = keys.parse(key)
        if parsed is not None and parsed.kind == "counter":
            labels: Any = redis.hgetall(key)
            found[key] = {label.decode(): int(n) for label, n in labels.items() if int(n)}
    return found
