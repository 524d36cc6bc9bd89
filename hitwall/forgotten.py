"""What the command forget says: what it has found and removed, and what nobody can find."""

from collections import Counter
from collections.abc import Iterator

from hitwall.wording import clean, many
from summaries.forget import Found, Removed
from tracker import redis_files, remote
from tracker.person import Person

NAMED = 10  # visitors that a sentence lists
FILES = {
    redis_files.REWRITTEN: "Redis has written its files anew, without what was removed.",
    redis_files.NONE: "Redis keeps no files.",
    redis_files.REFUSED: "Redis does not write its files anew: they hold what was removed until it "
    "does so itself. Ask who runs it for BGREWRITEAOF, or BGSAVE.",
    redis_files.UNFINISHED: "Redis is still writing its files anew; they are clean when it is done.",
}
BEYOND = (
    "Not looked at: spools and further storages of Flask applications, backups and other copies. The "
    "visitors of the last 15 minutes are counted without names, and that expires."
)


def found_in(found: Found) -> str:
    """What there is in a site."""
    raw = found.raw
    others = len(raw.ids) - raw.own
    mentions = f" and {many(others, 'other')} that mention it" if others else ""
    labels = sum(map(len, found.labels.values()))
    counted = f"{many(labels, 'label')} in {many(len(found.labels), 'counter')}"
    begun = " A removal was begun here and not finished." if found.begun else ""
    return f"{found.site}: {many(raw.own, 'hit')}{mentions} in the raw log; {counted}.{begun}"


def removed_from(removed: Removed) -> str:
    """What went from a site."""
    hits, counters = many(removed.hits, "hit"), many(removed.recounted, "counter")
    line = f"{removed.site}: {hits} removed, {counters} put right"
    if removed.labels:
        line += f", {many(removed.labels, 'older label')} counted as (other)"
    if not removed.rewritten:
        line += ". Redis has no room for a copy of the raw log: bytes of them stay until their neighbours age"
    return f"{line}."


def of_address(person: Person, mode: str, visitors: Counter[str]) -> Iterator[str]:
    """What else one has to know who asks for an address, with HITWALL_IP in that mode."""
    network = remote.network(person.address)
    if mode == "network" and network != person.address:
        yield (
            f"HITWALL_IP=network keeps {network} of this address and of its whole network. Those hits are "
            f"nobody's in particular and stay; hitwall forget --ip {network} removes them all."
        )
    if mode == "hash":
        yield (
            "HITWALL_IP=hash keeps hashes, whose salts are forgotten after two days: nobody can tell older "
            "ones from those of others."
        )
    if visitors:
        named = ", ".join(clean(name) for name, _ in visitors.most_common(NAMED))
        yield f"Its hits came from {many(len(visitors), 'visitor')}, who may have others: {named}"
