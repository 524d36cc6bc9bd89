"""create_app: doors, stream, API, wall and demo as one WSGI application."""

from pathlib import Path

from flask import Flask, Response, send_from_directory
from redis import Redis

from hitwall.access import guard
from hitwall.health import add_health
from hitwall.policy import protect
from summaries.api import api
from summaries.buckets import Calendar
from summaries.chosen import Chosen, chosen
from summaries.counters import Counters
from summaries.health import Checks
from summaries.hub import Hub
from summaries.live import LiveBlueprint
from summaries.questions import Questions
from summaries.views import Views
from tracker.beacon import Beacon
from tracker.connection import connect
from tracker.group_commit import TIMEOUT
from tracker.metrics import count_posted
from tracker.posting import Posting
from tracker.raw import RawLog
from tracker.replay import PATIENCE, Replayer
from tracker.settings import Settings
from tracker.sites import Sites

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static" if (HERE / "static").is_dir() else HERE.parent / "static"


def create_app(settings: Settings | None = None) -> Flask:
    """The web process's application, by the settings given or the environment's."""
    settings = settings or Settings.read()
    url = settings.running_redis()
    redis, door = connect(url), connect(url, TIMEOUT)
    app = Flask("hitwall", static_folder=str(STATIC), static_url_path="/static")
    picked = chosen(settings)
    checks = Checks(settings, redis)
    hub = make_hub(settings, redis, picked, checks)
    sites = Sites(settings, door)
    app.register_blueprint(LiveBlueprint(hub, sites, settings.streams))
    views = Views(settings, Questions(redis, settings, picked), Posting(settings, redis, sites, count_posted))
    app.register_blueprint(api(views))
    app.extensions["hitwall"] = hub
    add_pages(app)
    add_health(app, checks)
    guard(app, settings)
    protect(app, settings)
    beacon = Beacon(app.wsgi_app, settings, door, sites, STATIC / "a.js")
    patient = RawLog(connect(url, PATIENCE), settings.replicas)
    app.extensions["hitwall.replayer"] = Replayer(patient, beacon.commit)
    app.wsgi_app = beacon  # type: ignore[method-assign, assignment]
    return app


def make_hub(settings: Settings, redis: Redis, picked: Chosen, checks: Checks) -> Hub:
    """The hub that keeps the frames of this process."""
    calendar = Calendar.of(settings)
    counters = Counters(redis, calendar, settings.max_labels)
    return Hub(redis, counters, calendar, picked, checks)


def add_pages(app: Flask) -> None:
    """The wall, the page of questions and the demo site."""

    @app.get("/")
    def wall() -> Response:
        return send_from_directory(STATIC, "wall.html")

    @app.get("/ask")
    def ask() -> Response:
        return send_from_directory(STATIC, "ask.html")

    @app.get("/demo/")
    @app.get("/demo/<path:name>")
    def demo(name: str = "index.html") -> Response:
        return send_from_directory(STATIC / "demo", name)

    @app.errorhandler(UnicodeDecodeError)
    def not_utf8(error: UnicodeDecodeError) -> Response:
        return Response("The address is not UTF-8.\n", 400, mimetype="text/plain")
