"""Top lists that are kept up without looking at every label."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from summaries.tally import Row, Tally, tally_of

LABELS = st.sampled_from([f"/{letter}" for letter in "abcdefghijklmno"])
UPDATES = st.lists(st.lists(st.tuples(LABELS, st.integers(1, 4), st.integers(0, 9)), max_size=8), max_size=12)


def best(rows: list[Row], most: int | None) -> list[Row]:
    """Independent of Tally: most hits first, equals by label."""
    return sorted(sorted(rows), key=lambda row: row[1], reverse=True)[:most]


@given(updates=UPDATES, most=st.sampled_from([1, 3, 10, None]))
def test_the_top_of_updates_is_the_top_of_everything_while_totals_only_grow(
    updates: list[list[Row]], most: int | None
) -> None:
    hits: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    tally = Tally(most)
    for update in updates:
        for label, more, size in update:
            hits[label] += more
            sizes[label] += size
        tally.update([(label, hits[label], sizes[label]) for label, _, _ in update])
        everything = [(label, hits[label], sizes[label]) for label in hits]
        assert tally.top() == best(everything, most)
        assert most is None or len(tally.rows) <= most


@given(st.dictionaries(LABELS, st.tuples(st.integers(1, 9), st.integers(0, 9))), st.booleans())
def test_a_tally_of_hashes_holds_what_they_hold(found: dict[str, tuple[int, int]], capped: bool) -> None:
    if capped:
        found["(other)"] = (5, 0)
    hits = {label.encode(): str(n).encode() for label, (n, _) in found.items()}
    sizes = {label.encode(): str(size).encode() for label, (_, size) in found.items() if size}
    whole = tally_of(hits, sizes, None)
    assert whole.rows == {label: (label, *sums) for label, sums in found.items()}
    assert (whole.hits(), whole.bytes()) == (
        sum(n for n, _ in found.values()),
        sum(size for _, size in found.values()),
    )
    assert (whole.distinct, whole.capped) == (len(found) - capped, capped)
    short = tally_of(hits, sizes, 2)
    assert short.top() == best(list(whole.rows.values()), 2)
    assert short.distinct == whole.distinct


def test_equals_are_ordered_by_label() -> None:
    tally = Tally(2)
    tally.update([("c", 1, 0), ("b", 1, 0), ("a", 1, 0)])
    assert tally.top() == [("a", 1, 0), ("b", 1, 0)]
