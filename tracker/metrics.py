"""What a web process measures at its doors, for /metrics; docs/operating.md says what it means.

Web processes only: an application that counts itself has metrics of its own. With several workers each
writes a file in PROMETHEUS_MULTIPROC_DIR, and whichever is asked adds them up.
"""

from collections.abc import Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # when one began is known from its own value

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)

REGISTRY = CollectorRegistry()

HITS = Counter(
    "hitwall_hits",
    "Hits that came to a door (pixel, api), by what became of them: stored, spooled, refused, failed",
    ["door", "result"],
    registry=REGISTRY,
)
REFUSED = Counter(
    "hitwall_refused_hits", "Hits that a door refused, by reason", ["reason"], registry=REGISTRY
)
APPEND = Histogram(
    "hitwall_append_seconds",
    "Time until Redis had a batch of hits, tries that failed included",
    buckets=SECONDS,
    registry=REGISTRY,
)
BATCH = Histogram(
    "hitwall_batch_hits", "Hits that went together in one batch", buckets=SIZES, registry=REGISTRY
)
REPLAYED = Counter("hitwall_replayed_hits", "Hits of the spool that Redis has now", registry=REGISTRY)
FAILING = Gauge(
    "hitwall_doors_failing",
    "Workers whose pixel door cannot store hits just now, in Redis or on disk",
    multiprocess_mode="sum",
    registry=REGISTRY,
)

FAILING.set(0)  # the worker before, with whose numbers we go on, may have been killed

NOT_STORED = "not stored"  # the one reason that is no fault of the hit


def count_hits(door: str, result: str, hits: int) -> None:
    """So many more; call it for a batch, not for a hit: it takes 1 µs."""
    if hits:
        _of(door, result).inc(hits)


@lru_cache(maxsize=16)  # two doors, four results; the library's own look-up takes as long as the counting
def _of(door: str, result: str) -> Counter:
    return HITS.labels(door, result)


def count_posted(stored: int, reasons: Mapping[str, int]) -> None:
    """What became of a request to the API door."""
    count_hits("api", "stored", stored)
    count_refusals("api", reasons)


def count_refusals(door: str, reasons: Mapping[str, int]) -> None:
    """Refusals by reason."""
    for reason, hits in reasons.items():
        REFUSED.labels(reason).inc(hits)
        count_hits(door, "failed" if reason == NOT_STORED else "refused", hits)
