"""Growth: what a raw hit and a visitor take in memory, and what comes with every day. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from summaries.buckets import Calendar
from summaries.forecast import Part, raw_part
from summaries.stock import Stock
from tracker.settings import Settings

DAY = timedelta(days=1)
SHORTEST = timedelta(hours=1)  # that tells how much comes in a day

Stocks = Mapping[str, Stock]  # by kind of bucket


@dataclass(frozen=True)
class RawHits:
    """How many are in a site's log, the memory that they take, and how many come in a day."""

    hits: int
    memory: int
    daily: float
    visitors: float  # distinct ones a day

    @property
    def each(self) -> float:
        """Bytes of one."""
        return self.memory / self.hits if self.hits else 0.0


@dataclass(frozen=True)
class Growth:
    """Of one site at the present rate; memory in bytes."""

    hits: float  # a day
    visitors: float  # a day
    hit: float  # memory of one raw hit,
    visitor: float  # and of one visitor in the counters of an hour, a day and a month, hits and bytes
    raw: float  # memory a day: of raw hits,
    visits: float  # of the counters of visitors,
    others: float  # and of all other counters


def growth(raw: RawHits, stocks: Stocks, days: Mapping[str, float]) -> Growth:
    """`days`: of how many each kind's recent counters are. Counters grow as those have grown."""
    visits = sum(stock.visits / days[kind] for kind, stock in stocks.items())
    return Growth(
        hits=raw.daily,
        visitors=raw.visitors,
        hit=raw.each,
        visitor=sum(stock.visitor for stock in stocks.values()),
        raw=raw.each * raw.daily,
        visits=visits,
        others=sum(stock.recent / days[kind] for kind, stock in stocks.items()) - visits,
    )


def parts(raw: RawHits, stocks: Stocks, days: Mapping[str, float], settings: Settings) -> list[Part]:
    """The same for the forecast: what there is now, what comes in a day, and the age at which it goes."""
    keeps = {"hour": settings.keep_hour, "day": settings.keep_day, "month": settings.keep_month}
    counters = [
        Part(stock.memory, stock.recent / days[kind], _in_days(keeps[kind])) for kind, stock in stocks.items()
    ]
    keep = _in_days(settings.keep_raw), settings.keep_raw_max
    return [raw_part(raw.memory, raw.hits, raw.daily, keep), *counters]


def covered(stocks: Stocks, calendar: Calendar, now: datetime, born: datetime | None) -> dict[str, float]:
    """Days that the recent counters of each kind are of; a site that was born meanwhile has no more."""

    def days(buckets: set[str]) -> float:
        begin = calendar.span(min(buckets))[0] if buckets else now
        return max(SHORTEST, now - max(begin, born or begin)) / DAY

    return {kind: days(stock.buckets) for kind, stock in stocks.items()}


def _in_days(keep: timedelta | None) -> float | None:
    return None if keep is None else keep / DAY
