"""docs/flask.md says what is so: its settings are those of the code, and its snippets run as they stand."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import View
from redis import Redis

from tests.service import ROOT
from tests.test_flask_config import app_with
from tests.tracked import Memory
from tracker import TrackUsage, batches, delivery, outbox, scalars, spool
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.storage import Batch, Storage
from tracker.storage.output import OutputWriter
from tracker.storage.redis_db import RedisStorage

PAGE = (ROOT / "docs" / "flask.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
NAMED = re.compile(r"TRACK_USAGE_[A-Z_]+")


def run(snippet: str, **names: Any) -> dict[str, Any]:
    """The names that it leaves."""
    exec(compile(snippet, "docs/flask.md", "exec"), names)
    return names


def snippet(begin: str) -> str:
    (found,) = [code for code in SNIPPETS if begin in code]
    return str(found)


def rows(begin: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    table = PAGE.partition(f"\n| {begin} |")[2].partition("\n\n")[0]
    lines = re.findall(r"^\| (.*) \|$", table, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_the_configuration_table_names_what_the_code_reads() -> None:
    named = [row[0].strip("`") for row in rows("name")]
    code = "".join(path.read_text() for path in (ROOT / "tracker").rglob("*.py"))
    assert sorted(named) == sorted(set(NAMED.findall(code)))
    assert set(NAMED.findall(PAGE)) == set(named)


def test_the_defaults_of_the_table_are_those_of_the_code() -> None:
    said = {row[0].strip("`"): row[1].strip("`") for row in rows("name")}
    app, usual = Flask("shop"), Flask("shop")
    usual.config.update({name: eval(value) for name, value in said.items() if value != "the request's host"})
    for each in (app, usual):
        TrackUsage(each, Memory())
        counted = each.extensions["track_usage"]
        assert counted.outboxes[0]._target.spool == Path(app.instance_path, "hitwall-spool")
        assert counted._cookies._on is False
        assert counted._views.count(app, None) is True


def test_every_storage_of_the_table_is_there() -> None:
    named = re.findall(r"`(tracker\.storage\.\w+)\.(\w+)`", PAGE)
    assert len(named) == 7
    for module, name in named:
        assert hasattr(import_module(module), name)


def test_the_bounds_are_those_of_the_code() -> None:
    for said in (
        f"queue of {outbox.QUEUE:,} hits",
        f"batches of up to {batches.MOST} ",
        f"some {delivery.GATHER * 1000:.0f} ms",
        f"{spool.MOST // 2**20} MiB",
        f"Up to {scalars.MOST} entries",
        f"up to {scalars.TEXT}\ncharacters",
        f"not stored within {outbox.EXIT:.0f} s",
    ):
        assert said in PAGE


@pytest.mark.usefixtures("shell")
def test_the_first_snippet_counts(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(snippet("t = TrackUsage(app)"), __name__="shop")
    assert names["app"].test_client().get("/").text == "Hello"
    assert names["t"].flush(names["app"])
    ((_, hit),) = RawLog(redis).after("localhost", "0-0", 10)
    assert hit is not None
    assert hit.track_var == {"plan": "pro"}


def test_the_snippet_about_tests_counts_nothing_there() -> None:
    names = run(snippet("app.testing"), __name__="shop", TrackUsage=TrackUsage, Flask=Flask)
    app = names["create_app"](TESTING=True)
    app.test_client().get("/")
    assert app.extensions["track_usage"].outboxes == ()
    assert len(names["create_app"]().extensions["track_usage"].outboxes) == 1


def test_the_snippet_about_views_marks_what_it_says() -> None:
    app, memory = app_with(), Memory()
    t = TrackUsage(app, memory)
    internal = Blueprint("internal", __name__, url_prefix="/internal")

    class AdminView(View):
        def dispatch_request(self) -> str:
            return "admin"

    class Derived(AdminView): ...

    def internal_report() -> str:
        return "report"

    names = run(
        snippet("t.exclude(AdminView)").replace("(): ...", "(): return 'well'"),
        **{"app": app, "t": t, "AdminView": AdminView, "internal": internal},
        internal_report=internal_report,
    )
    assert names["health"]() == "well"
    internal.add_url_rule("/report", view_func=internal_report)
    internal.add_url_rule("/other", view_func=Derived.as_view("other"))
    app.register_blueprint(internal)
    app.add_url_rule("/admin", view_func=Derived.as_view("admin"))
    for path in ("/", "/health", "/admin", "/internal/other", "/internal/report"):
        assert app.test_client().get(path).status_code == 200
    assert t.flush(app)
    assert [hit.path for hit in memory.hits] == ["/", "/internal/report"]


def test_the_storages_are_made_as_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made: dict[str, list[Any]] = {"RedisStorage": [], "HTTPStorage": [], "OutputWriter": []}

    def making(name: str, module: str) -> Callable[..., Any]:
        return lambda *given, **named: made[name].append(
            getattr(import_module(f"tracker.storage.{module}"), name)(*given, **named)
        )

    code = snippet("RedisStorage(url=").replace('token="…"', 'token="secret"')
    run(
        code,
        RedisStorage=making("RedisStorage", "redis_db"),
        HTTPStorage=making("HTTPStorage", "http"),
        OutputWriter=making("OutputWriter", "output"),
    )
    redises: list[RedisStorage] = made["RedisStorage"]
    assert [storage._url for storage in redises] == [
        *("", "redis://:password@10.0.0.5:6379/0", "rediss://10.0.0.5/0")
    ]
    assert redises[2].site == "example.com"
    assert len(made["HTTPStorage"]) == 1
    writer: OutputWriter = made["OutputWriter"][0]
    writer.store(Batch([hit("/a")], "source", 1))
    writer.output.close()
    assert Path("hits.log").read_text() == "2026-11-21 06:31:11+00:00 http://shop.example/a\n"


def hit(path: str) -> Hit:
    at = datetime(2026, 11, 21, 6, 31, 11, tzinfo=UTC)
    return Hit(at=at, site="shop.example", path=path, source="flask")


class Book:
    """What the page's `connect()` may give."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Any, ...]] = {}

    def put(self, id: str, *entry: Any) -> None:
        self.entries[id] = entry

    @contextmanager
    def open(self) -> Iterator["Book"]:
        yield self


def test_a_storage_of_your_own_is_as_the_page_shows() -> None:
    app, book = app_with(), Book()
    names = run(snippet("with connect() as ledger"), connect=book.open)
    t = TrackUsage(app, names["Ledger"]())
    app.test_client().get("/")
    assert t.flush(app)
    ((_, site, path),) = book.entries.values()
    assert (site, path) == ("localhost", "/")


def test_a_storage_of_your_own_answers_get_usage() -> None:
    ledger = run(snippet("class Ledger(Storage)"), Storage=Storage)["Ledger"]()
    ledger.ledger = [hit("/a"), hit("/b")]
    assert [usage["path"] for usage in ledger.get_usage()] == ["/b", "/a"]
    assert ledger.get_usage(start_date=datetime(2026, 11, 22)) == []


def test_every_snippet_is_code_and_all_are_tried() -> None:
    for code in SNIPPETS:
        compile(code, "docs/flask.md", "exec")
    assert len(SNIPPETS) == 7
