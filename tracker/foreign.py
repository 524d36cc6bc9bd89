"""Foreign: what somebody else has put under a key of ours is set aside, and work goes on.

Redis may be shared, and a slip of the hand in redis-cli is quickly made. The stranger's value is renamed,
never deleted, and the log says where it lies. What a counter has lost by it is noted in the site's `holes`:
the counting process puts it right from the raw log. Where it was the list of holes, any counter may wait.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from redis import Redis, ResponseError

from tracker import keys
from tracker.hit import CANARY

log = logging.getLogger(__name__)

# What may be wanted of a key -> its type, and the Lua pattern of a string or of the values of a hash.
WANTED = {
    "stream": ("stream", ""),
    "set": ("set", ""),
    "hash": ("hash", ""),
    "counts": (
        "hash",
        "^%d%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?$",
    ),  # below 2^53, which Lua adds exactly
    "cursors": ("hash", "^%d+%-%d+$"),  # stream ids
    "string": ("string", ""),
    "number": ("string", "^%d+$"),
    "id": ("string", "^%d+%-%d+$"),
    "hll": ("hll", ""),
    "nothing": ("none", ""),
}
# What belongs under each kind of key.
KINDS = {
    "sites": "set",
    "holes": "set",
    "forgotten": "string",
    "raw": "stream",
    "cursor": "cursors",
    "trimmed": "id",
    "seen": "string",
    "counter": "counts",
    "failed": "counts",
    "refused": "counts",
    "active": "hll",
    "lease": "string",
    "salt": "string",
    "posted": "string",
    "edge": "string",
    "counting": "hash",
    "canary": "hash",
    "mark": "string",
    "sender": "string",
}
# What Redis and our scripts say of a value that is not ours; other errors have other reasons.
BROKEN = re.compile(
    "WRONGTYPE|INVALIDOBJ|last possible ID|not an integer"
    "|perform arithmetic|attempt to compare|no whole number"
)
T = TypeVar("T")
SCRIPT = Path(__file__).with_name("aside.lua").read_text("utf-8")


def set_aside(redis: Redis, wanted: Mapping[str, str]) -> dict[str, str]:
    """Rename what is not as wanted, key -> one of WANTED; the key -> where its value lies now.

    A hash that holds other fields besides right ones is copied instead and loses those. Empty where all is
    as it should be or not there: then an error had another reason. Raises RedisError.
    """
    moved: dict[str, str] = {}
    script = redis.register_script(SCRIPT)
    for key, kind in wanted.items():
        place, hole = keys.foreign(key, time.time_ns()), _hole(key)
        if hole and key != keys.holes(keys.site_of(key)):
            moved |= set_aside(redis, {keys.holes(keys.site_of(key)): "set"})
        names = [key, place, keys.holes(keys.site_of(key))] if hole else [key, place]
        found = cast(bytes, script(keys=names, args=[*WANTED[kind], hole]))
        if found:
            moved[key] = place
            log.error("%s was not ours, it held a %s: that lies at %s now", key, found.decode(), place)
    if keys.SITES in moved:
        list_sites(redis)
    return moved


def list_sites(redis: Redis) -> None:
    """Name every site again that has a raw log. Raises RedisError."""
    for name in redis.scan_iter(keys.raw("*"), count=1000):
        key = keys.parse(name)
        if key and key.site != CANARY:
            redis.sadd(keys.SITES, key.site)


def undisturbed(redis: Redis, names: Iterable[str] | Mapping[str, str], ask: Callable[[], T]) -> T:
    """What `ask` gives; where something foreign lies under one of these keys, once that is set aside.

    What belongs there is what the kind of the key says, or the mapping: key -> one of WANTED. `ask` raises
    ValueError where it cannot make sense of what it finds.
    """
    try:
        return ask()
    except (ResponseError, ValueError) as error:
        is_strange = isinstance(error, ValueError) or BROKEN.search(str(error))
        if not is_strange or not set_aside(redis, names if isinstance(names, Mapping) else _wanted(names)):
            raise
    return ask()


def _wanted(names: Iterable[str]) -> dict[str, str]:
    parsed = {name: keys.parse(name) for name in names}
    return {name: KINDS[key.kind] for name, key in parsed.items() if key and key.kind in KINDS}


def _hole(key: str) -> str:
    """What is noted: a counter, or all of the site's where their list is lost; empty for other keys."""
    parsed = keys.parse(key)
    if not parsed or parsed.kind not in ("counter", "holes"):
        return ""
    return keys.hole(parsed.summary or keys.ALL, parsed.bucket or keys.ALL, time.time_ns())
