"""The JSON API: routes of the endpoints, and problem documents where there is no answer."""

from collections.abc import Callable, Mapping
from functools import partial

from flask import Blueprint, Flask, Response, request
from flask.blueprints import BlueprintSetupState
from redis import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from summaries.endpoints import ENDPOINTS, Endpoint
from summaries.formats import NotAcceptable
from summaries.parameters import read
from summaries.problems import problem
from summaries.queries import LONGEST
from summaries.questions import BadQuestion, NotKnown
from summaries.replies import Reply, respond
from summaries.views import Busy, NoneStored, Views
from tracker.hit import BadHit
from tracker.posting import MAX_BODY
from tracker.settings import NoArchive

AWAY = "Redis is out of reach; ask again."
SAID: Mapping[int, str] = {
    404: "There is nothing at this address; /api/openapi.json names all there is.",
    405: "This address takes another method; see Allow.",
    413: f"The body is too large: send at most {MAX_BODY} bytes at once.",
    500: "Something failed in here, and the log says what.",
}


class Label(BaseConverter):
    """The rest of a path, whatever it holds: a label may begin with a slash."""

    regex = r"[\s\S]*"
    part_isolating = False


def api(views: Views) -> Blueprint:
    """Everything under `/api/`."""
    blueprint = Blueprint("api", __name__)
    blueprint.record_once(_take_labels)
    for endpoint in ENDPOINTS:
        rule = endpoint.path.replace("{label}", "<label:label>").replace("{", "<").replace("}", ">")
        view = partial(_answer, endpoint, getattr(views, endpoint.name))
        methods = [endpoint.method]
        blueprint.add_url_rule(rule, endpoint.name, view, methods=methods, provide_automatic_options=False)
    blueprint.before_request(_check_path)
    _explain(blueprint)
    return blueprint


def _explain(blueprint: Blueprint) -> None:
    """Whatever goes wrong under /api/ is answered with a problem document."""
    blueprint.register_error_handler(BadQuestion, lambda wrong: problem(400, str(wrong), wrong.name))
    blueprint.register_error_handler(NotKnown, lambda wrong: problem(404, str(wrong)))
    blueprint.register_error_handler(NotAcceptable, lambda wrong: problem(406, str(wrong)))
    blueprint.register_error_handler(NoArchive, lambda wrong: problem(503, str(wrong)))
    blueprint.register_error_handler(BadHit, lambda wrong: problem(wrong.status, str(wrong)))
    blueprint.register_error_handler(Busy, lambda wrong: problem(503, str(wrong)))
    blueprint.register_error_handler(RedisError, lambda wrong: problem(503, AWAY))
    blueprint.register_error_handler(NoneStored, _refuse_hits)
    blueprint.app_errorhandler(HTTPException)(_refuse)


def _take_labels(state: BlueprintSetupState) -> None:
    """`//` in an address is the slash of a label, not a slip."""
    assert isinstance(state.app, Flask)
    state.app.url_map.converters["label"] = Label
    state.app.url_map.merge_slashes = False


def _answer(endpoint: Endpoint, answer: Callable[..., Reply], **path: str) -> Response:
    query = read(endpoint.query, request.query_string, {})
    return respond(endpoint, answer(query, **path))


def _check_path() -> Response | None:
    """A path that is not UTF-8, or holds what no name of ours does, is no question."""
    try:
        path = request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeDecodeError:
        return problem(400, "The address is not UTF-8.")
    if "\0" in path or len((request.view_args or {}).get("label", "")) > LONGEST:
        return problem(400, f"A path holds no NUL, and a label at most {LONGEST} characters.", "label")
    return None


def _refuse_hits(none: NoneStored) -> Response:
    return problem(422, str(none), refused=none.posted.refused)


def _refuse(error: HTTPException) -> Response | HTTPException:
    """What Flask refuses under /api/ is a problem document; elsewhere it stays as it is."""
    if not request.path.startswith("/api/"):
        return error
    status = error.code or 500
    response = problem(status, SAID.get(status, error.description or "That cannot be answered."))
    for name, value in error.get_headers(request.environ):
        if name == "Allow":
            response.headers[name] = value
    return response
