"""Reply: an answer on its way out, in the format asked for, with its version and its neighbour pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from flask import Response, request

from summaries import formats
from summaries.endpoints import Endpoint


@dataclass(frozen=True)
class Reply:
    """What an endpoint answers."""

    body: Any
    rows: Sequence[msgspec.Struct] = ()  # of the body, for CSV and NDJSON
    version: str | None = ""  # the cursor, where there is one; None: it has no version
    kind: type[msgspec.Struct] | None = None  # of the rows, where the endpoint has several
    pages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # next, prev -> parameters


def respond(endpoint: Endpoint, reply: Reply) -> Response:
    """The HTTP response to the present request; 304 where the client has this version."""
    name = formats.choose(request.args.get("format", ""), request.accept_mimetypes, endpoint.formats)
    if endpoint.rows and name != "json":
        sent = formats.ENCODERS[name](reply.kind or endpoint.rows, reply.rows).encode()
    else:
        sent = msgspec.json.encode(reply.body) + b"\n"  # a shell's next prompt has a line of its own
    response = Response(sent, content_type=formats.CONTENT_TYPES[name])
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept"
    links = [f'<{_address(said)}>; rel="{relation}"' for relation, said in reply.pages.items()]
    if links:
        response.headers["Link"] = ", ".join(links)
    if reply.version is not None:
        response.set_etag(_version(reply.version, sent))
    response.make_conditional(request)
    return response


def _version(cursor: str, sent: bytes) -> str:
    """Numbers may change where the cursor stands: by hitwall forget and recount, and as they expire."""
    digest = blake2b(sent, digest_size=12).hexdigest()
    return f"{cursor}.{digest}" if cursor else digest


def _address(said: Mapping[str, str]) -> str:
    """The same question with other parameters, relative to its address."""
    return "?" + urlencode(
        dict(parse_qsl(request.query_string.decode(), keep_blank_values=True)) | dict(said)
    )
