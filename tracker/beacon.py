"""The pixel door and the script: plain WSGI in front of Flask, which alone costs more than the rest."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from tracker.answers import CROSS_ORIGIN, PREFLIGHT, StartResponse, accept, refuse
from tracker.canary import recognise
from tracker.group_commit import GroupCommit, NotStored
from tracker.hit import CANARY, BadHit, Hit
from tracker.pixel import PixelReader
from tracker.rate import Rate
from tracker.raw import RawLog
from tracker.refusals import Refusals
from tracker.settings import Settings
from tracker.sites import Sites
from tracker.spool import Spool
from tracker.spooled import DOOR
from tracker.visitors import DoorVisitors

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

SCRIPT_AGE = 3600  # seconds browsers keep the script; a mended one is everywhere within the hour


class Beacon:
    """WSGI middleware: answers `/a.gif` and `/a.js` itself and hands the rest on."""

    def __init__(self, app: Wsgi, settings: Settings, redis: Redis, sites: Sites, script: Path) -> None:
        self._app = app
        self._redis = redis
        self._rate = Rate(settings) if settings.rate else None
        self._reader = PixelReader(settings, DoorVisitors(settings.visitor, redis))
        self._sites = sites
        spool = Spool(settings.spool, DOOR, settings.spool_bytes)
        self.commit = GroupCommit(RawLog(redis, settings.replicas), spool)
        self._refusals = Refusals(redis)
        self._script = read_script(script, settings.visitor == "cookie")

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/a.gif":
            return self._pixel(environ, start)
        if path == "/a.js":
            return self._serve_script(start)
        return self._app(environ, start)

    def _pixel(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        try:
            if method == "OPTIONS":
                start("204 No Content", PREFLIGHT)
                return []
            if method not in ("GET", "POST"):
                raise BadHit("bad method", "a hit comes by GET or POST", 405)
            if self._rate:
                self._rate.check(environ)
            hit = self._reader.read(environ, datetime.now(UTC))
            self.commit.append(self._admitted(hit))
        except BadHit as bad:
            self._refusals.count(bad.reason)
            return refuse(start, method, bad.status, str(bad), bad.after)
        except (NotStored, RedisError):
            self._refusals.count("not stored")
            return refuse(start, method, 503, "not stored: the store is out of reach, try again")
        return accept(start, method)

    def _admitted(self, hit: Hit) -> Hit:
        """The hit, or the canary that it is. Raises BadHit."""
        if hit.site == CANARY:
            return recognise(self._redis, hit)
        self._sites.admit(hit.site)
        return hit

    def _serve_script(self, start: StartResponse) -> Iterable[bytes]:
        headers = [
            ("Content-Type", "text/javascript; charset=utf-8"),
            ("Content-Length", str(len(self._script))),
            ("Cache-Control", f"public, max-age={SCRIPT_AGE}"),
            *CROSS_ORIGIN,
        ]
        start("200 OK", headers)
        return [self._script]


def read_script(file: Path, cookie: bool) -> bytes:
    """The tracker script, told whether it may set the visitor's cookie."""
    return file.read_bytes().replace(b'"COOKIE"', b"1" if cookie else b"0")
