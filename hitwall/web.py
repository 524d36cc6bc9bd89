"""The web process: gunicorn with gevent's pywsgi, streams that end when it stops.

Run as a module of its own: the workers replace sockets and locks by gevent's, and what was
imported before (redis, above all) would keep the blocking ones.
"""

import gc
import time
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.workers.ggevent import GeventPyWSGIWorker

from hitwall.handler import Handler, close_silent
from tracker.settings import Settings

DOORS = 2000  # connections for everything but streams; keep-alive ones of visitors, mostly
GRACE = 2  # seconds that requests under way get; with gunicorn's own pauses a stop takes below 5


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """Ends its streams when it is told to stop; else each would keep it up for the whole grace."""

    wsgi_handler = Handler
    wsgi: Any = None  # the Flask application, once it is loaded

    def notify(self) -> None:
        """Called every second."""
        super().notify()
        close_silent(time.monotonic())

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.wsgi is not None:  # else it is told so while it still starts
            self.wsgi.extensions["hitwall"].close()
        super().handle_exit(sig, frame)


class Web(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by our settings; each worker makes its own application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": self._settings.address,
            "workers": self._settings.workers,
            "worker_class": Worker,
            "worker_connections": self._settings.streams + DOORS,
            "graceful_timeout": GRACE,
            "loglevel": "warning",
            "control_socket_disable": True,  # nothing of ours is steered through it
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        app = util.import_app("hitwall.app:create_app()")
        gc.collect()
        gc.freeze()  # else a look for garbage among all that was imported holds everybody up for 50 ms
        return app


if __name__ == "__main__":
    Web(Settings.read()).run()
