"""Forget beside others at work: counters, archivers, doors, walls, and a second forget."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counting import Counting
from summaries.recount import Recount, Unsettled
from summaries.verify import Comparison
from tests.hits import NOW, SITE, hit
from tests.service import Service, counted
from tests.test_forget import WHO, forget, forgetter, known_hits, log
from tests.test_recount import append, check
from tests.waiting import until
from tracker import keys, raw_eraser
from tracker.archive import Archive
from tracker.database import engine_for
from tracker.raw import Entry, RawLog
from tracker.raw_eraser import Overtaken, RawEraser
from tracker.schema import hits as table
from tracker.settings import Settings


def test_ids_go_on_behind_the_last_one_also_where_that_was_removed(redis: Redis) -> None:
    log(redis, [hit("/a"), hit("/b", at=NOW + timedelta(hours=1), visitor=WHO)])
    last = RawLog(redis).before(SITE, "+", 1)[0][0]
    redis.xadd(keys.raw(SITE), {"note": "no hit"}, id=f"{last.partition('-')[0]}-99")
    redis.xdel(keys.raw(SITE), f"{last.partition('-')[0]}-99")
    work = forgetter(redis)
    work.remove(work.find(SITE))
    append(redis, [hit("/c")])
    assert [one.path for _, one in RawLog(redis).after(SITE, "0-0", 9) if one] == ["/a", "/c"]
    assert RawLog(redis).before(SITE, "+", 1)[0][0] == f"{last.partition('-')[0]}-100"


def test_of_two_at_once_the_first_gives_way_and_the_second_finishes(redis: Redis) -> None:
    log(redis, known_hits())
    first, second = RawEraser(redis, SITE), RawEraser(redis, SITE)
    first.begin()
    second.begin()
    with pytest.raises(Overtaken, match="run this again"):
        first.remove(["1-1"])
    with pytest.raises(Overtaken):
        first.rewrite(lambda number: None)
    second.rewrite(lambda number: None)
    assert RawLog(redis).length(SITE) == len(known_hits())


def test_hits_that_come_in_while_the_log_is_copied_are_in_the_copy(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_eraser, "CHUNK", 4)
    log(redis, known_hits())
    work = forgetter(redis)
    arrived: list[int] = []

    def hear(what: str, number: int) -> None:
        if what == "hits copied" and len(arrived) < 5:
            arrived.append(number)
            append(redis, [hit(f"/new/{len(arrived)}")], len(arrived))

    found = work.find(SITE)
    work.told = hear
    work.remove(found)
    paths = [one.path for _, one in RawLog(redis).after(SITE, "0-0", 99) if one]
    assert len(arrived) > 2
    assert paths[-len(arrived) :] == [f"/new/{n}" for n in range(1, len(arrived) + 1)]
    assert len(paths) == len(known_hits()) - 7 + len(arrived)


class Late(RawLog):
    """Somebody is forgotten while what was read is not used yet."""

    def unread(self, *given: Any) -> list[Any]:
        return self._found(super().unread(*given))

    def after_and_since(self, *given: Any) -> tuple[list[Entry], str]:
        entries, since = super().after_and_since(*given)
        return self._found(entries), since

    def _found(self, entries: list[Any]) -> list[Any]:
        if entries and not getattr(self, "is_done", False):
            self.is_done = True
            assert forget("--visitor", WHO, "--yes").exit_code == 0
        return entries


def test_a_counter_that_has_read_the_hits_before_counts_them_no_more(
    redis: Redis, shell: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(redis, known_hits())
    slow = Counting.of(Settings(), redis)
    slow.raw = Late(redis)
    for _ in range(3):
        slow.step(SITE)
    assert WHO not in counted(redis, "visitor")
    assert check(redis, Settings()).differ == 0


def test_a_counter_that_has_hits_of_before_ready_counts_them_no_more(redis: Redis, shell: None) -> None:
    log(redis, known_hits())
    slow = Counting.of(Settings(), redis)
    assert slow.step(SITE, 3).hits == 3
    assert forget("--visitor", WHO, "--yes").exit_code == 0
    assert slow.step(SITE, 3).hits == 0
    while slow.step(SITE, 3).hits:
        pass
    assert WHO not in counted(redis, "visitor")
    assert check(redis, Settings()).differ == 0


def test_an_archiver_that_has_read_the_hits_before_stores_them_no_more(
    redis: Redis, shell: None, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWALL_ARCHIVE", archive_url)
    log(redis, known_hits())
    archive = Archive.open(archive_url, Late(redis))
    assert sum(step.hits for step in archive.copy(SITE)) == 0
    with engine_for(archive_url).connect() as connection:
        rows = connection.execute(select(table)).all()
    assert (len(rows), WHO in repr(rows)) == (len(known_hits()) - 7, False)


def test_the_api_and_the_wall_show_it_gone_within_a_second_of_its_end(
    service: Service, redis: Redis, shell: None
) -> None:
    service.hit(f"https://{SITE}/theirs", v=WHO)
    service.hit(v="visitor-2")
    target = f"/api/{SITE}/summaries/visitor"
    until(lambda: WHO.encode() in service.get(target).body and counted(redis, "visitor").get("visitor-2"))
    tag = service.get(target).headers["ETag"]
    assert service.get(target, If_None_Match=tag).status == 304
    with service.frames() as frames:
        next(frame for frame in frames if frame["visitors"] == 2)
        assert forget("--visitor", WHO, "--yes").exit_code == 0
        answer = service.get(target, If_None_Match=tag)
        assert (answer.status, WHO.encode() in answer.body) == (200, False)
        next(frame for frame in frames if (frame["visitors"], frame["hits"]) == (1, 1))
        assert "/theirs" not in repr(next(frame for frame in frames if len(frame["recent"]) == 1))


def comparison(redis: Redis, told: Callable[[int], None]) -> Comparison:
    """One that `told` interrupts after it has read some of the raw log."""
    settings = Settings()
    calendar, most = Calendar.of(settings), settings.max_labels
    return Comparison(redis, Recount(RawLog(redis), SITE, chosen(settings), calendar, most, told))


def test_a_recount_that_has_read_the_person_brings_nobody_back(redis: Redis) -> None:
    def forgotten_meanwhile(read: int) -> None:
        if not redis.exists(keys.forgotten(SITE)):
            work = forgetter(redis)
            work.remove(work.find(SITE))

    log(redis, known_hits())
    Counting.of(Settings(), redis).step(SITE)
    assert WHO in counted(redis, "visitor")
    with pytest.raises(Unsettled, match="by hitwall forget meanwhile"):
        comparison(redis, forgotten_meanwhile).mend(lambda done, total: None)
    assert WHO not in counted(redis, "visitor")
    assert comparison(redis, lambda read: None).verify(lambda done, total: None).differ == 0


def test_nobody_recounts_between_the_beginning_and_the_end_of_a_removal(redis: Redis) -> None:
    log(redis, known_hits())
    Counting.of(Settings(), redis).step(SITE)
    eraser = RawEraser(redis, SITE)
    eraser.begin()
    for recounted in (comparison(redis, lambda read: None).mend, comparison(redis, lambda read: None).verify):
        with pytest.raises(Unsettled, match="hitwall forget is at work"):
            recounted(lambda done, total: None)
    eraser.leave()
    assert comparison(redis, lambda read: None).mend(lambda done, total: None).differ == 0
