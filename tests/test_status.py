"""Status: what there is, how far it is counted, and when memory will be full."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hitwall.cli import main
from hitwall.state import lines
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.counting import Counting
from summaries.forecast import FAR, Forecast, Part, forecast, raw_part
from summaries.growth import Growth
from summaries.lease import Lease
from summaries.status import Observer, SiteStatus, Status
from summaries.stock import EACH, take_stock
from tests.hits import NOW, PROPERTY, SITE, hit
from tracker import keys
from tracker.canary import Canary
from tracker.raw import START, RawLog, encode, milliseconds
from tracker.settings import Settings
from tracker.spool import Spool
from tracker.spooled import DOOR, Spooled
from tracker.storage import Batch

EVER = Settings(keep_hour=None, keep_day=None)
UTC_ZONE = ZoneInfo("UTC")
PARTS = st.lists(
    st.builds(Part, st.floats(0, 1e9), st.floats(0, 1e8), st.none() | st.floats(0.04, 4000)), max_size=6
)


@pytest.mark.parametrize(
    ("part", "after"),
    [
        (Part(100, 10, None), {0: 100, 1: 110, 1000: 10_100}),
        (Part(100, 10, 30), {0: 100, 1: 110, 20: 300, 1000: 300}),
        (
            Part(500, 10, 30),
            {0: 500, 1: 500, 1000: 500},
        ),  # of busier days
        (Part(100, 0, None), {0: 100, 1000: 100}),
    ],
    ids=["for ever", "until as much goes as comes", "more than the rate makes", "no traffic"],
)
def test_a_part_grows_by_its_daily_bytes_until_as_much_goes_as_comes(
    part: Part, after: dict[int, int]
) -> None:
    assert {days: part.after(days) for days in after} == after


@pytest.mark.parametrize(
    ("parts", "used", "limit", "found"),
    [
        ([Part(100, 10, None)], 150, 250, Forecast(10, 250)),
        ([Part(100, 10, None), Part(0, 10, 5)], 150, 300, Forecast(10, 300)),  # 5 days at 20, then at 10
        ([Part(100, 10, 30)], 150, 400, Forecast(None, 350, True)),
        ([Part(100, 10, 30)], 150, 350, Forecast(20, 350)),
        ([Part(100, 0.001, None)], 150, 400, Forecast(None, 150 + 3.65, False)),
        ([Part(100, 10, None)], 500, 400, Forecast(0, 400)),
        ([], 150, 400, Forecast(None, 150, True)),
        ([], 500, 400, Forecast(0, 400)),
    ],
    ids=[
        "straight",
        "bent",
        "retention holds it",
        "just",
        "far",
        "full now",
        "no site",
        "full of other things",
    ],
)
def test_memory_is_full_when_its_parts_have_grown_to_the_limit(
    parts: list[Part], used: float, limit: float, found: Forecast
) -> None:
    assert forecast(parts, used, limit) == found


@given(parts=PARTS, other=st.floats(0, 1e9), limit=st.floats(1, 1e12))
@PROPERTY
def test_at_the_day_of_the_forecast_the_parts_make_the_limit(
    parts: list[Part], other: float, limit: float
) -> None:
    used = other + sum(part.now for part in parts)
    found = forecast(parts, used, limit)
    if found.days is None:
        assert other + sum(part.after(FAR) for part in parts) <= limit * 1.000001
    elif used < limit:
        then = other + sum(part.after(found.days) for part in parts)
        assert then == pytest.approx(limit, rel=1e-6)
    else:
        assert found.days == 0


def test_the_raw_log_is_held_by_age_or_length_whichever_comes_first() -> None:
    assert raw_part(4000, 10, 100, (30.0, 0)) == Part(4000, 40_000, 30.0)
    assert raw_part(4000, 10, 100, (30.0, 1000)) == Part(4000, 40_000, 10.0)
    assert raw_part(4000, 10, 100, (None, 0)) == Part(4000, 40_000, None)
    assert raw_part(0, 0, 0, (None, 1000)) == Part(0, 0, None)


def stream(redis: Redis, hits: int, apart: timedelta, end: datetime = NOW) -> None:
    """A site's log: a hit each so often, the last one at the end."""
    redis.sadd(keys.SITES, SITE)
    for n in range(hits):
        at = end - (hits - 1 - n) * apart
        redis.xadd(keys.raw(SITE), {"hit": encode(hit(f"/{n % 9}", at=at))}, id=f"{milliseconds(at)}-1")


def count(redis: Redis, limit: int = 100_000, settings: Settings = EVER, *names: str) -> None:
    counting = Counting.of(settings, redis)
    counting.hooks = {name: counting.hooks[name] for name in names or counting.hooks}
    counting.step(SITE, limit)


def observe(redis: Redis, settings: Settings = EVER, now: datetime = NOW) -> Status:
    return Observer(settings, redis, list(chosen(settings).hooks), now).status()


@pytest.fixture
def maxmemory(redis: Redis) -> Iterator[int]:
    redis.config_set("maxmemory", 256_000_000)
    yield 256_000_000
    redis.config_set("maxmemory", 0)


def test_a_site_is_described_by_its_log_its_cursors_and_its_counters(redis: Redis) -> None:
    stream(redis, 480, timedelta(minutes=6))  # two days
    count(redis)
    redis.hincrby(keys.refused(NOW), "no url", 3)
    status = observe(redis)
    [site] = status.sites
    assert (site.site, site.hits, site.full) == (SITE, 480, 480 / 1_000_000)
    assert (site.oldest, site.newest) == (NOW - 479 * timedelta(minutes=6), NOW)
    assert (site.lag, site.behind) == (0.0, {})
    assert site.growth.hits == pytest.approx(240, rel=0.02)
    assert site.counters == sum(len(list(redis.scan_iter(f"*:{each}:*"))) for each in keys.MEASURES)
    whole = sum(redis.memory_usage(key) or 0 for key in redis.scan_iter("*:hits:*"))
    assert whole / 2 < site.counter_memory < whole * 2
    assert site.raw_memory == redis.memory_usage(keys.raw(SITE), 0)
    assert (status.counting, status.refused) == (False, {"no url": 3})


def test_the_rate_of_a_young_log_is_what_it_makes_in_a_day(redis: Redis) -> None:
    stream(redis, 120, timedelta(minutes=1))
    count(redis)
    assert observe(redis).sites[0].growth.hits == pytest.approx(120 * 24 * 60 / 119)
    redis.set(keys.trimmed(SITE), "5-0")  # not young: its older hits are forgotten
    assert observe(redis).sites[0].growth.hits == pytest.approx(120, rel=0.05)


def test_hits_that_were_imported_at_once_make_the_rate_of_their_own_times(redis: Redis) -> None:
    redis.sadd(keys.SITES, SITE)
    for n in range(480):  # two days, imported within a second
        at = NOW - (479 - n) * timedelta(minutes=6)
        redis.xadd(keys.raw(SITE), {"hit": encode(hit(at=at))}, id=f"{milliseconds(NOW)}-{n + 1}")
    count(redis)
    assert observe(redis).sites[0].growth.hits == pytest.approx(240, rel=0.02)


def test_lag_is_that_of_the_foremost_summary_and_the_others_are_named(redis: Redis) -> None:
    stream(redis, 101, timedelta(minutes=1))
    assert observe(redis).sites[0].lag == 6000
    count(redis, 81)
    everything = list(chosen(EVER).hooks)
    redis.hset(keys.cursor(SITE), "url", f"{milliseconds(NOW - timedelta(minutes=60))}-1")
    redis.hdel(keys.cursor(SITE), "ip")
    [site] = observe(redis).sites
    assert site.lag == 19 * 60
    assert site.behind == {"url": 0.5, "ip": 0.0}
    assert {"url", "ip"} < set(everything)
    said = list(lines(observe(redis), UTC_ZONE))
    assert "  counted    all but the last 1,140 s" in said
    assert "  catching up ip 0%, url 50%" in said


def test_the_limit_is_maxmemory_or_else_the_memory_of_the_machine(redis: Redis, maxmemory: int) -> None:
    assert (observe(redis).limit, observe(redis).maxmemory) == (maxmemory, True)
    redis.config_set("maxmemory", 0)
    status = observe(redis)
    assert (status.limit, status.maxmemory) == (redis.info("memory")["total_system_memory"], False)


def test_the_forecast_comes_from_the_rate_and_the_retention(redis: Redis, maxmemory: int) -> None:
    stream(redis, 480, timedelta(seconds=360))
    count(redis)
    redis.config_set("maxmemory", 100_000_000)
    for_ever = replace(EVER, keep_raw=None, keep_raw_max=0)
    slow = observe(redis, for_ever).forecast
    assert slow.days is not None
    assert 10 < slow.days < FAR
    bounded = replace(
        EVER,
        keep_raw=timedelta(days=3),
        keep_hour=timedelta(days=1),
        keep_day=timedelta(days=9),
        keep_month=timedelta(days=90),
    )
    found = observe(redis, bounded).forecast
    assert (found.days, found.ends, found.most < 20_000_000) == (None, True, True)


def test_a_sample_stands_for_the_counters_of_its_sort(redis: Redis) -> None:
    calendar = Calendar.of(EVER)
    for day in range(1, 21):
        redis.hset(keys.counter(SITE, "hits", "url", f"day:2126-11-{day:02}"), mapping={"/": 1, "/a": 2})
        redis.hset(keys.counter(SITE, "hits", "url", f"hour:2126-10-{day:02}T05"), "/", 1)
    redis.hset(keys.counter(SITE, "hits", "url", "hour:2126-11-21T05"), "/", 1)
    stocks = take_stock(redis, calendar, NOW)
    days, hours = stocks[SITE, "day"], stocks[SITE, "hour"]
    one = redis.memory_usage(keys.counter(SITE, "hits", "url", "day:2126-11-03")) or 0
    assert days.memory == pytest.approx(20 * one, rel=0.15)
    assert (days.counters, len(days.buckets)) == (20, 7)
    assert days.recent == pytest.approx(7 * one, rel=0.15)  # Redis gives some of them more room
    assert (hours.counters, hours.buckets) == (21, {"hour:2126-11-21T05"})
    assert all(len(names) <= EACH for names in days.samples.values())


def test_a_counter_at_work_is_seen(redis: Redis) -> None:
    assert observe(redis).counting is False
    lease = Lease(redis)
    assert lease.hold()
    assert observe(redis).counting is True
    lease.release()


SITE_STATUS = SiteStatus(
    site=SITE,
    hits=123_456,
    oldest=datetime(2126, 10, 22, 6, 31, tzinfo=UTC),
    newest=NOW,
    full=0.123,
    raw_memory=37_000_000,
    growth=Growth(4100.4, 812.2, 299.7, 507.3, 1_228_890, 411_980, 702_000),
    lag=0.2,
    behind={},
    failed={},
    counters=4212,
    counter_memory=3_140_000,
)
STATUS = Status(
    [SITE_STATUS], True, {"no url": 12}, 45_100_000, 256_000_000, True, 70.7e9, Forecast(41.2, 256e6)
)


def test_people_read_it_in_plain_words() -> None:
    assert list(lines(STATUS, ZoneInfo("Asia/Kathmandu"))) == [
        "example.com",
        "  raw hits   123,456 since 2126-10-22 12:16, 37.0 MB, 12% of HITWALL_KEEP_RAW_MAX",
        "  last hit   2126-11-21 12:16; 4,100 a day at the present rate",
        "  sizes      300 B a raw hit, 507 B a visitor in the counters of an hour, a day and a month",
        "  growth     2.34 MB a day: 1.23 MB of 4,100 hits, 412 kB of 812 visitors, 702 kB of other counters",
        "  counters   4,212 keys, about 3.14 MB",
        "  counted    up to now",
        "Counter      one is at work",
        "Refused      today (UTC): 12 no url",
        "Memory       45.1 MB of 256 MB (maxmemory)",
        "Flood        70.7 GB at most for a site after a month of made-up hits; HITWALL_MAX_LABELS lowers it",
        "Forecast     full in 41 days at 256 MB",
    ]


def test_entries_that_cannot_be_read_have_a_line() -> None:
    site = replace(SITE_STATUS, failed={"(unreadable)": 15})
    said = list(lines(replace(STATUS, sites=[site]), UTC_ZONE))
    assert said[7] == "  unreadable 15 raw entries of today (UTC), which count nowhere"


def test_law_4_a_hook_that_fails_is_named_with_what_it_lacks() -> None:
    site = replace(SITE_STATUS, failed={"section": 1200}, behind={"country": 0.4})
    said = list(lines(replace(STATUS, sites=[site]), UTC_ZONE))
    assert "  failing    section 1,200: hits of today (UTC) that these summaries lack" in said[7]
    assert said[8] == "  catching up country 40%"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Forecast(1.5, 256e6), "full in 36 hours at 256 MB"),
        (Forecast(0.0, 256e6), "full: new hits are refused until there is room"),
        (Forecast(None, 120e6, True), "never full: at most about 120 MB"),
        (Forecast(None, 120e6, False), "not full within 10 years: about 120 MB by then"),
    ],
)
def test_a_forecast_in_words(found: Forecast, words: str) -> None:
    assert list(lines(replace(STATUS, forecast=found), UTC_ZONE))[-1] == f"Forecast     {words}"


@pytest.mark.parametrize("hits", [0, 50])
def test_the_command_speaks_to_people_and_to_programs(redis: Redis, redis_url: str, hits: int) -> None:
    if hits:
        RawLog(redis).append(SITE, [hit(at=datetime.now(UTC)) for _ in range(hits)], "test", 1)
        count(redis)
    environ = {"REDIS_URL": redis_url}
    said = CliRunner().invoke(main, ["status"], env=environ, catch_exceptions=False)
    assert said.exit_code == 0
    assert "none is at work; start one: hitwall count" in said.output
    found = json.loads(CliRunner().invoke(main, ["status", "--json"], env=environ).stdout)
    assert [site["hits"] for site in found["sites"]] == ([hits] if hits else [])
    told = {"sites", "counting", "refused", "used", "limit", "maxmemory", "forecast", "spool"}
    assert set(found) == told | {"spool_most", "canary", "flood"}
    assert ("none yet" in said.output) is (hits == 0)
    assert START not in said.output


def test_hits_on_disk_and_the_canary_have_a_line() -> None:
    came = replace(STATUS, canary=Canary(0.118, NOW), spool=Spooled(2, 12_345_678, NOW), spool_most=2**28)
    assert list(lines(came, UTC_ZONE))[8:10] == [
        "Spool        12.3 MB of hits wait on disk, since 2126-11-21 06:31",
        "Canary       0.12 s from hit to screen, 2126-11-21 06:31",
    ]
    full = list(lines(replace(came, spool_most=12_900_000), UTC_ZONE))[8]
    assert full.endswith("06:31; no more fit into HITWALL_SPOOL_MB, new ones are lost")
    fails = replace(STATUS, canary=Canary(failing=NOW))
    assert list(lines(fails, UTC_ZONE))[8] == "Canary       none has come through since 2126-11-21 06:31"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_redis_it_tells_what_waits_on_disk_and_fails(
    options: list[str], free_port: int, tmp_path: Path
) -> None:
    with closing(Spool(tmp_path / "spool", DOOR)) as spool:
        assert spool.append(Batch([hit()], "web-1", 1))
        environ = {"REDIS_URL": f"redis://:secret@127.0.0.1:{free_port}", "HITWALL_DATA": str(tmp_path)}
        said = CliRunner().invoke(main, ["status", *options], env=environ)
    assert said.exit_code == 1
    assert "Redis cannot be used" in said.stderr
    assert "REDIS_URL" in said.stderr
    assert "secret" not in said.output
    if options:
        assert json.loads(said.stdout)["spool"]["files"] == 1
    else:
        assert re.fullmatch(r"Spool        \d+ B of hits wait on disk, since 2126-11-21 06:31\n", said.stdout)
