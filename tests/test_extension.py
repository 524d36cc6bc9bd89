"""TrackUsage in a Flask application: which answers are hits, where they go, and no harm to the host."""

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import Flask, Response, abort, g, request, request_finished
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

from tests.hits import FIREFOX, PROPERTY
from tests.tracked import Memory, Tracked, served, told
from tracker import TrackUsage


def test_a_request_is_a_hit_with_its_view_and_its_answer() -> None:
    site = Tracked()
    shop = flask.Blueprint("api", "api", url_prefix="/api")

    @shop.post("/items/<int:number>/<path:rest>")
    def item(number: int, rest: str) -> tuple[str, int]:
        g.track_var["optional"] = "something"
        return "größer", 201

    site.app.register_blueprint(shop)
    site.get("/api/items/7/a/b?x=1", method="POST")
    hit = site.hit
    assert told(hit) == ("POST", "/api/items/7/a/b", 201, 8)
    assert (hit.source, hit.app, hit.site) == ("flask", "shop", "localhost")
    assert (hit.endpoint, hit.blueprint) == ("api.item", "api")
    assert hit.view_args == {"number": 7, "rest": "a/b"}
    assert hit.track_var == {"optional": "something"}
    assert hit.agent == FIREFOX
    assert 0 < hit.seconds < 60


def test_what_no_view_answers_counts_as_well() -> None:
    site = Tracked()
    site.app.add_url_rule("/folder/", "folder", lambda: "folder")
    site.get("/missing")
    site.get("/", method="PUT")
    site.get("/folder")
    site.get("/", method="OPTIONS")
    site.get("/", method="HEAD")
    statuses = [(hit.method, hit.status, hit.endpoint) for hit in site.hits]
    assert statuses == [
        ("GET", 404, ""),
        ("PUT", 405, ""),
        ("GET", 308, ""),
        ("OPTIONS", 200, "home"),
        ("HEAD", 200, "home"),
    ]
    assert [hit.bytes > 0 for hit in site.hits] == [True, True, True, False, False]


def test_an_exception_that_the_application_answers_counts_as_its_answer() -> None:
    site = Tracked()
    site.app.logger.setLevel(logging.CRITICAL)
    site.app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    site.app.add_url_rule("/teapot", "teapot", lambda: abort(418))

    @site.app.errorhandler(418)
    def teapot(_: HTTPException) -> tuple[str, int]:
        return "short and stout", 418

    answers = [site.get(path) for path in ("/broken", "/teapot")]
    assert [told(hit) for hit in site.hits] == [
        ("GET", "/broken", 500, len(answers[0].data)),
        ("GET", "/teapot", 418, 15),
    ]
    assert answers[0].data


@pytest.mark.parametrize("config", [{"TESTING": True}, {"DEBUG": True}, {"PROPAGATE_EXCEPTIONS": True}])
def test_an_exception_that_the_application_lets_through_is_no_answer_and_no_hit(config: Any) -> None:
    site = Tracked(**config)
    site.app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    with pytest.raises(ZeroDivisionError):
        site.get("/broken")
    site.get("/")
    assert site.paths == ["/"]


def test_an_early_answer_and_a_replaced_one_count_as_what_is_sent() -> None:
    site = Tracked()

    @site.app.before_request
    def guard() -> str | None:
        g.track_var["guarded"] = True
        return "early" if request.args.get("early") else None

    @site.app.after_request
    def replace(response: Response) -> Response:
        return Response("something else", 203) if request.args.get("late") else response

    site.get("/?early=1")
    site.get("/?late=1")
    assert [told(hit)[2:] for hit in site.hits] == [(200, 5), (203, 14)]
    assert [hit.track_var for hit in site.hits] == [{"guarded": True}] * 2


def test_async_views_count() -> None:
    site = Tracked()

    @site.app.route("/later")
    async def later() -> str:
        g.track_var["kind"] = "async"
        return "later"

    with ThreadPoolExecutor(1) as thread:  # in this one a browser's test may have left an event loop running
        thread.submit(site.get, "/later").result()
    assert told(site.hit) == ("GET", "/later", 200, 5)
    assert site.hit.track_var == {"kind": "async"}


def test_a_mounted_application_counts_under_its_whole_path() -> None:
    front, shop = Tracked(), Tracked()
    both = DispatcherMiddleware(front.app, {"/shop": shop.app})
    served(both, "/")
    served(both, "/shop/")
    served(both, "/shop/missing")
    assert front.paths == ["/"]
    assert shop.paths == ["/shop/", "/shop/missing"]


def test_an_application_that_hands_a_request_on_to_another_counts_as_well_as_that() -> None:
    front, shop = Tracked(), Tracked()
    front.app.add_url_rule("/missing", "missing", lambda: shop.app)
    status, chunks = served(front.app, "/missing")
    assert status == "404 NOT FOUND"
    assert [told(hit) for hit in front.hits] == [told(hit) for hit in shop.hits]
    assert front.hit.bytes == sum(map(len, chunks))


def test_two_applications_may_share_an_environ() -> None:
    front, shop = Tracked(), Tracked()

    @front.app.route("/shared")
    def shared() -> str:
        inner = shop.app(request.environ, lambda *_: None)  # type: ignore[arg-type]
        return f"{len(b''.join(inner))} bytes"

    served(front.app, "/shared")
    assert [site.hit.status for site in (front, shop)] == [200, 404]


def test_proxyfix_gives_the_client_and_the_origin() -> None:
    site = Tracked()
    behind = ProxyFix(site.app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
    forwarded = {"X-Forwarded-For": "198.51.100.7, 203.0.113.7", "X-Forwarded-Proto": "https"}
    forwarded |= {"X-Forwarded-Host": "www.example.com", "X-Forwarded-Prefix": "/shop"}
    served(behind, "/", headers=forwarded)
    assert (site.hit.remote, site.hit.path) == ("203.0.113.7", "/shop/")
    assert (site.hit.site, site.hit.origin) == ("example.com", "https://www.example.com")


def naming(app: Flask) -> Callable[[], str]:
    """A view that holds its application, as most do."""
    return lambda: app.name


def test_one_trackusage_serves_several_applications_and_keeps_nothing_of_them() -> None:
    shared, own = Memory(), Memory()
    t = TrackUsage(storage=shared)
    first, second = Flask("first"), Flask("second")
    for app in (first, second):
        app.config["TRACK_USAGE_SPOOL"] = False
        app.add_url_rule("/", "home", t.include(naming(app)))
    t.init_app(first)
    t.init_app(second, own)
    for app in (first, second):
        app.test_client().get("/")
        assert t.flush(app)
    assert [hit.app for hit in shared.hits] == ["first"]
    assert [hit.app for hit in own.hits] == ["second"]
    gone = weakref.ref(first)
    del first, app
    gc.collect()
    assert gone() is None


def test_an_application_is_not_counted_twice() -> None:
    site = Tracked()
    for again in (lambda: site.t.init_app(site.app), lambda: TrackUsage(site.app, Memory())):
        with pytest.raises(RuntimeError, match="'shop' is counted by a TrackUsage already"):
            again()
    site.get("/")
    assert site.paths == ["/"]


def test_every_storage_gets_every_hit() -> None:
    app, storages = Flask("shop"), [Memory(), Memory(), Memory()]
    app.config["TRACK_USAGE_SPOOL"] = False
    t = TrackUsage(app, storages)
    app.test_client().get("/")
    assert t.flush(app)
    assert [len(storage.hits) for storage in storages] == [1, 1, 1]
    assert storages[0].hits == storages[1].hits == storages[2].hits


def test_many_threads_at_once_lose_nothing() -> None:
    site, each = Tracked(), 200

    def visit(number: int) -> None:
        for count in range(each):
            served(site.app, f"/?v={number}.{count}")

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({hit.query for hit in site.hits}) == len(site.hits) == 8 * each


def test_requests_of_one_application_context_do_not_share_their_values() -> None:
    site = Tracked()

    @site.app.route("/note")
    def note() -> str:
        g.track_var[request.args["name"]] = True
        return "noted"

    with site.app.app_context():
        site.get("/note?name=a")
        site.get("/note?name=b")
    assert [hit.track_var for hit in site.hits] == [{"a": True}, {"b": True}]


@pytest.mark.parametrize("mode", ["include", "exclude"])
def test_track_var_is_there_in_every_view_also_in_those_that_do_not_count(mode: str) -> None:
    site = Tracked(TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS=mode)

    @site.t.exclude
    @site.app.route("/hidden")
    def hidden() -> str:
        return repr(g.track_var)

    assert site.get("/hidden").text == "{}"
    assert site.hits == []


@pytest.mark.parametrize("value", [None, "text", 3, {"plan": "pro"}])
def test_track_var_may_be_set_anew(value: object) -> None:
    site = Tracked()

    @site.app.before_request
    def assign() -> None:
        g.track_var = value

    site.get("/")
    assert site.hit.track_var == (value if isinstance(value, dict) else {})


def test_track_var_may_be_gone() -> None:
    site = Tracked()
    site.app.before_request(lambda: g.pop("track_var") and None)
    site.get("/")
    assert site.hit.track_var == {}


class Hostile(dict[str, Any]):
    """A dict of the host's that cannot be read."""

    def __bool__(self) -> bool:
        raise RuntimeError(self)

    def __repr__(self) -> str:
        raise RuntimeError("read me not")


def test_what_cannot_be_counted_is_answered_as_ever_and_told_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Tracked()

    @site.app.before_request
    def assign() -> None:
        if request.args.get("hostile"):
            g.track_var = Hostile()

    with caplog.at_level(logging.WARNING, "tracker"):
        for _ in range(3):
            assert site.get("/?hostile=1").text == "hello"
        assert served(site.app, "/", headers={"Host": "a b"})[1]
    site.get("/")
    assert len(site.hits) == 1
    assert site.app.extensions["track_usage"].uncounted == 4
    assert [record.getMessage() for record in caplog.records] == [
        "1 requests were not counted: RuntimeError: <exception str() failed>"
    ]


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("HTTP_HOST", "HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_FOR", "HTTP_USER_AGENT"),
            *("HTTP_RANGE", "HTTP_DNT", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "REMOTE_ADDR"),
            *("REQUEST_METHOD", "SERVER_PROTOCOL", "SERVER_NAME", "wsgi.url_scheme"),
        ]
    ),
    st.text(max_size=30) | st.sampled_from(["/", "/", "GET", "HEAD", "_hitwall=12345678", "a b", "[::1]"]),
)


@pytest.fixture(scope="module")
def pair() -> tuple[Tracked, Flask]:
    """An application with TrackUsage, and the same without."""
    site, plain = Tracked(TRACK_USAGE_COOKIE=True), Flask("shop")
    plain.add_url_rule("/", "home", lambda: "hello")
    for app in (site.app, plain):
        app.logger.setLevel(logging.CRITICAL)
    return site, plain


def outcome(app: Flask, sent: dict[str, str]) -> object:
    """What a server gets: status and body, or the exception."""
    answers: list[str] = []
    environ = EnvironBuilder("/").get_environ() | sent
    try:
        body = b"".join(app(environ, lambda status, *_: answers.append(status)))  # type: ignore[arg-type]
    except Exception as error:
        return type(error)
    return answers, body


@PROPERTY
@given(sent=HEADERS)
def test_any_request_is_answered_as_without_us(pair: tuple[Tracked, Flask], sent: dict[str, str]) -> None:
    site, plain = pair
    assert outcome(site.app, sent) == outcome(plain, sent)


def test_a_host_that_is_none_is_told_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    site = Tracked()
    with caplog.at_level(logging.WARNING, "tracker"):
        served(site.app, "/", headers={"Host": "my_shop:8000"})
    assert site.hits == []
    assert "bad host: set TRACK_USAGE_SITE to the name under which all is counted" in caplog.text


def test_a_request_that_is_answered_a_second_time_counts_once() -> None:
    site = Tracked()
    site.app.logger.setLevel(logging.CRITICAL)
    failing = [True]

    def fail(_: Flask, response: Response) -> None:
        if failing.pop():
            failing.append(False)
            raise RuntimeError("another extension")

    with request_finished.connected_to(fail, site.app):
        assert site.get("/").status_code == 500
    assert len(site.hits) == 1


def test_an_answer_of_which_no_signal_tells_counts_once_as_it_is_sent() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    site.app.logger.setLevel(logging.CRITICAL)

    @site.app.after_request
    def fail(response: Response) -> Response:
        if request.args:
            raise RuntimeError(f"at the answer and at that to this exception: {response.status}")
        return response

    answer = site.get("/?fail")
    site.get("/")
    assert [told(hit) for hit in site.hits] == [("GET", "/", 500, len(answer.data)), ("GET", "/", 200, 5)]
    assert "Set-Cookie" not in answer.headers
    site.t.exclude(site.app.view_functions["home"])
    assert site.get("/?fail").status_code == 500
    assert len(site.hits) == 2


def test_a_request_that_cannot_be_counted_is_numbered_once() -> None:
    site = Tracked()
    site.app.logger.setLevel(logging.CRITICAL)
    site.app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    served(site.app, "/broken", headers={"Host": "my_shop:8000"})
    assert site.app.extensions["track_usage"].uncounted == 1


def test_the_extension_is_loaded_by_who_asks_for_it_alone() -> None:
    code = """
import sys, tracker
from tracker import hit, settings
assert not {"flask", "redis", "sqlalchemy", "tracker.extension"} & set(sys.modules)
assert not hasattr(tracker, "Nothing")
from tracker import TrackUsage
assert TrackUsage is tracker.TrackUsage
from tracker import *
"""
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
