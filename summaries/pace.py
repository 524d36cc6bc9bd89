"""Pace: how long hits gather before they are counted, and how many are counted together. Pure.

The more hits a batch has, the more of them are alike, and the less each costs: of 800 at once Redis takes
21 µs for a hit, of 5,000 12, of 12,000 8. But a batch keeps hits waiting, at the door and for the wall.
"""

AGE = 0.08  # seconds old that hits may be when they are counted
CALM = 12_500  # hits a second up to which they are no older; beyond, each has to be cheap
OLDEST = 0.5  # seconds; two frames of a wall
BATCH = 2000  # hits; one apply of so many keeps Redis busy for about 35 ms
LARGEST = 12_000  # hits of a batch; three are in memory, and more have no room in a processor's caches
SECONDS = 0.08  # that one apply may keep Redis busy: so long a hit at the door may wait for it


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
        rate = hits / max(AGE / 2, begun - self._begun)
        self._begun = begun
        age = min(OLDEST, AGE * max(1.0, rate / CALM) ** 2)
        return max(0.0, age - 2 * spent)
