"""A Redis that holds as much as is asked for, and what it costs there to store, count and show hits."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from hitwall.redis_server import RedisServer
from summaries.buckets import KINDS, Calendar
from summaries.chosen import chosen
from summaries.counters import Counters
from summaries.counting import Counting
from summaries.frame import Picture
from summaries.pictures import Pictures
from tests.bench.stage import redis_server
from tracker import keys
from tracker.connection import connect
from tracker.hit import Hit
from tracker.raw import RawLog, encode
from tracker.settings import Settings

PIECE = 5000  # hits of one call, some 10 ms
JSON = 500  # different ones of them
SPAN = timedelta(days=30)  # from the first hit of a filled log to the last
TOGETHER = 64  # hits of one append, as many as come together at a busy door
FRAMES = 100  # drawn to time one
FILL = """
for i = 1, ARGV[1] do
  local id = string.format('%d-%d', ARGV[2] + math.floor(i * ARGV[3]), i)
  redis.call('XADD', KEYS[1], id, 'hit', ARGV[4 + i % (#ARGV - 3)])
end
"""


@dataclass
class Filled:
    """A Redis of its own that writes no file, with all that counts and shows hits."""

    server: RedisServer
    redis: Redis
    site: str
    position: int = 0
    raw: RawLog = field(init=False)
    counting: Counting = field(init=False)
    pictures: Pictures = field(init=False)
    picture: Picture = field(init=False)

    def __post_init__(self) -> None:
        settings, picked = Settings(), chosen(Settings())
        calendar = Calendar.of(settings)
        counters = Counters(self.redis, calendar, settings.max_labels)
        self.raw, self.counting = RawLog(self.redis), Counting.of(settings, self.redis)
        self.pictures = Pictures(self.raw, counters, calendar, picked)

    def log(self, hits: Sequence[Hit], size: int) -> None:
        """Of the site nothing but so many raw hits, these again and again, counted as far as cursors know."""
        script, made = self.redis.register_script(FILL), [encode(hit) for hit in hits]
        for name in self.redis.scan_iter(f"hitwall:{{{self.site}}}:*", count=1000):
            self.redis.delete(name)
        self.position = 0
        end = time.time() - 60
        step = SPAN.total_seconds() * 1000 / size
        begin = int((end - SPAN.total_seconds()) * 1000)
        for done in range(0, size, PIECE):
            some = [made[(done // 10 + n) % len(made)] for n in range(JSON)]
            args: list[Any] = [min(PIECE, size - done), begin + int(done * step), step, *some]
            script(keys=[keys.raw(self.site)], args=args)
        self.redis.sadd(keys.SITES, self.site)
        self.lead()

    def lead(self) -> None:
        """Put the cursors at the end of the log."""
        last = self.raw.before(self.site, "+", 1)[0][0]
        self.redis.hset(keys.cursor(self.site), mapping=dict.fromkeys(self.counting.hooks, last))
        self.counting.reread()

    def label(self, labels: int) -> None:
        """So many labels in each counter of now; the series and the total have their own."""
        calendar, now = self.counting.calendar, datetime.now(UTC)
        for name in self.counting.hooks.keys() - {"server", "minute", "bot"}:
            counters = [(m, calendar.bucket(kind, now)) for m in keys.MEASURES for kind in KINDS]
            for measure, bucket in counters:
                mapping: dict[Any, Any] = {f"/a label of {name} {n:06}": n % 97 + 1 for n in range(labels)}
                self.redis.hset(keys.counter(self.site, measure, name, bucket), mapping=mapping)
        first = [Hit(at=now, site=self.site, path="/", source="pixel")]
        self.append(first)
        self.lead()

    def append(self, hits: Sequence[Hit]) -> float:
        """CPU seconds of one hit; as all that follow."""

        def work() -> None:
            for first in range(0, len(hits), TOGETHER):
                self.position += 1
                self.raw.append(self.site, hits[first : first + TOGETHER], "bench", self.position)

        return self._cost(work, len(hits))

    def count(self, hits: int) -> float:
        """Of one of so many that wait."""

        def work() -> None:
            done = 0
            while step := self.counting.step(self.site).hits:
                done += step
            assert done == hits, f"{done} of {hits} hits were counted"

        return self._cost(work, hits)

    def read(self) -> float:
        """Of all that a wall shows of today."""
        now = datetime.now(UTC)
        bucket = self.counting.calendar.bucket("day", now)

        def work() -> None:
            self.picture = self.pictures.read(self.site, bucket, self.counting.hooks, None, now)

        return self._cost(work, 1)

    def draw(self) -> float:
        """Of a frame of what was read last."""
        now = datetime.now(UTC)
        return self._cost(lambda: [self.picture.frame(now) for _ in range(FRAMES)], FRAMES)

    def forget(self, most: int) -> float:
        """Of a hit; so many stay."""
        before = self.raw.length(self.site)
        cursor = self.counting.cursor(self.site)

        def work() -> None:
            while self.raw.trim(self.site, "0-0", most, cursor):
                pass

        return self._cost(work, max(1, before - most))

    def _cost(self, work: Callable[[], object], times: int) -> float:
        """CPU seconds of client and Redis for one of so many times."""
        client, redis = time.process_time(), self._spent()
        work()
        return (time.process_time() - client + self._spent() - redis) / times

    def _spent(self) -> float:
        """CPU seconds of the server; INFO tells microseconds, proc(5) ticks of 10 ms."""
        info = self.redis.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


@contextmanager
def filled(site: str) -> Iterator[Filled]:
    """Empty at first, gone at the end."""
    with redis_server() as (server, _), connect(server.url) as redis:
        redis.config_set("appendonly", "no")
        yield Filled(server, redis, site)
