"""Which views count: what include and exclude have marked, and for the rest the mode."""

import weakref
from collections.abc import Iterator
from typing import Any

from flask import Flask

DEPTH = 50  # decorators of a view that are looked through; a chain may lead back to itself
MOST = 10_000  # endpoints of one application whose answer is remembered

Key = tuple[int, int]


class Marks:
    """Views, View classes and blueprints that were marked. A mark goes with what it marks."""

    def __init__(self) -> None:
        self.number = 0  # of all marks that were ever made
        self._marks: dict[Key, tuple[Any, bool]] = {}  # as many as there are things that live

    def mark(self, marked: Any, counts: bool) -> None:
        """Whether it counts; of two marks the later holds."""
        key = _key(marked)
        self._marks[key] = (self._hold(marked, key), counts)
        self.number += 1

    def of(self, marked: Any) -> bool | None:
        """Its own mark; None where it has none."""
        found = self._marks.get(_key(marked))
        return found[1] if found else None

    def _hold(self, marked: Any, key: Key) -> Any:
        """What tells us of its end, as another may get its id; where that cannot be, it is kept."""

        def ended(_: object) -> None:
            self._marks.pop(key, None)

        try:
            return weakref.ref(getattr(marked, "__self__", marked), ended)
        except TypeError:
            return marked


class Views:
    """Which views of one application count."""

    def __init__(self, marks: Marks, all_count: bool) -> None:
        """`all_count`: whether views without a mark do."""
        self._marks = marks
        self._all_count = all_count
        self._known: dict[str, tuple[Any, int, bool]] = {}  # endpoint -> view, marks.number, answer

    def count(self, app: Flask, endpoint: str | None) -> bool:
        """Whether requests to that endpoint do; None is that of a request that no rule fits."""
        if endpoint is None:
            return self._all_count
        view = app.view_functions.get(endpoint)
        known = self._known.get(endpoint)
        if known and known[0] is view and known[1] == self._marks.number:
            return known[2]
        number = self._marks.number
        found = self._find(app, endpoint, view)
        if len(self._known) < MOST:
            self._known[endpoint] = (view, number, found)
        return found

    def _find(self, app: Flask, endpoint: str, view: Any) -> bool:
        """By the outermost mark of the view, else that of the innermost blueprint, else the mode."""
        for part in (*_layers(view), *_blueprints(app, endpoint)):
            counts = self._marks.of(part)
            if counts is not None:
                return counts
        return self._all_count


def _key(marked: Any) -> Key:
    """A method is another object each time it is named; its object and its function are not."""
    return id(getattr(marked, "__self__", marked)), id(getattr(marked, "__func__", None))


def _layers(view: Any) -> Iterator[Any]:
    """The view, its View class and the bases of that, and what it wraps."""
    for _ in range(DEPTH):
        if view is None:
            return
        yield view
        yield from getattr(getattr(view, "view_class", None), "__mro__", ())
        view = getattr(view, "__wrapped__", None)


def _blueprints(app: Flask, endpoint: str) -> Iterator[Any]:
    """Those that the endpoint is in, the innermost first; None for a dot that is no blueprint's."""
    name = endpoint.rpartition(".")[0]
    while name:
        yield app.blueprints.get(name)
        name = name.rpartition(".")[0]
