"""Recount: nothing to find after counting, everything to find after tampering, and nothing made worse."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hitwall.cli import main
from summaries import recount as module
from summaries.buckets import KINDS, Calendar
from summaries.chosen import Chosen, chosen
from summaries.counters import announcement
from summaries.counting import Counting
from summaries.differences import TOLD, Difference, Report
from summaries.recount import Recount, Unsettled
from summaries.verify import Comparison
from tests.hits import CHROME, NOW, PROPERTY, SITE, generated_hits, hit
from tracker import fields, keys
from tracker.hit import Hit
from tracker.raw import AHEAD, START, RawLog, encode, milliseconds
from tracker.settings import Settings

LOG = Path(__file__).parent / "data" / "access.log"
LINE = re.compile(r'(\S+) .*?\[(.*?)\] "(\S+) (\S+) \S+" (\d+) (\S+) "(.*?)" "(.*)"$')
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HOUR, DAY, MONTH = "hour:2126-11-21T06", "day:2126-11-21", "month:2126-11"
EVER = Settings(keep_hour=None, keep_day=None)
NEPAL = replace(EVER, timezone=ZoneInfo("Asia/Kathmandu"))
TIMES = st.sampled_from([timedelta(), timedelta(minutes=-50), timedelta(days=-400), timedelta(hours=24)])
Entries = list[tuple[int, timedelta, Hit]]  # minutes after the one before, its own time beside that, hit


def append(redis: Redis, hits: list[Hit], position: int = 1) -> None:
    RawLog(redis).append(SITE, hits, "test", position)


def count(redis: Redis, settings: Settings = EVER, picked: Chosen | None = None) -> None:
    """Count all there is."""
    counting = Counting.of(settings, redis)
    counting.hooks = picked.hooks if picked else counting.hooks
    while counting.step(SITE).hits:
        pass


def comparison(redis: Redis, settings: Settings = EVER, picked: Chosen | None = None) -> Comparison:
    calendar = Calendar.of(settings)
    picked = picked or chosen(settings)
    return Comparison(redis, Recount(RawLog(redis), SITE, picked, calendar, settings.max_labels))


def ignore(done: int, total: int) -> None:
    pass


def check(redis: Redis, settings: Settings = EVER) -> Report:
    return comparison(redis, settings).verify(ignore)


def mend(redis: Redis, settings: Settings = EVER) -> Report:
    return comparison(redis, settings).mend(ignore)


def counters(redis: Redis) -> dict[str, dict[bytes, bytes]]:
    """Every counter that there is."""
    found: Any = {name.decode(): redis.hgetall(name) for name in redis.scan_iter("*:hits:*", count=1000)}
    found |= {name.decode(): redis.hgetall(name) for name in redis.scan_iter("*:bytes:*", count=1000)}
    return dict(found)


def only(hooks: Chosen, *names: str) -> Chosen:
    return Chosen({name: hooks.hooks[name] for name in names}, hooks.apart)


def real_hits() -> list[Hit]:
    found = (LINE.match(line) for line in LOG.read_text(errors="replace").splitlines())
    return [
        hit(
            m[4][:4000],
            at=datetime.strptime(m[2], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC),
            remote=m[1],
            agent=m[8],
            referrer=m[7],
            bytes=int(m[6].replace("-", "0")),
        )
        for m in found
        if m
    ]


@pytest.mark.parametrize(
    "settings", [EVER, replace(EVER, timezone=NEPAL.timezone), replace(EVER, max_labels=5)]
)
def test_law_3_a_recount_of_a_real_log_finds_no_difference(redis: Redis, settings: Settings) -> None:
    append(redis, real_hits())
    count(redis, settings)
    report = check(redis, settings)
    assert (report.differ, report.unchecked, report.failed) == (0, 0, {})
    assert report.counters == len([name for name in counters(redis) if ":hits:" in name])
    assert report.since == dict.fromkeys(KINDS)


def add(redis: Redis, hits: str, sizes: str) -> None:
    redis.hincrby(hits, "/a", 3)


def invent(redis: Redis, hits: str, sizes: str) -> None:
    redis.hset(hits, "/nowhere", 1)


def remove(redis: Redis, hits: str, sizes: str) -> None:
    redis.hdel(hits, "/a")


def rename(redis: Redis, hits: str, sizes: str) -> None:
    redis.hset(hits, "/c", int(redis.hget(hits, "/a") or 0))
    redis.hdel(hits, "/a")


def heavier(redis: Redis, hits: str, sizes: str) -> None:
    redis.hincrby(sizes, "/a", 1)


def lighter(redis: Redis, hits: str, sizes: str) -> None:
    redis.delete(sizes)


def weigh_another(redis: Redis, hits: str, sizes: str) -> None:
    redis.hset(sizes, "/nowhere", 7)


def drop(redis: Redis, hits: str, sizes: str) -> None:
    redis.delete(hits, sizes)


def write_words(redis: Redis, hits: str, sizes: str) -> None:
    redis.hset(hits, "/a", "many")


def write_no_text(redis: Redis, hits: str, sizes: str) -> None:
    redis.hset(hits, b"\xff", 1)


TAMPERED = [add, invent, remove, rename, heavier, lighter, weigh_another, drop, write_words, write_no_text]


@pytest.mark.parametrize("bucket", [HOUR, DAY, MONTH])
@pytest.mark.parametrize("tamper", TAMPERED)
def test_a_counter_that_was_tampered_with_is_found_and_mended(
    redis: Redis, tamper: Callable[[Redis, str, str], None], bucket: str
) -> None:
    append(redis, [hit("/a", bytes=5), hit("/b"), hit("/a")])
    count(redis)
    before = counters(redis)
    tamper(redis, *(keys.counter(SITE, measure, "url", bucket) for measure in keys.MEASURES))
    assert counters(redis) != before
    report = check(redis)
    assert report.differ == 1
    assert {(each.summary, each.bucket) for each in report.differences} == {("url", bucket)}
    assert mend(redis).differ == 1
    assert counters(redis) == before
    assert check(redis).differ == 0


def test_a_difference_names_label_and_both_numbers(redis: Redis) -> None:
    append(redis, [hit("/a", bytes=5), hit("/b")])
    count(redis)
    redis.hincrby(keys.counter(SITE, "hits", "url", DAY), "/a", 3)
    redis.hset(keys.counter(SITE, "hits", "url", DAY), "/c", 1)
    redis.hdel(keys.counter(SITE, "hits", "url", DAY), "/b")
    assert sorted(check(redis).differences, key=lambda each: each.label) == [
        Difference("url", DAY, "/a", [4, 5], [1, 5]),
        Difference("url", DAY, "/b", None, [1, 0]),
        Difference("url", DAY, "/c", [1, 0], None),
    ]


def test_a_counter_without_any_hit_in_the_log_differs_and_goes(redis: Redis) -> None:
    append(redis, [hit()])
    count(redis)
    stray = keys.counter(SITE, "hits", "url", "day:2126-11-02")
    redis.hset(stray, "/", 4)
    redis.hset(keys.counter(SITE, "bytes", "url", "day:2126-11-03"), "/", 4)
    redis.hset(keys.counter("other.example", "hits", "url", "day:2126-11-02"), "/", 4)
    redis.hset(keys.counter(SITE, "hits", "unknown", DAY), "/", 4)
    assert mend(redis).differ == 2
    assert not redis.exists(stray)
    assert len(redis.keys("*day:2126-11-02")) == len(redis.keys("*unknown*")) == 1


def test_a_mended_counter_expires_as_one_that_is_counted(redis: Redis) -> None:
    settings = Settings()
    append(redis, [hit("/a", bytes=5)])
    count(redis, settings)
    names = [
        keys.counter(SITE, measure, "url", bucket) for measure in keys.MEASURES for bucket in (HOUR, DAY)
    ]
    before = [redis.ttl(name) for name in names]
    redis.delete(*names)
    mend(redis, settings)
    assert all(abs(redis.ttl(name) - ttl) <= 2 for name, ttl in zip(names, before, strict=True))
    assert redis.ttl(keys.counter(SITE, "hits", "url", MONTH)) == -1


def test_more_labels_than_one_command_takes_are_mended(redis: Redis) -> None:
    append(redis, [hit(f"/{n}", bytes=n) for n in range(9000)])
    count(redis)
    before = counters(redis)
    redis.delete(keys.counter(SITE, "hits", "url", DAY))
    report = mend(redis)
    assert (report.differ, report.labels, len(report.differences)) == (1, 9000, TOLD)
    assert counters(redis) == before


def test_summaries_at_different_cursors_are_each_compared_where_they_stand(redis: Redis) -> None:
    append(redis, [hit(f"/{n % 5}") for n in range(60)])
    every = chosen(EVER)
    for names, limit in ((("server", "minute"), 50), (("url",), 30), (("ip", "browser"), 7)):
        counting = Counting.of(EVER, redis)
        counting.hooks = only(every, *names).hooks
        counting.step(SITE, limit)
    before = counters(redis)
    assert len(set(redis.hvals(keys.cursor(SITE)))) == 3
    assert check(redis).differ == 0
    redis.hincrby(keys.counter(SITE, "hits", "url", DAY), "/1", 3)
    assert mend(redis).differ == 1
    assert counters(redis) == before


@pytest.mark.parametrize("batch", [1, 7, 20, 2000])
def test_a_recount_is_led_to_exactly_the_cursors_in_batches_of_any_size(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    append(redis, [hit() for _ in range(40)])
    ids = [name for name, _ in RawLog(redis).after(SITE, START, 100)]
    mine = Recount(RawLog(redis), SITE, only(chosen(EVER), "url", "ip", "server"), Calendar.of(EVER), 10)
    mine.catch_up({"url": ids[9], "server": ids[0], "ip": START})
    assert mine.positions == {"url": ids[9], "server": ids[0], "ip": START}
    assert (mine.sums["url", DAY], mine.sums["server", DAY]) == ({"/": [10, 0]}, {SITE: [1, 0]})
    mine.catch_up({"url": ids[39], "server": ids[29], "ip": ids[5]})
    assert (mine.sums["url", DAY], mine.sums["server", DAY]) == ({"/": [40, 0]}, {SITE: [30, 0]})
    with pytest.raises(Unsettled, match="set back"):
        mine.catch_up({"url": ids[38]})


def test_bots_that_are_kept_apart_make_no_difference(redis: Redis) -> None:
    append(redis, [hit(agent=BOT), hit(agent=CHROME), hit(agent=BOT)])
    count(redis)
    assert check(redis).differ == 0
    assert redis.hget(keys.counter(SITE, "hits", "server", DAY), SITE) == b"1"


def test_a_change_of_what_hits_count_as_is_carried_into_the_past(redis: Redis) -> None:
    append(
        redis,
        [hit("/", query="p=1", params={"p": "1"}), hit("/", query="p=2", params={"p": "2"}), hit(agent=BOT)],
    )
    count(redis)
    assert redis.hgetall(keys.counter(SITE, "hits", "url", DAY)) == {b"/": b"2"}
    changed = replace(EVER, url_params=("p",), count_bots=True)
    assert mend(redis, changed).differ
    assert redis.hgetall(keys.counter(SITE, "hits", "url", DAY)) == {
        b"/?p=1": b"1",
        b"/?p=2": b"1",
        b"/": b"1",
    }
    assert redis.hget(keys.counter(SITE, "hits", "server", DAY), SITE) == b"3"
    assert check(redis, changed).differ == 0


def test_a_summary_that_has_counted_nothing_is_not_looked_at(redis: Redis) -> None:
    append(redis, [hit()])
    count(redis, picked=only(chosen(EVER), "server"))
    assert check(redis).counters == 3
    assert mend(redis).differ == 0
    assert not redis.exists(keys.counter(SITE, "hits", "url", DAY))


def test_counters_that_have_expired_or_are_about_to_are_left_alone(redis: Redis) -> None:
    settings = replace(EVER, keep_hour=timedelta(hours=14))
    mine = Recount(RawLog(redis), SITE, chosen(settings), Calendar.of(settings), 10)
    end = datetime(2126, 11, 21, 21, tzinfo=UTC)
    early, late = end - timedelta(minutes=61), end - timedelta(minutes=60)
    assert [mine.lives(HOUR, now) for now in (early, late, end)] == [True, False, False]
    assert mine.lives(DAY, end)

    append(redis, [hit(at=datetime(2015, 5, 18, 8, tzinfo=UTC))])
    count(redis, settings)
    assert {name.split(":")[4] for name in counters(redis)} == {"day", "month"}
    report = mend(redis, settings)
    assert (report.differ, report.counters) == (
        0,
        len([name for name in counters(redis) if ":hits:" in name]),
    )


def test_a_hook_that_fails_is_told(redis: Redis) -> None:
    def picky(hit: Hit) -> str:
        raise RuntimeError("no")

    picked = Chosen({"server": chosen(EVER).hooks["server"], "picky": picky}, lambda hit: False)
    append(redis, [hit(), hit()])
    count(redis, picked=picked)
    report = comparison(redis, EVER, picked).verify(ignore)
    assert (report.differ, report.failed) == (0, {"picky": 2})


def test_a_summary_whose_hook_fails_by_now_keeps_what_it_has_counted(redis: Redis) -> None:
    def table(hit: Hit) -> str:
        return "row"

    def broken(hit: Hit) -> str:
        raise FileNotFoundError("the file of rows is gone")

    server = chosen(EVER).hooks["server"]
    append(redis, [hit(), hit()])
    count(redis, picked=Chosen({"server": server, "table": table}, lambda hit: False))
    before = counters(redis)
    report = comparison(redis, EVER, Chosen({"server": server, "table": broken}, lambda hit: False)).mend(
        ignore
    )
    assert (report.differ, report.left, report.failed) == (3, 3, {"table": 2})
    assert counters(redis) == before


def test_a_swap_is_announced_so_that_walls_read_anew_and_happens_only_where_the_cursor_stands(
    redis: Redis,
) -> None:
    append(redis, [hit("/a")])
    count(redis)
    pubsub = redis.pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(keys.live(SITE))
    assert pubsub.get_message(timeout=5)["type"] == "subscribe"
    redis.hincrby(keys.counter(SITE, "hits", "url", DAY), "/a", 3)
    mend(redis)
    news = announcement(pubsub.get_message(timeout=5)["data"])
    cursor = RawLog(redis).before(SITE, "+", 1)[0][0]
    assert (news.summaries, news.start, news.end, news.hits) == (["url"], cursor, cursor, 0)
    assert (news.quiet, news.entries, json.loads(news.recent)) == (True, [], [])
    pubsub.close()

    stale = comparison(redis)
    stale.verify(ignore)
    append(redis, [hit("/b")], 2)
    count(redis)
    before = counters(redis)
    assert stale._swapped(("url", DAY)) is False
    assert counters(redis) == before
    stale._mend(("url", DAY))  # catches up, and finds nothing wrong
    assert counters(redis) == before


def test_who_never_finds_the_counters_at_rest_says_so(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    append(redis, [hit("/a")])
    count(redis)
    redis.hincrby(keys.counter(SITE, "hits", "url", DAY), "/a", 3)
    monkeypatch.setattr(Comparison, "_swapped", lambda self, place: False)
    with pytest.raises(Unsettled, match="move on faster"):
        mend(redis)


def test_two_recounts_at_once_leave_what_one_leaves(redis: Redis) -> None:
    append(redis, [hit(f"/{n}") for n in range(30)])
    count(redis)
    before = counters(redis)
    for bucket in (HOUR, DAY, MONTH):
        redis.delete(keys.counter(SITE, "hits", "url", bucket))
        redis.hincrby(keys.counter(SITE, "hits", "ip", bucket), "x", 1)
    one, other = comparison(redis), comparison(redis)

    def meanwhile(done: int, total: int) -> None:
        other.mend(ignore)

    one.mend(meanwhile)
    assert counters(redis) == before


def stream(redis: Redis, entries: Entries, begin: datetime = NOW) -> list[tuple[str, Hit]]:
    """Appends each entry at its own time; ids and hits."""
    arrived, made = begin, []
    redis.sadd(keys.SITES, SITE)
    for n, (minutes, beside, each) in enumerate(entries):
        arrived += timedelta(minutes=minutes)
        name, own = f"{milliseconds(arrived)}-{n}", replace_at(each, arrived + beside)
        redis.xadd(keys.raw(SITE), {"hit": encode(own)}, id=name)
        made.append((name, own))
    return made


def replace_at(each: Hit, at: datetime) -> Hit:
    return Hit(**{name: getattr(each, name) for name in each.__struct_fields__} | {"at": at})


@given(
    entries=st.lists(
        st.tuples(st.sampled_from([0, 1, 50, 700, 3000, 40_000]), TIMES, generated_hits()),
        min_size=1,
        max_size=40,
    ),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 12), st.integers(0, 50)), max_size=8),
    most=st.sampled_from([2, 10_000]),
    pick=st.integers(0, 10**6),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/Berlin"]),
)
@PROPERTY
def test_law_3_under_any_trimming_a_recount_finds_what_was_tampered_with_and_nothing_else(
    redis: Redis,
    entries: Entries,
    steps: list[tuple[bool, int, int]],
    most: int,
    pick: int,
    zone: str,
) -> None:
    redis.flushdb()
    settings = replace(EVER, max_labels=most, timezone=ZoneInfo(zone))
    made = stream(redis, entries)
    late = Counting.of(settings, redis)
    late.hooks = {name: hook for name, hook in late.hooks.items() if name != "url"}
    for behind, limit, gone in steps:
        counting = late if behind else Counting.of(settings, redis)
        counting.reread()
        counting.step(SITE, limit)
        cursor = Counting.of(settings, redis).cursor(SITE)
        RawLog(redis).trim(SITE, made[min(gone, len(made) - 1)][0], 0, cursor)
    made_left = {name for name, _ in RawLog(redis).after(SITE, START, 1000)}
    mine = comparison(redis, settings)
    before = counters(redis)
    report = mine.verify(ignore)
    assert (report.differ, report.failed) == (0, {})
    calendar = Calendar.of(settings)
    for name, each in made:
        if name not in made_left:
            assert not any(mine._recount.covers(bucket) for bucket in calendar.names(each.at))
    parsed = [(name, keys.parse(name)) for name in sorted(before)]
    covered = [name for name, key in parsed if key and mine._recount.covers(key.bucket)]
    if covered:
        name = covered[pick % len(covered)]
        tamper(redis, name, pick)
        assert check(redis, settings).differ == 1
        assert mend(redis, settings).differ == 1
    assert mend(redis, settings).differ == 0
    assert counters(redis) == before


def tamper(redis: Redis, name: str, how: int) -> None:
    labels: Any = redis.hkeys(name)
    label: bytes = sorted(labels)[how % len(labels)]
    if how % 3 == 0:
        redis.hincrby(name, label, 1)
    elif how % 3 == 1:
        redis.hdel(name, label)
    else:
        redis.hset(name, "x" + label.decode(), 1)


def test_imported_hits_of_long_ago_are_never_recounted_from_a_log_that_has_forgotten_some(
    redis: Redis,
) -> None:
    old = datetime(2015, 5, 18, 8, tzinfo=UTC)
    ancient = [(0, old - NOW, hit("/2015")) for _ in range(30)]
    made = stream(redis, [*ancient, *((1000, timedelta(), hit("/now")) for _ in range(40))])
    count(redis)
    before = counters(redis)
    assert check(redis).unchecked == 0
    RawLog(redis).trim(SITE, made[20][0], 0, made[-1][0])  # in the midst of them
    report = mend(redis)
    assert (report.differ, report.unchecked > 0) == (0, True)
    assert counters(redis) == before
    RawLog(redis).trim(SITE, made[-1][0], 0, made[-1][0])
    redis.hincrby(keys.counter(SITE, "hits", "url", "month:2015-05"), "/2015", 3)
    assert mend(redis).differ == 0
    assert redis.hgetall(keys.counter(SITE, "hits", "url", "month:2015-05")) == {b"/2015": b"33"}


def test_a_log_that_was_deleted_by_hand_is_nothing_to_recount_from(redis: Redis) -> None:
    append(redis, [hit(at=datetime.now(UTC))])
    count(redis)
    before = counters(redis)
    redis.delete(keys.raw(SITE))
    report = mend(redis)
    assert (report.differ, report.counters, report.unchecked > 0) == (0, 0, True)
    assert counters(redis) == before


def test_hits_that_are_forgotten_while_they_are_read_make_no_difference(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 5)
    made = stream(redis, [(700, timedelta(), hit(f"/{n % 3}")) for n in range(40)])
    count(redis)
    before = counters(redis)
    mine = comparison(redis)

    def forget(hits: int) -> None:
        RawLog(redis).trim(SITE, made[20][0], 0, made[-1][0])

    mine._recount.told = forget
    report = mine.mend(ignore)
    assert (report.differ, report.counters > 0, report.unchecked > 0) == (0, True, True)
    assert counters(redis) == before


def test_what_was_forgotten_before_it_was_read_is_known_at_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 5)
    made = stream(redis, [(700, timedelta(), hit()) for _ in range(40)])
    count(redis)
    mine = Recount(RawLog(redis), SITE, chosen(EVER), Calendar.of(EVER), 10)

    def forget(hits: int) -> None:
        RawLog(redis).trim(SITE, made[20][0], 0, made[-1][0])

    mine.told = forget
    mine.catch_up({"url": made[-1][0]})
    assert mine.since == made[19][0]
    assert not mine.covers(Calendar.of(EVER).bucket("hour", made[20][1].at))


@pytest.mark.parametrize("size", [1, 3, 9])
def test_a_hook_that_says_other_itself_is_recounted_as_it_was_counted(redis: Redis, size: int) -> None:
    settings = replace(EVER, max_labels=2)
    picked = Chosen({"word": lambda hit: hit.path[1:]}, lambda hit: False)
    append(redis, [hit(f"/{word}") for word in ("(other)", "a", "(other)", "b", "c", "a", "b", "c", "d")])
    counting = Counting.of(settings, redis)
    counting.hooks = picked.hooks
    while counting.step(SITE, size).hits:
        pass
    assert comparison(redis, settings, picked).verify(ignore).differ == 0
    found: Any = redis.hvals(keys.counter(SITE, "hits", "word", DAY))
    assert sum(map(int, found)) == 9


def test_no_door_lets_a_hit_in_that_is_further_ahead_than_a_recount_reckons_with() -> None:
    assert fields.AHEAD + timedelta(minutes=30) <= AHEAD


def run(url: str, *words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, words, env={"REDIS_URL": url, **environ}, catch_exceptions=False)


def test_verify_and_recount_tell_people_what_differs(redis: Redis, redis_url: str) -> None:
    said = run(redis_url, "verify")
    assert (said.exit_code, said.output) == (0, "No hit has been seen yet.\n")
    append(redis, [hit("/a", bytes=1200), hit("/b")])
    count(redis)
    said = run(redis_url, "verify")
    assert said.exit_code == 0
    assert re.fullmatch(
        r"example.com: \d+ counters compared, 0 differ; the raw log holds all hits there were.\n", said.output
    )
    redis.hincrby(keys.counter(SITE, "hits", "url", DAY), "/a", 3)
    redis.hset(keys.counter(SITE, "hits", "url", DAY), "/\x1b[2J[red]", 1)
    said = run(redis_url, "verify", "--site", SITE, "--summary", "url")
    assert said.exit_code == 1
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in said.output.splitlines() if "2126" in line]
    assert sorted(rows) == [
        ["url", DAY, "/a", "4, 1,200 B", "1, 1,200 B"],
        ["url", DAY, "/\ufffd[2J[red]", "1", "-"],
    ]
    assert "3 counters compared, 1 differ;" in said.output
    assert (
        "3 counters compared, 0 differ;"
        in run(redis_url, "verify", "--summary", "ip", "--summary", "server").output
    )
    said = run(redis_url, "recount")
    assert (said.exit_code, "1 mended" in said.output) == (0, True)
    assert run(redis_url, "verify").exit_code == 0


def test_verify_shows_a_table_of_bounded_length(redis: Redis, redis_url: str) -> None:
    append(redis, [hit(f"/{n}") for n in range(50)])
    count(redis)
    redis.delete(keys.counter(SITE, "hits", "url", DAY))
    said = run(redis_url, "verify").output
    assert said.count("url ") == 20
    assert "… and 30 more\n" in said


def test_verify_and_recount_tell_programs_all_of_it(redis: Redis, redis_url: str) -> None:
    assert json.loads(run(redis_url, "verify", "--json").stdout) == {"sites": []}
    append(redis, [hit("/a")])
    count(redis)
    redis.hincrby(keys.counter(SITE, "hits", "url", MONTH), "/a", 3)
    [found] = json.loads(run(redis_url, "recount", "--json").stdout)["sites"]
    assert (found["site"], found["differ"], found["labels"], found["unchecked"]) == (SITE, 1, 1, 0)
    assert found["differences"] == [
        {"summary": "url", "bucket": MONTH, "label": "/a", "counted": [4, 0], "raw": [1, 0]}
    ]


def test_a_site_or_summary_that_is_not_there_is_answered_with_a_sentence(
    redis: Redis, redis_url: str
) -> None:
    said = run(redis_url, "verify", "--site", "a.example")
    assert (said.exit_code, said.output) == (
        1,
        "Error: No hit of the site a.example has been seen. There are none yet.\n",
    )
    append(redis, [hit()])
    assert "There are: example.com." in run(redis_url, "recount", "--site", "a.example").output
    said = run(redis_url, "recount", "--summary", "urls")
    assert said.exit_code == 1
    assert said.output.startswith("Error: No summary urls is counted. There are: ")


def test_verify_says_from_when_it_can(redis: Redis, redis_url: str) -> None:
    made = stream(redis, [(1000, timedelta(), hit()) for _ in range(90)])
    count(redis)
    RawLog(redis).trim(SITE, made[10][0], 0, made[-1][0])
    first = datetime.fromtimestamp(int(made[9][0].partition("-")[0]) / 1000, UTC) + AHEAD
    said = run(redis_url, "verify")
    assert said.exit_code == 0
    hour = (first + timedelta(hours=1)).strftime("hour %Y-%m-%dT%H")
    assert f"0 differ; from {hour}, day 2126-11-30, month 2126-12." in said.output
    assert re.search(r"\d+ older counters cannot be checked: their raw hits are forgotten.", said.output)
