"""The fold: hits become sums, a hook that fails loses only its own."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.buckets import Calendar
from summaries.fold import MAX_LABEL, Sums, fold, shares
from summaries.hooks import Hook, in_calendar
from tests.hits import NOW, generated_hits, hit
from tracker.hit import Hit

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]).map(ZoneInfo)
AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)
TIMES = st.integers(0, 240).map(lambda n: AUTUMN + timedelta(minutes=n))
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))

Count = tuple[str, str, str]  # summary, bucket, label


def told(sums: Sums, measure: int) -> Counter[Count]:
    """All that these sums add, in hits (0) or bytes (1)."""
    added: Counter[Count] = Counter()
    for run in sums.runs:
        for name, tallies in run.sums.items():
            for label, tally in tallies.items():
                for bucket in run.buckets:
                    added[name, bucket, label] += tally[measure]
    return added


def recount(hits: list[Hit], zone: ZoneInfo, measure: int) -> Counter[Count]:
    """The same, hit by hit, without any of the product's code but the hooks."""
    counts: Counter[Count] = Counter()
    for each in hits:
        local = each.at.astimezone(zone)
        for name, hook in in_calendar(Calendar(zone)).items():
            label = hook(each)
            for form in ("hour:%Y-%m-%dT%H", "day:%Y-%m-%d", "month:%Y-%m"):
                if label:
                    counts[name, local.strftime(form), str(label)] += each.bytes if measure else 1
    return counts


def labels(answer: object) -> list[str]:
    """What a hook that answers this counts a hit as, in order."""

    def hook(hit: Hit) -> object:
        return answer

    sums = fold([hit()], {"odd": hook}, UTC_CALENDAR)  # type: ignore[dict-item]
    assert [tally for tally in sums.runs[0].sums["odd"].values() if tally != [1, 0]] == []
    return list(sums.runs[0].sums["odd"])


@given(hits=st.lists(generated_hits(TIMES), max_size=30), zone=ZONES)
def test_a_fold_equals_a_naive_recount(hits: list[Hit], zone: ZoneInfo) -> None:
    sums = fold(hits, in_calendar(Calendar(zone)), Calendar(zone))
    assert told(sums, 0) == recount(hits, zone, 0)
    assert told(sums, 1) == recount(hits, zone, 1)
    assert (sums.people, sums.errors, sums.failures) == (hits, {}, Counter())


@given(hits=st.lists(generated_hits(), max_size=30), parts=st.lists(st.integers(0, 30)), zone=ZONES)
def test_a_fold_of_parts_adds_up_to_the_fold_of_all(
    hits: list[Hit], parts: list[int], zone: ZoneInfo
) -> None:
    calendar = Calendar(zone)
    pieces = [hits[start:end] for start, end in pairwise([0, *sorted(parts), 30])]
    sums = [fold(piece, in_calendar(calendar), calendar) for piece in pieces]
    whole = fold(hits, in_calendar(calendar), calendar)
    assert sum((told(part, 0) for part in sums), Counter()) == told(whole, 0)


@given(st.lists(generated_hits(), max_size=30))
def test_the_visitors_of_each_minute_are_told_once(hits: list[Hit]) -> None:
    expected: dict[datetime, set[str]] = {}
    for each in hits:
        if each.visitor:
            expected.setdefault(each.at.replace(second=0, microsecond=0), set()).add(each.visitor)
    assert fold(hits, {}, UTC_CALENDAR).active == expected


def test_runs_keep_the_order_of_the_hits_and_labels_the_order_first_seen() -> None:
    times = [NOW, NOW, NOW + timedelta(hours=1), NOW]
    hits = [hit(f"/{n}", at=at) for n, at in zip("badc", times, strict=True)]
    sums = fold([*hits, hit("/a"), hit("/c")], in_calendar(UTC_CALENDAR), UTC_CALENDAR)
    assert [run.buckets[0][-2:] for run in sums.runs] == ["06", "07", "06"]
    assert [list(run.sums["url"]) for run in sums.runs] == [["/b", "/a"], ["/d"], ["/c", "/a"]]


def test_law_4_a_hook_that_raises_loses_only_its_own_count_of_that_hit() -> None:
    def picky(hit: Hit) -> str:
        if hit.path == "/bad":
            raise RuntimeError("no such page")
        return "good"

    hooks: dict[str, Hook] = {"picky": picky, **in_calendar(UTC_CALENDAR)}
    hits = [hit("/a"), hit("/bad"), hit("/c"), hit("/bad")]
    sums = fold(hits, hooks, UTC_CALENDAR)
    assert sums.runs[0].sums["picky"] == {"good": [2, 0]}
    assert sums.runs[0].sums["url"] == {"/a": [1, 0], "/bad": [2, 0], "/c": [1, 0]}
    assert (sums.people, sums.failures) == (hits, Counter(picky=2))
    assert repr(sums.errors["picky"]) == "RuntimeError('no such page')"


def test_law_4_a_generator_that_raises_half_way_counts_nothing() -> None:
    def halved(hit: Hit) -> Iterator[str]:
        yield "first"
        raise RuntimeError

    sums = fold([hit(), hit()], {"halved": halved}, UTC_CALENDAR)
    assert sums.runs[0].sums == {"halved": {}}
    assert sums.failures == {"halved": 2}


@pytest.mark.parametrize("answer", [1, ["a", 1], [None], b"bytes", True], ids=repr)
def test_law_4_an_answer_that_is_no_label_counts_nothing(answer: object) -> None:
    assert labels(answer) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, []),
        ("", []),
        ("a", ["a"]),
        (["b", "a"], ["b", "a"]),
        (("a", "a", "", "b"), ["a", "b"]),
        ((label for label in ["x", "y"]), ["x", "y"]),
        ([], []),
        ("a" * 600, ["a" * 512]),
        ("ü" * 600, ["ü" * 256]),
        ("a" + "ü" * 600, ["a" + "ü" * 255]),
        (["ü" * 300, "ü" * 400], ["ü" * 256]),
        ("a\ud800b", ["a?b"]),
        (["(other)", "other"], ["other"]),
    ],
    ids=[
        "none",
        "empty",
        "one",
        "order",
        "repeated",
        "generator",
        "no label",
        "cut",
        "cut ü",
        "boundary",
        "cut to one",
        "surrogate",
        "what stands for the rest",
    ],
)
def test_labels_are_one_several_or_none_and_fit_a_field(answer: object, expected: list[str]) -> None:
    assert labels(answer) == expected
    assert all(len(label.encode()) <= MAX_LABEL for label in expected)


@given(st.text())
def test_any_text_is_a_label_that_redis_can_hold(text: str) -> None:
    long = text * 600
    assert labels(text) == ([text] if text else [])
    for label in labels(long):
        assert long.startswith(label)
        assert MAX_LABEL - 4 < len(label.encode()) <= MAX_LABEL


@given(st.lists(generated_hits(), max_size=40))
def test_shares_hold_each_bucket_once_with_its_labels_in_the_order_first_seen(hits: list[Hit]) -> None:
    seen: dict[str, dict[str, list[int]]] = {}
    for each in hits:
        for bucket in UTC_CALENDAR.names(each.at):
            tally = seen.setdefault(bucket, {}).setdefault(each.path, [0, 0])
            tally[0] += 1
            tally[1] += each.bytes
    told = [
        (bucket, list(share.sums["path"].items()))
        for share in shares(fold(hits, {"path": lambda hit: hit.path}, UTC_CALENDAR).runs)
        for bucket in share.buckets
    ]
    assert len(told) == len(dict(told))
    assert dict(told) == {bucket: list(tallies.items()) for bucket, tallies in seen.items()}
