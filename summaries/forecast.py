"""Forecast: when memory will be full, if all goes on at the present rate. Pure arithmetic.

Three things grow: the raw log until age or length hold it, hour, day and month counters until retention
holds them. All else that is in Redis is taken to stay as it is. It is a forecast, not a promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FAR = 3650.0  # days, ten years; nobody knows what will be then


@dataclass(frozen=True)
class Part:
    """Something that takes memory: bytes now, bytes more a day, and the age in days at which one goes."""

    now: float
    daily: float
    days: float | None  # None: nothing goes

    def after(self, days: float) -> float:
        """Bytes that many days from now. What is more than the present rate makes of it stays."""
        grown = self.now + self.daily * days
        return grown if self.days is None else max(self.now, min(grown, self.daily * self.days))

    def grows(self) -> float:
        """For how many days from now it grows."""
        if self.daily <= 0:
            return 0.0
        return float("inf") if self.days is None else max(0.0, self.days - self.now / self.daily)


@dataclass(frozen=True)
class Forecast:
    """In how many days memory is full, None for not within FAR; and the bytes that are taken then."""

    days: float | None
    most: float
    ends: bool = True  # False where it grows on after FAR


def forecast(parts: Sequence[Part], used: float, limit: float) -> Forecast:
    """When the `used` bytes, of which the parts are some, will be `limit` bytes."""
    rest = used - sum(part.now for part in parts)

    def at(days: float) -> float:
        return rest + sum(part.after(days) for part in parts)

    begin = 0.0
    for end in sorted({FAR, *(part.grows() for part in parts if part.grows() < FAR)}):
        if at(end) >= limit:  # between two of these days it grows along a straight line
            grown = at(end) - at(begin)
            share = (limit - at(begin)) / grown if grown > 0 else 0.0
            return Forecast(begin + max(0.0, share) * (end - begin), limit)
        begin = end
    return Forecast(None, at(FAR), all(part.grows() <= FAR for part in parts))


def soonest(forecasts: Sequence[Forecast]) -> Forecast:
    """The one that is full first; where none ever is, all that is taken then."""
    full = [(found.days, found.most) for found in forecasts if found.days is not None]
    if full:
        return Forecast(*min(full))
    return Forecast(None, sum(found.most for found in forecasts), all(found.ends for found in forecasts))


def raw_part(memory: float, hits: int, daily: float, keep: tuple[float | None, int]) -> Part:
    """The raw log: bytes, hits, hits a day; kept for so many days (None: for ever) and hits (0: all)."""
    days, most = keep
    bounds = [days] if days is not None else []
    bounds += [most / daily] if most and daily else []
    return Part(memory, daily * memory / hits if hits else 0.0, min(bounds, default=None))
