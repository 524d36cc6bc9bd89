"""What the configuration of an application says: settings, storages, site, spool, places of addresses."""

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from tests.hits import FIREFOX
from tests.test_countries import write
from tests.tracked import Memory, Tracked
from tests.waiting import until
from tracker import TrackUsage
from tracker.flask_config import settings_of
from tracker.raw import RawLog
from tracker.settings import BadSetting
from tracker.storage import Batch
from tracker.storage.couchdb import CouchDBStorage
from tracker.storage.redis_db import RedisStorage
from tracker.storage.sql import SQLStorage


class Unreachable:
    """A storage that is out of reach until it is told otherwise."""

    name = "far away"

    def __init__(self) -> None:
        self.is_away = True
        self.paths: list[str] = []

    def store(self, hits: Batch) -> None:
        if self.is_away:
            raise ConnectionError("far away")
        self.paths += [hit.path for hit in hits]


def app_with(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update({"TRACK_USAGE_SPOOL": False, **config})
    app.add_url_rule("/", "home", lambda: "hello")
    return app


@pytest.mark.usefixtures("shell")
def test_without_a_storage_hits_go_to_the_redis_of_the_settings(redis: Redis) -> None:
    app = app_with()
    t = TrackUsage(app)
    app.test_client().get("/", headers={"User-Agent": FIREFOX})
    assert t.flush(app)
    (entry,) = RawLog(redis).after("localhost", "0-0", 10)
    assert entry[1] is not None
    assert (entry[1].source, entry[1].app, entry[1].agent) == ("flask", "shop", FIREFOX)


@pytest.mark.usefixtures("shell")
def test_the_storage_of_one_application_is_not_that_of_the_next(redis: Redis) -> None:
    first, second, memory = app_with(), app_with(), Memory()
    t = TrackUsage(first, memory)
    t.init_app(second)
    second.test_client().get("/")
    assert t.flush(second)
    assert memory.hits == []
    assert RawLog(redis).length("localhost") == 1


@pytest.mark.usefixtures("shell")
def test_the_application_overrides_the_environment(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("HITWALL_TRUSTED_PROXIES", "0")
    app = app_with(
        REDIS_URL=redis_url, HITWALL_TRUSTED_PROXIES=1, HITWALL_HEADERS=["X-Plan"], HITWALL_GEOIP=None
    )
    t = TrackUsage(app, RedisStorage())
    sent = {"X-Forwarded-For": "203.0.113.7", "X-Plan": "pro"}
    app.test_client().get("/", headers=sent)
    assert t.flush(app)
    ((_, hit),) = RawLog(redis).after("localhost", "0-0", 10)
    assert hit is not None
    assert (hit.remote, hit.headers) == ("203.0.113.7", {"X-Forwarded-For": "203.0.113.7", "X-Plan": "pro"})


@pytest.mark.usefixtures("shell")
def test_a_storage_that_has_no_settings_gets_those_of_the_application(tmp_path: Path) -> None:
    archive = f"sqlite:///{tmp_path / 'hits.db'}"
    mine, sql, couch = RedisStorage(), SQLStorage(), CouchDBStorage("usage")
    TrackUsage(app_with(HITWALL_ARCHIVE=archive, REDIS_URL="redis://example.com"), [mine, sql, couch])
    assert mine.settings.archive == sql.settings.archive == couch.settings.archive == archive
    TrackUsage(app_with(REDIS_URL="redis://example.org"), mine)
    assert mine.settings.redis_url == "redis://example.com"


WRONG = {
    "HITWALL_TRUSTED_PROXIES": ("many", "HITWALL_TRUSTED_PROXIES=many cannot be used"),
    "HITWALL_VISITORS": ("hash", "HITWALL_VISITORS is no setting of Hitwall; did you mean HITWALL_VISITOR?"),
    "HITWALL_GEOIP": ("/nowhere.mmdb", "HITWALL_GEOIP=/nowhere.mmdb cannot be used"),
    "TRACK_USAGE_SITE": ("a b", "TRACK_USAGE_SITE='a b' cannot be used: bad site"),
    "TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS": ("both", "it takes 'include' or 'exclude'"),
}


@pytest.mark.parametrize(("name", "wrong"), WRONG.items(), ids=WRONG.keys())
def test_a_bad_setting_stops_the_start_with_its_sentence(name: str, wrong: tuple[str, str]) -> None:
    value, sentence = wrong
    with pytest.raises(BadSetting) as stopped:
        TrackUsage(app_with(**{name: value}), Memory())
    assert sentence in str(stopped.value)


def test_all_counts_for_the_site_that_is_named() -> None:
    site = Tracked(TRACK_USAGE_SITE="WWW.Shop.example:8000")
    for host in ("a.example", "b.example:81"):
        site.get("/", base_url=f"http://{host}")
    assert [hit.site for hit in site.hits] == ["shop.example:8000"] * 2
    assert [hit.origin for hit in site.hits] == ["http://a.example", "http://b.example:81"]


def test_an_address_has_the_place_that_a_file_on_this_machine_knows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}}
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": record})
    site = Tracked(HITWALL_GEOIP=file, TRACK_USAGE_USE_FREEGEOIP=True)
    for address in ("203.0.113.7", "192.0.2.1"):
        site.get("/", environ_base={"REMOTE_ADDR": address})
    assert [hit.ip_info for hit in site.hits] == [{"country": "DE", "city": "Berlin"}, {}]
    assert caplog.records == []


def test_nobody_is_asked_for_a_place_and_who_expects_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tracker"):
        site = Tracked(TRACK_USAGE_USE_FREEGEOIP=True, TRACK_USAGE_FREEGEOIP_ENDPOINT="http://127.0.0.1:1/")
        site.get("/")
    assert [record.getMessage() for record in caplog.records] == [
        "TRACK_USAGE_USE_FREEGEOIP: nobody is asked where an address is; set HITWALL_GEOIP to an MMDB file "
        "that knows it."
    ]
    assert site.hit.ip_info == {}


NO_STORAGES = {
    "text": ("redis", "'r' is no storage: a storage is an object with a method store"),
    "number": (3, "3 is no storage"),
    "function": (print, "is no storage"),
    "nothing among storages": ([Memory(), None], "None is no storage"),
    "class": (Memory, r"Memory is a class: give TrackUsage a storage, Memory\(...\)"),
    "class among storages": ([Memory], "Memory is a class"),
}


@pytest.mark.parametrize(("storage", "sentence"), NO_STORAGES.values(), ids=NO_STORAGES.keys())
def test_what_is_no_storage_is_told_at_once(storage: Any, sentence: str) -> None:
    app = app_with()
    with pytest.raises(TypeError, match=sentence):
        TrackUsage(app, storage)
    assert app.test_client().get("/").text == "hello"
    TrackUsage(app, Memory())  # the application is as it was


@pytest.mark.parametrize(
    ("said", "meant"), [("False", False), ("no", False), ("0", False), ("", False), ("True", True), (1, True)]
)
def test_a_text_of_the_environment_means_what_it_says(tmp_path: Path, said: Any, meant: bool) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(TRACK_USAGE_COOKIE=said, TRACK_USAGE_SPOOL=said)
    app.add_url_rule("/", "home", lambda: "hello")
    storage = Unreachable()
    t = TrackUsage(app, storage)
    assert ("Set-Cookie" in app.test_client().get("/").headers) is meant
    assert t.flush(app, timeout=10 if meant else 0.1) is meant
    assert [place.name for place in tmp_path.iterdir()] == ["hitwall-spool"] * meant
    storage.is_away = False
    assert t.flush(app)


def test_a_truth_value_is_a_yes_or_a_no_for_a_setting() -> None:
    assert settings_of(app_with(HITWALL_COUNT_BOTS=True)).count_bots
    assert not settings_of(app_with(HITWALL_COUNT_BOTS=False)).count_bots


@pytest.mark.parametrize(("named", "place"), [(True, "hitwall-spool"), ("waiting", "waiting"), (None, "")])
def test_the_spool_is_in_the_instance_path_unless_it_is_named(
    tmp_path: Path, named: object, place: str
) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    if named is None:
        named = tmp_path / "elsewhere" / "spool"
        place = "elsewhere/spool"
    app.config["TRACK_USAGE_SPOOL"] = named
    storage = Unreachable()
    t = TrackUsage(app, storage)
    assert list(tmp_path.iterdir()) == []
    app.test_client().get("/missing")
    assert t.flush(app)
    assert [file.name.startswith("shop-far%20away") for file in (tmp_path / place).iterdir()] == [True]
    storage.is_away = False
    assert until(lambda: storage.paths) == ["/missing"]


def test_without_a_spool_nothing_is_written(tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["TRACK_USAGE_SPOOL"] = False
    storage = Unreachable()
    t = TrackUsage(app, storage)
    app.test_client().get("/missing")
    assert not t.flush(app, timeout=0.5)
    assert list(tmp_path.iterdir()) == []
    storage.is_away = False
    assert t.flush(app)
    assert storage.paths == ["/missing"]


def test_storages_of_a_kind_have_spools_of_their_own(tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    storages = [Unreachable() for _ in range(3)]
    t = TrackUsage(app, storages)
    app.test_client().get("/missing")
    assert t.flush(app)
    assert len(list((tmp_path / "hitwall-spool").iterdir())) == 3
    for storage in storages:
        storage.is_away = False
    assert until(lambda: all(storage.paths for storage in storages))
