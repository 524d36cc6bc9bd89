"""Forget: a person is nowhere afterwards, all other numbers are right, and what was ended can be finished."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import select

from hitwall.cli import main
from hitwall.redis_server import RedisServer
from summaries.forget import Forgetting
from tests.hits import CHROME, FIREFOX, NOW, PROPERTY, SITE, generated_hits, hit
from tests.service import counted
from tests.test_recount import EVER, append, check, count, counters
from tracker import keys, raw_eraser, spool_search
from tracker.archive import Archive
from tracker.database import engine_for
from tracker.hit import Hit
from tracker.person import Person
from tracker.raw import RawLog, encode, milliseconds
from tracker.raw_eraser import RawEraser
from tracker.schema import hits as table
from tracker.spool import Spool
from tracker.storage import Batch
from tracker.visitors import address_hash

WHO, ADDRESS = "forget-me-0001", "203.0.113.7"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def forget(*given: str, said: str | None = None) -> Result:
    return CliRunner().invoke(main, ["forget", *given], input=said)


def no_news(what: str, number: int) -> None:
    pass


def forgetter(redis: Redis, person: Person | None = None) -> Forgetting:
    return Forgetting(EVER, redis, person or Person(visitor=WHO), no_news)


def log(redis: Redis, hits: list[Hit]) -> None:
    """Into the raw log, each as if it had arrived at its own time."""
    for number, one in enumerate(sorted(hits, key=lambda one: one.at)):
        redis.xadd(keys.raw(SITE), {"hit": encode(one)}, id=f"{milliseconds(one.at)}-{number}")
    redis.sadd(keys.SITES, SITE)


def everything(redis: Redis) -> str:
    """All keys and all that they hold, of whichever type, and as the server itself would save them."""
    read: dict[bytes, Callable[[bytes], object]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"stream": redis.xrange,
        b"set": redis.smembers,
    }
    names = cast(list[bytes], redis.keys("*"))
    return repr([(name, read[cast(bytes, redis.type(name))](name), redis.dump(name)) for name in names])


def holding(folder: Path, word: str) -> list[str]:
    """Files under the folder in which the word stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if word.encode() in path.read_bytes()]


def sums(redis: Redis, summary: str) -> dict[str, int]:
    """Bucket -> hits under all labels."""
    found = redis.scan_iter(keys.counter(SITE, "hits", summary, "*"))
    return {name.decode(): sum(map(int, cast(list[bytes], redis.hvals(name)))) for name in found}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that keeps both its files in the data directory, uncompressed: what is there is found."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with RedisServer(tmp_path / "data", port) as server, Redis.from_url(server.url) as client:
        client.config_set("rdbcompression", "no")
        client.config_set("save", "3600 1")
        yield client


@pytest.fixture
def environ(own: Redis, tmp_path: Path, shell: None, monkeypatch: pytest.MonkeyPatch) -> None:
    url = (tmp_path / "data" / "redis.url").read_text().strip()
    chosen = {"DATA": str(tmp_path / "data"), "KEEP_HOUR": "0", "KEEP_DAY": "0"}
    monkeypatch.setenv("REDIS_URL", url)
    for name, value in chosen.items():
        monkeypatch.setenv(f"HITWALL_{name}", value)


def known_hits() -> list[Hit]:
    """The person's own, of today and of months ago; a bot's from their address; others that mention them."""
    days = [NOW - timedelta(days=days) for days in (0, 0, 1, 40, 41, 75)]
    ours = [
        hit(f"/{n}", at=at, visitor=WHO, remote=ADDRESS, agent=FIREFOX, bytes=5) for n, at in enumerate(days)
    ]
    others = [
        hit(f"/{n}", at=at, visitor=f"visitor-{n}", remote=f"198.51.100.{n}", agent=CHROME)
        for n, at in enumerate(days)
    ]
    return [
        *ours,
        *others,
        hit("/bot", remote=ADDRESS, agent=BOT),
        hit("/proxy", remote="10.0.0.1", headers={"X-Forwarded-For": f"{ADDRESS}, 10.0.0.9"}, agent=FIREFOX),
        hit(f"/of/{WHO}", visitor="somebody", remote="10.0.0.2", agent=FIREFOX),
    ]


@pytest.mark.parametrize(("option", "word", "traces"), [("--visitor", WHO, 7), ("--ip", ADDRESS, 8)])
def test_a_person_who_was_forgotten_is_found_nowhere(
    own: Redis,
    environ: None,
    tmp_path: Path,
    archive_url: str,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    word: str,
    traces: int,
) -> None:
    monkeypatch.setenv("HITWALL_ARCHIVE", archive_url)
    log(own, known_hits())
    count(own)
    list(Archive.open(archive_url, RawLog(own)).copy(SITE))
    assert RawLog(own).trim(SITE, f"{milliseconds(NOW - timedelta(days=40, hours=1))}-0", 0, "9" * 15 + "-0")
    own.xadd(keys.raw(SITE), {"hit": encode(hit("/late", visitor=WHO, remote=ADDRESS))})  # counted by nobody
    before = {name: sums(own, name) for name in ("server", "visitor", "ip")}

    done = forget(option, word, "--yes")
    assert done.exit_code == 0, done.output

    assert word not in everything(own)
    assert holding(tmp_path, word) == []  # its own files, and the archive where that is one
    with engine_for(archive_url).connect() as connection:
        rows = connection.execute(select(table)).all()
    assert len(rows) == len(known_hits()) - traces
    assert word not in repr(rows)
    report = check(own)
    assert (report.differ, report.differences) == (0, [])
    for name, totals in before.items():
        old = {bucket: total for bucket, total in totals.items() if "2126-09" in bucket}
        assert old.items() <= sums(own, name).items()  # older than the raw log: in (other), the sum as it was
    theirs = keys.counter(SITE, "hits", "visitor" if option == "--visitor" else "ip", "month:2126-09")
    assert own.hget(theirs, "(other)") == b"1"


@PROPERTY
@given(
    hits=st.lists(generated_hits(), min_size=1, max_size=20),
    counted_first=st.integers(0, 20),
    person=st.sampled_from(
        [Person(visitor="visitor-3"), Person(address="203.0.113.7"), Person(address="2001:db8::1")]
    ),
)
def test_law_3_counters_are_those_of_a_log_in_which_the_person_never_was(
    redis: Redis, hits: list[Hit], counted_first: int, person: Person
) -> None:
    redis.flushdb()
    append(redis, [one for one in hits if not person.sent(one)])
    count(redis)
    never = counters(redis)
    redis.flushdb()
    if hits[:counted_first]:
        append(redis, hits[:counted_first], 1)
        count(redis)
    if hits[counted_first:]:
        append(redis, hits[counted_first:], 2)
    work = forgetter(redis, person)
    removed = work.remove(work.find(SITE))
    assert removed.hits == sum(person.sent(one) for one in hits)
    count(redis)
    assert counters(redis) == never
    assert check(redis).differ == 0
    assert not work.find(SITE)


STEPS = [
    (RawEraser, "find"),
    (Forgetting, "_count"),
    (Forgetting, "_recount"),
    (RawEraser, "remove"),
    (RawEraser, "rewrite"),
    (Forgetting, "_move"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_ended_at_any_step_it_is_finished_by_the_next_run(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    log(redis, known_hits())
    count(redis)
    assert RawLog(redis).trim(
        SITE, f"{milliseconds(NOW - timedelta(days=40, hours=1))}-0", 0, "9" * 15 + "-0"
    )
    work = forgetter(redis)
    found = work.find(SITE)
    whole = getattr(owner, step)

    def ended(*args: object) -> None:
        if after:
            whole(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, ended)
        with pytest.raises(KeyboardInterrupt):
            work.remove(found)
    again = forgetter(redis)
    again.remove(again.find(SITE))
    assert WHO not in everything(redis)
    assert (check(redis).differ, redis.exists(keys.rewrite(SITE))) == (0, 0)


def test_another_visitor_whose_id_begins_alike_stays(redis: Redis, shell: None) -> None:
    append(redis, [hit(visitor="visitor-1"), hit(visitor="visitor-12"), hit(visitor="a-visitor-1")])
    count(redis)
    assert forget("--visitor", "visitor-1", "--yes").exit_code == 0
    assert counted(redis, "visitor") == {"visitor-12": 1, "a-visitor-1": 1}
    assert RawLog(redis).length(SITE) == 2


@pytest.mark.parametrize(
    "written", ["2001:DB8:0:0:0:0:0:1", "2001%3adb8%3A%3a1", "[2001:db8::1]:80", "at 2001:db8::1:"]
)
def test_an_address_is_found_however_it_is_written(written: str) -> None:
    assert Person(address="2001:db8::1").is_in(f'"{written}"')
    assert not Person(address="2001:db8::11").is_in(f'"{written}"')
    assert not Person(address="203.0.113.7").is_in('"203.0.113.70 1.203.0.113.7 203.0.113.7.1"')


def test_it_says_what_it_found_and_waits_for_a_yes(redis: Redis, shell: None) -> None:
    log(redis, known_hits())
    count(redis)
    asked = forget("--visitor", WHO, said="n\n")
    assert f"{SITE}: 6 hits and 1 other that mention it in the raw log; " in asked.output
    assert RawLog(redis).length(SITE) == len(known_hits())
    assert f"{SITE}: 7 hits removed" in forget("--visitor", WHO, said="y\n").output
    assert "Nothing is stored of it." in forget("--visitor", WHO).output


def test_who_asks_for_an_address_is_told_whose_it_was(redis: Redis, shell: None) -> None:
    log(redis, known_hits())
    assert (
        f"Its hits came from 1 visitor, who may have others: {WHO}"
        in forget("--ip", ADDRESS, said="n").output
    )


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--visitor", WHO, "--ip", ADDRESS),
        ("--ip", "here"),
        ("--visitor", "x"),
        ("--visitor", "a*b*c*d*e"),
    ],
)
def test_a_bad_question_is_refused(redis: Redis, shell: None, given: tuple[str, ...]) -> None:
    assert forget(*given).exit_code == 2


def test_other_sites_stay_where_one_is_named(redis: Redis, shell: None) -> None:
    raw = RawLog(redis)
    for site in (SITE, "other.example"):
        raw.append(site, [hit(site=site, visitor=WHO)], "test", 1)
    assert forget("--visitor", WHO, "--site", SITE, "--yes").exit_code == 0
    assert (raw.length(SITE), raw.length("other.example")) == (0, 1)
    assert forget("--visitor", WHO, "--site", "nowhere.example").exit_code == 1
    assert forget("--visitor", WHO, "--yes").exit_code == 0
    assert raw.length("other.example") == 0


def test_without_room_for_a_copy_the_hits_go_nevertheless_and_it_is_said(
    own: Redis, environ: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(own, known_hits())
    monkeypatch.setattr(raw_eraser, "FULL", 0.0)
    own.config_set("maxmemory", "100mb")
    assert "no room for a copy" in forget("--visitor", WHO, "--yes").output
    assert WHO not in repr(own.xrange(keys.raw(SITE)))


def test_a_redis_that_does_not_let_us_write_its_files_is_told_of(own: Redis, environ: None) -> None:
    log(own, known_hits())
    own.acl_setuser("default", enabled=True, nopass=True, commands=["-bgrewriteaof"])
    assert "does not write its files" in forget("--visitor", WHO, "--yes").output


def test_hits_that_wait_in_a_spool_are_told_of_and_what_a_gone_door_has_left_is_removed(
    own: Redis, environ: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_search, "PATIENCE", 0.0)
    spool = Spool(tmp_path / "data" / "spool", "door")
    assert spool.append(Batch([hit(visitor=WHO)], "door-1", 1), Batch([hit("/other")], "door-1", 2))
    log(own, known_hits())
    done = forget("--visitor", WHO, "--yes")  # while the process of that file lives, and hands over nothing
    assert (done.exit_code, "Hits wait on disk" in done.output) == (1, True)
    assert forget("--visitor", "somebody-else", "--yes").exit_code == 0
    spool.close()
    done = forget("--visitor", WHO, "--yes")
    assert (done.exit_code, f"{SITE}: 1 hit removed" in done.output) == (0, True)
    assert holding(tmp_path, WHO) == []
    assert RawLog(own).length(SITE) == len(known_hits()) - 7 + 1


def test_hashes_are_found_while_the_salt_of_their_day_is_there(
    redis: Redis, shell: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWALL_IP", "hash")
    redis.set(keys.salt(NOW), b"today's salt")
    here, before = address_hash(ADDRESS, b"today's salt"), address_hash(ADDRESS, b"a salt that is gone")
    append(
        redis,
        [hit(remote=here), hit(remote=before), hit(remote=address_hash("203.0.113.8", b"today's salt"))],
    )
    done = forget("--ip", ADDRESS, "--yes")
    assert "older ones" in " ".join(done.output.split())
    assert next(one.remote for _, one in RawLog(redis).after(SITE, "0-0", 9) if one) == before
    assert RawLog(redis).length(SITE) == 2
