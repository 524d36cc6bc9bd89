"""The command follow: logs that a web server is writing, of one site or of the edge."""

import gc
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TypeVar

import click
from redis import Redis, RedisError

from hitwall.processes import stopping
from summaries.buckets import KINDS, Calendar
from tracker.addresses import Addresses
from tracker.backlog import Backlog
from tracker.connection import connect
from tracker.edge_import import EdgeImport
from tracker.edge_lines import EdgeReader
from tracker.hit import BadHit, site_name
from tracker.log_file import BadLog
from tracker.log_follow import AWAY, Follower
from tracker.log_follow import follow as follow_logs
from tracker.log_import import LogImport
from tracker.log_reader import LogReader
from tracker.pixel import PixelReader
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.visitors import Visitors

T = TypeVar("T")

# New objects before a search for circles (gc), 700 by default: a batch has thousands, and no circle. It
# took a tenth of the time and more.
GARBAGE = 100_000


@click.command(short_help="Store the requests of logs while a web server writes them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--site", help="The site whose log it is, such as example.com.")
@click.option("--edge", is_flag=True, help="The log is of the pixels that docker/nginx.conf has answered.")
def follow(files: tuple[Path, ...], site: str | None, edge: bool) -> None:
    """Store the requests of logs while a web server writes them, each once, like tail -F.

    Goes on where the last follow or import of these files stopped, through rotation, truncation
    and restarts, until Ctrl-C or SIGTERM. Several processes may follow the same files.
    """
    if (site is None) != edge:
        raise click.UsageError("Missing option '--site', or '--edge': one of them.")
    gc.set_threshold(GARBAGE)
    settings = Settings.read()
    redis = connect(settings.running_redis())
    if site is None:
        follow_edge(files, settings, redis, stopping())
    else:
        follow_site(files, settings, redis, site, stopping())


def follow_site(files: tuple[Path, ...], settings: Settings, redis: Redis, site: str, stop: Event) -> None:
    """All that these logs get belongs to that site."""
    raw = RawLog(redis, settings.replicas)
    reader = once_redis_is_there(lambda: reader_of(settings, redis, site), stop)
    if reader is not None:
        followers = [Follower(path.absolute(), lambda log: LogImport(raw, log, reader)) for path in files]
        follow_logs(followers, Backlog(redis, reader.site).is_full, stop)


def follow_edge(files: tuple[Path, ...], settings: Settings, redis: Redis, stop: Event) -> None:
    """Each line says itself where it belongs. Such a log does not wait for the counter, unless it is late."""
    raw, sites = RawLog(redis, settings.replicas), Sites(settings, redis)
    reader = EdgeReader(PixelReader(settings, Visitors(settings.visitor, redis)), sites.admitted)
    followers = [Follower(path.absolute(), lambda log: EdgeImport(redis, raw, log, reader)) for path in files]
    follow_logs(followers, lambda: False, stop)


def once_redis_is_there(make: Callable[[], T], stop: Event) -> T | None:
    """What `make` gives as soon as Redis answers; None where `stop` is set before."""
    said = False
    while not stop.is_set():
        try:
            return make()
        except RedisError as error:
            if not said:
                logging.getLogger(__name__).warning("following waits for Redis: %s", error)
            said = True
            stop.wait(AWAY)
    return None


def reader_of(settings: Settings, redis: Redis, site: str) -> LogReader:
    """What makes hits of that site of lines. Raises ClickException where it may not count here."""
    try:
        name = site_name(site)
        Sites(settings, redis).admit(name)
    except BadHit as bad:
        raise click.ClickException(f"{site} cannot be counted: {bad}.") from None
    calendar, now = Calendar.of(settings), datetime.now(UTC)
    ages = zip(KINDS, calendar.keep, strict=True)
    buckets = {kind: calendar.bucket(kind, now - age) for kind, age in ages if age is not None}
    oldest = {kind: calendar.span(bucket)[0] for kind, bucket in buckets.items()}
    visitors = Visitors(settings.visitor, redis)
    return LogReader(name, visitors, oldest, Addresses(settings, visitors.hashed_address))


EXPECTED = (BadLog,)
COMMANDS: list[click.Command] = [follow]
