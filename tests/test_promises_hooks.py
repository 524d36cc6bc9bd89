"""What the old extension's documentation promises of storages, get_usage and hooks, word by word."""

import json
import queue
from datetime import datetime, timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from redis import Redis

import summaries
from tests.hits import FIREFOX
from tests.promised import REMOTE, SITE, Host, count, every_storage, makes, only
from tests.test_countries import write
from tracker.storage import Batch, Writer
from tracker.storage.http import HTTPStorage
from tracker.storage.output import OutputWriter
from tracker.storage.printer import PrintWriter
from tracker.storage.redis_db import RedisStorage
from tracker.storage.sql import SQLStorage

# "Results that are returned from all instances of get_usage should always look like this"
LOOK = {
    "url": str,
    "blueprint": str | None,
    "view_args": str | None,
    "status": int,
    "remote_addr": str,
    "xforwardedfor": str | None,
    "authorization": bool,
    "ip_info": str | None,
    "path": str,
    "speed": float,
    "date": datetime,
    "username": str | None,
    "track_var": str | None,
}
AGENT = {"browser": str | None, "language": str | None, "platform": str | None, "version": str | None}


class Broken(Writer):
    """A storage that cannot store."""

    def store(self, hits: Batch) -> None:
        raise ValueError("no hit is good enough")


class Told:
    """A hook that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **usage: Any) -> None:
        self.calls.append(usage)


def shop(storage: Any, **config: Any) -> Host:
    """An application with a view in a blueprint that takes an argument."""
    host, blueprint = Host(storage, **config), Blueprint("offers", __name__, url_prefix="/offers")
    blueprint.add_url_rule("/<int:number>", "offer", lambda number: f"Offer {number}.")
    host.app.register_blueprint(blueprint)
    return host


def test_the_following_are_built_in_ready_to_use_storage_backends() -> None:
    for name in (
        "printer.PrintWriter",
        "couchdb.CouchDBStorage",
        "mongo.MongoStorage",
        "output.OutputWriter",
        "redis_db.RedisStorage",
        "sql.SQLStorage",
    ):
        module, _, storage = name.partition(".")
        assert callable(getattr(import_module(f"tracker.storage.{module}"), storage))


def test_inputs_should_be_passed_in_init_when_creating_a_storage_instance(
    redis: Redis, redis_url: str
) -> None:
    port = redis.get_connection_kwargs()["port"]
    stored = RedisStorage(host="127.0.0.1", port=port)
    Host(stored).get()
    assert only(stored.get_usage())["path"] == "/"


def test_all_storage_backends_other_than_print_storage_provide_get_usage(free_port: int) -> None:
    from tracker.storage.couchdb import CouchDBStorage
    from tracker.storage.mongo import MongoStorage

    for provides in (RedisStorage, SQLStorage, MongoStorage, CouchDBStorage):
        assert callable(provides.get_usage)
    # These give their hits away: to a stream, and to another Hitwall, which is asked itself.
    for writer in (PrintWriter(), OutputWriter(StringIO()), HTTPStorage(f"http://127.0.0.1:{free_port}")):
        assert not hasattr(writer, "get_usage")


@every_storage
def test_results_of_get_usage_should_always_look_like_this(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": "DE"}})
    stored = makes(kind, redis, redis_url, tmp_path)()
    host = shop(stored, HITWALL_GEOIP=file)
    credentials = {"Authorization": "Basic YWRhOnNlY3JldA=="}  # ada:secret
    host.get("/", X_Forwarded_For="198.51.100.9", **credentials)
    host.get("/offers/7?a=1")
    host.get("/nowhere", User_Agent="", Accept_Language="")
    found = stored.get_usage()
    assert len(found) == 3
    for usage in found:
        assert {name: type(usage[name]) for name in LOOK if not isinstance(usage[name], LOOK[name])} == {}
        agent = usage["user_agent"]
        assert agent.keys() == AGENT.keys()
        assert {name for name in AGENT if not isinstance(agent[name], AGENT[name])} == set()
    _, offer, index = found
    assert offer["url"] == "http://localhost/offers/7?a=1"
    assert (offer["blueprint"], json.loads(offer["view_args"])) == ("offers", {"number": 7})
    assert (index["blueprint"], index["view_args"]) == (None, None)
    assert (index["username"], index["authorization"]) == ("ada", True)
    assert (offer["username"], offer["authorization"]) == (None, False)
    assert json.loads(index["track_var"]) == {"optional": "something"}
    assert json.loads(index["ip_info"]) == {"country": "DE"}
    assert [usage["status"] for usage in found] == [404, 200, 200]
    assert offer["date"].utcoffset() == timedelta()
    assert offer["user_agent"] == {
        "browser": "Firefox",
        "language": "en-US",
        "platform": "Linux",
        "version": "140.0",
    }


@every_storage
def test_xforwardfor_item_added_directly_after_remote_addr(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    stored = makes(kind, redis, redis_url, tmp_path)()
    Host(stored).get(X_Forwarded_For="198.51.100.9, 10.0.0.1")
    usage = only(stored.get_usage())
    names = list(usage)
    assert names.index("xforwardedfor") == names.index("remote_addr") + 1
    assert (usage["remote_addr"], usage["xforwardedfor"]) == (REMOTE, "198.51.100.9, 10.0.0.1")


@every_storage
def test_hooks_are_called_after_the_individual_log_is_stored(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    there: list[list[str]] = []

    def look(path: str) -> None:
        there.append([usage["path"] for usage in stored.get_usage()])

    stored = makes(kind, redis, redis_url, tmp_path)(hooks=[look])
    host = Host(stored)
    host.get("/")
    host.get("/other")
    assert there == [["/"], ["/other", "/"]]


def test_hooks_are_not_called_for_what_could_not_be_stored() -> None:
    told = Told()
    host = Host([Broken(hooks=[told])])
    assert host.get().status_code == 200
    assert told.calls == []


def test_in_theory_anything_could_be_triggered_after_the_storage(redis: Redis, redis_url: str) -> None:
    bell: queue.Queue[str] = queue.Queue()

    def ring(request: str) -> None:
        bell.put(request)

    Host(RedisStorage(url=redis_url, hooks=[ring])).get()
    assert bell.get(timeout=10) == "GET http://localhost/ HTTP/1.1"


def test_hello_world_would_be_called_once_each_time_print_writers_output_is_invoked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def helloWorld(*kwargs):  # type: ignore[no-untyped-def]  # as the documentation has it
        print("hello world!")

    host = Host([PrintWriter(hooks=[helloWorld])])
    for _ in range(3):
        host.get()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("{'url'")] == ["hello world!"] * 3
    assert len(lines) == 6


@every_storage
def test_the_keyword_parameters_are_those_found_in_the_retrieving_log_data_function(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    told = Told()
    stored = makes(kind, redis, redis_url, tmp_path)(hooks=[told])
    shop(stored).get("/offers/7?a=1")
    call, usage = only(told.calls), only(stored.get_usage())
    assert {*LOOK, "user_agent"} <= call.keys()
    assert {name: call[name] for name in usage} == usage


def test_some_storages_also_add_more_keys(redis: Redis, redis_url: str) -> None:
    told = Told()
    Host(RedisStorage(url=redis_url, hooks=[told])).get(Referer="https://lobste.rs/s/1")
    call = only(told.calls)
    assert (call["server_name"], call["content_length"], call["url_args"]) == ("shop", 5, {})
    assert (call["hit"].agent, call["hit"].referrer) == (FIREFOX, "https://lobste.rs/s/1")


def test_a_hook_that_fails_fails_alone(redis: Redis, redis_url: str) -> None:
    def fail(**usage: Any) -> None:
        raise RuntimeError("this hook does not work")

    told = Told()
    stored = RedisStorage(url=redis_url, hooks=[fail, told])
    assert Host(stored).get().get_data() == b"Hello"
    assert (len(told.calls), len(stored.get_usage())) == (1, 1)


def test_pluggable_functionality_for_storage_instances(redis: Redis, redis_url: str) -> None:
    one, other = Told(), Told()
    Host([RedisStorage(url=redis_url, hooks=[one]), OutputWriter(StringIO(), hooks=[other])]).get()
    assert only(one.calls) == only(other.calls)


@every_storage
def test_to_use_simply_add_the_list_of_functions_you_wish_to_call(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    """With "to add sumRemotes and sumLanguages to a storage" as the example."""
    from summaries import sumLanguages, sumRemotes

    stored = makes(kind, redis, redis_url, tmp_path)(hooks=[sumRemotes, sumLanguages])
    Host(stored).get()
    count(redis)
    assert only(stored.get_sum("sumRemotes")["day"])["remote_addr"] == REMOTE
    assert only(stored.get_sum(sumLanguages)["day"])["language"] == "en-US"


@every_storage
def test_not_all_stores_support_all_of_these_hooks_here_all_that_can_be_read_do(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    hooks = [getattr(summaries, name) for name in summaries.__all__ if name.startswith("sum")]
    sums = [hook for hook in hooks if hasattr(hook, "get_sum") and hook.summary not in ("country", "visitor")]
    stored = makes(kind, redis, redis_url, tmp_path)(hooks=sums)
    Host(stored).get()
    count(redis)
    assert len(sums) == 9
    for found in sums:
        assert {kind: len(rows) for kind, rows in stored.get_sum(found).items()} == {
            "hour": 1,
            "day": 1,
            "month": 1,
        }


@every_storage
def test_summation_hooks_for_live_count_of_common_web_analysis_statistics_such_as_hit_counts(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    stored = makes(kind, redis, redis_url, tmp_path)(hooks=[summaries.sumServer])
    host = Host(stored)
    for hits in (1, 2, 3):
        host.get()
        count(redis)
        rows = stored.get_sum("sumServer")["month"]
        assert {row["server_name"] for row in rows} == {SITE}
        assert sum(row["hits"] for row in rows) == hits  # of two months, at a month's end
