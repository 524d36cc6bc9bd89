"""A hit as the old extension's documentation has it: results that "should always look like this"."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from tests.hits import FIREFOX, NOW, generated_hits, hit
from tracker.hit import Hit
from tracker.usage import address, usage_of

NONE = type(None)
DOCUMENTED = {  # Flask-Track-Usage 2.0.0, "Retrieving Log Data"; None where a request has no such thing
    "url": (str,),
    "user_agent": (dict,),
    "blueprint": (str, NONE),
    "view_args": (str, NONE),
    "status": (int,),
    "remote_addr": (str, NONE),
    "xforwardedfor": (str, NONE),
    "authorization": (bool,),
    "ip_info": (str, NONE),
    "path": (str,),
    "speed": (float,),
    "date": (datetime,),
    "username": (str, NONE),
    "track_var": (str, NONE),
}
MORE = {  # what its storages had besides
    "content_length": (int,),
    "request": (str,),
    "server_name": (str, NONE),
    "url_args": (dict,),
}
WHOLE: dict[str, Any] = {
    "source": "flask",
    "query": "q=1&q=2&empty=",
    "params": {"q": "1", "empty": ""},
    "origin": "https://www.example.com:8443",
    "protocol": "HTTP/1.1",
    "method": "POST",
    "app": "shop",
    "endpoint": "catalogue.item",
    "blueprint": "catalogue",
    "view_args": {"name": "größe", "number": 7},
    "username": "ada",
    "authorization": True,
    "remote": "203.0.113.7",
    "ip_info": {"country": "DE"},
    "headers": {"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "DNT": "0"},
    "agent": FIREFOX,
    "language": "de-at,en;q=0.5",
    "status": 201,
    "bytes": 4096,
    "seconds": 0.25,
    "track_var": {"optional": "something"},
}


def test_results_always_look_like_this() -> None:
    assert usage_of(hit("/items/größe", **WHOLE)) == {
        "url": "https://www.example.com:8443/items/größe?q=1&q=2&empty=",
        "user_agent": {"browser": "Firefox", "language": "de-AT", "platform": "Linux", "version": "140.0"},
        "blueprint": "catalogue",
        "view_args": '{"name": "größe", "number": 7}',
        "status": 201,
        "remote_addr": "203.0.113.7",
        "xforwardedfor": "203.0.113.7, 10.0.0.1",
        "authorization": True,
        "ip_info": '{"country": "DE"}',
        "path": "/items/größe",
        "speed": 0.25,
        "date": NOW,
        "username": "ada",
        "track_var": '{"optional": "something"}',
        "content_length": 4096,
        "request": "POST https://www.example.com:8443/items/größe?q=1&q=2&empty= HTTP/1.1",
        "server_name": "shop",
        "url_args": {"q": "1", "empty": ""},
    }


@given(generated_hits())
def test_every_documented_field_is_there_and_of_its_documented_type(found: Hit) -> None:
    usage = usage_of(found)
    assert set(usage) == set(DOCUMENTED | MORE)
    assert {name for name, types in (DOCUMENTED | MORE).items() if type(usage[name]) not in types} == set()
    assert set(usage["user_agent"]) == {"browser", "language", "platform", "version"}
    assert all(value is None or value for value in usage["user_agent"].values())
    assert usage["date"].tzinfo is UTC


def test_xforwarded_for_comes_directly_after_remote_addr() -> None:
    names = list(usage_of(hit()))
    assert names[names.index("remote_addr") + 1] == "xforwardedfor"


def test_what_is_not_known_is_none() -> None:
    usage = usage_of(hit())
    assert {name for name, value in usage.items() if value is None} == {
        *("blueprint", "view_args", "remote_addr", "xforwardedfor", "ip_info", "username", "track_var"),
        "server_name",
    }
    assert set(usage["user_agent"].values()) == {None}
    assert (usage["status"], usage["content_length"], usage["authorization"]) == (0, 0, False)
    assert (usage["speed"], usage["url_args"]) == (0.0, {})
    assert usage["request"] == "GET http://example.com/"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"origin": "https://www.example.com"}, "https://www.example.com/a"),
        ({"origin": "https://www.example.com", "query": "b=%20c"}, "https://www.example.com/a?b=%20c"),
        ({"query": "b=1"}, "http://example.com/a?b=1"),
    ],
)
def test_the_address_is_whole(fields: dict[str, str], expected: str) -> None:
    assert address(hit("/a", **fields)) == expected


def test_what_json_has_no_word_for_is_told_as_text() -> None:
    id = UUID("12345678-1234-5678-1234-567812345678")
    assert usage_of(hit(view_args={"id": id}))["view_args"] == f'{{"id": "{id}"}}'
