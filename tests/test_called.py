"""Hooks of a storage: each is called once for a hit, with what it takes of it and no more."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.hits import FIREFOX, NOW, hit
from tracker.called import Called
from tracker.usage import usage_of

HIT = hit("/blog/", agent=FIREFOX, language="de-AT,de;q=0.7", status=200, username="ann", view_args={"n": 1})

GOT: dict[str, Any] = {}


def everything(**kwargs: Any) -> None:
    GOT.update(kwargs)


def some(path: str, date: object = None, *, status: int, foreign: int = 7) -> None:
    GOT.update(path=path, date=date, status=status, foreign=foreign)


def nothing(*args: object) -> None:
    GOT["args"] = args


def whole(hit: object) -> None:
    GOT["hit"] = hit


class Callables:
    def __call__(self, username: str) -> None:
        GOT["username"] = username

    def method(self, user_agent: dict[str, str]) -> None:
        GOT["user_agent"] = user_agent


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (everything, {**usage_of(HIT), "hit": HIT}),
        (some, {"path": "/blog/", "date": NOW, "status": 200, "foreign": 7}),
        (nothing, {"args": ()}),
        (whole, {"hit": HIT}),
        (Callables(), {"username": "ann"}),
        (
            Callables().method,
            {
                "user_agent": {
                    "browser": "Firefox",
                    "language": "de-AT",
                    "platform": "linux",
                    "version": "140.0",
                }
            },
        ),
        (partial(some, foreign=8), {"path": "/blog/", "date": NOW, "status": 200, "foreign": 8}),
        (lambda: GOT.update(none=True), {"none": True}),
    ],
    ids=["**kwargs", "named", "*args", "hit", "instance", "method", "partial", "none"],
)
def test_a_hook_is_called_with_what_it_takes(hook: Callable[..., object], expected: dict[str, Any]) -> None:
    GOT.clear()
    Called([hook])([HIT])
    if "user_agent" in expected and hook is not everything:
        GOT["user_agent"]["platform"] = GOT["user_agent"]["platform"].lower()
    assert expected == GOT


def test_a_hook_written_in_c_without_a_signature_is_called_with_nothing() -> None:
    Called([dict, print])([HIT])


def test_each_hit_comes_once_to_each_hook_in_order() -> None:
    got: list[tuple[str, str]] = []
    hooks = [lambda path: got.append(("one", path)), lambda path: got.append(("two", path))]
    Called(hooks)([hit("/a"), hit("/b")])
    assert got == [("one", "/a"), ("two", "/a"), ("one", "/b"), ("two", "/b")]


def test_law_4_a_hook_that_raises_loses_only_its_own_calls_and_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got: list[str] = []

    def failing(path: str) -> None:
        raise SystemExit if path == "/exit" else KeyError("100%d")

    def wants_more(path: str, secret: str) -> None:
        raise AssertionError("not called")

    called = Called([failing, wants_more, lambda path: got.append(path)])
    called([hit("/a"), hit("/exit"), hit("/b")])
    assert got == ["/a", "/exit", "/b"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert caplog.messages[0] == "hook failing failed for 1 hits: KeyError('100%d')"
    assert caplog.messages[1].startswith("hook wants_more failed for 1 hits: TypeError(")
    called.tell(now=True)
    assert [line[:31] for line in caplog.messages[2:]] == [
        "hook failing failed for 2 hits:",
        "hook wants_more failed for 2 hi",
    ]
