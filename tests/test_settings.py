"""Settings: each variable is read, checked and named."""

import os
import re
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tracker.settings import URL_FILE, BadSetting, Settings, variable

GOOD = {
    "REDIS_URL": ("redis://r:1/2", "redis_url", "redis://r:1/2"),
    "HITWALL_HOST": ("0.0.0.0", "host", "0.0.0.0"),
    "HITWALL_PORT": ("65535", "port", 65535),
    "HITWALL_DATA": ("/srv/hitwall", "data", Path("/srv/hitwall")),
    "HITWALL_SITES": ("www.Example.com, localhost:8000,", "sites", ("example.com", "localhost:8000")),
    "HITWALL_TOKEN": ("secret", "token", "secret"),
    "HITWALL_TIMEZONE": ("Europe/Berlin", "timezone", ZoneInfo("Europe/Berlin")),
    "HITWALL_TRUSTED_PROXIES": ("2", "trusted_proxies", 2),
    "HITWALL_WORKERS": ("4", "workers", 4),
    "HITWALL_STREAMS": ("1", "streams", 1),
    "HITWALL_EMBEDDED_PORT": ("6400", "embedded_port", 6400),
    "HITWALL_VISITOR": ("hash", "visitor", "hash"),
    "HITWALL_HEADERS": ("DNT, Sec-GPC", "headers", ("DNT", "Sec-GPC")),
    "HITWALL_MAX_SITES": ("5", "max_sites", 5),
    "HITWALL_MAX_LABELS": ("1440", "max_labels", 1440),
    "HITWALL_KEEP_HOUR": ("36h", "keep_hour", timedelta(hours=36)),
    "HITWALL_KEEP_DAY": ("7d", "keep_day", timedelta(days=7)),
    "HITWALL_KEEP_MONTH": ("0", "keep_month", None),
    "HITWALL_KEEP_RAW": ("1h", "keep_raw", timedelta(hours=1)),
    "HITWALL_KEEP_RAW_MAX": ("10000", "keep_raw_max", 10_000),
    "HITWALL_SUMMARIES": ("url, my_hooks:section", "summaries", ("url", "my_hooks:section")),
    "HITWALL_URL_PARAMS": ("p,id", "url_params", ("p", "id")),
    "HITWALL_GEOIP": (__file__, "geoip", Path(__file__)),
    "HITWALL_COUNT_BOTS": ("yes", "count_bots", True),
    "HITWALL_ARCHIVE": ("sqlite:///hits.db", "archive", "sqlite:///hits.db"),
    "HITWALL_IP": ("network", "ip", "network"),
    "HITWALL_PUBLIC": ("example.com,www.blog.example", "public", ("example.com", "blog.example")),
    "HITWALL_FRAME_ANCESTORS": ("self", "frame_ancestors", "'self'"),
    "HITWALL_URL": ("https://stats.example.com/", "url", "https://stats.example.com"),
    "HITWALL_RATE": ("600/minute", "rate", "600/minute"),
    "HITWALL_SPOOL_MB": ("1", "spool_mb", 1),
    "HITWALL_REPLICAS": ("1", "replicas", 1),
    "HITWALL_MAX_LAG": ("5", "max_lag", 5),
    "HITWALL_CANARY": ("0", "canary", 0),
    "HITWALL_LOG": ("json", "log", "json"),
}
WHOLE = "takes a whole number from"
BAD = [
    ("HITWALL_PORT", "0", WHOLE + " 1 to 65535"),
    ("HITWALL_PORT", "65536", WHOLE),
    ("HITWALL_PORT", "-1", WHOLE),
    ("HITWALL_PORT", "80.0", WHOLE),
    ("HITWALL_PORT", "http", WHOLE),
    ("HITWALL_PORT", "٨٠", WHOLE),
    ("HITWALL_PORT", "9" * 100, WHOLE),
    ("HITWALL_TRUSTED_PROXIES", "11", WHOLE + " 0 to 10"),
    ("HITWALL_WORKERS", "0", WHOLE + " 1 to 64"),
    ("HITWALL_STREAMS", "many", WHOLE),
    ("HITWALL_EMBEDDED_PORT", "70000", WHOLE),
    ("HITWALL_MAX_SITES", "0", WHOLE),
    ("HITWALL_MAX_LABELS", "0", WHOLE),
    ("HITWALL_KEEP_RAW_MAX", "9999", "takes a number of hits from 10000, or 0"),
    ("HITWALL_KEEP_RAW_MAX", "all", "takes a number of hits from 10000, or 0"),
    ("HITWALL_COUNT_BOTS", "true", "takes yes or no"),
    ("HITWALL_ARCHIVE", "hits.db", "takes an address such as sqlite:///hits.db"),
    ("HITWALL_ARCHIVE", "oracle://x/y", "takes an address such as sqlite:///hits.db"),
    ("HITWALL_GEOIP", "/nowhere/country.mmdb", "takes the path of a file that is there"),
    ("HITWALL_SITES", "example.com,http://a.example/", "takes * or host names"),
    ("HITWALL_SITES", "a:b:c", "takes * or host names"),
    ("HITWALL_TIMEZONE", "Berlin", "takes the name of a time zone"),
    ("HITWALL_TIMEZONE", "../../etc/passwd", "takes the name of a time zone"),
    ("HITWALL_TIMEZONE", "Europe", "takes the name of a time zone"),
    ("HITWALL_VISITOR", "Cookie", "takes cookie, hash or off"),
    ("HITWALL_IP", "none", "takes full, network or hash"),
    ("HITWALL_LOG", "xml", "takes text or json"),
    ("HITWALL_PUBLIC", "a b", "takes * or host names"),
    ("HITWALL_FRAME_ANCESTORS", "https://a.example; script-src *", "takes none, self or origins"),
    ("HITWALL_FRAME_ANCESTORS", "'none'", "takes none, self or origins"),
    ("HITWALL_URL", "stats.example.com", "takes an address such as https://stats.example.com"),
    ("HITWALL_URL", "https://user:secret@stats.example.com", "takes an address"),
    ("HITWALL_RATE", "20", "takes a number of hits for a time"),
    ("HITWALL_RATE", "0/second", "takes a number of hits for a time"),
    ("HITWALL_SPOOL_MB", "0", WHOLE),
    ("HITWALL_REPLICAS", "-1", WHOLE),
    ("HITWALL_MAX_LAG", "0", WHOLE),
    ("HITWALL_CANARY", "1.5", WHOLE),
    ("HITWALL_KEEP_HOUR", "14", "takes an age such as 36h or 14d"),
    ("HITWALL_KEEP_DAY", "-1d", "takes an age"),
    ("HITWALL_KEEP_MONTH", "1y", "takes an age"),
    ("HITWALL_KEEP_RAW", "1 d", "takes an age"),
    ("HITWALL_KEEP_RAW", "999999d", "takes an age"),  # before the year 1
]
LOOKERS = [
    ("127.0.0.1", True),
    ("127.1.2.3", True),
    ("localhost", True),
    ("::1", True),
    ("[::1]", True),
    ("0.0.0.0", False),
    ("::", False),
    ("192.168.1.2", False),
    ("stats.example.com", False),
    ("::1234", False),
    ("::1:2:3", False),
    ("localhost.example.com", False),
    ("127.example.com", False),
]


def test_every_setting_has_a_good_value_here() -> None:
    assert set(GOOD) == {variable(row) for row in fields(Settings)}


@pytest.mark.parametrize("name", GOOD)
def test_a_variable_sets_its_setting_and_no_other(name: str) -> None:
    text, attribute, value = GOOD[name]
    settings = Settings.read({name: text, "PATH": "/bin", "HOME": "/"})
    changed: dict[str, Any] = {attribute: value}
    assert settings == replace(Settings(), **changed)


def test_the_defaults_are_those_of_an_empty_environment() -> None:
    settings = Settings.read({})
    assert settings == Settings() == Settings.read(dict.fromkeys(GOOD, ""))
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8000, Path("data"))
    assert (settings.sites, settings.token, settings.timezone) == ((), "", ZoneInfo("UTC"))
    assert (settings.trusted_proxies, settings.embedded_port, settings.visitor) == (0, 6399, "cookie")
    assert (settings.max_sites, settings.max_labels) == (1000, 10_000)
    assert {"DNT", "Sec-GPC", "Sec-CH-UA"} <= set(settings.headers)


@pytest.mark.parametrize(("name", "text", "takes"), BAD, ids=[f"{n}={t[:20]}" for n, t, _ in BAD])
def test_a_bad_value_names_its_variable_and_what_it_takes(name: str, text: str, takes: str) -> None:
    with pytest.raises(BadSetting, match=re.escape(f"{name} {takes}")) as refused:
        Settings.read({name: text})
    assert str(refused.value).startswith(f"{name}=")


def test_an_unknown_variable_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(BadSetting, match=r"^HITWALL_TIME_ZONE is no setting.*mean HITWALL_TIMEZONE\?"):
        Settings.read({"HITWALL_TIME_ZONE": "UTC"})
    with pytest.raises(BadSetting) as refused:
        Settings.read({"HITWALL_" + "Q" * 20: "1"})
    assert "did you mean" not in str(refused.value)


def test_settings_are_read_only() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("host", "is_open"), LOOKERS)
def test_only_loopback_without_a_token_is_open_to_lookers(host: str, is_open: bool) -> None:
    assert Settings(host=host).open_to_lookers is is_open
    assert Settings(host=host, token="secret").open_to_lookers is False
    assert Settings(host=host, public=("example.com",)).open_to_lookers is False


def test_a_site_is_public_where_it_is_named_or_all_are() -> None:
    assert not Settings().is_public("example.com")
    assert Settings(public=("example.com",)).is_public("example.com")
    assert not Settings(public=("example.com",)).is_public("blog.example.com")
    assert not Settings(public=("example.com",)).is_public("")
    assert Settings.read({"HITWALL_PUBLIC": "*"}).is_public("example.com")


def test_the_running_redis_is_the_one_named_else_the_embedded_one(tmp_path: Path) -> None:
    (tmp_path / URL_FILE).write_text("redis://127.0.0.1:6399/0\n")
    assert Settings(data=tmp_path).running_redis() == "redis://127.0.0.1:6399/0"
    assert Settings(data=tmp_path, redis_url="redis://other").running_redis() == "redis://other"


def test_the_running_redis_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / URL_FILE).write_text("redis://127.0.0.1:6666/0\n")
    owner = data.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert Settings(data=data).running_redis().endswith(":6666/0")  # the directory's owner has written it
    ours, stat = os.stat_result((*data.stat()[:4], owner + 1, *data.stat()[5:])), Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: ours if path == data else stat(path, **more))
    with pytest.raises(BadSetting, match="somebody else's"):
        Settings(data=data).running_redis()


def test_no_running_redis_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"set REDIS_URL, or start one with `hitwall run`\.$"):
        Settings(data=tmp_path).running_redis()


def test_a_password_in_an_address_is_not_told() -> None:
    for name in ("REDIS_URL", "HITWALL_ARCHIVE"):
        with pytest.raises(BadSetting) as told:
            Settings.read({name: "oracle://user:secret@example.com/x"})
        assert "secret" not in str(told.value)
        assert f"{name}=oracle://…@example.com/x cannot be used" in str(told.value)
        with pytest.raises(BadSetting) as told:
            Settings.read({name: "oracle://user:se/cr@et@example.com/x"})
        assert "cr" not in str(told.value).removeprefix(name).partition(" cannot")[0]
