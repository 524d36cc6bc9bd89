"""Pace: how long hits gather before they are counted, and how many are counted together. Pure.

The more hits a batch has, the more of them are alike, and the less each costs: of 800 at once Redis takes
21 µs for a hit, of 5,000 12, of 12,000 8. But a batch keeps hits waiting, at the door and for the wall.
"""

from itertools import pairwise

# Hits a second -> seconds old that they may be when they are counted; in between, what lies between. Few cost
# little, however they come. Of very many each has to be cheap, and two frames of a wall are soon enough.
AGES = ((0, 0.03), (1_000, 0.08), (12_500, 0.08), (25_000, 0.5))
SHORTEST = 0.03  # seconds between two rounds that tell how many come
BATCH = 2000  # hits; one apply of so many keeps Redis busy for about 35 ms
LARGEST = 12_000  # hits of a batch; three are in memory, and more have no room in a processor's caches
SECONDS = 0.15  # that one apply may take, half of it other work of Redis: so long a hit at the door may wait


def age(per_second: float) -> float:
    """Seconds old that hits may be of which so many come."""
    for (few, young), (many, old) in pairwise(AGES):
        if per_second < many:
            return young + (old - young) * (per_second - few) / (many - few)
    return AGES[-1][1]


def size_after(hits: int, seconds: float, size: int) -> int:
    """Hits of the next batch at most, after one that Redis took so long for; a small one tells nothing."""
    if hits < BATCH:
        return size
    return max(BATCH, min(LARGEST, int(hits * SECONDS / max(seconds, 1e-6))))


class Pace:
    """Rests between two rounds of counting, in seconds."""

    def __init__(self) -> None:
        self._begun = 0.0

    def rest(self, begun: float, hits: int, spent: float) -> float:
        """After a round that began then (monotonic), took so many seconds and counted all there was.

        What comes now takes as long again.
        """
        rate = hits / max(SHORTEST, begun - self._begun)
        self._begun = begun
        return max(0.0, age(rate) - 2 * spent)
