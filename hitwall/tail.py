"""The raw log as lines, oldest first, and on as hits arrive."""

import select
import sys
from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import click
from redis import Redis, RedisError

from summaries.figures import RawHit
from summaries.questions import MOST_HITS, Questions, Window
from summaries.raw_hits import LAST
from tracker.raw import START, RawLog, order

WAIT = 0.5  # seconds for which Redis is asked to wait for the next hit
PAUSE = 1.0  # seconds before Redis is tried again


def newest(questions: Questions, site: str, window: Window, end: str) -> list[RawHit]:
    """The last hits of the window that arrived up to the id `end`, as many as it asks for, oldest first."""
    found: list[RawHit] = []
    after: str | None = f"{order(end)[0]}-{order(end)[1] + 1}"
    while after is not None and len(found) < window.limit:
        limit = min(MOST_HITS, window.limit - len(found))
        page = questions.hits(site, replace(window, after=after, limit=limit))
        found += page.hits
        after = page.next
    return found[::-1]


def every(questions: Questions, site: str, window: Window) -> Iterator[RawHit]:
    """All hits of the window, oldest first, a page of them in memory."""
    after: str | None = ""
    while after is not None:
        page = questions.hits(site, replace(window, after=after, limit=MOST_HITS, order="oldest"))
        yield from page.hits
        after = page.next


def end_of(redis: Redis, site: str) -> str:
    """The id of the last hit that has arrived."""
    last = RawLog(redis).before(site, LAST, 1)
    return last[0][0] if last else START


def follow(redis: Redis, site: str, cursor: str, stop: Event) -> Iterator[RawHit]:
    """Hits after the cursor as they arrive; ends when `stop` is set or nobody reads our output any more."""
    raw = RawLog(redis)
    told = False
    while not (stop.is_set() or hung_up()):
        try:
            entries = raw.after(site, cursor, MOST_HITS) if raw.waiting({site: cursor}, WAIT) else []
            told = False
        except RedisError as error:
            if not told:
                click.echo(f"Redis is out of reach, trying again: {error}", err=True)
            told = True
            stop.wait(PAUSE)
            continue
        for cursor, hit in entries:
            if hit:
                yield RawHit(cursor, hit)


def hung_up() -> bool:
    """Whether what we write goes into a pipe that nobody reads: `| head` has seen enough."""
    if sys.stdout.isatty():
        return False
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file of the system's, as in a test
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
