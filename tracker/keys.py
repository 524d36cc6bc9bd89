"""Every Redis key, built and parsed here and nowhere else.

    hitwall:sites                                     set      every site seen
    hitwall:{site}:raw                                stream   one entry a hit, field `hit`: JSON
    hitwall:{site}:hits:<summary>:<bucket>            hash     label -> hits
    hitwall:{site}:bytes:<summary>:<bucket>           hash     label -> bytes; absent while all are 0
    hitwall:{site}:cursor                             hash     summary -> stream id counted up to
    hitwall:{site}:seen:<source>                      string   last position appended from a source
    hitwall:{site}:trimmed                            string   stream id of the last raw hit forgotten
    hitwall:{site}:active:<minute>                    HLL      visitors active in that minute (UTC)
    hitwall:{site}:failed:<day>                       hash     summary -> hits that its hook failed on (UTC)
    hitwall:{site}:live                               channel  what each counted batch added
    hitwall:refused:<day>                             hash     reason -> hits refused that day (UTC)
    hitwall:salt:<day>                                string   the day's salt of hashed visitors
    hitwall:posted:<name>                             string   digest of what came with an Idempotency-Key
    hitwall:lease                                     string   which counting process is at work

The braces are a Redis Cluster hash tag: all keys of a site live in one slot. A site name, a summary
name, a bucket and a source cannot hold a colon where one would mislead, so nothing is escaped.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from tracker.hit import SITE

SITES = "hitwall:sites"
LEASE = "hitwall:lease"
MEASURES = ("hits", "bytes")
SUMMARY = r"[a-z_][a-z0-9_]*"
BUCKET = r"(?:hour:\d{4}-\d\d-\d\dT\d\d|day:\d{4}-\d\d-\d\d|month:\d{4}-\d\d)"
SHAPES = {
    "sites": re.compile(SITES),
    "lease": re.compile(LEASE),
    "refused": re.compile(r"hitwall:refused:(?P<day>\d{4}-\d\d-\d\d)"),
    "salt": re.compile(r"hitwall:salt:(?P<day>\d{4}-\d\d-\d\d)"),
    "posted": re.compile(r"hitwall:posted:(?P<source>[0-9a-f]{32})"),
    "plain": re.compile(rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:(?P<name>raw|cursor|live|trimmed)"),
    "seen": re.compile(rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:seen:(?P<source>[a-z0-9:-]+)"),
    "failed": re.compile(rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:failed:(?P<day>\d{{4}}-\d\d-\d\d)"),
    "active": re.compile(
        rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:active:(?P<minute>\d{{4}}-\d\d-\d\dT\d\d:\d\d)"
    ),
    "counter": re.compile(
        rf"hitwall:\{{(?P<site>{SITE.pattern})\}}:(?P<measure>hits|bytes):"
        rf"(?P<summary>{SUMMARY}):(?P<bucket>{BUCKET})"
    ),
}


@dataclass(frozen=True)
class Key:
    """A key taken apart; `kind` is counter, or the word that stands for it in the list above."""

    kind: str
    site: str = ""
    measure: str = ""
    summary: str = ""
    bucket: str = ""
    detail: str = ""  # the day, minute or source that ends the key


def raw(site: str) -> str:
    return f"hitwall:{{{site}}}:raw"


def site_of(key: str) -> str:
    """The site between the braces."""
    return key[key.index("{") + 1 : key.index("}")]


def cursor(site: str) -> str:
    return f"hitwall:{{{site}}}:cursor"


def trimmed(site: str) -> str:
    return f"hitwall:{{{site}}}:trimmed"


def live(site: str) -> str:
    return f"hitwall:{{{site}}}:live"


def seen(site: str, source: str) -> str:
    return f"hitwall:{{{site}}}:seen:{source}"


def counter(site: str, measure: str, summary: str, bucket: str) -> str:
    return f"hitwall:{{{site}}}:{measure}:{summary}:{bucket}"


def active(site: str, minute: datetime) -> str:
    return f"hitwall:{{{site}}}:active:{minute:%Y-%m-%dT%H:%M}"


def failed(site: str, day: datetime) -> str:
    return f"hitwall:{{{site}}}:failed:{day:%Y-%m-%d}"


def refused(day: datetime) -> str:
    return f"hitwall:refused:{day:%Y-%m-%d}"


def salt(day: datetime) -> str:
    return f"hitwall:salt:{day:%Y-%m-%d}"


def posted(name: str) -> str:
    return f"hitwall:posted:{name}"


def parse(key: str) -> Key | None:
    """The key taken apart, or None where it is none of ours."""
    for kind, shape in SHAPES.items():
        found = shape.fullmatch(key) if key.isascii() else None
        if found:
            part = found.groupdict()
            return Key(
                kind=part.get("name") or kind,
                site=part.get("site", ""),
                measure=part.get("measure", ""),
                summary=part.get("summary", ""),
                bucket=part.get("bucket", ""),
                detail=part.get("day") or part.get("minute") or part.get("source") or "",
            )
    return None
