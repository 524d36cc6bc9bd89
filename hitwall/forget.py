"""The command forget: what it asks, and what it tells."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import click
from redis import Redis
from rich.console import Console
from rich.progress import Progress, TaskID

from hitwall import forgotten
from hitwall.wording import many
from summaries.forget import Forgetting, Found, Told, sites
from summaries.recount import Unsettled
from tracker import keys, redis_files, remote
from tracker.archive_eraser import ArchiveEraser
from tracker.connection import connect
from tracker.person import Person
from tracker.raw import START, RawLog
from tracker.raw_eraser import Overtaken
from tracker.rows import Key
from tracker.settings import NoArchive, Settings
from tracker.spool_search import emptied_of
from tracker.spooled import DOOR
from tracker.visitors import ID, address_hash


@dataclass
class Everywhere:
    """Redis, and the archive where there is one."""

    redis: Redis
    person: Person
    forgetting: Forgetting
    archive: ArchiveEraser | None
    found: list[Found] = field(default_factory=list)
    archived: dict[str, list[Key]] = field(default_factory=dict)

    def find(self, only: str | None) -> None:
        """Look in every site, or in one. Raises ClickException where that is not known."""
        known = sites(self.redis)
        stored = self.archive.sites() if self.archive else []
        if only is not None and only not in (*known, *stored):
            raise click.ClickException(f"No hit of the site {only} has been seen.")
        self.found = [self.forgetting.find(site) for site in known if only in (None, site)]
        for site in [site for site in stored if only in (None, site)]:
            self.archived[site] = list(self._rows(site))

    def remove(self) -> Iterator[str]:
        """Remove it, and say of each site what went."""
        ends = {found.site: found for found in self.found}
        for found in filter(None, self.found):
            yield forgotten.removed_from(self.forgetting.remove(found))
        for site in self.archived:
            if self.archive:
                end = ends[site].raw.end if site in ends else START
                self.archive.catch_up(site, end, RawLog(self.redis))
                gone = self.archive.remove(list(self._rows(site)))
                if gone:
                    yield f"{site}: {many(gone, 'hit')} removed from the archive."
        yield forgotten.FILES[redis_files.rewrite_files(self.redis)]

    def holds_it(self) -> bool:
        """Whether there is anything to remove, as far as was looked."""
        return any(self.found) or any(self.archived.values())

    def _rows(self, site: str) -> Iterator[Key]:
        return self.archive.find(self.person, site) if self.archive else iter(())


@click.command(short_help="Remove a visitor or an address from all that is stored.")
@click.option("--visitor", default="", metavar="ID", help="The visitor's id, as in the cookie _hitwall.")
@click.option("--ip", "address", default="", metavar="ADDRESS", help="An IP address.")
@click.option("--site", help="Only in this site; else in every one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(visitor: str, address: str, site: str | None, yes: bool) -> None:
    """Remove a visitor, or an address, from all that is stored.

    Their hits go from the raw log and from the archive (HITWALL_ARCHIVE), and every counter is made right.
    Where the raw log does not reach any more the label goes, and what was counted under it is in (other).
    A hit of somebody else goes, too, where it mentions them: in the address of a page, in a header.

    Nothing has to stop for it. Should it be ended half-way, run it again: it finishes.
    """
    if bool(visitor) == bool(address):
        raise click.UsageError("Name one: --visitor ID or --ip ADDRESS.")
    settings = Settings.read()
    redis = connect(settings.running_redis())
    person = _person(redis, visitor, address)
    left = emptied_of(settings.spool, DOOR, person, RawLog(redis))
    archive = ArchiveEraser.of(settings.archive) if settings.archive else None
    with _progress() as told:
        everywhere = Everywhere(redis, person, Forgetting(settings, redis, person, told), archive)
        everywhere.find(site)
    _tell(everywhere, settings.ip)
    if everywhere.holds_it() and (yes or click.confirm("Remove it? It cannot be brought back", err=True)):
        with _progress() as everywhere.forgetting.told:
            for line in everywhere.remove():
                click.echo(line)
        click.echo(forgotten.BEYOND)
    if left:
        raise click.ClickException(
            f"Hits wait on disk, in {left[0]}: start hitwall serve, so that it hands them over, and run this "
            "again."
        )


def _person(redis: Redis, visitor: str, address: str) -> Person:
    if visitor:
        if not ID.fullmatch(visitor):
            raise click.UsageError("--visitor takes an id: 8 to 64 letters, digits, - and _")
        return Person(visitor=visitor)
    found = remote.client(address, "", 0)
    if not found:
        raise click.UsageError("--ip takes an IPv4 or IPv6 address")
    salts = [redis.get(name) for name in redis.scan_iter(keys.salt_pattern(), count=1000)]
    return Person(
        address=found, hashes=tuple(address_hash(found, cast(bytes, salt)) for salt in salts if salt)
    )


def _tell(everywhere: Everywhere, mode: str) -> None:
    """What was found, and what cannot be."""
    visitors = Counter[str]()
    for found in filter(None, everywhere.found):
        visitors.update(found.raw.visitors)
        click.echo(forgotten.found_in(found))
    for site, rows in everywhere.archived.items():
        if rows:
            click.echo(f"{site}: {many(len(rows), 'hit')} in the archive.")
    if not everywhere.holds_it():
        click.echo("Nothing is stored of it.")
    if everywhere.person.address:
        for line in forgotten.of_address(everywhere.person, mode, visitors):
            click.echo(line)


@contextmanager
def _progress() -> Iterator[Told]:
    """What is done, on standard error where that is a terminal."""
    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def told(what: str, number: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
            progress.advance(tasks[what], number)

        yield told


EXPECTED = (NoArchive, Overtaken, Unsettled)
COMMANDS: list[click.Command] = [forget]
