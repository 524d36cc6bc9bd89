"""Top lists that are kept up without looking at every label."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from summaries.tally import SHOWN, Row, Tally

LABELS = st.sampled_from([f"/{letter}" for letter in "abcdefghijklmno"])
UPDATES = st.lists(st.lists(st.tuples(LABELS, st.integers(1, 4), st.integers(0, 9)), max_size=8), max_size=12)


def best(rows: list[Row], most: int | None) -> list[Row]:
    """Independent of Tally: most hits first, equals by label."""
    return sorted(sorted(rows), key=lambda row: row[1], reverse=True)[:most]


@given(updates=UPDATES, most=st.sampled_from([0, 1, 3, 10, None]))
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
        assert tally.top() == best(everything, SHOWN if most is None else most)
        assert sorted(tally.rows.values()) == sorted(everything if most is None else tally.top())
        assert tally.hits() == sum(row[1] for row in tally.rows.values())
        assert tally.bytes() == sum(row[2] for row in tally.rows.values())


def test_of_a_whole_tally_no_more_than_a_top_list_is_the_top() -> None:
    tally = Tally(None)
    tally.update((f"/{n:03}", n, 0) for n in range(100))
    assert [row[0] for row in tally.top()] == [f"/{n:03}" for n in range(99, 99 - SHOWN, -1)]
    assert len(tally.rows) == 100


def test_equals_are_ordered_by_label() -> None:
    tally = Tally(2)
    tally.update([("c", 1, 0), ("b", 1, 0), ("a", 1, 0)])
    assert tally.top() == [("a", 1, 0), ("b", 1, 0)]
