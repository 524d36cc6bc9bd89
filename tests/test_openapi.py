"""The OpenAPI document is one, says what there is, and the running service keeps what it says."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from summaries.counting import Counting
from summaries.endpoints import ENDPOINTS
from summaries.formats import MIMETYPES
from summaries.openapi import document
from tests.hits import hit
from tests.service import Service
from tracker.archive import Archive
from tracker.raw import RawLog

SITE = "example.com"
NOW = datetime(2026, 11, 21, 6, 31, 11, tzinfo=UTC)
SECONDS = 120  # in which schemathesis is through on a busy machine; alone it takes ten
# A schema cannot say what two parameters may be together, what days a month has, or what else a hit needs.
CONFIG = """
[parameters]
"path.site" = "example.com"
"path.summary" = "url"
"path.report" = "pages"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "404", "406", "422"]
"""


@pytest.fixture
def told(redis_server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A web process over a few hits, counted and archived, that bots may fill: in a database of its own."""
    archive = f"sqlite:///{tmp_path / 'hits.db'}"
    service = Service(redis_server.url.removesuffix("/0") + "/2", archive=archive)
    with Redis.from_url(service.url) as redis:
        redis.flushdb()
        raw = RawLog(redis)
        raw.append(SITE, [hit(f"/{n}", at=NOW, title="=1") for n in range(20)], "test", 1)
        Counting.of(service.settings, redis).step(SITE)
        list(Archive.open(archive, raw).copy(SITE))
        service.start("serve")
        yield service
        service.stop()
        redis.flushdb()


def test_the_running_service_keeps_what_its_document_says(told: Service, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    options = ["--checks", "all", "--max-examples", "10", "--generation-deterministic", "--no-color"]
    done = subprocess.run(
        [*command, f"{told.base}/api/openapi.json", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"Tested: +{len(ENDPOINTS) - 1}\n", done.stdout)  # all but the document itself


def test_every_endpoint_is_in_the_document_with_what_it_takes_and_gives() -> None:
    paths = document(ENDPOINTS)["paths"]
    operations = {
        (method, path): operation for path, methods in paths.items() for method, operation in methods.items()
    }
    assert operations.keys() == {(each.method.lower(), each.path) for each in ENDPOINTS}
    for each in ENDPOINTS:
        operation = operations[each.method.lower(), each.path]
        assert operation["operationId"] == each.name
        assert set(operation["responses"]["200"]["content"]) == {MIMETYPES[name] for name in each.formats}
        named = {one["name"] for one in operation["parameters"]}
        assert named >= set(re.findall(r"{(\w+)}", each.path))
        assert all(one["description"] for one in operation["parameters"])
        assert ("requestBody" in operation) == bool(each.takes)


def test_every_refusal_of_the_guard_and_of_the_server_is_in_the_document(told: Service) -> None:
    chunks = told.get("/api/hits", "POST", Transfer_Encoding="chunked")
    elsewhere = told.get(f"/api/{SITE}/summaries", Host="evil.example")
    for answer, path, method in ((chunks, "/api/hits", "post"), (elsewhere, "/api/{site}/summaries", "get")):
        whole = document(ENDPOINTS)
        named = whole["paths"][path][method]["responses"][str(answer.status)]["$ref"]
        content = whole["components"]["responses"][named.rpartition("/")[2]]["content"]
        assert set(content) == {answer.headers["Content-Type"]}
    assert (chunks.status, elsewhere.status) == (411, 403)


def test_every_schema_of_the_document_is_one_and_every_reference_leads_somewhere() -> None:
    whole = document(ENDPOINTS)
    for name, schema in whole["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert schema.get("description"), name
    for reference in _references(whole):
        place: Any = whole
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
