"""Which views count: marks on views, classes and blueprints, and the mode."""

import functools
import gc
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

from tests.tracked import Memory, Tracked
from tracker import TrackUsage
from tracker.marks import DEPTH, MOST, Marks, Views
from tracker.settings import BadSetting

MODES = ("include", "exclude")

in_both_modes = pytest.mark.parametrize("mode", MODES)


def tracked(mode: str) -> Tracked:
    return Tracked(TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS=mode)


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as users write them."""

    @functools.wraps(view)
    def checked(*args: Any, **named: Any) -> Any:
        return view(*args, **named)

    return checked


def page() -> str:
    return "page"


def seen(site: Tracked, *paths: str) -> list[str]:
    """Which of these paths count."""
    for path in paths:
        site.get(path)
    return site.paths


def test_in_mode_exclude_every_view_counts_but_the_excluded_ones() -> None:
    site = tracked("exclude")
    site.app.add_url_rule("/health", "health", site.t.exclude(page))
    assert seen(site, "/", "/health") == ["/"]


def test_in_mode_include_only_the_included_views_count() -> None:
    site = tracked("include")
    site.app.add_url_rule("/shop", "shop", site.t.include(page))
    assert seen(site, "/", "/shop") == ["/shop"]


def test_the_mode_is_exclude_where_none_is_set() -> None:
    assert seen(Tracked(), "/") == ["/"]


@pytest.mark.parametrize("mode", ["Include", "", None, "all", 1])
def test_another_mode_stops_the_start_with_a_sentence(mode: object) -> None:
    with pytest.raises(BadSetting, match=r"VIEWS=.* cannot be used: it takes 'include' or 'exclude'"):
        Tracked(TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS=mode)


def test_the_decorators_give_the_view_itself() -> None:
    t = TrackUsage()
    assert t.include(page) is page
    assert t.exclude(page) is page
    assert t.include(View) is View
    blueprint = Blueprint("b", "b")
    assert t.include_blueprint(blueprint) is blueprint
    assert t.exclude_blueprint(blueprint) is blueprint


def test_the_decorator_works_above_and_below_the_route_and_before_the_application_is_known() -> None:
    t, memory = TrackUsage(), Memory()
    app = Flask("shop")
    app.config.update(TRACK_USAGE_SPOOL=False, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="include")

    @t.include
    @app.route("/above")
    def above() -> str:
        return "above"

    @app.route("/below")
    @t.include
    def below() -> str:
        return "below"

    t.init_app(app, memory)
    for path in ("/above", "/below"):
        app.test_client().get(path)
    assert t.flush(app)
    assert [hit.path for hit in memory.hits] == ["/above", "/below"]


@in_both_modes
def test_a_mark_is_found_below_other_decorators_and_the_outermost_holds(mode: str) -> None:
    site = tracked(mode)
    site.app.add_url_rule("/in", "in", login_required(login_required(site.t.include(lambda: "in"))))
    site.app.add_url_rule("/out", "out", login_required(site.t.exclude(lambda: "out")))
    both = site.t.exclude(login_required(site.t.include(lambda: "both")))
    site.app.add_url_rule("/both", "both", both)
    assert seen(site, "/in", "/out", "/both") == ["/in"]


@in_both_modes
def test_of_two_marks_on_a_view_the_later_holds_from_the_next_request_on(mode: str) -> None:
    site = tracked(mode)
    site.app.add_url_rule("/page", "page", view := lambda: "page")
    site.t.include(view)
    site.get("/page?first")
    site.t.exclude(view)
    site.get("/page?second")
    assert [hit.query for hit in site.hits] == ["first"]


@in_both_modes
def test_a_view_class_is_marked_itself_or_by_a_base_or_by_its_view_function(mode: str) -> None:
    site = tracked(mode)

    class Page(MethodView):
        def get(self) -> str:
            return "page"

    class Special(Page): ...

    class Hidden(Page): ...

    class Decorated(MethodView):
        decorators: ClassVar[list[Callable[..., Any]]] = [login_required, site.t.exclude, login_required]

        def get(self) -> str:
            return "decorated"

    site.t.include(Page)
    site.t.exclude(Hidden)
    views = {"page": Page, "special": Special, "hidden": Hidden, "decorated": Decorated}
    for name, made in views.items():
        site.app.add_url_rule(f"/{name}", view_func=made.as_view(name))
    site.app.add_url_rule("/other", view_func=site.t.exclude(Page.as_view("other")))
    assert seen(site, *(f"/{name}" for name in [*views, "other"])) == ["/page", "/special"]


@in_both_modes
def test_a_method_is_marked_though_python_makes_it_anew_each_time(mode: str) -> None:
    class Shop:
        def cart(self) -> str:
            return "cart"

    site, first, second = tracked(mode), Shop(), Shop()
    site.t.include(first.cart)
    site.t.exclude(second.cart)
    gc.collect()
    site.app.add_url_rule("/first", "first", first.cart)
    site.app.add_url_rule("/second", "second", second.cart)
    assert seen(site, "/first", "/second") == ["/first"]


@in_both_modes
def test_any_callable_can_be_a_view(mode: str) -> None:
    class Slotted:
        __slots__ = ()
        __name__ = "slotted"

        def __call__(self) -> str:
            return "slotted"

        def __eq__(self, other: object) -> bool:  # it has no hash, and no weak reference
            return True

    site = tracked(mode)
    for name in ("in", "out"):
        mark = site.t.include if name == "in" else site.t.exclude
        site.app.add_url_rule(f"/{name}", name, mark(Slotted()))
    site.app.add_url_rule("/part", "part", site.t.include(functools.partial(str, "part")))
    assert seen(site, "/in", "/out", "/part") == ["/in", "/part"]


def blueprint_of(name: str) -> Blueprint:
    made = Blueprint(name, name, url_prefix=f"/{name}")
    made.add_url_rule("/", "index", lambda: name)
    return made


@in_both_modes
def test_a_blueprint_is_included_or_excluded_in_its_entirety(mode: str) -> None:
    site, shown, hidden = tracked(mode), blueprint_of("shown"), blueprint_of("hidden")
    site.t.include_blueprint(shown)
    site.app.register_blueprint(shown)
    site.app.register_blueprint(hidden)
    site.t.exclude_blueprint(hidden)
    shown_too = site.t.exclude(lambda: "x")
    site.app.add_url_rule("/shown/later", "shown.later", lambda: "later")
    site.app.add_url_rule("/shown/not", "shown.not", shown_too)
    site.app.add_url_rule("/hidden/but", "hidden.but", site.t.include(lambda: "but"))
    paths = ("/shown/", "/shown/later", "/shown/not", "/hidden/", "/hidden/but")
    assert seen(site, *paths) == ["/shown/", "/shown/later", "/hidden/but"]


@in_both_modes
def test_a_blueprint_counts_under_every_name_that_it_is_registered_with(mode: str) -> None:
    site, made = tracked(mode), blueprint_of("api")
    site.t.include_blueprint(made)
    outer = blueprint_of("outer")
    outer.register_blueprint(made, name="nested", url_prefix="/nested")
    site.t.exclude_blueprint(outer)
    site.app.register_blueprint(made, name="v1", url_prefix="/v1")
    site.app.register_blueprint(made, name="v2", url_prefix="/v2")
    site.app.register_blueprint(outer)
    found = seen(site, "/v1/", "/v2/", "/outer/", "/outer/nested/")
    assert found == ["/v1/", "/v2/", "/outer/nested/"]
    assert [hit.blueprint for hit in site.hits] == ["v1", "v2", "outer.nested"]


@in_both_modes
def test_of_nested_blueprints_the_innermost_mark_holds(mode: str) -> None:
    site = tracked(mode)
    outer, middle, inner = (blueprint_of(name) for name in ("outer", "middle", "inner"))
    middle.register_blueprint(inner)
    outer.register_blueprint(middle)
    site.app.register_blueprint(outer)
    site.t.include_blueprint(outer)
    assert seen(site, "/outer/middle/inner/") == ["/outer/middle/inner/"]
    site.t.exclude_blueprint(middle)
    site.get("/outer/middle/inner/")
    assert len(site.hits) == 1
    site.t.include_blueprint(inner)
    site.get("/outer/middle/inner/")
    assert len(site.hits) == 2


@pytest.mark.parametrize(("mode", "counted"), [("exclude", 4), ("include", 0)])
def test_what_no_mark_can_reach_follows_the_mode(mode: str, counted: int) -> None:
    site = tracked(mode)
    site.app.add_url_rule("/folder/", "folder", site.t.exclude(page))
    for path in ("/static/missing", "/missing", "/folder"):  # the last is sent on to /folder/
        site.get(path)
    site.get("/folder/", method="DELETE")
    assert [hit.status for hit in site.hits] == [404, 404, 308, 405][:counted]


def test_a_view_that_is_put_in_the_place_of_another_has_its_own_mark() -> None:
    site = Tracked()
    new = site.t.exclude(lambda: "new")
    site.get("/?first")
    site.app.view_functions["home"] = new
    site.get("/?second")
    assert [hit.query for hit in site.hits] == ["first"]


@pytest.mark.parametrize("thing", ["index", None, 3])
def test_what_is_no_view_and_no_blueprint_is_told_at_once(thing: Any) -> None:
    t = TrackUsage()
    for mark in (t.include, t.exclude):
        with pytest.raises(TypeError, match="is no view: include and exclude take a view function or"):
            mark(thing)
    for mark_all in (t.include_blueprint, t.exclude_blueprint):
        with pytest.raises(TypeError, match="is no Blueprint"):
            mark_all(thing)


def test_a_chain_of_wrappers_that_leads_back_to_itself_ends() -> None:
    def view() -> str:
        return "round and round"

    view.__wrapped__ = view  # type: ignore[attr-defined]
    app = Flask("shop")
    app.view_functions["view"] = view
    assert Views(Marks(), all_count=True).count(app, "view")
    assert DEPTH < 1000


def test_law_10_marks_go_with_what_they_mark_and_answers_have_a_bound() -> None:
    marks = Marks()
    view, made = login_required(page), blueprint_of("gone")
    marks.mark(view, False)
    marks.mark(made, False)
    marks.mark(page, False)
    del view, made
    gc.collect()
    assert len(marks._marks) == 1
    views, app = Views(marks, all_count=True), Flask("shop")
    for number in range(MOST + 10):
        assert views.count(app, f"endpoint{number}")
    assert len(views._known) == MOST
