"""Who visits a Flask application: the visitor's cookie, and the name of who has logged in."""

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Response, make_response, redirect, session
from flask_login import LoginManager, UserMixin, current_user, login_user
from sqlalchemy import Engine, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.tracked import Tracked, served
from tracker.flask_visitors import YEAR
from tracker.visitors import ID

VISITOR = "abcdefgh-1234"
ROOT = Path(__file__).resolve().parent.parent


def cookies(site: Tracked, path: str = "/", **options: Any) -> list[str]:
    """The cookies that an answer sets."""
    client = site.app.test_client(use_cookies=False)  # else it would send its own alone
    return client.open(path, **options).headers.getlist("Set-Cookie")


def test_a_new_visitor_gets_a_cookie_and_is_known_by_it_from_then_on() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    client = site.client
    first, second = client.get("/"), client.get("/")
    made = client.get_cookie("_hitwall")
    assert made is not None
    assert ID.fullmatch(made.value)
    assert first.headers["Set-Cookie"] == f"_hitwall={made.value}; Path=/; Max-Age={YEAR}; SameSite=Lax"
    assert "Set-Cookie" not in second.headers
    site.client.get("/")
    assert [hit.visitor == made.value for hit in site.hits] == [True, True, False]
    assert len({hit.visitor for hit in site.hits}) == 2


def test_the_cookie_is_the_one_that_the_script_sets() -> None:
    script = (ROOT / "static" / "a.js").read_text()
    assert f'"_hitwall=" + id + ";path=/;max-age={YEAR};samesite=lax"' in script
    site = Tracked(TRACK_USAGE_COOKIE=True)
    found = "3735928559-1-22-4294967295"  # as the script makes them
    assert cookies(site, headers={"Cookie": f"a=b; _hitwall={found}; c=d"}) == []
    assert site.hit.visitor == found


@pytest.mark.parametrize("sent", ["short", "<script>", "", "a" * 65, "ä" * 10])
def test_a_malformed_cookie_is_replaced(sent: str) -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    header = f"_hitwall={sent}".encode().decode("latin-1")
    (cookie,) = cookies(site, headers={"Cookie": header})
    assert cookie.startswith(f"_hitwall={site.hit.visitor};")
    assert site.hit.visitor != sent


def test_on_https_the_cookie_goes_there_alone() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    (cookie,) = cookies(site, base_url="https://shop.example")
    assert cookie.endswith("; SameSite=Lax; Secure")


def answer(text: str = "page", **headers: str) -> Response:
    made = make_response(text)
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


NOT_A_PAGE: dict[str, tuple[Any, dict[str, Any]]] = {
    "JSON": (lambda: {"a": 1}, {}),
    "script": (lambda: answer(Content_Type="text/javascript"), {}),
    "error": (lambda: ("broken", 500), {}),
    "not found": (lambda: ("nowhere", 404), {}),
    "for all visitors": (lambda: answer(Cache_Control="public, max-age=60"), {}),
    "for shared caches": (lambda: answer(Cache_Control="S-MaxAge=60"), {}),
    "for any cache": (lambda: answer(Cache_Control="max-age=60"), {}),
    "HEAD": (lambda: "page", {"method": "HEAD"}),
    "PUT": (lambda: "page", {"method": "PUT"}),
    "DNT": (lambda: "page", {"headers": {"DNT": "1"}}),
    "Sec-GPC": (lambda: "page", {"headers": {"Sec-GPC": "1"}}),
}


@pytest.mark.parametrize(("view", "options"), NOT_A_PAGE.values(), ids=NOT_A_PAGE.keys())
def test_no_visitor_is_made_where_no_page_goes_to_one_who_may_be_tracked(
    view: Any, options: dict[str, Any]
) -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    site.app.add_url_rule("/page", "page", view, methods=["GET", "PUT"])
    assert cookies(site, "/page", **options) == []
    assert site.hit.visitor == ""


@pytest.mark.parametrize("wish", ["DNT", "Sec-GPC"])
def test_who_asks_not_to_be_tracked_is_no_visitor_even_with_a_cookie(wish: str) -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    sent = {wish: "1", "Cookie": f"_hitwall={VISITOR}", "X-Forwarded-For": "198.51.100.7"}
    served(site.app, "/", headers=sent, environ_base={"REMOTE_ADDR": "203.0.113.7"})
    assert (site.hit.visitor, site.hit.remote, site.hit.headers) == ("", "203.0.113.0", {wish: "1"})


def test_a_redirect_and_a_private_page_introduce_the_visitor() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    site.app.add_url_rule("/old", "old", lambda: redirect("/"))
    own = ("private, max-age=60", "no-cache, max-age=60", "max-age=0", "no-store")
    for number, control in enumerate(own):
        site.app.add_url_rule(f"/{number}", str(number), partial(answer, Cache_Control=control))
    for path in ("/old", *(f"/{number}" for number in range(len(own)))):
        assert len(cookies(site, path)) == 1


def test_a_page_that_is_not_counted_sets_no_cookie() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    site.app.add_url_rule("/hidden", "hidden", site.t.exclude(lambda: "hidden"))
    assert cookies(site, "/hidden") == []


@pytest.mark.parametrize(
    "config",
    [{}, {"TRACK_USAGE_COOKIE": False}]
    + [{"TRACK_USAGE_COOKIE": True, "HITWALL_VISITOR": mode} for mode in ("hash", "off")],
)
def test_where_visitors_are_not_told_apart_by_cookies_none_is_set_or_read(config: dict[str, Any]) -> None:
    site = Tracked(**config)
    assert cookies(site, headers={"Cookie": f"_hitwall={VISITOR}"}) == []
    assert site.hit.visitor == ""


# Who has logged in ---------------------------------------------------------------------------------


class User(UserMixin):  # type: ignore[misc]
    id = 42
    username = "anna"


class Nameless(UserMixin):  # type: ignore[misc]
    id = 42


class Failing(UserMixin):  # type: ignore[misc]
    id = 42

    @property
    def username(self) -> str:
        raise RuntimeError("read me not")


def logged_in(site: Tracked, user: Any) -> None:
    """Every request is that user's; /who asks for the name, / does not."""
    manager = LoginManager(site.app)
    manager.user_loader(lambda _: user)
    manager.request_loader(lambda _: user)
    site.app.add_url_rule("/who", "who", lambda: str(current_user.is_authenticated))


@pytest.mark.parametrize(
    ("user", "name"),
    [(User(), "anna"), (Nameless(), "42"), (Failing(), ""), (None, "")],
    ids=["username", "get_id", "raising", "nobody"],
)
def test_the_name_of_the_user_that_flask_login_has_loaded(user: Any, name: str) -> None:
    site = Tracked()
    logged_in(site, user)
    site.get("/who")
    assert site.hit.username == name


def test_nobody_is_loaded_for_our_sake() -> None:
    site = Tracked(TRACK_USAGE_COOKIE=True)
    asked: list[str] = []
    manager = LoginManager(site.app)
    manager.user_loader(asked.append)

    @site.app.route("/login")
    def login() -> str:
        login_user(User())
        return str(dict(session))

    client = site.client
    client.get("/login")
    client.get("/")
    assert asked == []
    assert [hit.username for hit in site.hits] == ["anna", ""]


def test_the_session_is_not_touched() -> None:
    assert "Vary" not in Tracked(TRACK_USAGE_COOKIE=True).get("/").headers


def test_without_flask_login_the_name_is_that_of_basic_authentication() -> None:
    site = Tracked()
    credentials = base64.b64encode("jörg:geheim".encode()).decode()
    site.get("/", headers={"Authorization": f"Basic {credentials}"})
    assert (site.hit.username, site.hit.authorization) == ("jörg", True)


@pytest.mark.parametrize("sent", ["Basic \xff", "Basic %%%", "Digest username", "basic", 'Digest "'])
def test_credentials_that_are_none_name_nobody_and_the_request_counts(sent: str) -> None:
    site = Tracked()
    served(site.app, "/", headers={"Authorization": sent})
    assert (site.hit.username, site.hit.authorization) == ("", True)


class Base(DeclarativeBase): ...


class Account(UserMixin, Base):  # type: ignore[misc]
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64))
    is_active: Mapped[bool] = mapped_column(default=True)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def test_no_database_is_asked_for_the_name_after_a_commit(engine: Engine) -> None:
    with Session(engine) as database:
        account = Account(username="anna")
        database.add(account)
        database.commit()
        database.refresh(account)
        site, queries = Tracked(), []
        logged_in(site, account)

        @site.app.route("/save")
        def save() -> str:
            assert current_user.is_authenticated
            database.commit()
            return "saved"

        event.listen(engine, "before_cursor_execute", lambda *call: queries.append(call[2]))
        site.get("/who")
        site.get("/save")
        assert queries == []
    assert [hit.username for hit in site.hits] == ["anna", ""]
