"""How long hits gather, and how many are counted together."""

import pytest

from summaries.pace import AGE, BATCH, CALM, LARGEST, OLDEST, SECONDS, Pace, size_after


def rests(per_second: int, spent: float = 0.0, rounds: int = 50) -> list[float]:
    """Of rounds in which all is counted that came since the one before."""
    pace, begun, gathered, found = Pace(), 100.0, AGE, []
    for _ in range(rounds):
        rest = pace.rest(begun, int(per_second * gathered), spent)
        gathered = max(1e-3, spent + rest)
        begun += gathered
        found.append(rest)
    return found


@pytest.mark.parametrize("per_second", [1, 100, CALM // 2, 10_000])
def test_up_to_a_calm_rate_hits_are_counted_before_they_are_old(per_second: int) -> None:
    assert max(rests(per_second)) <= AGE
    assert max(rests(per_second, AGE / 4)) <= AGE / 2  # what comes now takes as long again


def test_the_more_come_the_longer_they_gather_and_never_too_long() -> None:
    settled = [rests(rate)[-1] for rate in (10_000, 16_000, 26_000, 100_000)]
    assert settled == sorted(settled)
    assert AGE == settled[0] < settled[1] < settled[2] <= settled[3] == OLDEST


def test_a_burst_after_silence_is_no_rate() -> None:
    assert Pace().rest(1e6, 50_000, 0.0) == AGE  # all that came in the seconds before


def test_work_that_takes_longer_than_hits_may_be_old_has_no_rest() -> None:
    assert set(rests(1000, AGE)) == {0.0}


def test_a_batch_is_as_large_as_redis_takes_in_its_time() -> None:
    assert size_after(4000, SECONDS, BATCH) == 4000
    assert size_after(4000, SECONDS / 2, BATCH) == 8000
    assert size_after(4000, SECONDS * 9, 4000) == BATCH
    assert size_after(4000, 0.0, BATCH) == LARGEST
    assert size_after(BATCH - 1, 9.0, 5000) == 5000  # too few to tell
