"""What the configuration of a Flask application says: its settings, storages and spool."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask

from tracker.hit import BadHit, site_name
from tracker.outbox import Outbox
from tracker.settings import PREFIX, BadSetting, Settings
from tracker.storage import Stores
from tracker.storage.redis_db import RedisStorage

log = logging.getLogger(__name__)

SPOOL = "hitwall-spool"  # directory, in the application's instance_path
# What a text of the environment means, as app.config.from_prefixed_env has it: FLASK_TRACK_USAGE_COOKIE=False
MEANT = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
MODE = "TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS"


def settings_of(app: Flask) -> Settings:
    """The environment's, overridden by the application's own. Raises BadSetting."""
    own = {
        name: _text(value)
        for name, value in app.config.items()
        if value is not None and (name == "REDIS_URL" or name.startswith(PREFIX))
    }
    settings = Settings.read({**os.environ, **own})
    if entry(app, "TRACK_USAGE_USE_FREEGEOIP", False) and settings.geoip is None:
        log.warning(
            "TRACK_USAGE_USE_FREEGEOIP: nobody is asked where an address is; set HITWALL_GEOIP to an "
            "MMDB file that knows it."
        )
    return settings


def entry(app: Flask, name: str, default: bool) -> Any:
    """That entry of the configuration; True or False where it is a text that means it."""
    value = app.config.get(name, default)
    return MEANT.get(str(value).lower(), value)


def all_count(app: Flask) -> bool:
    """Whether views count that are neither included nor excluded. Raises BadSetting."""
    mode = app.config.get(MODE, "exclude")
    if mode not in ("include", "exclude"):
        raise BadSetting(f"{MODE}={mode!r} cannot be used: it takes 'include' or 'exclude'.")
    return bool(mode == "exclude")


def site_of(app: Flask) -> str:
    """The name under which all counts; empty for the host of each request. Raises BadSetting."""
    name = str(app.config.get("TRACK_USAGE_SITE") or "")
    try:
        return name and site_name(name)
    except BadHit as bad:
        raise BadSetting(f"TRACK_USAGE_SITE={name!r} cannot be used: {bad}.") from None


def outboxes_of(app: Flask, storage: Any, settings: Settings) -> list[Outbox]:
    """One for each storage; each has a name of its own. Raises TypeError where one is no storage."""
    place = _spool(app)
    made: dict[str, Outbox] = {}
    for one in _storages(storage, settings):
        name = base = f"{app.name}-{getattr(one, 'name', type(one).__name__.lower())}"
        number = 1
        while name in made:
            number += 1
            name = f"{base}-{number}"
        made[name] = Outbox(one, name, place)
    return list(made.values())


def _spool(app: Flask) -> Path | None:
    """A name without a place is one in the application's instance_path."""
    named = entry(app, "TRACK_USAGE_SPOOL", True)
    return Path(app.instance_path, SPOOL if named is True else named) if named else None


def _text(value: Any) -> str:
    """As the environment would have it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _storages(storage: Any, settings: Settings) -> list[Stores]:
    if storage is None:
        return [RedisStorage(settings=settings)]
    given = [storage] if hasattr(storage, "store") or not isinstance(storage, Iterable) else list(storage)
    for one in given:
        if isinstance(one, type):
            raise TypeError(f"{one.__name__} is a class: give TrackUsage a storage, {one.__name__}(...)")
        if not callable(getattr(one, "store", None)):
            raise TypeError(f"{one!r} is no storage: a storage is an object with a method store(hits)")
        if getattr(one, "_settings", one) is None:  # ours read the environment where they were given none
            one.settings = settings
    return given
