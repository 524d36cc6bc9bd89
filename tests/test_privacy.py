"""Privacy: what is kept of an address at every door, how long everything lies, and that the page says so."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from click.testing import CliRunner
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hitwall.cli import main
from summaries import counters, counting_report, lease
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.retention import Retention
from tests.any_hits import any_hits
from tests.hits import FIREFOX, NOW, SITE, hit
from tests.service import ROOT, Service
from tests.test_countries import write
from tests.test_posted import post
from tests.test_recount import EVER, append, count
from tests.waiting import until
from tracker import (
    addresses,
    canary,
    group_commit,
    keys,
    log_import,
    posting,
    raw,
    raw_eraser,
    refused,
    visitors,
)
from tracker.addresses import Addresses, mentions, without
from tracker.extension import TrackUsage
from tracker.hit import Hit
from tracker.log_reader import LogReader
from tracker.pixel import PixelReader
from tracker.posted import PostedHit, PostedReader
from tracker.raw import RawLog, encode
from tracker.settings import Settings
from tracker.storage import Batch, Writer
from tracker.storage.redis_db import RedisStorage
from tracker.visitors import Visitors, address_hash

PAGE = (ROOT / "docs" / "privacy.md").read_text()
FOUR, SIX = "203.0.113.7", "2001:db8:1:2::7"
NETWORKS = {FOUR: "203.0.113.0", SIX: "2001:db8:1::"}
PROXIES = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Odd")
MODES = ["network", "hash"]


def table(title: str) -> list[list[str]]:
    """The rows below that heading."""
    rows = re.findall(r"^\| (.*) \|$", PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0], re.M)
    return [[cell.strip(" ") for cell in row.split(" | ")] for row in rows[1:]]


def settings(mode: str, **given: Any) -> Settings:
    return Settings(ip=mode, headers=("*",), **given)


def form(redis: Redis, address: str, mode: str) -> str:
    """What is kept of it on that day."""
    if mode == "network":
        return NETWORKS[address]
    salt = redis.get(keys.salt(NOW))
    assert isinstance(salt, bytes)
    return address_hash(address, salt)


def by_pixel(redis: Redis, given: Settings, address: str, wish: dict[str, str]) -> Hit:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": f"for={address}" for name in PROXIES}
    query = f"url=https://{SITE}/whois/{address}%3Fip={address}%26a=b&t=You+are+{address}"
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": query, "REMOTE_ADDR": address, **headers}
    environ |= {f"HTTP_{name.upper()}": value for name, value in wish.items()}
    return PixelReader(given, Visitors(given.visitor, redis)).read(environ, NOW)


def by_api(redis: Redis, given: Settings, address: str, wish: dict[str, str]) -> Hit:
    headers = dict.fromkeys(PROXIES, f"for={address}") | wish
    told = {"path": f"/whois/{address}", "query": f"ip={address}", "track_var": {"who": f"me, {address}"}}
    sent = {"site": SITE, **told, "remote": address, "headers": headers, "ip_info": {"ip": address}}
    door = PostedReader(given, Visitors(given.visitor, redis))
    return door.read(msgspec.convert(sent, PostedHit), NOW)


def by_log(redis: Redis, given: Settings, address: str, wish: dict[str, str]) -> Hit:
    line = f'{address} - - [{NOW:%d/%b/%Y:%H:%M:%S} +0000] "GET /whois?ip={address} HTTP/1.1" 200 5 "-" "-"'
    known = Visitors(given.visitor, redis)
    reader = LogReader(SITE, known, addresses=Addresses(given, known.hashed_address))
    found, _ = reader.read([line.encode()], NOW)
    return found[0]


def by_flask(redis: Redis, given: Settings, address: str, wish: dict[str, str]) -> Hit:
    app = Flask("shop")
    port = redis.connection_pool.connection_kwargs["port"]
    app.config.update(TRACK_USAGE_SPOOL=False, TRACK_USAGE_SITE=SITE, REDIS_URL=f"redis://127.0.0.1:{port}/0")
    app.config.update(HITWALL_IP=given.ip, HITWALL_HEADERS="*", HITWALL_VISITOR=given.visitor)
    track = TrackUsage(app)
    app.add_url_rule("/whois/<who>", view_func=lambda who: "you")
    headers = dict.fromkeys(PROXIES, f"for={address}") | wish
    peer = {"REMOTE_ADDR": address}
    app.test_client().get(f"/whois/{address}?ip={address}", headers=headers, environ_base=peer)
    assert track.flush(app)
    found = RawLog(redis).before(SITE, "+", 1)[0][1]
    assert found
    return found


DOORS = [by_pixel, by_api, by_log, by_flask]
Door = Callable[[Redis, Settings, str, dict[str, str]], Hit]


@pytest.mark.parametrize("address", NETWORKS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("door", DOORS)
def test_no_field_of_a_hit_holds_an_address_that_is_not_kept(
    redis: Redis, door: Door, mode: str, address: str
) -> None:
    found = door(redis, settings(mode), address, {})
    assert not mentions(encode(found).decode(), address), found
    if mode == "network" or door is not by_flask:  # whose hits are of today
        assert found.remote == form(redis, address, mode)
    assert re.fullmatch(r"[0-9a-f]{16}", found.remote) or mode == "network"
    assert found.path.startswith("/whois")
    assert not set(found.headers) & set(PROXIES[:-1])


@pytest.mark.parametrize("door", DOORS)
def test_by_default_the_whole_address_is_kept_and_every_header_that_is_asked_for(
    redis: Redis, door: Door
) -> None:
    found = door(redis, settings("full"), FOUR, {})
    assert found.remote == FOUR
    assert found.path.startswith("/whois")
    assert door is by_log or found.headers["X-Forwarded-For"] == f"for={FOUR}"


@pytest.mark.parametrize("wish", [{"DNT": "1"}, {"Sec_GPC": "1"}])
@pytest.mark.parametrize("mode", ["full", *MODES])
@pytest.mark.parametrize("door", [by_pixel, by_api])
def test_of_a_wish_not_to_be_tracked_and_the_setting_the_stricter_wins(
    redis: Redis, door: Door, mode: str, wish: dict[str, str]
) -> None:
    wish = {name.replace("_", "-"): value for name, value in wish.items()} if door is by_api else wish
    found = door(redis, settings(mode, visitor="hash"), FOUR, wish)
    salt = redis.get(keys.salt(NOW))
    kept = (
        address_hash(NETWORKS[FOUR], salt) if mode == "hash" and isinstance(salt, bytes) else NETWORKS[FOUR]
    )
    assert (found.remote, found.visitor) == (kept, "")
    assert not mentions(encode(found).decode(), FOUR)


@given(
    found=any_hits(2**31),
    address=st.sampled_from(list(NETWORKS)),
    texts=st.lists(st.text(max_size=5), max_size=9),
)
def test_wherever_an_address_stands_its_form_stands_there_instead(
    found: Hit, address: str, texts: list[str]
) -> None:
    words = [f"{text} {address} {text}" for text in texts or [""]]
    sown = msgspec.structs.replace(
        found,
        path=words[0],
        query=f"ip={address.replace(':', '%3A')}",
        title=address.upper(),
        headers={word: word for word in words},
        params={address: address},
        track_var={"deep": [{address: [address, 5, None]}]},
        agent=words[-1],
    )
    kept = without(sown, address, "form")
    assert not mentions(encode(kept).decode(), address)
    assert kept.params == {"form": "form"}
    assert msgspec.structs.replace(without(found, address, "form"), at=found.at) == found


SIXES = ["2001:db8:1:2::7", "::1", "fe80::1", "2001:db8::", "64:ff9b::102:304", "2001:0DB8:0001:2:0:0:0:7"]
WRITTEN = st.sampled_from([FOUR, *SIXES, *map(quote, SIXES), "::ffff:203.0.113.7", "203.0.113.70"])


@given(
    texts=st.lists(WRITTEN | st.text(max_size=3), max_size=5),
    address=st.sampled_from([FOUR, *(text for text in SIXES if text.islower())]),
)
def test_a_hit_that_is_left_as_it_is_holds_its_address_nowhere(texts: list[str], address: str) -> None:
    text = "".join(texts)
    sown = hit(remote="", title=text, params={text: text}, track_var={"deep": [{text: 1}]})
    with pytest.MonkeyPatch.context() as careful:
        careful.setattr(addresses, "_may_hold", lambda *_: True)
        masked = without(sown, address, "form")
    assert without(sown, address, "form") == masked


def test_a_hash_is_one_person_for_a_day_and_another_the_next(redis: Redis) -> None:
    known = Visitors("off", redis)
    today, tomorrow = (known.hashed_address(FOUR, NOW + timedelta(days=n)) for n in (0, 1))
    assert today == Visitors("off", redis).hashed_address(FOUR, NOW)
    assert today != tomorrow
    redis.delete(keys.salt(NOW))
    assert Visitors("off", redis).hashed_address(FOUR, NOW) not in (today, tomorrow)


class Seen(Writer):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.hits: list[Hit] = []

    def store(self, hits: Batch) -> None:
        self.hits += hits


@pytest.mark.parametrize(("mode", "remote"), [("network", "203.0.113.0"), ("hash", "")])
def test_a_storage_without_a_salt_gets_no_form_of_an_address_that_should_be_hashed(
    mode: str, remote: str, redis_url: str
) -> None:
    app, seen = Flask("shop"), Seen()
    app.config.update(TRACK_USAGE_SPOOL=False, HITWALL_IP=mode, REDIS_URL=redis_url)
    track = TrackUsage(app, [seen, RedisStorage()])
    app.add_url_rule("/", view_func=lambda: "you")
    app.test_client().get("/?ip=203.0.113.7", environ_base={"REMOTE_ADDR": FOUR})
    assert track.flush(app)
    assert [one.remote for one in seen.hits] == [remote]
    assert FOUR not in encode(seen.hits[0]).decode()


def test_a_country_is_looked_up_before_its_address_is_hashed(redis: Redis, tmp_path: Path) -> None:
    record = {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}}
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": record})
    given = settings("hash", geoip=file, visitor="off")
    country = chosen(given).hooks["country"]
    found = by_pixel(redis, given, FOUR, {})
    assert found.ip_info == {"country": "DE"}
    assert country(found) == country(by_pixel(redis, settings("full"), FOUR, {})) == "DE"


def test_the_page_names_every_field_of_a_hit() -> None:
    fields = [f"`{field.name}`" for field in msgspec.structs.fields(Hit)]
    assert sorted(row[0] for row in table("What is stored of a hit")) == sorted(fields)


def test_the_page_names_every_key_and_what_expires_says_when() -> None:
    said = {row[0].strip("`"): row[2] for row in table("Where it lies, and how long")}
    ours = re.findall(r"^    (\{?hitwall:\S+)", keys.__doc__ or "", re.M)
    assert [name for name in said if "hitwall:" in name and name not in ours] == []
    assert [name for name in ours if name not in said] == []
    default = Settings()
    days = {
        "hitwall:{site}:raw": [f"HITWALL_KEEP_RAW` ({age(default.keep_raw)})", str(default.keep_raw_max)],
        "hitwall:{site}:hits:<summary>:<bucket>": [
            f"HITWALL_KEEP_HOUR` ({age(default.keep_hour)})",
            f"HITWALL_KEEP_DAY` ({age(default.keep_day)})",
            f"HITWALL_KEEP_MONTH` ({age(default.keep_month)}: no end)",
        ],
        "hitwall:{site}:active:<minute>": [f"{counters.ACTIVE // timedelta(minutes=1)} minutes"],
        "hitwall:{site}:rewrite": [words(raw_eraser.LEFT)],
        "hitwall:{site}:forgotten": [words(raw_eraser.LEFT)],
        "hitwall:salt:<day>": [words(visitors.SALT_LIVES)],
        "hitwall:posted:<name>": [words(posting.DAY)],
        "hitwall:{site}:seen:<source>": [
            words(raw.SEEN),
            f"{posting.MOMENT // 60} minute",
            words(group_commit.KEPT),
            words(log_import.LOG_SEEN),
        ],
        "hitwall:{site}:failed:<day>": [words(counters.FAILED)],
        "hitwall:refused:<day>": [words(refused.LIVES)],
        "hitwall:lease": [f"{lease.LEASE:.0f} seconds"],
        "hitwall:counting": [f"{counting_report.LIVES} seconds"],
        "hitwall:canary:mark": [f"{canary.UNDER_WAY} seconds"],
    }
    assert {name: [text for text in texts if text not in said[name]] for name, texts in days.items()} == {
        name: [] for name in days
    }


def age(kept: timedelta | None) -> str:
    return "0" if kept is None else f"{kept // timedelta(days=1)}d"


def words(seconds: int) -> str:
    days = seconds // 86_400
    return f"{days} day" if days == 1 else f"{days} days"


ENDLESS = {"sites", "raw", "cursor", "trimmed", "holes"}  # kinds of key that do not expire


def test_all_that_a_visitor_leaves_has_an_end(
    service: Service, redis: Redis, shell: None, tmp_path: Path
) -> None:
    """But for the raw log, whose oldest hits go one by one, and for what holds nothing of a visitor."""
    line = f'{FOUR} - - [21/Nov/2026:06:31:11 +0000] "GET / HTTP/1.1" 200 5 "-" "{FIREFOX}"\n'
    (tmp_path / "log").write_text(line)
    service.hit(v="visitor-1")
    service.get("/a.gif")
    post(redis, {"url": f"https://{SITE}/"}, key="once")
    assert CliRunner().invoke(main, ["import", str(tmp_path / "log"), "--site", SITE]).exit_code == 0
    Visitors("hash", redis).hashed(hit())
    until(lambda: redis.exists(keys.active(SITE, NOW)) or redis.keys("*:active:*"))
    for name in redis.scan_iter("*"):
        key = keys.parse(name.decode())
        assert key, name
        is_endless = key.kind in ENDLESS or key.bucket.startswith("month:")
        assert (redis.ttl(name) == -1) == is_endless or not redis.exists(name), name


def test_counters_expire_as_the_settings_say_now(redis: Redis) -> None:
    append(redis, [hit(agent=FIREFOX)])
    count(redis, EVER)
    names = list(redis.scan_iter(keys.counter("*", "*", "*", "*")))
    assert {redis.ttl(name) for name in names} == {-1}
    shorter = Calendar.of(Settings(keep_month=timedelta(days=400)))
    assert Retention(redis, shorter).step(time.time()) == len(names)
    for name in names:
        key = keys.parse(name.decode())
        assert key
        assert abs(redis.ttl(name) + time.time() - (shorter.expires(key.bucket) or 0)) < 60
    assert Retention(redis, shorter).step(time.time()) == 0
    assert Retention(redis, Calendar.of(EVER)).step(time.time()) == len(names)
    assert {redis.ttl(name) for name in names} == {-1}


@pytest.mark.parametrize("given", [("--visitor", "visitor-1"), ("--ip", "2001:DB8:0::1")])
@pytest.mark.parametrize("command", [("hits", "--json"), ("export", "hits", "--json")])
def test_who_asks_for_what_is_stored_gets_that_and_nothing_of_others(
    redis: Redis, shell: None, command: tuple[str, ...], given: tuple[str, str]
) -> None:
    append(
        redis,
        [hit("/a", visitor="visitor-1", remote="2001:db8::1"), hit("/b", visitor="visitor-11", remote=FOUR)],
    )
    told = CliRunner().invoke(main, [*command, *given])
    assert told.exit_code == 0, told.output
    assert ("/a" in told.output, "/b" in told.output) == (True, False)
