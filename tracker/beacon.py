"""The pixel door and the script: plain WSGI in front of Flask, which alone costs more than the rest.

A server that can do without WSGI asks `take` itself, and gets its answer when the hit is stored.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from tracker.answers import COUNTED, CROSS_ORIGIN, PREFLIGHT, Answer, Headers, StartResponse, refused
from tracker.group_commit import GroupCommit, NotStored
from tracker.hit import BadHit, Hit
from tracker.moment import Told
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
        self._rate = Rate(settings) if settings.rate else None
        self._reader = PixelReader(settings, DoorVisitors(settings.visitor, redis))
        self._sites = sites
        spool = Spool(settings.spool, DOOR, settings.spool_bytes)
        self.commit = GroupCommit(RawLog(redis, settings.replicas), spool)
        self._refusals = Refusals(redis)
        self._script = _script(script, settings.visitor == "cookie")

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/a.gif":
            answer = self._answer(environ, self.commit.append) or COUNTED[environ["REQUEST_METHOD"]]
        elif path == "/a.js":
            answer = self._script
        else:
            return self._app(environ, start)
        start(answer.line, list(answer.headers))
        return [answer.body] if answer.body else []

    def take(self, environ: dict[str, Any], told: Told) -> Answer | None:
        """A request for the pixel: the answer where it is known at once.

        Else None, and `told` learns whether the hit is stored, as in GroupCommit; `outcome` answers that.
        """
        return self._answer(environ, lambda hit: self.commit.add(hit, told))

    def outcome(self, method: str, is_stored: bool) -> Answer:
        """The answer to a hit that was taken."""
        if is_stored:
            return COUNTED[method]
        self._refusals.count("not stored")
        return refused(method, 503, "not stored: the store is out of reach, try again")

    def _answer(self, environ: dict[str, Any], store: Callable[[Hit], None]) -> Answer | None:
        """None where `store` has taken the hit."""
        method = environ["REQUEST_METHOD"]
        try:
            if method == "OPTIONS":
                return PREFLIGHT
            if method not in COUNTED:
                raise BadHit("bad method", "a hit comes by GET or POST", 405)
            if self._rate:
                self._rate.check(environ)
            store(self._sites.admitted(self._reader.read(environ, datetime.now(UTC))))
        except BadHit as bad:
            self._refusals.count(bad.reason)
            return refused(method, bad.status, str(bad), bad.after)
        except (NotStored, RedisError):
            return self.outcome(method, False)
        return None


def _script(file: Path, cookie: bool) -> Answer:
    """The tracker script, told whether it may set the visitor's cookie."""
    text = file.read_bytes().replace(b'"COOKIE"', b"1" if cookie else b"0")
    headers: Headers = [
        ("Content-Type", "text/javascript; charset=utf-8"),
        ("Content-Length", str(len(text))),
        ("Cache-Control", f"public, max-age={SCRIPT_AGE}"),
        *CROSS_ORIGIN,
    ]
    return Answer("200 OK", headers, text)
