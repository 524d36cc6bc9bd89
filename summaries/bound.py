"""Bound: the memory that a site can take at most, whatever is sent to it. Pure arithmetic.

Every label of every counter may be another one, and as long as a label can be. Real sites take a small part
of it: forecast.py tells what they will take.
"""

from dataclasses import dataclass
from datetime import timedelta

from tracker.settings import Settings

# Measured on Redis 6.2.14 with jemalloc, rounded up; what Redis 7 takes is less.
ENTRY = 128  # bytes of a raw hit besides its JSON: 14 to 83
LABEL = 112  # bytes of a label in a hash with its number, besides its text: 63 to 87, and a table that grows
COUNTER = 512  # bytes of a counter besides its labels: its key, its expiry, an empty hash
SITE = 16 * 14_336 + 16_384  # bytes of 16 minutes' visitors, 12 to 14 kB each; cursor, failures, positions
MEASURES = 2  # hashes of a counter: hits and bytes


@dataclass(frozen=True)
class Load:
    """What is sent: the size of a raw hit's JSON and of a label's text in bytes, and how many months long."""

    hit: int = 600
    label: int = 512
    months: float = 1.0


def site_bound(settings: Settings, summaries: int, load: Load) -> float:
    """Bytes at most of one site with so many summaries; infinite where any number of raw hits is kept."""
    return raw_bound(settings.keep_raw_max or float("inf"), load.hit) + counter_bound(
        summaries * buckets(settings, load.months), settings.max_labels, load.label
    )


def raw_bound(hits: float, size: float) -> float:
    """Bytes of a raw log."""
    return hits * (size + ENTRY)


def counter_bound(counters: int, labels: int, size: float) -> float:
    """Bytes of so many counters that hold so many labels and (other)."""
    return SITE + counters * MEASURES * (COUNTER + (labels + 1) * (size + LABEL))


def buckets(settings: Settings, months: float) -> int:
    """Hours, days and months that have counters at most, after so many months."""
    whole = timedelta(days=31 * months)
    lengths = (timedelta(hours=1), timedelta(days=1), timedelta(days=28))
    keeps = (settings.keep_hour, settings.keep_day, settings.keep_month)
    return sum(
        2 + int(min(whole, keep if keep is not None else whole) / length)
        for keep, length in zip(keeps, lengths, strict=True)
    )
