"""What every storage is, and RedisStorage: each hit once in the raw log, and to be read from there."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries.counting import Counting
from tests.cutting import cutting
from tests.hits import FIREFOX, NOW, PROPERTY, SITE, hit
from tests.service import ROOT, counted
from tracker import foreign, keys
from tracker.hit import Hit
from tracker.raw import AHEAD, START, RawLog, encode, milliseconds
from tracker.refused import LIVES
from tracker.settings import URL_FILE, Settings
from tracker.storage import LIMIT, Away, Batch, Storage, Unstorable, Writer
from tracker.storage.redis_db import CHUNK, CHUNKS, KEPT, RedisStorage
from tracker.visitors import Visitors

OTHER = "other.example"


def flask_hit(path: str = "/", **fields: Any) -> Hit:
    return hit(path, **{"source": "flask", "agent": FIREFOX, **fields})


def batch(*hits: Hit, position: int = 1, source: str = "flask-1") -> Batch:
    return Batch(hits, source, position)


def many(number: int, **fields: Any) -> list[Hit]:
    return [flask_hit(f"/{n}", **fields) for n in range(number)]


def stored(redis: Redis, site: str = SITE) -> list[Hit]:
    return [hit for _, hit in RawLog(redis).after(site, START, 100_000) if hit]


def paths(hits: Any) -> list[str]:
    return [hit.path if isinstance(hit, Hit) else hit["path"] for hit in hits]


class Kept(Storage):
    """A storage of one's own: a list."""

    def __init__(self, *hits: Hit) -> None:
        super().__init__()
        self.kept = list(hits)

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        low, high = start or NOW - AHEAD, end or NOW + AHEAD
        return (hit for hit in reversed(self.kept) if low <= hit.at <= high)


def test_a_batch_is_hits_with_an_id_each_that_stay_the_same_when_it_comes_again() -> None:
    first, again = (Batch(many(3), "flask-1", 7) for _ in range(2))
    assert paths(first) == ["/0", "/1", "/2"]
    assert first.ids == again.ids == ["flask-1-7-0", "flask-1-7-1", "flask-1-7-2"]


def test_what_is_no_hook_is_refused_where_it_is_given() -> None:
    with pytest.raises(TypeError, match="no hook"):
        Writer(hooks=["sumUrl"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("limit", "page", "expected"),
    [(2, 1, ["/4", "/3"]), (2, 3, ["/0"]), (2, 4, []), (0, 1, ["/4", "/3", "/2", "/1", "/0"]), (0, 2, [])],
)
def test_get_usage_gives_the_newest_first_in_pages_of_limit_and_with_0_all(
    limit: int, page: int, expected: list[str]
) -> None:
    assert paths(Kept(*many(5)).get_usage(limit=limit, page=page)) == expected


def test_get_usage_gives_500_hits_unless_told_otherwise() -> None:
    assert LIMIT == 500
    assert len(Kept(*many(501)).get_usage()) == 500


@pytest.mark.parametrize(("limit", "page"), [(-1, 1), (5, 0)])
def test_a_page_that_cannot_be_is_refused(limit: int, page: int) -> None:
    with pytest.raises(ValueError, match="limit takes 0 or more, page 1 or more"):
        Kept().get_usage(limit=limit, page=page)


def test_get_usage_is_from_start_date_to_end_date_both_in_and_a_time_without_a_zone_is_utc() -> None:
    kept = Kept(*(flask_hit(f"/{n}", at=NOW + timedelta(hours=n)) for n in range(4)))
    naive = NOW.replace(tzinfo=None)
    assert paths(kept.get_usage(naive + timedelta(hours=1), naive + timedelta(hours=2))) == ["/2", "/1"]
    east = NOW.astimezone(datetime.strptime("+0900", "%z").tzinfo)
    assert paths(kept.get_usage(east, east)) == ["/0"]


def test_get_sum_asks_the_summary_itself_or_one_of_the_hooks_by_its_name() -> None:
    class Summary:
        __name__ = "sumOwn"

        def __call__(self, **usage: Any) -> None: ...

        def get_sum(self, *asked: Any) -> Any:
            return asked

    storage, summary = Kept(), Summary()
    storage.hooks = (summary,)
    day = datetime(2026, 11, 21)
    asked: Any = (storage, (day.replace(tzinfo=UTC), None), (10, 2), "/")
    assert storage.get_sum(summary, day, limit=10, page=2, target="/") == asked
    assert storage.get_sum("sumOwn", day, limit=10, page=2, target="/") == asked
    with pytest.raises(NotImplementedError, match="sumOther"):
        storage.get_sum("sumOther")


def test_law_2_a_batch_that_comes_again_is_stored_once(redis: Redis, redis_url: str) -> None:
    hits = many(2 * CHUNK + 1) + many(3, site=OTHER)
    for _ in range(2):
        RedisStorage(url=redis_url).store(batch(*hits))
    storage = RedisStorage(url=redis_url)
    storage.store(batch(flask_hit("/next"), position=2))
    storage.store(batch(*hits))
    assert stored(redis) == [*hits[:-3], flask_hit("/next")]
    assert stored(redis, OTHER) == hits[-3:]
    assert KEPT - 5 <= redis.ttl(keys.seen(SITE, "flask-1")) <= KEPT == 7 * 86_400


@given(st.integers(0, 700))
@PROPERTY
def test_law_2_a_batch_that_fails_half_way_is_stored_once_when_it_comes_again(
    redis: Redis, redis_url: str, answered: int
) -> None:
    redis.flushdb()
    hits = [flask_hit(f"/{n}", site=f"{n % 3}.example") for n in range(2 * CHUNK)]
    with cutting(redis_url, answered) as url, suppress(Away):
        RedisStorage(url=url).store(batch(*hits))
    RedisStorage(url=redis_url).store(batch(*hits))
    found = [hit for n in range(3) for hit in stored(redis, f"{n}.example")]
    assert found == sorted(hits, key=lambda hit: hit.site)


def test_a_batch_has_a_bound(redis_url: str) -> None:
    with pytest.raises(ValueError, match="at most 250000 hits"):
        RedisStorage(url=redis_url).store(batch(*([flask_hit()] * (CHUNK * CHUNKS + 1))))


def test_hits_of_many_threads_are_all_there_once(redis: Redis, redis_url: str) -> None:
    storage = RedisStorage(url=redis_url)

    def send(source: str) -> None:
        for position in range(20):
            storage.store(batch(*many(5), position=position, source=source))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, (f"flask-{n}" for n in range(8))))
    assert Counter(paths(stored(redis))) == {f"/{n}": 160 for n in range(5)}


def ran(code: str, *given: str) -> str:
    """What a Python of its own prints that runs this code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_child_processes_store_beside_their_parent_each_hit_once(redis: Redis, redis_url: str) -> None:
    code = """
        import os, sys
        from tests.test_storages import RedisStorage, batch, flask_hit
        storage = RedisStorage(url=sys.argv[1])
        storage.store(batch(flask_hit("/before")))
        children = []
        for turn in range(3):  # eight processes
            child = os.fork()
            children = [*children, child] if child else []
        for position in range(20):
            storage.store(batch(flask_hit("/after"), source=f"flask-{os.getpid()}", position=position))
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    """
    ran(code, redis_url)
    assert Counter(paths(stored(redis))) == {"/before": 1, "/after": 8 * 20}


def test_under_gevent_others_go_on_while_redis_hangs_though_it_was_imported_before_the_patch() -> None:
    code = """
        import socket
        from tests.test_storages import Away, RedisStorage, batch, flask_hit
        server = socket.create_server(("127.0.0.1", 0))
        storage = RedisStorage(url=f"redis://127.0.0.1:{server.getsockname()[1]}")
        from gevent import monkey
        monkey.patch_all()
        import gevent
        turns = []
        def go_on():
            while True:
                gevent.sleep(0.001)
                turns.append(1)
        gevent.spawn(go_on)
        try:
            storage.store(batch(flask_hit()))
        except Away as away:
            print(str(away)[:6], len(turns) > 10)
    """
    assert ran(code) == "Redis: True\n"


def test_a_redis_that_is_away_is_away_with_its_reason_and_none_is_needed_before(free_port: int) -> None:
    storage = RedisStorage("127.0.0.1", free_port)
    for ask in (lambda: storage.store(batch(flask_hit())), storage.get_usage, storage.sites):
        with pytest.raises(Away, match=f"Redis: .*{free_port}.*refused"):
            ask()


def test_the_redis_of_the_settings_may_start_later_and_somewhere_else(
    redis: Redis, redis_url: str, free_port: int, tmp_path: Path
) -> None:
    storage = RedisStorage(settings=Settings(data=tmp_path))
    with pytest.raises(Away, match="hitwall run"):
        storage.store(batch(flask_hit()))
    (tmp_path / URL_FILE).touch()  # it is about to be written
    with pytest.raises(Away, match="Redis URL must"):
        storage.store(batch(flask_hit()))
    (tmp_path / URL_FILE).write_text(f"redis://127.0.0.1:{free_port}/0")
    with pytest.raises(Away, match="refused"):
        storage.store(batch(flask_hit()))
    (tmp_path / URL_FILE).write_text(redis_url)
    storage.store(batch(flask_hit()))
    assert len(stored(redis)) == 1


@pytest.mark.parametrize("url", ["localhost:6379", "http://u:secret@localhost", "redis://localhost:0"])
def test_an_address_of_no_redis_is_refused_where_it_is_given(url: str) -> None:
    with pytest.raises(ValueError, match="url takes an address such as redis://") as refused:
        RedisStorage(url=url)
    assert "secret" not in str(refused.value)


def test_settings_are_those_that_are_given_or_set_or_the_environments(
    redis: Redis, redis_url: str, shell: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = RedisStorage()
    assert storage.settings == Settings(redis_url=redis_url)
    assert storage.redis.ping()
    storage.settings = Settings(redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(Away):
        storage.store(batch(flask_hit()))


def test_the_old_arguments_host_port_and_password_name_a_redis(redis: Redis, redis_url: str) -> None:
    port, password = int(redis_url.rpartition(":")[2].partition("/")[0]), "a:b/c@d é%"
    redis.config_set("requirepass", password)
    try:
        for storage in (
            RedisStorage("127.0.0.1", port, password),
            RedisStorage(host="localhost", port=port, password=password),
            RedisStorage(port=port, password=password),
        ):
            storage.store(batch(flask_hit("/old")))
        with pytest.raises(Away):
            RedisStorage("127.0.0.1", port).sites()
    finally:
        redis.config_set("requirepass", "")
    assert paths(stored(redis)) == ["/old"]
    assert RedisStorage("::1", 1)._url == "redis://[::1]:1/0"
    assert RedisStorage("redis.example")._url == "redis://redis.example:6379/0"


def test_what_is_not_ours_under_the_keys_of_a_site_is_set_aside_and_its_hits_are_stored(
    redis: Redis, redis_url: str
) -> None:
    redis.set(keys.raw(SITE), "not a stream")
    redis.sadd(keys.seen("b.example", "flask-1"), "not a position")
    redis.set(keys.SITES, "not a set")
    hits = [flask_hit(site=site) for site in ("a.example", SITE, "b.example", OTHER, SITE)]
    RedisStorage(url=redis_url, settings=Settings(sites=(SITE, "a.example", "b.example", OTHER))).store(
        batch(*hits)
    )
    assert [len(stored(redis, site)) for site in ("a.example", SITE, "b.example", OTHER)] == [1, 2, 1, 1]
    assert RawLog(redis).sites() == {"a.example", SITE, "b.example", OTHER}


def test_a_site_whose_keys_stay_broken_holds_up_no_other(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "set_aside", lambda *_: {})  # as where Redis does not let us rename
    redis.set(keys.raw(SITE), "not a stream")
    redis.sadd(keys.seen("b.example", "flask-1"), "not a position")
    hits = [flask_hit(site=site) for site in ("a.example", SITE, "b.example", OTHER, SITE)]
    storage = RedisStorage(url=redis_url)
    for _ in range(2):
        with pytest.raises(Unstorable, match=r"example\.com: .*WRONGTYPE") as unstorable:
            storage.store(batch(*hits))
        assert unstorable.value.places == {1, 2, 4}
    assert [len(stored(redis, site)) for site in ("a.example", OTHER)] == [1, 1]


def test_a_redis_that_is_full_is_away_until_there_is_room(redis: Redis, redis_url: str) -> None:
    storage = RedisStorage(url=redis_url)
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(Away, match="maxmemory"):
            storage.store(batch(flask_hit()))
    finally:
        redis.config_set("maxmemory", "0")
    storage.store(batch(flask_hit()))
    assert len(stored(redis)) == 1


def test_hits_of_sites_that_may_not_count_here_are_counted_as_refused_and_not_stored(
    redis: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = RedisStorage(url=redis_url, settings=Settings(sites=(SITE,)))
    storage.store(batch(flask_hit(), *many(3, site=OTHER), flask_hit("/2")))
    assert paths(stored(redis)) == ["/", "/2"]
    few = RedisStorage(url=redis_url, settings=Settings(max_sites=2))
    few.store(batch(*(flask_hit(site=site) for site in (SITE, OTHER, "third.example")), position=2))
    assert RawLog(redis).sites() == {SITE, OTHER}
    [key] = [found.decode() for found in redis.scan_iter("hitwall:refused:*")]
    assert redis.hgetall(key) == {b"unknown site": b"3", b"too many sites": b"1"}
    said = "3 hits were refused, the last of other.example: unknown site: HITWALL_SITES does not name"
    assert caplog.messages[0].startswith(said)
    assert LIVES - 5 <= redis.ttl(key) <= LIVES


def test_visitors_are_told_apart_by_hash_but_who_asks_not_to_be_and_who_has_an_id(
    redis: Redis, redis_url: str
) -> None:
    hits = [
        flask_hit(remote="203.0.113.7"),
        flask_hit(remote="203.0.113.0", headers={"DNT": "1"}),
        flask_hit(remote="203.0.113.0", headers={"sec-gpc": "1"}),
        flask_hit(remote="203.0.113.8", headers={"DNT": "0"}),
        flask_hit(remote="203.0.113.7", visitor="an-id-of-theirs"),
        flask_hit(),
    ]
    RedisStorage(url=redis_url, settings=Settings(visitor="hash")).store(batch(*hits))
    visitors = Visitors("hash", redis)
    hashes = [visitors.hashed(hits[0]), "", "", visitors.hashed(hits[3]), "an-id-of-theirs", ""]
    assert [found.visitor for found in stored(redis)] == hashes
    redis.flushdb()
    RedisStorage(url=redis_url).store(batch(*hits))
    assert stored(redis) == hits


def test_what_is_stored_is_counted_by_hitwall_like_any_hit(redis: Redis, redis_url: str) -> None:
    RedisStorage(url=redis_url).store(batch(*many(3), flask_hit("/1")))
    Counting.of(Settings(), redis).step(SITE)
    assert counted(redis, "url") == {"/0": 1, "/1": 2, "/2": 1}


def add(redis: Redis, arrived: datetime, *hits: Hit) -> None:
    """Hits that arrived at that time, one after the other."""
    for number, found in enumerate(hits):
        redis.xadd(keys.raw(found.site), {"hit": encode(found)}, id=f"{milliseconds(arrived)}-{number}")
        redis.sadd(keys.SITES, found.site)


def test_get_usage_tells_what_flask_sent_to_all_sites_the_newest_first(redis: Redis, redis_url: str) -> None:
    for minute in range(4):
        site = (SITE, OTHER)[minute % 2]
        add(redis, NOW + timedelta(minutes=minute), flask_hit(f"/{minute}", site=site), hit("/pixel"))
    storage = RedisStorage(url=redis_url)
    assert paths(storage.get_usage()) == ["/3", "/2", "/1", "/0"]
    assert storage.sites() == [SITE, OTHER]
    only = RedisStorage(url=redis_url, site=OTHER)
    assert paths(only.get_usage()) == ["/3", "/1"]
    assert only.sites() == [OTHER]
    assert RedisStorage(url=redis_url, site="www.Silent.example").get_usage() == []
    with pytest.raises(ValueError, match="bad site"):
        RedisStorage(site="}:*")


def test_get_usage_of_many_sites_is_in_one_order(redis: Redis, redis_url: str) -> None:
    for n in range(300):
        add(redis, NOW + timedelta(seconds=n), flask_hit(f"/{n}", site=f"{n % 30}.example"))
    assert paths(RedisStorage(url=redis_url).get_usage(limit=0)) == [f"/{n}" for n in reversed(range(300))]


def test_get_usage_goes_through_a_long_log_and_past_what_cannot_be_read(redis: Redis, redis_url: str) -> None:
    hits = many(3 * CHUNK)
    add(redis, NOW, *hits)
    redis.xadd(keys.raw(SITE), {"hit": "not JSON"})
    found = RedisStorage(url=redis_url).get_usage(limit=0)
    assert paths(found) == paths(reversed(hits))
    assert paths(RedisStorage(url=redis_url).get_usage(limit=300, page=3)) == paths(reversed(hits[:150]))


def test_get_usage_is_by_the_time_of_a_hit_whenever_it_arrived(redis: Redis, redis_url: str) -> None:
    early, late = NOW - timedelta(days=3), NOW + timedelta(days=3)
    add(redis, NOW - AHEAD, flask_hit("/its clock was ahead", at=NOW))
    add(redis, NOW, flask_hit("/before", at=NOW - timedelta(microseconds=1)), flask_hit("/in time", at=NOW))
    add(redis, late, flask_hit("/from a spool", at=NOW), flask_hit("/after", at=late))
    storage = RedisStorage(url=redis_url)
    expected = ["/from a spool", "/in time", "/its clock was ahead"]
    assert paths(storage.get_usage(NOW, NOW)) == expected
    assert paths(storage.get_usage(start_date=NOW)) == ["/after", *expected]
    assert paths(storage.get_usage(end_date=early)) == []
