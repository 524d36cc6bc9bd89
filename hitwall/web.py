"""The web process: gunicorn with gevent's pywsgi, streams that end when it stops.

Run as a module of its own: the workers replace sockets and locks by gevent's, and what was
imported before (redis, above all) would keep the blocking ones.
"""

import gc
import logging
import time
from importlib import import_module
from typing import Any

import gevent
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventPyWSGIWorker

from hitwall import event_log, measuring
from hitwall.handler import Handler, close_silent
from hitwall.server import SERVING, Server, allow_connections, patience, refuse_new
from hitwall.spread import Spread
from tracker.settings import Settings

DOORS = 2000  # connections for everything but streams; keep-alive ones of visitors, mostly
GRACE = 3  # seconds until gunicorn kills a worker that was told to stop; ours take about 1, and 2 at most


log = logging.getLogger(__name__)


class Log(Logger):  # type: ignore[misc]
    """gunicorn's own log, in the form of ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(logging.getLogger().handlers[0].formatter)


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """Ends its streams when it is told to stop; else each would keep it up for the whole grace."""

    server_class = Server
    wsgi_handler = Handler
    wsgi: Any = None  # the Flask application, once it is loaded
    place: int | None = None  # among all workers

    def notify(self) -> None:
        """Called every second."""
        super().notify()
        close_silent(time.monotonic(), patience())

    def run(self) -> None:
        """Returns when the doors have answered and the streams have ended."""
        hub = self.wsgi.extensions["hitwall"]
        Server.place, Server.streams = self.place, lambda: hub.viewers
        super().run()
        hub.join()

    def handle_exit(self, sig: int, frame: Any) -> None:
        Handler.stopping = True
        if self.wsgi is not None:  # else it is told so while it still starts
            self.wsgi.extensions["hitwall"].close()
            self.wsgi.extensions["hitwall.replayer"].stop()
        for server in SERVING:
            gevent.spawn(server.close)  # at once; gunicorn itself would look up to a second later
        super().handle_exit(sig, frame)


class Master(Arbiter):  # type: ignore[misc]
    """gunicorn's own process, which starts the workers, and stops them all."""

    def stop(self, graceful: bool = True) -> None:
        for listener in self.LISTENERS:
            refuse_new(listener.sock)
        super().stop(graceful)


class Web(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by our settings; each worker makes its own application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def run(self) -> None:
        allow_connections(self._settings.streams + DOORS)
        Master(self).run()

    def load_config(self) -> None:
        chosen = {
            "bind": self._settings.address,
            "workers": self._settings.workers,
            "worker_class": Worker,
            "worker_connections": DOORS,  # the hub takes over those of streams
            "graceful_timeout": GRACE,
            "loglevel": "warning",
            "logger_class": Log,
            "control_socket_disable": True,  # nothing of ours is steered through it
        }
        if self._settings.workers > 1:
            Server.spread = spread = Spread(self._settings.workers)
            chosen["pre_fork"] = lambda master, worker: spread.enter(worker)
            chosen["child_exit"] = lambda master, worker: spread.leave(worker)
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        hub: Any = gevent.get_hub()
        hub.print_exception = tell
        measuring.take_place()
        app = util.import_app("hitwall.app:create_app()")
        Handler.door = app.wsgi_app
        app.extensions["hitwall.replayer"].start()
        import_module("hitwall.canary").start(self._settings)
        gc.collect()
        gc.freeze()  # else a look for garbage among all that was imported holds everybody up for 50 ms
        return app


def tell(context: object, kind: Any, error: Any, trace: Any) -> None:
    """What ended a greenlet, as a line of our log; what it was about may hold a stranger's query."""
    log.error("a greenlet failed", exc_info=(kind, error, trace))


if __name__ == "__main__":
    chosen = Settings.read()
    event_log.set_up(chosen.log)
    with measuring.directory():
        Web(chosen).run()
