"""Numbers, labels and bars as a terminal shows them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitwall.bars import bar, column
from hitwall.wording import age, change, clean, many, percent, short, size
from tests.asking import NOW, unseen


@given(st.text())
def test_a_cleaned_label_is_one_line_that_can_be_seen(text: str) -> None:
    shown = clean(text)
    assert unseen(shown) == []
    assert "\n" not in shown
    assert shown.strip()


def test_numbers_are_worded() -> None:
    assert [size(n) for n in (0, 999, 1000, 12_345, 123_456, 999_999, 10**9)] == [
        "0 B", "999 B", "1.00 kB", "12.3 kB", "123 kB", "1.00 MB", "1.00 GB",
    ]  # fmt: skip
    assert [short(n) for n in (0, 950, 1234, 12_345, 999_600)] == ["0", "950", "1.23k", "12.3k", "1.00M"]
    assert [change(*pair) for pair in ((112, 100), (97, 100), (100, 100), (1, 0), (5000, 1))] == [
        "▲ 12 %", "▼ 3 %", "=", "", "▲ over 999 %",
    ]  # fmt: skip
    assert percent(1, 3) == "33.3 %"
    assert [many(n, "hit") for n in (0, 1, 1234)] == ["0 hits", "1 hit", "1,234 hits"]
    assert percent(0, 0) == "0.0 %"
    ages = [age(NOW - timedelta(seconds=n), NOW) for n in (-5, 3, 60, 7200, 10**6)]
    assert ages == ["0 s", "3 s", "1 min", "2 h", "11 d"]


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share(share: float, width: int) -> None:
    drawn = bar(share, width)
    assert len(drawn) <= width
    assert bool(drawn) == (share > 0)
    assert sum(column(share, width)) / 8 == pytest.approx(share * width, abs=1 / 8)
