"""How long hits gather, and how many are counted together."""

import pytest

from summaries.pace import AGES, BATCH, LARGEST, SECONDS, Pace, age, size_after

YOUNG, OLDEST = AGES[0][1], AGES[-1][1]


def rests(per_second: int, spent: float = 0.0, rounds: int = 50) -> list[float]:
    """Of rounds in which all is counted that came since the one before."""
    pace, begun, gathered, found = Pace(), 100.0, YOUNG, []
    for _ in range(rounds):
        rest = pace.rest(begun, int(per_second * gathered), spent)
        gathered = max(1e-3, spent + rest)
        begun += gathered
        found.append(rest)
    return found


@pytest.mark.parametrize("per_second", [1, 100, 1_000, 10_000])
def test_up_to_10_000_hits_a_second_they_are_counted_before_they_are_100_ms_old(per_second: int) -> None:
    for spent in (0.0, 0.02):
        assert max(rest + 2 * spent for rest in rests(per_second, spent)) <= 0.081


def test_the_more_come_the_longer_they_gather_and_never_too_long() -> None:
    settled = [rests(rate)[-1] for rate in (100, 1_000, 10_000, 16_000, 24_000, 100_000)]
    assert settled == sorted(settled)
    assert settled[2] < settled[3] < settled[4] < settled[5] == OLDEST


def test_ages_have_no_steps() -> None:
    for rate, seconds in AGES:
        assert age(rate) == pytest.approx(seconds)
        assert age(max(0, rate - 1)) == pytest.approx(seconds, abs=1e-3)


def test_a_burst_after_silence_is_no_rate() -> None:
    assert Pace().rest(1e6, 50_000, 0.0) < 2 * YOUNG  # they may all be of the seconds before


def test_work_that_takes_longer_than_hits_may_be_old_has_no_rest() -> None:
    assert set(rests(1000, 0.08)) == {0.0}


def test_a_batch_is_as_large_as_redis_takes_in_its_time() -> None:
    assert size_after(4000, SECONDS, BATCH) == 4000
    assert size_after(4000, SECONDS / 2, BATCH) == 8000
    assert size_after(4000, SECONDS * 9, 4000) == BATCH
    assert size_after(4000, 0.0, BATCH) == LARGEST
    assert size_after(BATCH - 1, 9.0, 5000) == 5000  # too few to tell
