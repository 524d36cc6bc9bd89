"""A shop that counts itself in Redis.

    REDIS_URL=redis://127.0.0.1:6379/0 flask --app tests/examples/app run
    REDIS_URL=redis://127.0.0.1:6379/0 hitwall count

Its configuration may come from the environment, too: FLASK_TRACK_USAGE_SITE=shop.example.
"""

from typing import Any

from flask import Blueprint, Flask, g

from summaries import sumUrl
from tracker import TrackUsage
from tracker.storage.redis_db import RedisStorage

app = Flask(__name__)
app.config["TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS"] = "include"
app.config.from_prefixed_env()


def tell(url: str, speed: float, **usage: Any) -> None:
    """A hook of our own: it is called after each hit has been stored, with what it names."""
    print(f"{url} took {speed * 1000:.0f} ms", flush=True)


storage = RedisStorage(hooks=[sumUrl, tell])
t = TrackUsage(app, storage)


@t.include
@app.get("/")
def index() -> str:
    g.track_var["plan"] = "pro"
    return "A shop."


offers = Blueprint("offers", __name__, url_prefix="/offers")


@offers.get("/<int:number>")
def offer(number: int) -> str:
    return f"Offer {number}."


t.include_blueprint(offers)
app.register_blueprint(offers)


@app.get("/usage")
def usage() -> dict[str, Any]:
    """What has been seen. This view is not included: looking counts nowhere."""
    return {"newest": storage.get_usage(limit=10), "pages": storage.get_sum("sumUrl")}
