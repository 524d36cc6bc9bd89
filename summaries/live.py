"""The stream of frames: flask-sse's blueprint and wire format, on one subscription per process."""

import time
from collections.abc import Collection, Iterator

from flask import Response, current_app, g, request
from flask_sse import ServerSentEventsBlueprint
from redis import RedisError

from summaries.buckets import KINDS
from summaries.feed import LOOK, QUIET
from summaries.frame import PERSONAL
from summaries.hub import Hub
from summaries.metrics import FRAMES, TURNED_AWAY
from tracker.hit import CANARY
from tracker.sites import Sites

BEAT = 15.0  # seconds between comment lines at most; only a write tells that a browser has gone
WAKES = QUIET + LOOK  # seconds between two wake-ups of a stream at most
RETRY = 1000  # milliseconds an EventSource waits before it connects again
FULL = 10  # seconds after which a viewer who was turned away may ask again
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # else nginx keeps it all back


class LiveBlueprint(ServerSentEventsBlueprint):  # type: ignore[misc]
    """`/live?channel=<site>&bucket=hour|day|month`: complete frames, newest first to the slow.

    flask-sse as it is holds a Redis connection per viewer, sends nothing before the first event,
    and lets a viewer name any channel.
    """

    def __init__(self, hub: Hub, sites: Sites, most: int) -> None:
        super().__init__("live", __name__)
        self.hub = hub
        self._sites = sites
        self._most = most
        self.add_url_rule("/live", endpoint="stream", view_func=self.stream)

    def stream(self) -> Response:
        """The stream; 400, 404 or 503 with a sentence where there can be none."""
        site = request.args.get("channel", "")
        kind = request.args.get("bucket", "hour")
        if kind not in KINDS:
            return _refuse(400, f"bucket is one of {', '.join(KINDS)}")
        if self.hub.closed or self.hub.viewers >= self._most:
            return _refuse(503, "as many walls are open as this process serves; try again")
        try:
            if site != CANARY and not self._sites.known(site):
                return _refuse(404, "no hit of this site has been seen")
        except RedisError:
            return _refuse(503, "Redis is out of reach; try again")
        response: Response = current_app.response_class(
            self.events(site, kind, PERSONAL if g.get("stranger") else ()),
            mimetype="text/event-stream",
            headers=HEADERS,
        )
        return response

    def events(self, site: str, kind: str, hidden: Collection[str]) -> Iterator[bytes]:
        """A comment at once, so that the browser knows it is connected; then frames and beats."""
        yield f":\nretry:{RETRY}\n\n".encode()
        with self.hub.watch(site, kind, hidden) as feed:
            seen = b""
            beat = time.monotonic() + BEAT - WAKES  # the wake-up after that is in time
            while not feed.closed:
                message = feed.wait(seen)
                if message is not seen:
                    seen = message
                    FRAMES.inc()
                    yield message
                if time.monotonic() >= beat:
                    beat = time.monotonic() + BEAT - WAKES
                    yield b":\n\n"


def _refuse(status: int, why: str) -> Response:
    TURNED_AWAY.labels(str(status)).inc()
    response = Response(f"{why}\n", status, mimetype="text/plain")
    response.headers.update(HEADERS)
    if status == 503:
        response.headers["Retry-After"] = str(FULL)
    return response
