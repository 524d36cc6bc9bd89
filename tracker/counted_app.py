"""One application that is counted: which of its requests are hits, and when a hit is taken."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from traceback import format_exception_only
from typing import Any

from flask import (
    Flask,
    Request,
    Response,
    after_this_request,
    g,
    got_request_exception,
    request,
    request_finished,
    request_started,
    request_tearing_down,
)
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
        self._receivers = {
            request_started: self._harmless(self._begin),
            request_finished: self._harmless(self._finish),
            got_request_exception: self._harmless(self._fail),
        }
        self._ended = self._harmless(self._end)

    def connect(self, app: Flask) -> None:
        """request_started comes before the application's own functions, request_finished after them.

        The signals are of all applications, and hold the receivers weakly: else none would ever be freed.
        """
        for signal, receive in self._receivers.items():
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
        found = self._read(app, response)
        if found is None:
            return
        visit, hit, size = found
        visit.kept = None
        if size is None:
            done = self._harmless(partial(self._sent, visit, hit))
            response.response = sending.Counted(response.response, done)
        else:
            self._take(visit, hit)

    def _fail(self, app: Flask, **_: Any) -> None:
        """An after_request function that fails at every answer fails at the one to its exception, too:
        that is sent, and request_finished does not come.
        """

        def answer(response: Response) -> Response:
            keep(app, response)
            return response

        keep = self._harmless(self._keep)
        after_this_request(answer)
        request_tearing_down.connect(self._ended, sender=app)  # costs 2 µs a request, from now on

    def _keep(self, app: Flask, response: Response) -> None:
        with suppress(BadHit):  # request_finished, which comes most times, tells of it
            found = self._read(app, response)
            if found is not None:
                visit, hit, _ = found
                visit.kept = hit

    def _end(self, app: Flask, **_: Any) -> None:
        visit: Visit | None = request.environ.get(self._key)
        if visit is not None and visit.kept is not None:
            self._take(visit, visit.kept)

    def _read(self, app: Flask, response: Response) -> tuple[Visit, Hit, int | None] | None:
        """The hit, and its bytes where they are known; None where none is to be counted."""
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        environ = asked.environ
        visit: Visit | None = environ.get(self._key)
        if visit is None or not self._views.count(app, asked.endpoint):
            return None
        visit.ready()
        visit.visitor = self._cookies.visitor(environ, response)
        size = sending.size(response, environ["REQUEST_METHOD"])
        return visit, self._reader.read(asked, visit, response.status_code, size or 0), size

    def _sent(self, visit: Visit, hit: Hit, size: int) -> None:
        self._take(visit, structs.replace(hit, bytes=size))

    def _take(self, visit: Visit, hit: Hit) -> None:
        """Once, also where an exception gives a request a second response."""
        if not visit.taken:
            visit.taken = True
            for outbox in self.outboxes:
                outbox.put(hit)
