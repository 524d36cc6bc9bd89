"""Hour, day and month: which bucket a time falls in, its span, its neighbour, and when it expires."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tracker.settings import Settings

KINDS = ("hour", "day", "month")
FORMATS = {"hour": "hour:%Y-%m-%dT%H", "day": "day:%Y-%m-%d", "month": "month:%Y-%m"}

Names = tuple[str, str, str]  # hour, day and month bucket of one moment


@dataclass(frozen=True)
class Calendar:
    """Names buckets in one time zone. The hour that a clock goes back over is one bucket of two hours."""

    zone: ZoneInfo
    keep: tuple[timedelta | None, ...] = (None, None, None)  # of hour, day and month counters

    @classmethod
    def of(cls, settings: Settings) -> "Calendar":
        return cls(settings.timezone, (settings.keep_hour, settings.keep_day, settings.keep_month))

    def names(self, at: datetime) -> Names:
        """The three buckets of that moment."""
        return _moment(self.zone, int(at.timestamp() // 60))[0]

    def minute(self, at: datetime) -> str:
        """`06:31`, the label of the summary `minute`."""
        return _moment(self.zone, int(at.timestamp() // 60))[1]

    def bucket(self, kind: str, at: datetime) -> str:
        return self.names(at)[KINDS.index(kind)]

    def span(self, bucket: str) -> tuple[datetime, datetime]:
        """Start and end of a bucket, aware UTC; the end is not part of it."""
        return _span(self.zone, bucket)

    def previous(self, bucket: str) -> str:
        """The bucket of the same kind before this one."""
        kind = bucket.partition(":")[0]
        return self.bucket(kind, self.span(bucket)[0] - timedelta(minutes=1))

    def days(self, month: str) -> list[str]:
        """The day buckets of a month bucket."""
        first = date.fromisoformat(month.removeprefix("month:") + "-01")
        days = (first + timedelta(days=n) for n in range(31))
        return [f"day:{day}" for day in days if day.month == first.month]

    def expires(self, bucket: str) -> int | None:
        """When the counters of a bucket expire, in seconds since 1970; None for never."""
        keep = self.keep[KINDS.index(bucket.partition(":")[0])]
        return None if keep is None else int((self.span(bucket)[1] + keep).timestamp())


@lru_cache(maxsize=4096)
def _moment(zone: ZoneInfo, minute: int) -> tuple[Names, str]:
    local = datetime.fromtimestamp(minute * 60, zone)
    hour, day, month = (local.strftime(FORMATS[kind]) for kind in KINDS)
    return (hour, day, month), local.strftime("%H:%M")


@lru_cache(maxsize=4096)
def _span(zone: ZoneInfo, bucket: str) -> tuple[datetime, datetime]:
    kind = bucket.partition(":")[0]
    start = datetime.strptime(bucket, FORMATS[kind])
    if kind == "month":
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    else:
        end = start + (timedelta(hours=1) if kind == "hour" else timedelta(days=1))
    return _first(zone, start), _first(zone, end)


def _first(zone: ZoneInfo, local: datetime) -> datetime:
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


@lru_cache(maxsize=64)
def minutes_of(bucket: str) -> tuple[str, ...]:
    """The labels of `minute` that an hour bucket can hold, in order."""
    hour = bucket[-2:]
    return tuple(f"{hour}:{minute:02}" for minute in range(60))
