"""The files of a Redis: written anew, so that they hold nothing that is not in its memory any more."""

import time
from typing import Any

from redis import Redis, ResponseError

from tracker.cluster import servers_of

POLL = 0.1  # seconds between two looks whether it is done
LONGEST = 600.0  # seconds; a large file takes minutes

STATUS = {"BGREWRITEAOF": "aof_last_bgrewrite_status", "BGSAVE": "rdb_last_bgsave_status"}  # in INFO
REWRITTEN, NONE, REFUSED, UNFINISHED = "rewritten", "none", "refused", "unfinished"


def rewrite_files(redis: Redis) -> str:
    """Have Redis write its append-only file and its snapshot anew, where it keeps them; what came of it.

    REFUSED where it does not let us, as a hosted one may, or cannot; UNFINISHED where it takes longer than
    LONGEST. Of a cluster all masters, and the worst that came of one.
    """
    found = {_file_of(server) for server in servers_of(redis)}
    return next(word for word in (UNFINISHED, REFUSED, REWRITTEN, NONE) if word in found)


def _file_of(server: Redis) -> str:
    try:
        return _rewritten(server)
    except ResponseError:  # the command is renamed, or not allowed to this user
        return REFUSED


def _rewritten(redis: Redis) -> str:
    end = time.monotonic() + LONGEST
    kept = _kept(redis)
    for flags in kept:
        command = "BGREWRITEAOF" if flags[0].startswith("aof") else "BGSAVE"
        if not _ended(redis, flags, end):  # it may have begun before the last hit was removed
            return UNFINISHED
        redis.execute_command(command)  # type: ignore[no-untyped-call]
        if not _ended(redis, flags, end):
            return UNFINISHED
        if _info(redis)[STATUS[command]] != "ok":  # its disk is full, say
            return REFUSED
    return REWRITTEN if kept else NONE


def _kept(redis: Redis) -> list[tuple[str, ...]]:
    """Of each file that there is, what INFO says while it is being written."""
    kept: list[tuple[str, ...]] = []
    if _info(redis)["aof_enabled"]:
        kept.append(("aof_rewrite_in_progress", "aof_rewrite_scheduled"))
    if redis.config_get("save").get("save"):
        kept.append(("rdb_bgsave_in_progress",))
    return kept


def _ended(redis: Redis, flags: tuple[str, ...], end: float) -> bool:
    while any(_info(redis).get(flag) for flag in flags):
        if time.monotonic() > end:
            return False
        time.sleep(POLL)
    return True


def _info(redis: Redis) -> dict[str, Any]:
    found: dict[str, Any] = redis.info("persistence")
    return found
