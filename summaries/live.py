"""The stream of frames: flask-sse's blueprint and wire format, on one subscription per process."""

from collections.abc import Iterator

from flask import Response, current_app, g, request
from flask_sse import ServerSentEventsBlueprint
from redis import RedisError

from summaries.buckets import KINDS
from summaries.frame import PERSONAL
from summaries.hub import Hub, Wish
from summaries.metrics import FRAMES, TURNED_AWAY
from tracker.hit import CANARY
from tracker.sites import Sites

RETRY = 1000  # milliseconds an EventSource waits before it connects again
FIRST = b":\nretry:%d\n\n" % RETRY
FULL = 10  # seconds after which a viewer who was turned away may ask again
HANDED_OVER = "hitwall.handed_over"  # in the environment of a server that lets go of a connection
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
        try:
            if site != CANARY and not self._sites.known(site):
                return _refuse(404, "no hit of this site has been seen")
        except RedisError:
            return _refuse(503, "Redis is out of reach; try again")
        if self.hub.closed or self.hub.viewers >= self._most:
            return _refuse(503, "as many walls are open as this process serves; try again")
        wish = site, kind, PERSONAL if g.get("stranger") else ()
        if request.method == "GET" and HANDED_OVER in request.environ:
            return self._hand_over(wish)
        return _response(self.events(wish))

    def _hand_over(self, wish: Wish) -> Response:
        """What comes first; the hub goes on with the connection itself."""
        chunked = request.environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        request.environ[HANDED_OVER] = lambda taken, _: self.hub.take(taken, wish, chunked)
        if not chunked:
            return _response(FIRST)
        response = _response(b"%x\r\n%b\r\n" % (len(FIRST), FIRST))
        response.headers["Transfer-Encoding"] = "chunked"  # so that an end differs from a cut
        return response

    def events(self, wish: Wish) -> Iterator[bytes]:
        """A comment at once, so that the browser knows it is connected; then what the feed tells."""
        yield FIRST
        with self.hub.watch(wish) as feed:
            seen = b""
            while not feed.closed:
                message = feed.wait(seen)
                if message and message is not seen:
                    seen = message
                    FRAMES.inc()
                    yield message


def _response(body: bytes | Iterator[bytes]) -> Response:
    response: Response = current_app.response_class(body, mimetype="text/event-stream", headers=HEADERS)
    return response


def _refuse(status: int, why: str) -> Response:
    TURNED_AWAY.labels(str(status)).inc()
    response = Response(f"{why}\n", status, mimetype="text/plain")
    response.headers.update(HEADERS)
    if status == 503:
        response.headers["Retry-After"] = str(FULL)
    return response
