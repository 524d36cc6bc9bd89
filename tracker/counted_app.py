"""One application that is counted: which of its requests are hits, and when a hit is taken."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from traceback import format_exception_only
from typing import Any

from flask import Flask, Request, Response, g, request, request_finished, request_started
from msgspec import structs

from tracker import sending
from tracker.flask_hits import FlaskReader, Visit
from tracker.flask_visitors import Cookies
from tracker.hit import BadHit, Hit
from tracker.marks import Views
from tracker.outbox import Outbox
from tracker.seldom import Seldom

log = logging.getLogger(__name__)


class CountedApp:
    """Listens to one application, for as long as that has it in its extensions.

    A body that is there as a whole counts when the response is ready, a streamed one when it has been
    sent. Waiting for the response to be closed would count less: werkzeug's test client and some
    servers that carry WSGI into ASGI close none.
    """

    def __init__(
        self, reader: FlaskReader, cookies: Cookies, views: Views, outboxes: Sequence[Outbox]
    ) -> None:
        self.outboxes = tuple(outboxes)
        self.uncounted = 0  # requests that should have been hits
        self._reader = reader
        self._cookies = cookies
        self._views = views
        self._key = f"hitwall.{id(self)}"  # an environ may be handed on to another application
        self._told = Seldom(log, logging.WARNING, "%d requests were not counted: %s")
        self._receivers = (self._harmless(self._begin), self._harmless(self._finish))

    def connect(self, app: Flask) -> None:
        """request_started comes before the application's own functions, request_finished after them.

        The signals are of all applications, and hold the receivers weakly: else none would ever be freed.
        """
        for signal, receive in zip((request_started, request_finished), self._receivers, strict=True):
            signal.connect(receive, sender=app)

    def _harmless(self, act: Callable[..., None]) -> Callable[..., None]:
        """The host answers as without us, whatever happens here."""

        def acted(*args: Any, **named: Any) -> None:
            try:
                act(*args, **named)
            # Headers that no browser sends, objects of the host's that raise when they are read.
            except Exception as error:
                self.uncounted += 1  # without a lock: threads that meet here may lose one, and none waits
                # An exception's own text may fail as well; traceback is prepared for that.
                self._told.add(
                    1, error if isinstance(error, BadHit) else format_exception_only(error)[-1].strip()
                )

        return acted

    def _begin(self, app: Flask, **_: Any) -> None:
        request.environ[self._key] = Visit()
        g.track_var = {}

    def _finish(self, app: Flask, response: Response, **_: Any) -> None:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        environ = asked.environ
        visit: Visit | None = environ.get(self._key)
        if visit is None or not self._views.count(app, asked.endpoint):
            return
        visit.ready()
        visit.visitor = self._cookies.visitor(environ, response)
        size = sending.size(response, environ["REQUEST_METHOD"])
        hit = self._reader.read(asked, visit, response.status_code, size or 0)
        if size is None:
            done = self._harmless(partial(self._sent, visit, hit))
            response.response = sending.Counted(response.response, done)
        else:
            self._take(visit, hit)

    def _sent(self, visit: Visit, hit: Hit, size: int) -> None:
        self._take(visit, structs.replace(hit, bytes=size))

    def _take(self, visit: Visit, hit: Hit) -> None:
        """Once, also where an exception gives a request a second response."""
        if not visit.taken:
            visit.taken = True
            for outbox in self.outboxes:
                outbox.put(hit)
