"""TrackUsage: counts a Flask application from inside."""

import time
from collections.abc import Sequence
from typing import TypeVar

from flask import Blueprint, Flask

from tracker.counted_app import CountedApp
from tracker.flask_config import all_count, entry, outboxes_of, settings_of, site_of
from tracker.flask_hits import FlaskReader
from tracker.flask_visitors import Cookies
from tracker.marks import Marks, Views
from tracker.storage import Stores

NAME = "track_usage"  # in app.extensions
WAIT = 10.0  # seconds

V = TypeVar("V")
B = TypeVar("B", bound=Blueprint)


class TrackUsage:
    """Every request that an application answers becomes a hit in each of its storages.

    One may serve several applications. What belongs to an application is in its
    `app.extensions["track_usage"]`.
    """

    def __init__(self, app: Flask | None = None, storage: Stores | Sequence[Stores] | None = None) -> None:
        """`storage` is one storage or several; without, RedisStorage as the settings say."""
        self._marks = Marks()
        self._storage = storage if app is None else None  # for applications that init_app gives none
        if app is not None:
            self.init_app(app, storage)

    def init_app(self, app: Flask, storage: Stores | Sequence[Stores] | None = None) -> None:
        """Count this application; without `storage` in what TrackUsage(storage=...) was given.

        Raises BadSetting where a setting cannot be used, TypeError where a storage is none, and
        RuntimeError where the application is counted already.
        """
        if NAME in app.extensions:
            raise RuntimeError(
                f"The application {app.name!r} is counted by a TrackUsage already: call TrackUsage(app) or "
                "init_app(app) once for each application."
            )
        settings = settings_of(app)
        outboxes = outboxes_of(app, self._storage if storage is None else storage, settings)
        hashed = all(outbox.hashes_addresses for outbox in outboxes)
        counted = CountedApp(
            FlaskReader(app.name, site_of(app), settings, hashed),
            Cookies(bool(entry(app, "TRACK_USAGE_COOKIE", False)) and settings.visitor == "cookie"),
            Views(self._marks, all_count(app)),
            outboxes,
        )
        counted.connect(app)
        app.extensions[NAME] = counted

    def include(self, view: V) -> V:
        """Count this view. A decorator for a function or a View class; above or below @app.route."""
        self._marks.mark(_view(view), True)
        return view

    def exclude(self, view: V) -> V:
        """Do not count this view."""
        self._marks.mark(_view(view), False)
        return view

    def include_blueprint(self, blueprint: B) -> B:
        """Count all views of the blueprint and of those in it that are not marked themselves."""
        self._marks.mark(_blueprint(blueprint), True)
        return blueprint

    def exclude_blueprint(self, blueprint: B) -> B:
        """Count no view of the blueprint and of those in it but those that are marked themselves."""
        self._marks.mark(_blueprint(blueprint), False)
        return blueprint

    def flush(self, app: Flask, timeout: float = WAIT) -> bool:
        """Wait until all hits of the application are stored, or spooled or given up; False when
        `timeout` seconds are over. For tests and scripts.
        """
        end = time.monotonic() + timeout
        outboxes = app.extensions[NAME].outboxes
        return all(outbox.flush(max(0.0, end - time.monotonic())) for outbox in outboxes)


def _view(view: V) -> V:
    if not callable(view):
        raise TypeError(f"{view!r} is no view: include and exclude take a view function or a View class")
    return view


def _blueprint(blueprint: B) -> B:
    if not isinstance(blueprint, Blueprint):
        raise TypeError(f"{blueprint!r} is no Blueprint")
    return blueprint
