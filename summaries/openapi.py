"""The OpenAPI document of the API, made of the endpoints. Source: https://spec.openapis.org/oas/v3.1.1.html"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from summaries.endpoints import Endpoint
from summaries.formats import MIMETYPES
from summaries.problems import MIMETYPE, Problem
from summaries.queries import LONGEST
from summaries.report_rows import REPORTS

PATH = {
    "site": ("Name of a site.", "example.com", {"type": "string", "maxLength": 264}),
    "summary": ("Name of a summary.", "url", {"type": "string", "maxLength": 64}),
    "report": ("Name of a report.", "pages", {"enum": list(REPORTS)}),
    "label": ("The label.", "/blog", {"type": "string", "maxLength": LONGEST}),
}
SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "HITWALL_TOKEN, where one is needed."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "hitwall_token", "description": "Set by ?token=…"},
}
REFUSALS = {
    "400": "A parameter or the body cannot be used.",
    "401": "The token is missing.",
    "403": "Without a token it answers under the names of its own machine alone, and of HITWALL_URL.",
    "404": "There is no such site, summary or report.",
    "406": "None of the formats is accepted.",
    "411": "The body came as chunks: send it whole, with its Content-Length. The answer is the doors' pixel.",
    "413": "The body holds too much.",
    "415": "The Content-Type is none of those taken, or the body is compressed.",
    "422": "None of the hits was stored, or the Idempotency-Key came with another body before.",
    "503": "Redis is out of reach, or too much is asked at once; ask again.",
}
UNREAD = "411"  # refused before anybody has looked where it goes
POSTED = ("411", "413", "415", "422")  # what only a body can bring about
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Any text of yours; hits that come again with it within a day are not stored again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
    "example": "import-2026-11-21-part-7",
}
EXAMPLE = [{"url": "https://example.com/blog", "at": "2026-11-21T06:31:12Z", "bytes": 12000}]
HEADERS = {
    "ETag": {"description": "The cursor, and a digest of what is sent.", "schema": {"type": "string"}},
    "Link": {
        "description": "Addresses of the pages beside this one, rel=next and rel=prev.",
        "schema": {"type": "string"},
    },
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The whole document, for JSON."""
    kinds = [*dict.fromkeys(each.answer for each in endpoints), Problem]
    kinds += [each.takes for each in endpoints if each.takes]
    found, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(kinds, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Hitwall",
            "version": "1",
            "summary": "Every number of the wall, and every raw hit",
            "description": "Numbers come with the cursor up to which they count. Times are UTC.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": SECURITY,
            "responses": {status: _refusal(status, schemas[Problem]) for status in REFUSALS},
        },
    }


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", endpoint.path)
    content: dict[str, Any] = {"application/json": {"schema": schemas[endpoint.answer]}}
    if endpoint.rows:
        content |= {MIMETYPES[name]: {"schema": {"type": "string"}} for name in ("csv", "ndjson")}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.about,
        "parameters": [*(_in_path(name) for name in names), *_in_query(endpoint.query)],
        "responses": {
            "200": {"description": "The answer.", "headers": HEADERS, "content": content},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _refusals(endpoint)},
        },
    }
    if endpoint.takes:
        return _with_body(operation, schemas[endpoint.takes])
    operation["responses"]["304"] = {"description": "If-None-Match names the present answer."}
    return operation


def _with_body(operation: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    lines = {"schema": {"type": "string", "description": "One hit a line, as JSON."}}
    content = {"application/json": {"schema": schema, "example": EXAMPLE}, "application/x-ndjson": lines}
    operation["parameters"].append(KEY)
    return operation | {"requestBody": {"required": True, "content": content}}


def _refusals(endpoint: Endpoint) -> list[str]:
    """The statuses with which the endpoint may refuse."""
    absent = {*(() if endpoint.takes else POSTED), *(() if "{" in endpoint.path else ("404",))}
    absent |= set() if endpoint.rows else {"406"}
    return [status for status in REFUSALS if status not in absent]


def _in_path(name: str) -> dict[str, Any]:
    said, example, schema = PATH[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": said,
        "example": example,
        "schema": schema,
    }


def _in_query(kind: type[msgspec.Struct]) -> Iterable[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([kind])
    told = components[kind.__name__]
    for name, schema in told["properties"].items():
        plain = {key: value for key, value in schema.items() if key not in ("description", "examples")}
        yield {
            "name": name,
            "in": "query",
            "required": name in told.get("required", ()),
            "description": schema.get("description", ""),
            "schema": plain,
        } | ({"example": schema["examples"][0]} if "examples" in schema else {})


def _refusal(status: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    content = {"image/gif": {}} if status == UNREAD else {MIMETYPE: {"schema": schema}}
    return {"description": REFUSALS[status], "content": content}
