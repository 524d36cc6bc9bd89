"""The old names of summaries: the same numbers from the counters and from the hits themselves."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

import summaries
from summaries import counted_sums, folded_sums, sums
from summaries.buckets import Calendar
from summaries.counting import Counting
from summaries.spans import BadQuestion
from summaries.stretch import Stretch
from summaries.sums import Sum
from tests.hits import FIREFOX, PROPERTY, generated_hits
from tests.hits import hit as hit_of
from tests.test_countries import write
from tracker.hit import Hit
from tracker.settings import Settings
from tracker.storage import Away, Batch, Storage
from tracker.storage.redis_db import RedisStorage
from tracker.storage.sql import SQLStorage

KEPT = {"HITWALL_KEEP_HOUR": "0", "HITWALL_KEEP_DAY": "0", "HITWALL_KEEP_RAW": "0"}
FOREVER = Settings.read(KEPT)
NAMES = {
    "sumUrl": ("url", "url"),
    "sumUrls": ("url", "url"),
    "sumRemote": ("ip", "remote_addr"),
    "sumRemotes": ("ip", "remote_addr"),
    "sumUserAgent": ("browser", "user_agent_string"),
    "sumUserAgents": ("browser", "user_agent_string"),
    "sumLanguage": ("language", "language"),
    "sumLanguages": ("language", "language"),
    "sumServer": ("server", "server_name"),
    "sumVisitor": ("visitor", "visitor_id"),
    "sumVisitors": ("visitor", "visitor_id"),
    "sumGeo": ("country", "country"),
}
# Of the old extension's own test: two hits of one day, one of the next, one of the next month.
TIMES = [datetime(2018, 4, 15, 8, 45, 12), datetime(2018, 4, 15, 9, 45, 12)]
TIMES += [datetime(2018, 4, 16, 9, 45, 12), datetime(2018, 5, 10, 9, 45, 12)]
NOTHING: dict[str, list[Any]] = {"hour": [], "day": [], "month": []}
FOUR = [at.replace(tzinfo=UTC) for at in TIMES]


class Kept(Storage):
    """A storage of one's own, in a list."""

    def __init__(self, hits: Sequence[Hit] = (), settings: Settings = FOREVER, **other: Any) -> None:
        super().__init__(**other)
        self.settings = settings
        self.kept = list(hits)
        self.read = 0

    def store(self, hits: Batch) -> None:
        self.kept += hits

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        for hit in sorted(self.kept, key=lambda hit: hit.at, reverse=True):
            if (start is None or hit.at >= start) and (end is None or hit.at <= end):
                self.read += 1
                yield hit


def hit(at: datetime, path: str = "/", **fields: Any) -> Hit:
    seen = {"remote": "203.0.113.7", "agent": FIREFOX, "language": "en-US,en;q=0.5", "visitor": "v1"}
    return hit_of(path, **{"at": at, "source": "flask", "bytes": 6, **seen, **fields})


def counted(redis: Redis, hits: Sequence[Hit], settings: Settings = FOREVER) -> RedisStorage:
    """A storage with these hits, counted by these settings."""
    storage = RedisStorage(url=_url(redis), settings=settings)
    storage.store(Batch(hits, "test", 1))
    counting = Counting.of(settings, redis)
    for site in storage.sites():
        while counting.step(site).hits:
            pass
    return storage


def _url(redis: Redis) -> str:
    return f"redis://127.0.0.1:{redis.get_connection_kwargs()['port']}/0"


@pytest.fixture(params=["counters", "database", "hits"])
def stored(request: pytest.FixtureRequest, redis: Redis, tmp_path: Path) -> Callable[..., Storage]:
    """Makes a storage with these hits: one whose hits are counted, one in SQL, one of one's own."""

    def made(hits: Sequence[Hit], **settings: str) -> Storage:
        chosen = Settings.read({**KEPT, **settings})
        if request.param == "counters":
            return counted(redis, hits, chosen)
        if request.param == "hits":
            return Kept(hits, chosen)
        database = SQLStorage(url=f"sqlite:///{tmp_path / 'hits.db'}", settings=chosen)
        database.store(Batch(hits, "test", 1))
        return database

    return made


Stored = Callable[..., Storage]


@pytest.mark.parametrize("name", NAMES)
def test_every_old_name_is_one_of_ours_and_a_hook_that_leaves_counting_to_us(name: str) -> None:
    found = getattr(summaries, name)
    assert (found.__name__, found.summary, found.key) == (name, *NAMES[name])
    assert found(url="http://localhost/", status=200) is found() is found  # it was a class there


def test_what_is_no_name_of_ours_is_missed_as_in_every_module() -> None:
    with pytest.raises(AttributeError, match="module 'summaries' has no attribute 'sumNothing'"):
        summaries.sumNothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_names_cost_nothing_before_one_is_asked_for() -> None:
    code = "import summaries, sys; sys.exit('redis' in sys.modules or 'summaries.sums' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent).returncode == 0


def test_rows_are_as_the_old_extension_had_them(stored: Stored) -> None:
    april, may = datetime(2018, 4, 1, tzinfo=UTC), datetime(2018, 5, 1, tzinfo=UTC)
    label = {"url": "/"}
    assert stored([hit(at) for at in FOUR]).get_sum(summaries.sumUrl) == {
        "hour": [
            {"date": at.replace(minute=0, second=0), **label, "hits": 1, "transfer": 6} for at in FOUR[::-1]
        ],
        "day": [
            {"date": datetime(2018, 5, 10, tzinfo=UTC), **label, "hits": 1, "transfer": 6},
            {"date": datetime(2018, 4, 16, tzinfo=UTC), **label, "hits": 1, "transfer": 6},
            {"date": datetime(2018, 4, 15, tzinfo=UTC), **label, "hits": 2, "transfer": 12},
        ],
        "month": [
            {"date": may, **label, "hits": 1, "transfer": 6},
            {"date": april, **label, "hits": 3, "transfer": 18},
        ],
    }


LABELS = {
    "sumUrl": "/",
    "sumRemote": "203.0.113.7",
    "sumUserAgent": "Firefox 140",
    "sumLanguage": "en-US",
    "sumServer": "example.com",
    "sumVisitor": "v1",
}


def numbers(answer: dict[str, list[dict[str, Any]]]) -> dict[str, list[int]]:
    return {kind: [row["hits"] for row in rows] for kind, rows in answer.items()}


@pytest.mark.parametrize("name", LABELS)
def test_a_start_alone_means_the_hour_the_day_and_the_month_that_it_lies_in(
    stored: Stored, name: str
) -> None:
    storage, found = stored([hit(at) for at in FOUR]), getattr(summaries, name)
    for target in (None, LABELS[name]):
        first = storage.get_sum(found, start_date=TIMES[0], target=target)
        assert numbers(first) == {"hour": [1], "day": [2], "month": [3]}
        assert [rows[0][found.key] for rows in first.values()] == [LABELS[name]] * 3
        assert numbers(storage.get_sum(found, start_date=TIMES[3])) == {"hour": [1], "day": [1], "month": [1]}
    assert numbers(storage.get_sum(found, TIMES[0], target="no such label")) == NOTHING


def test_a_span_has_every_bucket_from_that_of_its_start_to_that_of_its_end(stored: Stored) -> None:
    storage = stored([hit(at) for at in FOUR])
    between = storage.get_sum(summaries.sumUrl, TIMES[1], TIMES[2])
    assert numbers(between) == {"hour": [1, 1], "day": [1, 2], "month": [3]}
    assert numbers(storage.get_sum(summaries.sumUrl, end_date=TIMES[1]))["hour"] == [1, 1]
    assert numbers(storage.get_sum(summaries.sumUrl, datetime.min, datetime.max))["month"] == [1, 3]
    assert numbers(storage.get_sum(summaries.sumUrl, TIMES[3], TIMES[0])) == NOTHING


def test_rows_come_in_pages_the_newest_first_in_a_bucket_those_with_the_most_hits(stored: Stored) -> None:
    paths = ["/b", "/b", "/c", "/a"]
    storage = stored([hit(at, path) for at in FOUR[2:] for path in paths])
    whole = storage.get_sum(summaries.sumUrls, limit=0)
    assert [(row["date"].day, row["url"]) for row in whole["day"]] == [
        (day, path) for day in (10, 16) for path in ("/b", "/a", "/c")
    ]
    pages = [storage.get_sum(summaries.sumUrls, limit=4, page=page)["day"] for page in (1, 2, 3)]
    assert pages == [whole["day"][:4], whole["day"][4:], []]
    assert storage.get_sum(summaries.sumUrls, limit=0, page=2) == NOTHING


@pytest.mark.parametrize(("limit", "page"), [(-1, 1), (10, 0), (10, -1)])
def test_a_page_that_cannot_be_is_refused(limit: int, page: int) -> None:
    with pytest.raises(ValueError, match=f"page 1 or more: not {limit} and {page}"):
        Kept().get_sum(summaries.sumUrl, limit=limit, page=page)


@pytest.mark.parametrize("target", ["/a b", "/a%20b/", "http://localhost:5000/a%20b?x=1", "HTTPS://h/a%20b"])
def test_a_page_is_found_by_its_label_its_path_and_its_address(stored: Stored, target: str) -> None:
    storage = stored([hit(FOUR[0], "/a%20b"), hit(FOUR[0], "/a")])
    rows = storage.get_sum(summaries.sumUrl, target=target)["day"]
    assert [(row["url"], row["hits"]) for row in rows] == [("/a%20b", 1)]


def test_a_page_that_its_parameters_make_is_found_by_its_address(stored: Stored) -> None:
    pages = [hit(FOUR[0], "/i", query=f"p={n}", params={"p": str(n)}) for n in (1, 2)]
    storage = stored(pages, HITWALL_URL_PARAMS="p")
    for target in ("/i?p=2", "http://localhost/i?q=0&p=2"):
        assert [r["url"] for r in storage.get_sum(summaries.sumUrl, target=target)["day"]] == ["/i?p=2"]
    assert storage.get_sum(summaries.sumUrl, target="/i")["day"] == []


@pytest.mark.parametrize("target", ["", "blog", "(other)", "http://", "\x00", "/" + "x" * 5000])
def test_a_target_that_is_no_page_finds_nothing(stored: Stored, target: str) -> None:
    storage = stored([hit(FOUR[0])])
    assert storage.get_sum(summaries.sumUrl, target=target) == NOTHING


def test_bots_are_no_visitors_unless_they_are_to_be_counted(stored: Stored) -> None:
    hits = [hit(FOUR[0]), hit(FOUR[0], agent="curl/8.5.0")]
    assert numbers(stored(hits).get_sum(summaries.sumServer))["day"] == [1]


def test_bots_count_where_the_setting_says_so(stored: Stored) -> None:
    hits = [hit(FOUR[0]), hit(FOUR[0], agent="curl/8.5.0")]
    assert numbers(stored(hits, HITWALL_COUNT_BOTS="yes").get_sum(summaries.sumServer))["day"] == [2]


def test_countries_are_those_of_the_file(stored: Stored, tmp_path: Path) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": {"iso_code": "DE"}}})
    storage = stored([hit(FOUR[0]), hit(FOUR[0], remote="10.0.0.1")], HITWALL_GEOIP=str(file))
    rows = storage.get_sum(summaries.sumGeo)["month"]
    assert [(row["country"], row["hits"]) for row in rows] == [("DE", 1)]


def test_without_a_file_of_countries_one_is_told_what_to_set(stored: Stored) -> None:
    with pytest.raises(NotImplementedError, match=r"sumGeo has no numbers: HITWALL_GEOIP must be set"):
        stored([hit(FOUR[0])]).get_sum(summaries.sumGeo)


def test_a_summary_that_is_not_chosen_is_told_to_be_none(stored: Stored) -> None:
    storage = stored([hit(FOUR[0])], HITWALL_SUMMARIES="url")
    assert numbers(storage.get_sum(summaries.sumUrl))["day"] == [1]
    with pytest.raises(NotImplementedError, match="HITWALL_SUMMARIES must be set for ip"):
        storage.get_sum(summaries.sumRemote)


def test_what_another_process_counts_is_told_by_one_whose_settings_do_not_name_it(
    redis: Redis, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": "DE"}})
    counted(redis, [hit(FOUR[0])], Settings.read({**KEPT, "HITWALL_GEOIP": str(file)}))
    plain = RedisStorage(url=_url(redis), settings=FOREVER)
    assert numbers(plain.get_sum(summaries.sumGeo))["day"] == [1]


def test_the_sites_of_a_storage_are_added_up(stored: Stored) -> None:
    hits = [hit(FOUR[0], site=site) for site in ("example.com", "example.com", "example.org")]
    storage = stored(hits)
    assert numbers(storage.get_sum(summaries.sumUrl)) == {"hour": [3], "day": [3], "month": [3]}
    assert [row["server_name"] for row in storage.get_sum(summaries.sumServer)["day"]] == [
        "example.com",
        "example.org",
    ]
    assert numbers(storage.get_sum(summaries.sumUrl, target="/"))["day"] == [3]


def test_a_summary_is_found_by_its_name_among_the_hooks(redis: Redis) -> None:
    storage = Kept([hit(FOUR[0])], hooks=[print, summaries.sumUrl])
    assert storage.get_sum("sumUrl") == storage.get_sum(summaries.sumUrl)
    with pytest.raises(NotImplementedError, match="No summary named sumRemote is among the hooks of Kept"):
        storage.get_sum("sumRemote")


def test_counters_that_have_expired_are_no_rows_and_later_ones_are(redis: Redis) -> None:
    now = datetime.now(UTC)
    kept = Settings.read({"HITWALL_KEEP_HOUR": "2d", "HITWALL_KEEP_DAY": "1h", "HITWALL_KEEP_MONTH": "1h"})
    storage = counted(redis, [hit(now - timedelta(hours=age)) for age in (0, 30, 100 * 24)], kept)
    assert numbers(storage.get_sum(summaries.sumUrl))["hour"] == [1, 1]
    assert numbers(storage.get_sum(summaries.sumUrl))["day"] == [1]


def test_hours_are_looked_for_on_days_that_have_some_and_keys_are_never_searched(redis: Redis) -> None:
    storage = counted(redis, [hit(at, path) for at in FOUR for path in ("/a", "/b")])
    redis.config_resetstat()
    storage.get_sum(summaries.sumUrl)
    told: Any = redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): said["calls"] for name, said in told.items()}
    assert not {"keys", "scan"} & set(calls)
    months = (datetime.now(UTC).year - 1969) * 12 + 24  # days of three months, hours of three days beside
    assert calls["hlen"] < 3 * months + 3 * 62 + 3 * 24


def test_law_10_hours_that_have_expired_are_not_looked_for(redis: Redis) -> None:
    now = datetime.now(UTC)
    days = [now - timedelta(hours=26 * n) for n in range(60)]
    storage = counted(redis, [hit(at) for at in days], Settings.read({"HITWALL_KEEP_HOUR": "2d"}))
    redis.config_resetstat()
    answer = storage.get_sum(summaries.sumUrl, days[-1], now)
    assert [len(answer[kind]) for kind in ("hour", "day")] == [2, 60]
    told: Any = redis.info("commandstats")
    assert told["cmdstat_hlen"]["calls"] < 400  # two times 65 days, and a part of their 1,440 hours


def test_a_redis_that_is_away_is_away(free_port: int) -> None:
    storage = RedisStorage(url=f"redis://127.0.0.1:{free_port}/0", settings=FOREVER)
    with pytest.raises(Away):
        storage.get_sum(summaries.sumUrl)


def test_law_10_no_more_hits_are_read_than_a_page_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_sums, "CHUNK", 10)
    months = [datetime(2000 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(200)]
    storage = Kept([hit(at) for at in months])
    assert storage.get_sum(summaries.sumUrl, limit=20)["month"][-1]["date"] == months[-20]
    assert storage.read == 30
    deep = storage.get_sum(summaries.sumUrl, limit=20, page=3)
    assert [row["date"] for row in deep["hour"]] == months[-41:-61:-1]


def test_law_10_hours_beyond_the_page_are_not_held_while_months_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folded_sums, "CHUNK", 12)
    monkeypatch.setattr(folded_sums, "MOST_LABELS", 150)
    hours = [datetime(2018, 4, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(48)]
    storage = Kept([hit(at, f"/{n}") for at in hours for n in range(12)])
    answer = storage.get_sum(summaries.sumUrl, limit=15)
    assert [len(answer[kind]) for kind in ("hour", "day", "month")] == [15, 15, 12]
    assert sum(row["hits"] for row in answer["month"]) == 48 * 12


def test_law_10_an_answer_has_a_bound(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = stored([hit(FOUR[0], f"/{n}") for n in range(12)])
    monkeypatch.setattr(sums, "MOST_ROWS", 11)
    with pytest.raises(BadQuestion, match="limit is 0 and there are more than 11 rows: take them in pages"):
        storage.get_sum(summaries.sumUrl, limit=0)
    assert len(storage.get_sum(summaries.sumUrl, limit=12)["day"]) == 12
    monkeypatch.setattr(sums, "MOST_ROWS", 12)
    assert len(storage.get_sum(summaries.sumUrl, limit=0)["day"]) == 12


def test_law_10_labels_held_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_sums, "MOST_LABELS", 35)
    with pytest.raises(BadQuestion, match="ask for more than 35 labels"):
        Kept([hit(FOUR[0], f"/{n}") for n in range(12)]).get_sum(summaries.sumUrl)


ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
# The clocks of these zones change in these months; a month lies between some.
MOMENTS = [
    *(datetime(2018, 2, 17, 20, tzinfo=UTC) + timedelta(minutes=n * 25) for n in range(24)),
    *(datetime(2018, 3, 24, 22, tzinfo=UTC) + timedelta(minutes=n * 25) for n in range(24)),
    *(datetime(2018, 6, 30, 10, tzinfo=UTC) + timedelta(hours=n) for n in range(20)),
    *(datetime(2011, 12, 29, 6, tzinfo=UTC) + timedelta(hours=n) for n in range(30)),
]
MOMENT = st.sampled_from(MOMENTS)
ASKED = st.none() | MOMENT | MOMENT.map(lambda at: at + timedelta(days=40))
ONES = ["sumUrl", "sumRemote", "sumUserAgent", "sumLanguage", "sumServer", "sumVisitor"]


@given(
    st.lists(generated_hits(MOMENT), max_size=40),
    st.sampled_from(ZONES),
    st.sampled_from(ONES),
    st.tuples(ASKED, ASKED),
    st.tuples(st.integers(0, 6), st.integers(1, 3)),
    st.none() | st.sampled_from(["/1", "v1", "en-US", "Firefox 140", "example.com", "visitor-3", "/"]),
)
@PROPERTY
def test_law_3_the_counters_say_what_the_hits_themselves_say(
    redis: Redis,
    hits: list[Hit],
    zone: str,
    name: str,
    span: tuple[datetime | None, datetime | None],
    page: tuple[int, int],
    target: str | None,
) -> None:
    redis.flushdb()
    settings = Settings.read({**KEPT, "HITWALL_TIMEZONE": zone})
    found: Sum = getattr(sums, name)
    told = counted(redis, hits, settings).get_sum(found, *span, *page, target=target)
    assert told == Kept(hits, settings).get_sum(found, *span, *page, target=target)


@given(MOMENT, st.integers(0, 60 * 60), st.sampled_from(ZONES), st.sampled_from(["hour", "day", "month"]))
@PROPERTY
def test_a_stretch_has_each_of_its_buckets_once_whether_asked_at_once_or_within_larger_ones(
    first: datetime, minutes: int, zone: str, kind: str
) -> None:
    calendar = Calendar(ZoneInfo(zone))
    last = first + timedelta(minutes=minutes)
    stretch = Stretch.of(calendar, first, last, last)
    buckets = list(stretch.buckets(kind))
    assert buckets == sorted(set(buckets), reverse=True)
    assert all(map(stretch.has, buckets))
    passed = {calendar.bucket(kind, first + timedelta(minutes=n)) for n in range(minutes + 1)}
    assert passed == set(buckets)
    if kind in counted_sums.LARGER:
        larger = stretch.buckets(counted_sums.LARGER[kind])
        assert [b for outer in larger for b in stretch.buckets(kind, outer)] == buckets
