"""What the old extension's documentation promises of its summary hooks, word by word."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import summaries
from tests.hits import CHROME, FIREFOX
from tests.hits import hit as hit_of
from tests.promised import REMOTE, SITE, Host, count, every_storage, makes, only
from tests.test_countries import write
from tracker import keys
from tracker.hit import Hit
from tracker.settings import Settings
from tracker.storage import Batch, Storage

FOREVER = Settings.read({f"HITWALL_KEEP_{kind}": "0" for kind in ("HOUR", "DAY", "MONTH", "RAW")})
MARCH = [  # of 2017: two hits in an hour, one in the next, one on another day
    datetime(2017, 3, 14, 6, 31, tzinfo=UTC),
    datetime(2017, 3, 14, 6, 59, tzinfo=UTC),
    datetime(2017, 3, 14, 7, 0, tzinfo=UTC),
    datetime(2017, 3, 31, 23, 59, tzinfo=UTC),
]
Counts = dict[str, list[int]]


class Sums:
    """Storages of one kind, with hits whose sums are ready to be asked for."""

    def __init__(self, kind: str, redis: Redis, redis_url: str, tmp_path: Path) -> None:
        self.redis = redis
        self._made = makes(kind, redis, redis_url, tmp_path)

    def of(self, times: Sequence[datetime], **fields: Any) -> Storage:
        """Of hits at these times."""
        stored = self._made(settings=FOREVER)
        stored.store(Batch([hit(at, **fields) for at in times], "test", 1))
        count(self.redis, FOREVER)
        return stored

    def visited(self, *requests: dict[str, str], **config: Any) -> Storage:
        """Of these requests to an application."""
        stored = self._made()
        host = Host(stored, **config)
        for headers in requests:
            host.get(**headers)
        settings = Settings.read(
            {name: str(of) for name, of in config.items() if name.startswith("HITWALL_")}
        )
        count(self.redis, settings)
        return stored


def hit(at: datetime, **fields: Any) -> Hit:
    return hit_of(**{"at": at, "site": SITE, "source": "flask", "agent": FIREFOX, "bytes": 5, **fields})


@pytest.fixture
def sums(kind: str, redis: Redis, redis_url: str, tmp_path: Path) -> Sums:
    return Sums(kind, redis, redis_url, tmp_path)


def numbers(rows: Sequence[dict[str, Any]], key: str) -> dict[str, int]:
    """Label -> hits, of all buckets together: a test may run while an hour ends."""
    found: dict[str, int] = {}
    for row in rows:
        found[row[key]] = found.get(row[key], 0) + row["hits"]
    return found


def each(storage: Storage, name: str) -> dict[str, int]:
    """Label -> hits, the same in hours, days and months."""
    summed = getattr(summaries, name)
    answer = storage.get_sum(summed)
    hours, days, months = (numbers(answer[kind], summed.key) for kind in ("hour", "day", "month"))
    assert hours == days == months
    return hours


@every_storage
def test_hour_one_common_unit_is_kept_for_each_hour_of_a_particular_date(sums: Sums) -> None:
    rows = sums.of(MARCH).get_sum(summaries.sumServer)["hour"]
    assert [(row["date"].day, row["date"].hour, row["hits"]) for row in rows] == [
        (31, 23, 1),
        (14, 7, 1),
        (14, 6, 2),
    ]


@every_storage
def test_date_one_common_unit_is_kept_to_keep_track_of_the_daily_traffic_for_a_particular_date(
    sums: Sums,
) -> None:
    rows = sums.of(MARCH).get_sum(summaries.sumServer)["day"]
    assert [(row["date"], row["hits"]) for row in rows] == [
        (datetime(2017, 3, 31, tzinfo=UTC), 1),
        (datetime(2017, 3, 14, tzinfo=UTC), 3),
    ]


@every_storage
def test_month_the_month_stored_is_the_first_day_of_the_month_march_2017_under_2017_03_01(
    sums: Sums,
) -> None:
    row = only(sums.of(MARCH).get_sum(summaries.sumServer)["month"])
    assert (str(row["date"].date()), row["hits"]) == ("2017-03-01", 4)
    assert row["date"] == datetime(2017, 3, 1, tzinfo=UTC)


@every_storage
def test_hits_the_total_number_of_requests_seen(sums: Sums) -> None:
    storage = sums.visited({}, {"path": "/other"}, {"path": "/nowhere"})
    assert each(storage, "sumServer") == {SITE: 3}


@every_storage
def test_transfer_the_total_number_of_bytes_transfered_in_response_to_all_requests_seen(sums: Sums) -> None:
    storage = sums.visited({"path": "/"}, {"path": "/"}, {"path": "/other"})
    for rows in storage.get_sum(summaries.sumServer).values():
        assert sum(row["transfer"] for row in rows) == len("Hello") * 2 + len("other")


def test_if_you_wish_to_delete_hourly_data_that_is_over_60_days_old_a_setting_does_it(
    redis: Redis, redis_url: str
) -> None:
    """There: "this library DOES NOT handle expiration, you will need to create a separate process"."""
    kept = Settings.read({"HITWALL_KEEP_HOUR": "60d", "HITWALL_KEEP_DAY": "0"})
    now = datetime.now(UTC)
    stored = makes("counters", redis, redis_url, Path())(settings=kept)
    stored.store(Batch([hit(now), hit(now - timedelta(days=62))], "test", 1))
    count(redis, kept)
    answer = stored.get_sum(summaries.sumServer)
    assert [len(answer[kind]) for kind in ("hour", "day")] == [1, 2]
    key = keys.counter(SITE, "hits", "server", f"{now:hour:%Y-%m-%dT%H}")
    assert 59 * 86_400 < redis.ttl(key) <= 60 * 86_400 + 3600


def test_this_library_merely_adds_new_data_and_presumes_limitless_storage_where_it_is_told_to(
    redis: Redis, redis_url: str
) -> None:
    stored = makes("counters", redis, redis_url, Path())(settings=FOREVER)
    stored.store(Batch([hit(at) for at in MARCH], "test", 1))
    count(redis, FOREVER)
    assert {len(rows) for rows in stored.get_sum(summaries.sumServer).values()} == {3, 2, 1}
    for kind in ("hour:2017-03-14T06", "day:2017-03-14", "month:2017-03"):
        assert redis.ttl(keys.counter(SITE, "hits", "server", kind)) == -1


@every_storage
def test_sum_urls_traffic_is_summarized_for_each_url_requested_of_the_flask_server(sums: Sums) -> None:
    storage = sums.visited({"path": "/"}, {"path": "/other"}, {"path": "/other?a=1"})
    assert each(storage, "sumUrls") == each(storage, "sumUrl") == {"/": 1, "/other": 2}
    rows = storage.get_sum(summaries.sumUrl, target="http://localhost/other")["day"]
    assert numbers(rows, "url") == {"/other": 2}


@every_storage
def test_sum_remotes_traffic_is_summarized_for_each_remote_ip_address_seen_by_the_flask_server(
    sums: Sums,
) -> None:
    storage = sums.visited({}, {}, {"remote": "198.51.100.9"})
    assert each(storage, "sumRemotes") == each(storage, "sumRemote") == {REMOTE: 2, "198.51.100.9": 1}


@every_storage
def test_sum_user_agents_traffic_is_summarized_for_each_client_aka_web_browser_seen(sums: Sums) -> None:
    storage = sums.visited({}, {"User_Agent": CHROME}, {"User_Agent": FIREFOX})
    assert (
        each(storage, "sumUserAgents") == each(storage, "sumUserAgent") == {"Firefox 140": 2, "Chrome 138": 1}
    )


@every_storage
def test_sum_languages_traffic_is_summarized_for_each_language_seen_in_the_requests(sums: Sums) -> None:
    storage = sums.visited({}, {"Accept_Language": "de"}, {"Accept_Language": "de,en;q=0.5"})
    assert each(storage, "sumLanguages") == each(storage, "sumLanguage") == {"en-US": 1, "de": 2}


@every_storage
def test_sum_server_traffic_is_summarized_for_all_requests_sent_to_the_flask_server(sums: Sums) -> None:
    storage = sums.visited({}, {"path": "/other"}, TRACK_USAGE_SITE="shop.example")
    assert each(storage, "sumServer") == {"shop.example": 2}


BROWSER = {"Cookie": "_hitwall=OneBrowser0123456789xy"}
ANOTHER = {"Cookie": "_hitwall=AnotherOne0123456789xy"}


@every_storage
def test_sum_visitors_traffic_is_summarized_for_each_unique_visitor_as_tracked_by_cookies(
    sums: Sums,
) -> None:
    storage = sums.visited(BROWSER, BROWSER, ANOTHER, TRACK_USAGE_COOKIE=True)
    ids = {"OneBrowser0123456789xy": 2, "AnotherOne0123456789xy": 1}
    assert each(storage, "sumVisitors") == each(storage, "sumVisitor") == ids


@every_storage
def test_for_this_to_function_the_optional_track_usage_cookie_function_must_be_enabled_in_config(
    sums: Sums,
) -> None:
    assert each(sums.visited(BROWSER, ANOTHER), "sumVisitors") == {}


@every_storage
def test_user_behavior_such_as_switching_browsers_will_make_them_appear_to_be_multiple_users(
    sums: Sums,
) -> None:
    """One address, two browsers, one of which takes no cookies."""
    firefox = {**BROWSER, "User_Agent": FIREFOX}
    storage = sums.visited(firefox, {**ANOTHER, "User_Agent": CHROME}, firefox, TRACK_USAGE_COOKIE=True)
    assert len(each(storage, "sumVisitors")) == 2
    assert each(storage, "sumRemotes") == {REMOTE: 3}


@every_storage
def test_sum_geo_traffic_is_summarized_for_the_tracked_geographies_only_the_country_is_used(
    sums: Sums, tmp_path: Path
) -> None:
    place = {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}}
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": place})
    storage = sums.visited({}, {}, {"remote": "198.51.100.9"}, HITWALL_GEOIP=str(file))
    assert each(storage, "sumGeo") == {"DE": 2}


@every_storage
def test_for_sum_geo_to_properly_function_geography_must_be_enabled(sums: Sums) -> None:
    with pytest.raises(NotImplementedError, match="HITWALL_GEOIP must be set for country"):
        sums.visited({}).get_sum(summaries.sumGeo)
