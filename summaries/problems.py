"""Problem documents: what every refusal under /api/ is. Source: https://www.rfc-editor.org/rfc/rfc9457"""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import msgspec
from flask import Response, request
from msgspec import UNSET, Meta, UnsetType

from tracker.posting import Refused

MIMETYPE = "application/problem+json"
AGAIN = 5  # seconds after which one may ask again when Redis was out of reach


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer, and what to do about it."""

    type: Annotated[str, Meta(description="about:blank: the status says what kind of problem it is.")]
    title: Annotated[str, Meta(description="The status in words.")]
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="A sentence that tells what to do.")]
    instance: Annotated[str, Meta(description="Path that was asked for.")]
    name: Annotated[str, Meta(description="The parameter to be mended.")] | UnsetType = UNSET
    refused: Annotated[list[Refused], Meta(description="Hits that were sent and not stored.")] | UnsetType = (
        UNSET
    )


def problem(status: int, detail: str, name: str = "", refused: list[Refused] | UnsetType = UNSET) -> Response:
    """The answer to the present request that says so; it is not to be kept."""
    said = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=quote(request.path),
        name=name or UNSET,
        refused=refused,
    )
    response = Response(msgspec.json.encode(said) + b"\n", status, mimetype=MIMETYPE)
    response.headers["Cache-Control"] = "no-store"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(AGAIN)
    return response
