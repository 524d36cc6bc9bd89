"""What the old extension's documentation promises of views and blueprints, word by word."""

import pytest
from flask import Blueprint
from redis import Redis

from tests.promised import Host, paths, storage
from tracker.storage.redis_db import RedisStorage


def test_supports_either_include_or_exempt_for_views(redis: Redis, redis_url: str) -> None:
    for mode, expected in (("include", ["/other"]), ("exclude", ["/other"])):
        redis.flushdb()
        stored = storage(redis_url)
        host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS=mode)
        views = host.app.view_functions
        host.t.include(views["other"]) if mode == "include" else host.t.exclude(views["index"])
        host.get("/")
        host.get("/other")
        assert paths(stored) == expected


def shelf() -> Blueprint:
    """A blueprint with two views."""
    made = Blueprint("shelf", __name__, url_prefix="/shelf")
    made.add_url_rule("/one", "one", lambda: "one")
    made.add_url_rule("/two", "two", lambda: "two")
    return made


PAGES = ("/", "/other", "/shelf/one", "/shelf/two")


def counted(stored: RedisStorage, host: Host) -> list[str]:
    """Of PAGES those that count."""
    for path in PAGES:
        assert host.get(path).status_code == 200
    return paths(stored)


def test_blueprints_can_be_included_or_excluded_in_their_entirety(redis: Redis, redis_url: str) -> None:
    for mode, expected in (("include", PAGES[2:]), ("exclude", PAGES[:2])):
        redis.flushdb()
        stored, blueprint = storage(redis_url), shelf()
        host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS=mode)
        host.t.include_blueprint(blueprint) if mode == "include" else host.t.exclude_blueprint(blueprint)
        host.app.register_blueprint(blueprint)
        assert counted(stored, host) == list(expected)


def test_now_all_of_a_blueprints_views_will_be_in_the_include_list(redis: Redis, redis_url: str) -> None:
    stored, blueprint = storage(redis_url), shelf()
    host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="include")
    host.t.include_blueprint(blueprint)
    blueprint.add_url_rule("/three", "three", lambda: "three")  # there only views known by then were
    host.app.register_blueprint(blueprint)
    host.get("/shelf/three")
    assert counted(stored, host) == ["/shelf/three", "/shelf/one", "/shelf/two"]


def test_now_all_of_different_blueprints_will_be_in_the_exclude_list(redis: Redis, redis_url: str) -> None:
    stored, one, other = storage(redis_url), shelf(), Blueprint("other", __name__, url_prefix="/o")
    other.add_url_rule("/", "page", lambda: "page")
    host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="exclude")
    for blueprint in (one, other):
        host.t.exclude_blueprint(blueprint)
        host.app.register_blueprint(blueprint)
    host.get("/o/")
    assert counted(stored, host) == ["/", "/other"]


# The reference of TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS has its two words exchanged: "when set to exclude
# each routed view must be explicitly included". The old code, its tests, its decorators' own docstrings
# and the examples above say what is tested here.


def test_when_set_to_include_each_routed_view_must_be_explicitly_included_via_decorator_or_blueprint_method(
    redis: Redis, redis_url: str
) -> None:
    stored, blueprint = storage(redis_url), shelf()
    host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="include")
    host.app.register_blueprint(blueprint)
    assert counted(stored, host) == []
    host.t.include(host.app.view_functions["other"])
    host.t.include_blueprint(blueprint)
    assert counted(stored, host) == ["/other", "/shelf/one", "/shelf/two"]


def test_if_a_routed_view_is_not_included_it_will_not_be_tracked(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="include")
    host.t.include(host.app.view_functions["index"])
    assert host.get("/other").status_code == 200
    assert stored.get_usage() == []


def test_when_set_to_exclude_each_routed_view_must_be_explicitly_excluded_via_decorator_or_blueprint_method(
    redis: Redis, redis_url: str
) -> None:
    stored, blueprint = storage(redis_url), shelf()
    host = Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="exclude")
    host.app.register_blueprint(blueprint)
    host.t.exclude(host.app.view_functions["other"])
    assert counted(stored, host) == ["/", "/shelf/one", "/shelf/two"]
    host.t.exclude_blueprint(blueprint)
    redis.flushdb()
    assert counted(stored, host) == ["/"]


def test_if_a_routed_view_is_not_excluded_it_will_be_tracked(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    Host(stored, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="exclude").get("/other")
    assert paths(stored) == ["/other"]


def test_include_or_exclude_views_default_is_exclude(redis: Redis, redis_url: str) -> None:
    stored = storage(redis_url)
    Host(stored).get("/other")
    assert paths(stored) == ["/other"]


def test_include_or_exclude_views_values_are_include_and_exclude(redis_url: str) -> None:
    with pytest.raises(ValueError, match="takes 'include' or 'exclude'"):
        Host(storage(redis_url), TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="")
