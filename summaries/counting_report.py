"""CountingReport: what the counting process tells of itself, through Redis, as it listens on no port."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from summaries.fold import Sums
from tracker import keys
from tracker.foreign import undisturbed
from tracker.hit import CANARY

disable_created_metrics()  # type: ignore[no-untyped-call]  # when one began is known from its own value

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two reports
LIVES = 10  # seconds that a report is believed
LATE = 5.0  # seconds of lag from which a site is named
MINUTE = 60.0  # seconds between two equal lines of the log
NAMED = 5  # sites; there may be 100,000
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class CountingReport:
    """Measures of one counting process; each has a registry of its own."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._registry = registry = CollectorRegistry()
        self._hits = Counter("hitwall_counted_hits", "Raw hits that were counted", registry=registry)
        self._apply = Histogram(
            "hitwall_apply_seconds",
            "Time Redis took for the sums of a batch",
            buckets=SECONDS,
            registry=registry,
        )
        self._errors = Counter(
            "hitwall_hook_errors", "Hits that a summary's hook failed on", ["summary"], registry=registry
        )
        self._unreadable = Counter(
            "hitwall_unreadable_entries", "Entries of raw logs that cannot be read", registry=registry
        )
        self._most = Gauge(
            "hitwall_lag_seconds", "Greatest age of a hit when it was counted", registry=registry
        )
        self._warned: dict[str, float] = {}  # hook -> when it was last logged
        self._failures: dict[str, int] = {}  # hook -> hits lost since
        self._lags: dict[str, float] = {}  # site -> seconds, since the last report; bound: the sites
        registry.register(_Late(self._lags))
        self.due = 0.0  # when to tell again, monotonic

    def counted(self, site: str, hits: int, seconds: float, lag: float) -> None:
        """A batch: so many hits, applied in so many seconds, and the age of the oldest."""
        self._apply.observe(seconds)
        if site != CANARY:
            self._hits.inc(hits)
        self._lags[site] = max(lag, self._lags.get(site, 0.0))
        self.tell()  # a round through many sites takes its time

    def failed(self, unreadable: int, sums: Sums) -> None:
        """What could not be counted. A failing hook is logged once a minute, with how many hits it lost."""
        self._unreadable.inc(unreadable)
        for name, error in sums.errors.items():
            self._errors.labels(name).inc(sums.failures[name])
            self._failures[name] = self._failures.get(name, 0) + sums.failures[name]
            if time.monotonic() - self._warned.get(name, -MINUTE) >= MINUTE:
                self._warned[name] = time.monotonic()
                lost = self._failures.pop(name)
                log.error("summary %s failed on %d hits: %r", name, lost, error, exc_info=error)

    def tell(self) -> None:
        """Write it down, once a second at most; without Redis the next time."""
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + EVERY
        lag = max(self._lags.values(), default=0.0)
        self._most.set(lag)
        news: dict[str, str | bytes] = {"lag": f"{lag:.3f}", "metrics": generate_latest(self._registry)}
        self._lags.clear()
        with suppress(RedisError):
            undisturbed(self._redis, [keys.COUNTING], lambda: self._write(news))

    def _write(self, news: Mapping[str, str | bytes]) -> None:
        with self._redis.pipeline() as pipe:
            pipe.hset(keys.COUNTING, mapping=news)  # type: ignore[arg-type]
            pipe.expire(keys.COUNTING, LIVES)
            pipe.execute()


class _Late(Collector):
    """The sites that lag most, few of them; a gauge would keep each that ever did."""

    def __init__(self, lags: Mapping[str, float]) -> None:
        self._lags = lags

    def collect(self) -> list[GaugeMetricFamily]:
        about = f"The same of the sites that are more than {LATE:g} s late, at most {NAMED}"
        family = GaugeMetricFamily("hitwall_site_lag_seconds", about, labels=["site"])
        late = [(lag, site) for site, lag in self._lags.items() if lag > LATE]
        for lag, site in sorted(late, reverse=True)[:NAMED]:
            family.add_metric([site], lag)
        return [family]


def reported(redis: Redis) -> tuple[float, bytes] | None:
    """Lag in seconds and metrics as text; None where no counting process has told of itself lately."""
    found = cast(dict[bytes, bytes], redis.hgetall(keys.COUNTING))
    try:
        return float(found[b"lag"]), found[b"metrics"]
    except (KeyError, ValueError):  # a hash, but not ours
        return None
