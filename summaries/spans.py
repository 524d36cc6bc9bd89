"""Span: which buckets a question is about, from the words in which it is asked. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from summaries.buckets import KINDS, Calendar

MAX_BUCKETS = 750  # of one question: the hours of a month and of a clock's change; two years of days
YEAR = r"(?:19[7-9][0-9]|[2-8][0-9]{3})"  # those that a bucket can hold
DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
CLOCK = r"(?:[01][0-9]|2[0-3])"
ZONE = r"(?:Z|[+-][01][0-9]:[0-5][0-9])"
SECONDS = r":[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
TIME = rf"{YEAR}-(?:0[1-9]|1[0-2])(?:-{DAY}(?:T{CLOCK}(?:{SECONDS}{ZONE}?)?)?)?"
KIND_OF = {7: "month", 10: "day", 13: "hour"}  # a time of so many characters names a whole one
SAYS = "takes a month, day, hour or moment such as 2026-11, 2026-11-21, 2026-11-21T06, 2026-11-21T06:31:00Z"

Texts = tuple[str, str, str]  # at, from, to as they were given; empty where not


class BadQuestion(ValueError):
    """A question that has no answer; `name` is the parameter to be mended, the message says how."""

    def __init__(self, name: str, advice: str) -> None:
        super().__init__(f"{name} {advice}.")
        self.name = name


@dataclass(frozen=True)
class Span:
    """Buckets of one kind in a row, by the names of the first and the last."""

    kind: str
    first: str
    last: str

    @classmethod
    def of(cls, calendar: Calendar, kind: str, texts: Texts, now: datetime) -> "Span":
        """The buckets that `at` names, or those from `from` to `to`, both in; else the one of now.

        A text that names more than one of these buckets means all of them: the hours of a day.
        Raises BadQuestion.
        """
        at, start, end = texts
        if kind not in KINDS:
            raise BadQuestion("bucket", f"is one of {', '.join(KINDS)}")
        if at and (start or end):
            raise BadQuestion("at", "names one time; leave it out where from and to name two")
        if end and not start:
            raise BadQuestion("from", "is missing: to ends what from begins")
        today = calendar.bucket(kind, now)
        first = _ends(calendar, kind, "from" if start else "at", start or at)[0] if start or at else today
        last = _ends(calendar, kind, "to" if end else "at", end or at)[1] if end or at else today
        if first > last:
            raise BadQuestion("from", "is later than to" if end else "lies ahead: the range ends now")
        span = cls(kind, first, last)
        if len(span.buckets(calendar)) > MAX_BUCKETS:
            raise BadQuestion("from", f"is too early: at most {MAX_BUCKETS} buckets are read at once")
        return span

    @property
    def bucket(self) -> str:
        """`day:2026-11-21`, or `day:2026-11-01..2026-11-21`."""
        return self.first if self.first == self.last else f"{self.first}..{self.last.partition(':')[2]}"

    def buckets(self, calendar: Calendar) -> list[str]:
        """All of them in order; of too many the first MAX_BUCKETS + 1."""
        names = [self.first]
        while names[-1] < self.last and len(names) <= MAX_BUCKETS:
            names.append(_next(calendar, names[-1]))
        return names

    def before(self, calendar: Calendar) -> list[str]:
        """As many buckets as are in here, those that end where these begin, in order."""
        names = [self.first]
        for _ in self.buckets(calendar):
            names.append(calendar.previous(names[-1]))
        return names[:0:-1]

    def times(self, calendar: Calendar) -> tuple[datetime, datetime]:
        """Start and end, aware UTC; the end is not part of it."""
        return calendar.span(self.first)[0], calendar.span(self.last)[1]


def moment(calendar: Calendar, name: str, text: str) -> tuple[datetime, datetime]:
    """Start and end of the time that a text names, aware UTC; equal for a moment. Raises BadQuestion."""
    try:
        if not re.fullmatch(TIME, text):
            raise ValueError(text)
        if len(text) in KIND_OF:
            return calendar.span(f"{KIND_OF[len(text)]}:{text}")
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadQuestion(name, SAYS) from None
    whole = at if at.tzinfo else at.replace(tzinfo=calendar.zone)
    return whole, whole


def _ends(calendar: Calendar, kind: str, name: str, text: str) -> tuple[str, str]:
    """The first and the last bucket of what the text names."""
    start, end = moment(calendar, name, text)
    if KIND_OF.get(len(text)) == kind:
        return f"{kind}:{text}", f"{kind}:{text}"
    last = max(start, end - timedelta(minutes=1))  # an hour that a clock leaves out has no length
    return calendar.bucket(kind, start), calendar.bucket(kind, last)


def _next(calendar: Calendar, bucket: str) -> str:
    return calendar.bucket(bucket.partition(":")[0], calendar.span(bucket)[1])
