"""The API over HTTP: answers in every format, their versions, and problems where there is no answer."""

import csv
import gzip
import http.client
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from hitwall.redis_server import RedisServer
from summaries.counting import Counting
from summaries.endpoints import ENDPOINTS
from tests.hits import CHROME, FIREFOX, hit
from tests.service import TIMEOUT, Answer, Service
from tracker.archive import Archive
from tracker.raw import START, RawLog

SITE = "example.com"
DOCUMENT = "/api/openapi.json"
MORNING = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
ODD = ["=SUM(A1)", "+1", "-1", "@cmd", "a,b", 'say "hi"', "two words", "ümlaut", "100%", "a//b/../c?d#e"]
KEPT = {"keep_hour": "0", "keep_day": "0", "keep_raw": "0"}


@pytest.fixture(scope="module")
def told(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web process over the five hits of a morning and a site with odd titles, all counted and archived."""
    archive = f"sqlite:///{tmp_path_factory.mktemp('archive') / 'hits.db'}"
    url = redis_server.url.removesuffix("/0") + "/1"  # the other tests empty the first database
    service = Service(url, archive=archive, **KEPT)
    with Redis.from_url(url) as redis:
        redis.flushdb()
        raw = RawLog(redis)
        for position, (path, second, agent) in enumerate(
            [("/", 0, FIREFOX), ("/", 5, FIREFOX), ("/blog/", 60, CHROME), ("/blog/", 66, FIREFOX)]
        ):
            at = MORNING + timedelta(seconds=second)
            raw.append(SITE, [hit(path, at=at, agent=agent, bytes=len(path) * 10)], "test", position)
        odd = [hit("/", at=MORNING, site="odd.example", title=title) for title in ODD]
        raw.append("odd.example", odd, "test", 1)
        for site in (SITE, "odd.example"):
            Counting.of(service.settings, redis).step(site)
            list(Archive.open(archive, raw).copy(site))
        service.start("serve")
        yield service
        service.stop()


def ask(service: Service, target: str, **headers: str) -> Any:
    """The JSON at this address."""
    answer = service.get(target, **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.body)


def refused(answer: Answer) -> dict[str, Any]:
    """The problem document that an answer is."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    said: dict[str, Any] = json.loads(answer.body)
    assert said["status"] == answer.status
    assert said.keys() >= {"type", "title", "detail", "instance"}
    return said


def post(service: Service, body: bytes, **headers: str) -> Answer:
    door = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT)
    try:
        given = {"Content_Type": "application/json"} | headers
        door.request(
            "POST", "/api/hits", body, {name.replace("_", "-"): value for name, value in given.items()}
        )
        with door.getresponse() as response:
            return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        door.close()


def test_sites_are_listed_with_their_last_hit(told: Service) -> None:
    rows = ask(told, "/api/sites")["sites"]
    assert [(row["site"], row["last"]) for row in rows] == [
        (SITE, "2026-11-21T06:31:06Z"),
        ("odd.example", "2026-11-21T06:30:00Z"),
    ]


def test_summaries_are_listed_with_what_they_count_and_how_far(told: Service) -> None:
    rows = ask(told, f"/api/{SITE}/summaries")["summaries"]
    url = next(row for row in rows if row["name"] == "url")
    assert url["description"].startswith("Path of the page")
    assert url["cursor"] != START
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)


def test_a_summary_has_the_shape_of_the_contract(told: Service) -> None:
    answer = ask(told, f"/api/{SITE}/summaries/url?bucket=day&at=2026-11-21&limit=10")
    assert {name: answer[name] for name in ("site", "summary", "bucket", "hits", "bytes", "distinct")} == {
        "site": SITE,
        "summary": "url",
        "bucket": "day:2026-11-21",
        "hits": 4,
        "bytes": 140,
        "distinct": 2,
    }
    assert answer["labels"] == [
        {"label": "/", "hits": 2, "bytes": 20},
        {"label": "/blog", "hits": 2, "bytes": 120},
    ]
    assert (answer["start"], answer["end"]) == ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z")
    assert answer["before"] is None


def test_pages_are_linked(told: Service) -> None:
    first = told.get(f"/api/{SITE}/summaries/url?at=2026-11-21&limit=1&search=%2F")
    assert first.headers["Link"] == '<?at=2026-11-21&limit=1&search=%2F&page=2>; rel="next"'
    last = told.get(f"/api/{SITE}/summaries/url?at=2026-11-21&limit=1&search=%2F&page=2")
    assert last.headers["Link"] == '<?at=2026-11-21&limit=1&search=%2F&page=1>; rel="prev"'
    whole = told.get(f"/api/{SITE}/summaries/url?at=2026-11-21")
    assert "Link" not in whole.headers


def test_raw_hits_are_linked_page_by_page_to_their_end(told: Service) -> None:
    paths, target = [], "?limit=3&order=oldest"
    while target:
        answer = told.get(f"/api/{SITE}/hits{target}")
        paths += [row["hit"]["path"] for row in json.loads(answer.body)["hits"]]
        target = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert paths == ["/", "/", "/blog/", "/blog/"]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("from=2026-11-21T06:31:00Z", 2),
        ("to=2026-11-21T06:31:00Z", 2),
        ("to=2026-11-21", 4),
        ("from=2026-11-22", 0),
        ("from=2026-11-21T06:30:05Z&to=2026-11-21T06:31:06Z", 2),
    ],
)
def test_raw_hits_are_those_that_happened_then(told: Service, query: str, hits: int) -> None:
    assert len(ask(told, f"/api/{SITE}/hits?{query}")["hits"]) == hits


@pytest.mark.parametrize("label", [*ODD, "/blog", "/", "//", "", "(other)", ".", "..", "a\tb", "%2F", "\n"])
def test_a_series_finds_its_label_in_the_path_and_in_the_query(told: Service, label: str) -> None:
    for where in (f"/{quote(label)}?at=2026-11-21", f"/{quote(label, safe='')}?at=2026-11-21"):
        answer = ask(told, f"/api/odd.example/series/title{where}")
        assert (answer["label"], answer["hits"]) == (label, int(label in ODD))
    answer = ask(told, f"/api/odd.example/series/title?at=2026-11-21&label={quote(label, safe='')}")
    assert (answer["label"], answer["hits"]) == (label, int(label in ODD))


def test_a_series_has_a_point_for_every_bucket(told: Service) -> None:
    points = ask(told, f"/api/{SITE}/series/url//blog?bucket=hour&at=2026-11-21")["points"]
    assert [point["hits"] for point in points] == [0] * 6 + [2] + [0] * 17
    assert points[6] == {
        "bucket": "hour:2026-11-21T06",
        "start": "2026-11-21T06:00:00Z",
        "hits": 2,
        "bytes": 120,
    }


def test_csv_holds_the_rows_and_nothing_that_a_spreadsheet_would_run(told: Service) -> None:
    answer = told.get(
        "/api/odd.example/summaries/title?at=2026-11-21&order=label&limit=50", Accept="text/csv"
    )
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.body.count(b"\r\n") == len(ODD) + 1
    head, *rows = csv.reader(io.StringIO(answer.body.decode(), newline=""))
    assert head == ["label", "hits", "bytes"]
    safe = {f"'{title}" if title[0] in "=+-@" else title for title in ODD}
    assert {row[0] for row in rows} == safe


def test_ndjson_and_csv_of_raw_hits_have_the_same_flat_rows(told: Service) -> None:
    lines = told.get(f"/api/{SITE}/hits?format=ndjson").body.decode().splitlines()
    found = [json.loads(line) for line in lines]
    rows = csv.DictReader(io.StringIO(told.get(f"/api/{SITE}/hits?format=csv").body.decode(), newline=""))
    for row, told_as in zip(rows, found, strict=True):
        assert {name: row[name] for name in ("id", "at", "path", "agent")} == {
            name: told_as[name] for name in ("id", "at", "path", "agent")
        }
        assert row["bytes"] == str(told_as["bytes"])
        assert row["title"] == told_as.get("title", "")


@pytest.mark.parametrize(
    ("accepted", "given"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
        ("image/png", "application/problem+json"),
    ],
)
def test_the_format_is_the_one_that_is_accepted(told: Service, accepted: str, given: str) -> None:
    answer = told.get("/api/sites", Accept=accepted)
    assert answer.headers["Content-Type"] == given
    assert answer.status == (406 if "problem" in given else 200)
    assert answer.status == 406 or answer.headers["Vary"] == "Accept"


def test_the_version_of_an_answer_is_the_cursor_and_what_else_it_hangs_on(told: Service) -> None:
    target = f"/api/{SITE}/summaries/url"
    cursor = ask(told, f"{target}?at=2026-11-21")["cursor"]
    tags = {
        query: told.get(f"{target}?{query}").headers["ETag"]
        for query in ("at=2026-11-21", "at=2026-11-21&format=csv", "bucket=month", "from=2026-11-20")
    }
    assert all(tag.startswith(f'"{cursor}.') for tag in tags.values())
    assert len(set(tags.values())) == len(tags)


@pytest.mark.parametrize(
    "target",
    [f"/api/{SITE}/summaries/url?at=2026-11-21", "/api/sites", f"/api/{SITE}/hits", "/api/openapi.json"],
)
def test_who_has_this_version_is_told_so(told: Service, target: str) -> None:
    tag = told.get(target).headers["ETag"]
    again = told.get(target, If_None_Match=tag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert told.get(target, If_None_Match='"another"').status == 200


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("bucket=week", "bucket"),
        ("at=yesterday", "at"),
        ("at=", "at"),
        ("at=2026-02-30", "at"),
        ("at=2026-11-21&from=2026-11-20", "at"),
        ("to=2026-11-21", "from"),
        ("from=2026-11-22&to=2026-11-21", "from"),
        ("bucket=hour&from=2020-01", "from"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=ten", "limit"),
        ("page=0", "page"),
        ("order=size", "order"),
        ("format=xml", "format"),
        ("search=%00", "search"),
        ("search=%ff", "query"),
        (f"search={'x' * 513}", "search"),
        ("limt=10", "limt"),
        ("at=2026-11-21&at=2026-11-21", "at"),
        ("&".join(f"a{n}=1" for n in range(40)), "query"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(told: Service, query: str, name: str) -> None:
    answer = told.get(f"/api/{SITE}/summaries/url?{query}")
    assert answer.status == 400
    said = refused(answer)
    assert said["name"] == name
    assert said["detail"].startswith(name)


def test_a_slip_of_the_pen_is_answered_with_the_right_name(told: Service) -> None:
    assert "limit" in refused(told.get(f"/api/{SITE}/summaries/url?limt=10"))["detail"]


@pytest.mark.parametrize(
    "target",
    [
        "/api/",
        "/api/nothing",
        "/api//sites",
        "/api/sites/",
        "/api/unknown.example/summaries",
        "/api/unknown.example/hits",
        f"/api/{SITE}/summaries/urls",
        f"/api/{SITE}/series/urls//",
        f"/api/{SITE}/reports/nothing",
        f"/api/{SITE}/../sites",
        "/api/%3Cscript%3E/summaries",
    ],
)
def test_what_is_not_there_is_told_so(told: Service, target: str) -> None:
    answer = told.get(target)
    assert answer.status == 404
    refused(answer)


@pytest.mark.parametrize(
    "target", ["/api/%ff/summaries", f"/api/{SITE}/series/url/%00", "/api/" + "%fe" * 300]
)
def test_a_path_that_no_label_has_is_refused(told: Service, target: str) -> None:
    answer = told.get(target)
    assert answer.status in (400, 404)
    refused(answer)


def test_a_wrong_method_is_told_the_right_one(told: Service) -> None:
    for target, method, allowed in (("/api/sites", "DELETE", "GET"), ("/api/hits", "GET", "POST")):
        answer = told.get(target, method)
        assert answer.status == 405
        assert allowed in answer.headers["Allow"].split(", ")
        refused(answer)


def test_every_answer_carries_the_headers_of_the_house(told: Service) -> None:
    for target in ("/api/sites", "/api/nothing"):
        answer = told.get(target, Origin="https://elsewhere.example")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_redis_the_api_says_when_to_ask_again(free_port: int) -> None:
    service = Service(f"redis://127.0.0.1:{free_port}", sites=SITE)
    try:
        service.start("serve")
        targets = ("/api/sites", f"/api/{SITE}/summaries/url", f"/api/{SITE}/hits")
        answers = [*map(service.get, targets), post(service, b'{"url": "https://example.com/"}')]
    finally:
        service.stop()
    for answer in answers:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        refused(answer)


def test_without_the_token_there_is_a_problem_document_and_with_it_an_answer(
    redis: Redis, redis_url: str
) -> None:
    service = Service(redis_url, token="s3cret")
    try:
        service.start("serve")
        answer = service.get("/api/sites")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        refused(answer)
        assert post(service, b"{}").status == 401
        assert ask(service, "/api/sites", Authorization="Bearer s3cret") == {"sites": []}
        assert service.get("/live").headers["Content-Type"].startswith("text/plain")
    finally:
        service.stop()


def test_a_report_answers_from_the_archive(told: Service) -> None:
    answer = ask(told, f"/api/{SITE}/reports/views?from=2026-11-21&to=2026-11-21")
    assert (answer["report"], answer["start"]) == ("views", "2026-11-21T00:00:00Z")
    assert answer["rows"][0]["views"] == 4
    table = told.get(f"/api/{SITE}/reports/agents?from=2026-11-21&to=2026-11-21&format=csv").body.decode()
    assert table.splitlines()[0] == "agent,views"
    wrong = told.get(f"/api/{SITE}/reports/views?from=2026-11-22&to=2026-11-21")
    assert (wrong.status, refused(wrong)["name"]) == (400, "from")


def test_without_an_archive_a_report_tells_how_to_get_one(service: Service) -> None:
    answer = service.get(f"/api/{SITE}/reports/views")
    assert answer.status == 404
    assert "HITWALL_ARCHIVE" in refused(answer)["detail"]


def test_a_compressed_post_is_told_that_it_is(told: Service) -> None:
    packed = gzip.compress(b'{"url": "https://example.com/a"}')
    answer = post(told, packed, Content_Type="application/json", Content_Encoding="gzip")
    assert answer.status == 415
    assert "not compressed" in json.loads(answer.body)["detail"]


def test_posted_hits_are_stored_once_a_key_and_the_others_are_told_by_line(
    service: Service, redis: Redis
) -> None:
    lines = b'{"url": "https://example.com/a"}\n{"url": 1}\n{"url": "https://example.com/b"}\n'
    for repeated in (False, True):
        answer = post(service, lines, Content_Type="application/x-ndjson", Idempotency_Key="one")
        assert answer.status == 200
        said = json.loads(answer.body)
        assert (said["stored"], said["refused_total"], said["repeated"]) == (2, 1, repeated)
        assert said["refused"][0]["line"] == 2
    assert RawLog(redis).length(SITE) == 2


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"url": 1}', "application/json", 422),
        (b"[{}, {}]", "application/json", 422),
        (b"{", "application/json", 400),
        (b"url=1", "text/plain", 415),
        (b" " * (8 * 1024 * 1024 + 1), "application/json", 413),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_post_that_stores_nothing_is_a_problem(told: Service, body: bytes, kind: str, status: int) -> None:
    answer = post(told, body, Content_Type=kind)
    assert answer.status == status
    said = refused(answer)
    assert ("refused" in said) == (status == 422)


def test_every_endpoint_answers_at_its_address(told: Service) -> None:
    names = {"{site}": SITE, "{summary}": "url", "{label}": "/blog", "{report}": "pages"}
    for endpoint in ENDPOINTS:
        target = endpoint.path
        for name, value in names.items():
            target = target.replace(name, value)
        if endpoint.name == "label":
            target += "?label=/"
        answer = post(told, b'{"url": "https://posted.example/"}') if endpoint.takes else told.get(target)
        assert answer.status == 200, (target, answer.body)
