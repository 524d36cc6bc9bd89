"""Every Redis key, built and parsed here and nowhere else.

    hitwall:sites                                     set      every site seen
    hitwall:{site}:raw                                stream   one entry a hit, field `hit`: JSON
    hitwall:{site}:hits:<summary>:<bucket>            hash     label -> hits
    hitwall:{site}:bytes:<summary>:<bucket>           hash     label -> bytes; absent while all are 0
    hitwall:{site}:cursor                             hash     summary -> stream id counted up to
    hitwall:{site}:seen:<source>                      string   last position appended from a source
    hitwall:{site}:trimmed                            string   stream id of the last raw hit forgotten
    hitwall:{site}:rewrite                            stream   raw, anew; while hitwall forget is at work
    hitwall:{site}:forgotten                          string   which hitwall forget was begun last
    hitwall:{site}:active:<minute>                    HLL      visitors active in that minute (UTC)
    hitwall:{site}:failed:<day>                       hash     summary -> hits that its hook failed on (UTC)
    hitwall:{site}:live                               channel  what each counted batch added
    hitwall:{site}:holes                              set      counters to be put right from the raw log
    hitwall:{site}:foreign:<key>:<moment>             any      what lay under that key and was not ours
    {hitwall:<key>}:foreign:<moment>                  any      the same of a key that belongs to no site
    hitwall:refused:<day>                             hash     reason -> hits refused that day (UTC)
    hitwall:salt:<day>                                string   the day's salt of hashed visitors
    hitwall:edge:<log>                                string   how far a log of nginx has been read
    hitwall:posted:<name>                             string   digest of what came with an Idempotency-Key
    hitwall:lease                                     string   which counting process is at work
    hitwall:counting                                  hash     what that process tells of itself
    hitwall:canary                                    hash     how long the last canary took, and when it came
    hitwall:canary:mark                               string   by which a door knows the canary under way
    hitwall:canary:sender                             string   who sends the canary of this period

The braces are a Redis Cluster hash tag: all keys of a site live in one slot. A site name, a summary
name, a bucket and a source cannot hold a colon where one would mislead, so nothing is escaped.
"""

import re
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime

from tracker.hit import SITE

SITES = "hitwall:sites"
LEASE = "hitwall:lease"
COUNTING = "hitwall:counting"
CANARY = "hitwall:canary"
MARK = "hitwall:canary:mark"
SENDER = "hitwall:canary:sender"
MEASURES = ("hits", "bytes")
SUMMARY = r"[a-z_][a-z0-9_]*"
BUCKET = r"(?:hour:\d{4}-\d\d-\d\dT\d\d|day:\d{4}-\d\d-\d\d|month:\d{4}-\d\d)"
ALL = "*"
HOLE = re.compile(rf"({SUMMARY}|\*) ({BUCKET}|\*) \d+", re.ASCII)
OF_SITE = rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:"
SHAPES = {
    "sites": re.compile(SITES),
    "lease": re.compile(LEASE),
    "counting": re.compile(COUNTING),
    "canary": re.compile(CANARY),
    "mark": re.compile(MARK),
    "sender": re.compile(SENDER),
    "refused": re.compile(r"hitwall:refused:(?P<day>\d{4}-\d\d-\d\d)"),
    "salt": re.compile(r"hitwall:salt:(?P<day>\d{4}-\d\d-\d\d)"),
    "edge": re.compile(r"hitwall:edge:(?P<source>[0-9a-f]{16})"),
    "posted": re.compile(r"hitwall:posted:(?P<source>[0-9a-f]{32})"),
    "plain": re.compile(rf"{OF_SITE}(?P<name>raw|cursor|live|trimmed|holes|rewrite|forgotten)"),
    "seen": re.compile(rf"{OF_SITE}seen:(?P<source>[a-z0-9:-]+)"),
    "failed": re.compile(rf"{OF_SITE}failed:(?P<day>\d{{4}}-\d\d-\d\d)"),
    "active": re.compile(rf"{OF_SITE}active:(?P<minute>\d{{4}}-\d\d-\d\dT\d\d:\d\d)"),
    "foreign": re.compile(rf"{OF_SITE}foreign:(?P<key>[A-Za-z0-9_:-]+):\d+"),
    "stray": re.compile(r"\{(?P<key>hitwall:[a-z0-9:-]+)\}:foreign:\d+"),
    "counter": re.compile(rf"{OF_SITE}(?P<measure>hits|bytes):(?P<summary>{SUMMARY}):(?P<bucket>{BUCKET})"),
}


@dataclass(frozen=True)
class Key:
    """A key taken apart; `kind` is counter, or the word that stands for it in the list above."""

    kind: str
    site: str = ""
    measure: str = ""
    summary: str = ""
    bucket: str = ""
    detail: str = ""  # the day, minute or source that ends the key, or the key that was another's


def raw(site: str) -> str:
    return f"hitwall:{{{site}}}:raw"


def site_of(key: str) -> str:
    """The site between the braces."""
    return key[key.index("{") + 1 : key.index("}")]


def cursor(site: str) -> str:
    return f"hitwall:{{{site}}}:cursor"


def trimmed(site: str) -> str:
    return f"hitwall:{{{site}}}:trimmed"


def rewrite(site: str) -> str:
    return f"hitwall:{{{site}}}:rewrite"


def forgotten(site: str) -> str:
    return f"hitwall:{{{site}}}:forgotten"


def live(site: str) -> str:
    return f"hitwall:{{{site}}}:live"


def holes(site: str) -> str:
    return f"hitwall:{{{site}}}:holes"


def hole(summary: str, bucket: str, moment: int) -> str:
    """A member of `holes`; ALL summaries, or ALL buckets of one. By its moment it is told from later ones."""
    return f"{summary} {bucket} {moment}"


def parse_hole(member: bytes) -> tuple[str, str] | None:
    """Summary and bucket; None where that is none of ours."""
    found = HOLE.fullmatch(member.decode(errors="replace"))
    return (found[1], found[2]) if found and (found[2] == ALL or is_bucket(found[2])) else None


def is_bucket(name: str) -> bool:
    """Whether there is such an hour, day or month, in a year that a calendar can count with in any zone."""
    kind, _, text = name.partition(":")
    try:
        return 1 < datetime.fromisoformat(f"{text}-01" if kind == "month" else text).year < MAXYEAR
    except ValueError:
        return False


def foreign(key: str, moment: int) -> str:
    """Where a value goes that lay under this key: in the same slot of a cluster."""
    head, braced, rest = key.partition("}:")
    return f"{head}}}:foreign:{rest}:{moment}" if braced else f"{{{key}}}:foreign:{moment}"


def seen(site: str, source: str) -> str:
    return f"hitwall:{{{site}}}:seen:{source}"


def counter(site: str, measure: str, summary: str, bucket: str) -> str:
    return f"hitwall:{{{site}}}:{measure}:{summary}:{bucket}"


def active(site: str, minute: datetime) -> str:
    return f"hitwall:{{{site}}}:active:{minute:%Y-%m-%dT%H:%M}"


def failed(site: str, day: datetime) -> str:
    return f"hitwall:{{{site}}}:failed:{day:%Y-%m-%d}"


def refused(day: date) -> str:
    return f"hitwall:refused:{day:%Y-%m-%d}"


def salt(day: datetime) -> str:
    return f"hitwall:salt:{day.date()}"


def salt_pattern() -> str:
    """Of every day's salt."""
    return "hitwall:salt:*"


def edge(name: str) -> str:
    return f"hitwall:edge:{name}"


def posted(name: str) -> str:
    return f"hitwall:posted:{name}"


def parse(name: str | bytes) -> Key | None:
    """The key taken apart, or None where it is none of ours."""
    key = name if isinstance(name, str) else name.decode(errors="replace")
    for kind, shape in SHAPES.items():
        found = shape.fullmatch(key) if key.isascii() else None
        if found:
            part = found.groupdict()
            if kind == "counter" and not is_bucket(part["bucket"]):
                return None
            return Key(
                kind=part.get("name") or kind,
                site=part.get("site", ""),
                measure=part.get("measure", ""),
                summary=part.get("summary", ""),
                bucket=part.get("bucket", ""),
                detail=_detail(part),
            )
    return None


def _detail(part: dict[str, str]) -> str:
    return next((part[name] for name in ("day", "minute", "source", "key") if part.get(name)), "")
