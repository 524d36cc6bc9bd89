"""What a line of a log counts as: a Hit, or a BadHit whose reason is one of few."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from tracker import fields, remote
from tracker.access_log import parse_line
from tracker.hit import BadHit, Hit, parse_page

MAX_BYTES = 2**40  # of one response; thousands of such stay below the 2^53 that Lua adds exactly
MAX_SECONDS = 1e6  # of one response
TIMES = 4096  # times of day whose text has been read; a log has many lines of the same second
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name: number for number, name in enumerate(NAMES, 1)}
LOCAL = re.compile(
    r"([0-3]?[0-9])/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?")
STATUS = re.compile(r"[1-9][0-9]{2}")


def parse(text: str, site: str, now: datetime) -> Hit:
    """The hit of a line of the site's log.

    Raises BadHit: no request, bad log line, bad date, bad url.
    """
    line = parse_line(text if text.isascii() else text.encode(errors="replace").decode())
    at = moment(line.at)
    if at > now + fields.AHEAD:
        raise BadHit("bad date", "it is in the future")
    try:
        page = parse_page(line.target, site)
    except BadHit as bad:
        raise BadHit("bad url", str(bad)) from None
    return Hit(
        at=at,
        site=page.site,
        path=page.path,
        source="log",
        query=page.query,
        referrer=fields.text(line.referrer, "referrer"),
        remote=remote.client(line.remote, "", 0),
        agent=fields.text(line.agent, "agent"),
        language=fields.text(line.language, "language"),
        status=int(line.status) if STATUS.fullmatch(line.status) else 0,
        bytes=min(int(line.bytes), MAX_BYTES) if _is_number(line.bytes) else 0,
        params=fields.params(page.query),
        method=_method(line.method),
        seconds=_seconds(line.seconds),
    )


def _method(method: str) -> str:
    """A method as HTTP has them, else nothing; JSON may say anything."""
    return method if len(method) <= 32 and method.isascii() and method.isprintable() else ""


@lru_cache(maxsize=TIMES)
def moment(text: str) -> datetime:
    """The time that a log has written, aware UTC. Raises BadHit."""
    try:
        at = _local(text) or _since_1970(text) or datetime.fromisoformat(text)
        if at.tzinfo is not None and at.astimezone(UTC).year >= 1970:
            return at.astimezone(UTC)
    except (ValueError, OverflowError, OSError, KeyError):
        pass
    raise BadHit(
        "bad date", "it is neither like 21/Nov/2026:06:31:11 +0000 nor ISO 8601 nor seconds since 1970"
    )


def _local(text: str) -> datetime | None:
    """`21/Nov/2026:06:31:11 +0000`, without the C locale that strptime depends on."""
    found = LOCAL.fullmatch(text)
    if not found:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    zone = timezone(-offset if sign == "-" else offset)
    clock = (int(year), MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59))
    return datetime(*clock, tzinfo=zone)  # a leap second is the one before


def _since_1970(text: str) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if SECONDS.fullmatch(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _seconds(text: str) -> float:
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < MAX_SECONDS else 0.0
