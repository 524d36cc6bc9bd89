"""What a key is, in words: which hook, which span, when it expires."""

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from summaries.buckets import Calendar
from summaries.counters import ACTIVE
from summaries.hooks import Hook
from tracker import keys

KINDS = {
    "sites": "The sites that have been seen: a set. SMEMBERS lists them.",
    "lease": "Which counting process is at work: others stand by. Expires 2 seconds after it ends.",
    "counting": "What the counting process tells of itself for /metrics and /readyz, once a second: `lag` in "
    "seconds, and `metrics` in Prometheus' text format. Expires 10 seconds after it has stopped.",
    "canary": "How many `seconds` the last canary took from the door to a wall, and `at` what time it came; "
    "`failing` tells since when none comes. Expires where none is sent any more.",
    "mark": "By which a door knows the canary that is under way, once. Expires after 30 seconds.",
    "sender": "Held by the web process that sends the canary of this period. Expires with it.",
    "raw": "Raw log of {site}: a stream, one entry a hit, field `hit`: JSON. "
    "XREVRANGE … + - COUNT 10 shows the newest.",
    "cursor": "Cursors of {site}: summary -> id in the raw log up to which it has counted.",
    "live": "Channel on which every counted batch of {site} is announced (MessagePack).",
    "trimmed": "Where the raw log of {site} begins: hits up to this id are forgotten. Absent while none is.",
    "rewrite": "Copy of the raw log of {site} that takes its place when hitwall forget has removed hits. "
    "Expires after a day, should that have been ended.",
    "forgotten": "Which hitwall forget was begun last in {site}: a recount from before is void. "
    "Expires after a day.",
    "holes": "Counters of {site} that lost their numbers to something foreign: summary, bucket, moment. The "
    "counting process puts them right from the raw log and takes them off this list.",
    "foreign": "What somebody else had put under the key {detail} of {site}. It was set aside and is "
    "nobody's business here: look at it, move it, delete it.",
    "stray": "What somebody else had put under the key {detail}. It was set aside and is nobody's business "
    "here: look at it, move it, delete it.",
    "seen": "How far the source {detail} has been appended to the raw log of {site}, so that nothing is "
    "appended twice. Expires a day after the last batch, of a Flask application or an edge's log 7 days, of "
    "another log 400.",
    "active": "Visitors of {site} active in the minute {detail} UTC: a HyperLogLog, PFCOUNT tells how many.",
    "failed": "Hits of {site} that are missing in a summary because its hook failed on {detail} UTC: "
    "summary -> hits. Expires after 40 days.",
    "refused": "Hits refused at the doors on {detail} UTC: reason -> hits. Expires after 40 days.",
    "edge": "How far `hitwall follow --edge` has read the log whose first line has the digest {detail}: "
    "bytes, lines, digest of what is before. Expires 400 days after the last line.",
    "posted": "Digest of what came with the Idempotency-Key of the digest {detail}. Expires after a day.",
    "salt": "The salt of hashed visitors of {detail} UTC. Expires 2 days after it was made.",
}


def explain(text: str, calendar: Calendar, hooks: Mapping[str, Hook]) -> str:
    """Sentences about a key, times in the calendar's zone, summaries in their own words.

    Raises ValueError for a foreign key.
    """
    key = keys.parse(text)
    if key is None or not _is_time(key, calendar):
        raise ValueError(
            f"{text} is no key of Hitwall. Ours begin with hitwall: and are listed in the README."
        )
    if key.kind == "counter":
        return _counter(key, calendar, hooks.get(key.summary))
    said = KINDS[key.kind].format(site=key.site, detail=key.detail)
    if key.kind == "active":
        minute = datetime.strptime(key.detail, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        said += f" Expires {_time(minute + ACTIVE, calendar.zone)}."
    return said


def _is_time(key: keys.Key, calendar: Calendar) -> bool:
    """Whether the day, minute or bucket in the key is one: it may only look like it."""
    try:
        if key.bucket:
            calendar.span(key.bucket)
            calendar.expires(key.bucket)
        elif key.kind == "active":
            datetime.fromisoformat(key.detail) + ACTIVE
        elif key.kind in ("refused", "salt", "failed"):
            datetime.fromisoformat(key.detail)
    except (ValueError, OverflowError):
        return False
    return True


def _counter(key: keys.Key, calendar: Calendar, hook: Hook | None) -> str:
    doc = " ".join((inspect.getdoc(hook) or "").split()) if hook else "no hook of this name is installed"
    start, end = calendar.span(key.bucket)
    expires = calendar.expires(key.bucket)
    until = "never" if expires is None else _time(datetime.fromtimestamp(expires, UTC), calendar.zone)
    what = "Hits" if key.measure == "hits" else "Bytes transferred"
    return "\n".join(
        [
            f"{what} of {key.site} by {key.summary}: a hash, label -> {key.measure}.",
            f"Summary  {key.summary}: {doc}",
            f"Span     {_time(start, calendar.zone)} up to {_time(end, calendar.zone)} "
            f"({_length(end - start)}, zone {calendar.zone.key})",
            f"Expires  {until}",
        ]
    )


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _length(span: timedelta) -> str:
    hours = span // timedelta(hours=1)
    return f"{hours} hours" if hours != 1 else "1 hour"
