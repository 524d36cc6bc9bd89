"""The bound on a site's memory: arithmetic here, a real flood in tests/faults/test_floods.py."""

from summaries.bound import Load, buckets, counter_bound, raw_bound, site_bound
from tracker.settings import Settings


def test_buckets_are_those_of_retention() -> None:
    # 14 days of hours, a month of days, and a month that has not begun with the flood
    assert buckets(Settings(), 1) == (2 + 14 * 24) + (2 + 31) + (2 + 1)
    assert buckets(Settings(), 24) == (2 + 14 * 24) + (2 + 400) + (2 + 26)
    assert buckets(Settings.read({"HITWALL_KEEP_HOUR": "0"}), 1) == (2 + 31 * 24) + (2 + 31) + (2 + 1)


def test_the_bound_is_the_sum_of_raw_hits_and_full_counters() -> None:
    settings = Settings.read({"HITWALL_KEEP_RAW_MAX": "10000", "HITWALL_MAX_LABELS": "1440"})
    load = Load(hit=400, label=30, months=1)
    whole = site_bound(settings, 18, load)
    assert whole == raw_bound(10_000, 400) + counter_bound(18 * buckets(settings, 1), 1440, 30)
    assert 1e9 < whole < 5e9
    assert site_bound(Settings.read({"HITWALL_KEEP_RAW_MAX": "0"}), 18, load) == float("inf")
