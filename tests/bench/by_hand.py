"""What people write without us: a Flask view, one HINCRBY per counter, and flask-sse as it is.

It counts what our summaries count, under the same labels, in the same three buckets; it keeps no hit.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import Flask, Response, request
from flask_sse import sse
from redis import Redis

from hitwall.redis_server import dying_with_parent
from summaries.buckets import Calendar
from summaries.hooks import in_calendar
from tests.bench.stage import free_port, listening
from tests.bench.traffic import SITE
from tests.waiting import until
from tracker.answers import GIF
from tracker.hit import Hit

TOTAL = "hits"  # the key of all hits together
FRAME = 4_800  # bytes that a wall of ours gets at a time; it publishes as many
CONNECTIONS = 12_000  # that its gunicorn may hold


def create_app() -> Flask:
    app = Flask("by_hand")
    app.config["REDIS_URL"] = os.environ["REDIS_URL"]
    app.register_blueprint(sse, url_prefix="/live")
    redis = Redis.from_url(app.config["REDIS_URL"])
    calendar = Calendar(ZoneInfo("UTC"))
    hooks = in_calendar(calendar)

    @app.get("/a.gif")
    def pixel() -> Response:
        hit = _read(datetime.now(UTC))
        for name, hook in hooks.items():
            found = hook(hit)
            for label in [found] if isinstance(found, str) else found or ():
                for bucket in calendar.names(hit.at):
                    redis.hincrby(f"hits:{name}:{bucket}", label)
                    redis.hincrby(f"bytes:{name}:{bucket}", label, hit.bytes)
        publish(redis.incr(TOTAL))
        return Response(GIF, mimetype="image/gif")

    @app.get("/event")
    def event() -> str:
        publish(int(request.args["hits"]))
        return ""

    return app


def publish(hits: int) -> None:
    """What a wall would show, as large as a frame of ours."""
    shown = json.dumps({"site": SITE, "hits": hits, "bytes": 0, "top": "x" * FRAME}, separators=(",", ":"))
    sse.publish(shown, type="frame", channel=SITE)


def _read(at: datetime) -> Hit:
    """The hit of this request, unchecked."""
    asked = request.args
    path, _, query = asked["url"].removeprefix(f"https://{SITE}").partition("?")
    return Hit(
        at=at,
        site=SITE,
        path=path,
        source="pixel",
        query=query,
        title=asked.get("t", ""),
        referrer=asked.get("ref", ""),
        remote=request.headers.get("X-Forwarded-For", ""),
        visitor=asked.get("v", ""),
        agent=request.headers.get("User-Agent", ""),
        language=request.headers.get("Accept-Language", ""),
        bytes=int(asked.get("b", 0)),
        params=dict(pair.split("=") for pair in query.split("&") if pair),
    )


@dataclass(frozen=True)
class ByHand:
    """Its gunicorn, running."""

    port: int
    pid: int


@contextmanager
def by_hand(url: str) -> Iterator[ByHand]:
    """One gunicorn worker of the kind that flask-sse's documentation has: gevent."""
    port = free_port()
    options = ["-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}", "--log-level", "critical"]
    options += ["--worker-connections", str(CONNECTIONS), "--no-control-socket", "--graceful-timeout", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, f"{__name__}:create_app()"],
        env={**os.environ, "REDIS_URL": url},
        preexec_fn=dying_with_parent(),
    )
    try:
        until(lambda: listening(port), 30)
        yield ByHand(port, process.pid)
    finally:
        process.terminate()
        process.wait(20)
