"""What the old extension's documentation promises of tracking and configuration, word by word."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from redis import Redis

from tests.promised import REMOTE, Host, ask, count, every_storage, makes, only, paths, served, storage
from tests.service import ROOT
from tests.test_countries import write
from tests.waiting import until
from tracker import TrackUsage, database
from tracker.storage import Storage, Writer
from tracker.storage.http import HTTPStorage
from tracker.storage.output import OutputWriter
from tracker.storage.printer import PrintStorage, PrintWriter
from tracker.storage.redis_db import RedisStorage
from tracker.storage.sql import SQLStorage

# The documentation's own example; only what it imports is another's.
EXAMPLE = """\
# Create the Flask 'app'
from flask import Flask, g
app = Flask(__name__)

# Set the configuration items manually for the example
app.config['TRACK_USAGE_USE_FREEGEOIP'] = False
# You can use a different instance of freegeoip like so
# app.config['TRACK_USAGE_FREEGEOIP_ENDPOINT'] = 'https://example.org/api/'
app.config['TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS'] = 'include'

# We will just print out the data for the example
from flask.ext.track_usage import TrackUsage

# We will just print out the data for the example
from flask_track_usage.storage.printer import PrintWriter
from flask_track_usage.storage.output import OutputWriter

# Make an instance of the extension and put two writers
t = TrackUsage(app, [
    PrintWriter(),
    OutputWriter(transform=lambda s: "OUTPUT: " + str(s))
])

# Include the view in the metrics
@t.include
@app.route('/')
def index():
    g.track_var["optional"] = "something"
    return "Hello"

# Run the application!
app.run(debug=True)
"""


def test_storing_basic_metrics_such_as_remote_ip_address_and_user_agent(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    Host(stored).get()
    usage = only(stored.get_usage())
    assert usage["remote_addr"] == REMOTE
    assert (usage["user_agent"]["browser"], usage["user_agent"]["version"]) == ("Firefox", "140.0")


def test_no_extra_cookies_or_javascript_are_used_for_usage_tracking(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    answer = Host(stored).get()
    assert "Set-Cookie" not in answer.headers
    assert answer.get_data() == b"Hello"
    assert len(stored.get_usage()) == 1


def test_simple_its_a_flask_extension(redis: Redis, redis_url: str) -> None:
    from flask import Flask

    stored = storage(redis_url)
    t, apps = TrackUsage(), [Flask("one"), Flask("two")]
    for app in apps:
        app.config["TRACK_USAGE_SPOOL"] = False
        t.init_app(app, stored)
        app.test_client().get("/")
        assert t.flush(app)
        assert "track_usage" in app.extensions
    assert {usage["server_name"] for usage in stored.get_usage()} == {"one", "two"}


@every_storage
def test_provides_lite_abstraction_for_data_retrieval(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    stored = makes(kind, redis, redis_url, tmp_path)()
    host = Host(stored)
    for path in ("/", "/other", "/"):
        host.get(path)
    assert paths(stored) == ["/", "/other", "/"]
    second = stored.get_usage()[1]["date"]
    assert [usage["path"] for usage in stored.get_usage(start_date=second)] == ["/", "/other"]
    assert [usage["path"] for usage in stored.get_usage(end_date=second, limit=1)] == ["/other"]
    assert [usage["path"] for usage in stored.get_usage(limit=1, page=3)] == ["/"]
    assert stored.get_usage(start_date=datetime.now(UTC)) == []


def test_multiple_storage_options_available() -> None:
    readable, writing = [RedisStorage, SQLStorage], [PrintWriter, OutputWriter, HTTPStorage]
    assert all(issubclass(each, Storage) for each in readable)
    assert all(issubclass(each, Writer) for each in writing)


def test_multiple_storage_options_can_be_used(
    redis: Redis, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, database = StringIO(), SQLStorage(url=f"sqlite:///{tmp_path / 'hits.db'}")
    log = storage(redis_url)
    Host([log, database, PrintWriter(), OutputWriter(told)]).get("/other")
    assert paths(log) == paths(database) == ["/other"]
    assert log.get_usage() == database.get_usage()
    assert "'path': '/other'" in capsys.readouterr().out
    assert "'path': '/other'" in told.getvalue()


def test_we_will_just_print_out_the_data_for_the_example_and_put_two_writers(
    tmp_path: Path, free_port: int
) -> None:
    """The example as it is written; only its imports are ours."""
    file = ROOT / "tests" / "examples" / "old_app.py"
    ours = EXAMPLE.replace("flask_track_usage.storage", "tracker.storage")
    ours = ours.replace("from flask.ext.track_usage", "from tracker")
    assert file.read_text().endswith(f"\n\n{ours}")
    with served(file, tmp_path, free_port):
        ask(free_port, "/")
        until(lambda: "OUTPUT: {'url'" in (tmp_path / "err").read_text())
        printed = until(lambda: re.findall(r"^\{'url'.*\}$", (tmp_path / "out").read_text(), re.M))
        assert """'track_var': '{"optional": "something"}'""" in only(printed)


def test_if_true_then_the_unique_visitor_id_a_quasi_random_number_is_also_stored(
    redis: Redis, redis_url: str
) -> None:
    stored = storage(redis_url)
    host = Host(stored, TRACK_USAGE_COOKIE=True)
    host.app.view_functions["index"] = lambda: "<p>Hello"
    ids = [re.fullmatch(r"_hitwall=([\w-]+); .*", host.get().headers["Set-Cookie"]) for _ in range(3)]
    given = [found[1] for found in ids if found]
    assert len(set(given)) == 3
    assert [hit.visitor for hit in stored.hits(None, None)] == given[::-1]


def test_unique_visitor_tracking_if_you_are_wanting_to_use_cookies(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    host = Host(stored, TRACK_USAGE_COOKIE=True)
    first = host.get().headers["Set-Cookie"].partition(";")[0]
    again = host.get(Cookie=first)
    assert "Set-Cookie" not in again.headers
    host.get()
    assert len({hit.visitor for hit in stored.hits(None, None)}) == 2


def test_track_usage_cookie_default_is_false(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    host = Host(stored)
    host.get(Cookie="_hitwall=QuiteRandom0123456789x")
    assert only(list(stored.hits(None, None))).visitor == ""


DE = {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "city": {"names": {"en": "Berlin"}}}


def test_if_set_to_true_then_geography_information_is_also_stored_in_the_usage_logs(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": DE})
    stored = storage(redis_url)
    Host(stored, TRACK_USAGE_USE_FREEGEOIP=True, HITWALL_GEOIP=file).get()
    assert json.loads(only(stored.get_usage())["ip_info"]) == {"country": "DE", "city": "Berlin"}


def test_use_freegeoip_default_is_false(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    Host(stored).get()
    assert only(stored.get_usage())["ip_info"] is None


def test_if_using_sql_storage_the_returned_json_is_converted_to_a_string(tmp_path: Path) -> None:
    long = {"city": "x" * 100, "region": "y" * 100}  # of "the 128 character limit of the field" none is left
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": long})
    stored = SQLStorage(url=f"sqlite:///{tmp_path / 'hits.db'}")
    Host(stored, HITWALL_GEOIP=file).get()
    assert json.loads(only(stored.get_usage())["ip_info"]) == long


def test_the_service_of_the_freegeoip_endpoint_is_never_asked(
    redis: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """There it was, within each request: the host waited for a third party that learned of every visitor."""
    stored = storage(redis_url)
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.setblocking(False)
        endpoint = f"http://127.0.0.1:{service.getsockname()[1]}/json/{{ip}}"
        host = Host(stored, TRACK_USAGE_USE_FREEGEOIP=True, TRACK_USAGE_FREEGEOIP_ENDPOINT=endpoint)
        host.get()
        with pytest.raises(BlockingIOError):
            service.accept()
    assert only(stored.get_usage())["ip_info"] is None
    assert "set HITWALL_GEOIP to an MMDB file" in caplog.text


WATCHED = """
import sys
seen = []
sys.addaudithook(lambda event, about: seen.append((event, about)) if event.startswith("socket.") else None)
from tests.promised import Host
from tracker.storage.redis_db import RedisStorage
Host(RedisStorage(), TRACK_USAGE_USE_FREEGEOIP=True).get(X_Forwarded_For="198.51.100.9")
print(sorted({about[1][1] for event, about in seen if event == "socket.connect"}))
print(sorted({about[0] for event, about in seen if event == "socket.getaddrinfo"}))
"""


def test_no_connection_is_made_and_no_name_is_looked_up_but_the_storages(
    redis: Redis, redis_url: str
) -> None:
    environ = {**os.environ, "REDIS_URL": redis_url}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.decode() == f"[{redis.get_connection_kwargs()['port']}]\n['127.0.0.1']\n"
    assert paths(storage(redis_url)) == ["/"]


def test_the_basic_function_of_the_library_logs_one_unit_of_information_per_request_received(
    redis: Redis, redis_url: str
) -> None:
    stored = storage(redis_url)
    host = Host(stored)
    wanted = ["/", "/other", "/", "/nowhere", "/other?a=1"]
    for path in wanted:
        host.get(path)
    assert paths(stored) == [path.partition("?")[0] for path in wanted]


def test_run_the_alembic_upgrade_the_storage_does_it_itself(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'hits.db'}"
    Host(SQLStorage(url=address)).get()
    with database.engine_for(address).connect() as connection:
        assert database.version(connection) == database.newest()


def test_redis_should_not_need_modification(redis: Redis, redis_url: str) -> None:
    """What the old storage has left there stays as it is."""
    redis.sadd("usage_data_keys", "usage_data:20180316")
    redis.hset("usage_data:20180316", "1", "{'url': 'http://localhost/'}")
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    stored = storage(redis_url)
    Host(stored).get()
    count(redis)
    assert {key: redis.dump(key) for key in before} == before
    assert paths(stored) == ["/"]


def test_print_storage_is_still_a_name_of_print_writer() -> None:
    assert PrintStorage is PrintWriter
