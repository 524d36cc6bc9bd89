"""Who may look: whoever has the token, everybody at public sites, and on loopback everybody who means it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from hitwall.access import COOKIE, LISTS, OF_A_SITE, OPEN, PAGES
from hitwall.app import create_app
from tests.hits import hit
from tracker.raw import RawLog
from tracker.settings import Settings

TOKEN = "s3cret/+&=of-a-test"
OURS, SECRET = "example.com", "secret.example"

# Each endpoint by its name, and an address that reaches it; `SITE` stands for one.
ADDRESSES = {
    "static": "/static/wall.css",
    "demo": "/demo/",
    "healthz": "/healthz",
    "readyz": "/readyz",
    "wall": "/",
    "ask": "/ask",
    "live.stream": "/live?channel=SITE",
    "api.sites": "/api/sites",
    "api.summaries": "/api/SITE/summaries",
    "api.summary": "/api/SITE/summaries/url",
    "api.series": "/api/SITE/series/url//",
    "api.label": "/api/SITE/series/url?label=/",
    "api.hits": "/api/SITE/hits",
    "api.report": "/api/SITE/reports/pages",
    "api.post_hits": "/api/hits",
    "api.openapi": "/api/openapi.json",
    "metrics": "/metrics",
}
OWNERS = {"api.hits", "api.report", "api.post_hits", "metrics"}  # need the token wherever one is
Build = Callable[..., FlaskClient]


def address(endpoint: str, site: str = OURS) -> str:
    return ADDRESSES[endpoint].replace("SITE", site)


def method(endpoint: str) -> str:
    return "POST" if endpoint == "api.post_hits" else "GET"


@pytest.fixture
def build(redis: Redis, redis_url: str) -> Build:
    """A browser of the application under these settings; two sites have been seen."""
    for site in (OURS, SECRET):
        RawLog(redis).append(site, [hit("/", site=site)], "test", 1)

    def make(**settings: Any) -> FlaskClient:
        app = create_app(Settings(redis_url=redis_url, **settings))
        return app.test_client()

    return make


@pytest.fixture
def visitor(build: Build) -> FlaskClient:
    """A browser, without a token yet, of a wall that has one and no public site."""
    return build(token=TOKEN)


def status(browser: FlaskClient, target: str, how: str = "GET", **headers: str) -> int:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with browser.open(target, method=how, headers=names, buffered=False) as answer:
        return answer.status_code


def endpoints(app: Flask) -> set[str]:
    return {rule.endpoint for rule in app.url_map.iter_rules()}


def test_every_endpoint_is_known_to_be_open_or_not(visitor: FlaskClient) -> None:
    found = endpoints(visitor.application)
    assert found <= set(ADDRESSES), "classify it in hitwall/access.py, and name it here"
    assert set(ADDRESSES) == OPEN | PAGES | LISTS | OF_A_SITE | OWNERS
    adapter = visitor.application.url_map.bind("localhost")
    for endpoint in found:
        path = address(endpoint).partition("?")[0]
        assert adapter.match(path, method=method(endpoint))[0] == endpoint


@pytest.mark.parametrize("endpoint", sorted(ADDRESSES))
def test_a_stranger_gets_what_is_open_and_nothing_else(build: Build, endpoint: str) -> None:
    stranger = build(token=TOKEN)
    refused = status(stranger, address(endpoint), method(endpoint)) == 401
    assert refused == (endpoint in set(ADDRESSES) - OPEN and endpoint in endpoints(stranger.application))


@pytest.mark.parametrize("endpoint", sorted(ADDRESSES))
def test_where_a_site_is_public_a_stranger_sees_that_one_alone(build: Build, endpoint: str) -> None:
    stranger = build(token=TOKEN, public=(OURS,))
    if endpoint not in endpoints(stranger.application):
        return
    refused = status(stranger, address(endpoint), method(endpoint)) == 401
    assert refused == (endpoint in OWNERS)
    if endpoint in OF_A_SITE:
        assert status(stranger, address(endpoint, SECRET)) == 401


@pytest.mark.parametrize("endpoint", sorted(OF_A_SITE | {"api.hits", "api.report"}))
@pytest.mark.parametrize("public", [(), (OURS,)])
def test_a_stranger_cannot_learn_whether_a_site_that_is_not_public_exists(
    build: Build, endpoint: str, public: tuple[str, ...]
) -> None:
    stranger = build(token=TOKEN, public=public)
    there, missing = (stranger.get(address(endpoint, site)) for site in (SECRET, "absent.example"))
    assert there.status_code == missing.status_code == 401
    assert there.data.replace(SECRET.encode(), b"") == missing.data.replace(b"absent.example", b"")
    told = [{k: v for k, v in answer.headers if k != "Content-Length"} for answer in (there, missing)]
    assert told[0] == told[1]


def test_the_list_of_sites_names_to_strangers_the_public_ones_alone(build: Build) -> None:
    def listed(browser: FlaskClient, **headers: str) -> list[str]:
        return [row["site"] for row in browser.get("/api/sites", headers=headers).get_json()["sites"]]

    stranger = build(token=TOKEN, public=(OURS,))
    assert listed(stranger) == [OURS]
    assert listed(stranger, Authorization=f"Bearer {TOKEN}") == [OURS, SECRET]
    assert SECRET not in stranger.get("/api/sites?format=csv").text
    tag = stranger.get("/api/sites", headers={"Authorization": f"Bearer {TOKEN}"}).headers["ETag"]
    assert status(stranger, "/api/sites", If_None_Match=tag) == 200
    assert listed(build(token=TOKEN, public=("*",))) == [OURS, SECRET]


def test_people_and_raw_hits_of_a_public_site_are_its_owner_s(build: Build, redis: Redis) -> None:
    stranger = build(token=TOKEN, public=("*",))
    for target in (
        f"/api/{OURS}/summaries/visitor",
        f"/api/{OURS}/summaries/ip",
        f"/api/{OURS}/series/ip/203.0.113.7",
        f"/api/{OURS}/series/visitor/x",
        f"/api/{OURS}/series/visitor?label=x",
        f"/api/{OURS}/hits",
    ):
        assert status(stranger, target) == 401, target
        assert status(stranger, target, Authorization=f"Bearer {TOKEN}") == 200, target


def test_to_strangers_no_summary_is_named_that_they_cannot_see(build: Build) -> None:
    stranger = build(token=TOKEN, public=("*",))
    for headers, personal in (({}, False), ({"Authorization": f"Bearer {TOKEN}"}, True)):
        told = stranger.get(f"/api/{OURS}/summaries", headers=headers).get_json()
        assert told["personal"] is personal
        assert ({"ip", "visitor"} <= {row["name"] for row in told["summaries"]}) is personal


def test_sites_that_are_public_make_the_others_need_a_token_on_loopback_too(build: Build) -> None:
    stranger = build(public=(OURS,))
    assert status(stranger, address("live.stream")) == 200
    for guess in ("", "None"):
        assert status(stranger, address("live.stream", SECRET), Authorization=f"Bearer {guess}") == 401
        assert status(stranger, f"/live?channel={SECRET}&token={guess}", Cookie=f"{COOKIE}={guess}") == 401


@pytest.mark.parametrize("target", ["/live?channel={0}&channel={1}", "/live?channel={0}&channel[]={1}"])
def test_the_site_that_is_checked_is_the_one_that_is_shown(build: Build, target: str) -> None:
    stranger = build(token=TOKEN, public=(OURS,))
    assert status(stranger, target.format(SECRET, OURS)) == 401
    with stranger.get(target.format(OURS, SECRET), buffered=False) as answer:
        assert answer.status_code == 200


GUARDED = ["/", "/ask", "/live", "/api/sites", "/api/"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"{COOKIE}="},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic s3cret"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "Host": "localhost"},
    ],
    ids=str,
)
def test_without_the_token_numbers_are_not_shown(
    visitor: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = visitor.get(path, headers=headers)
    assert answer.status_code == 401
    assert "token" in answer.text
    assert TOKEN not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("token", ["", "wrong", "s3cret", "s3cret/%2B%26=x", "%00", "%ff", "%C3%BC"])
def test_a_wrong_token_in_the_address_is_refused_and_not_remembered(visitor: FlaskClient, token: str) -> None:
    answer = visitor.get(f"/?token={token}")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/ask", "/live", "/api/sites"])
def test_the_token_moves_from_the_address_into_a_cookie(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path, query_string={"token": TOKEN, "channel": OURS, "x": "a&b", "kiosk": ""})
    assert answer.status_code == 302
    assert answer.location == f"{path}?channel={OURS}&x=a%26b&kiosk="
    assert answer.headers["Cache-Control"] == "no-store"
    assert TOKEN not in answer.text
    [cookie] = answer.headers.getlist("Set-Cookie")
    parts = set(cookie.split("; ")[1:])
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"} <= parts
    assert "Secure" not in parts
    assert status(visitor, answer.location) in (200, 400)  # the API knows no kiosk
    assert status(visitor, "/live?channel=" + OURS) == 200


@pytest.mark.parametrize(
    ("settings", "headers", "secure"),
    [
        ({}, {}, False),
        ({}, {"X-Forwarded-Proto": "https"}, False),
        ({"trusted_proxies": 1}, {"X-Forwarded-Proto": "https"}, True),
        ({"trusted_proxies": 1}, {"X-Forwarded-Proto": "https, http"}, False),
        ({"trusted_proxies": 1}, {"X-Forwarded-Proto": "http"}, False),
        ({"url": "https://stats.example.com"}, {"Host": "stats.example.com"}, True),
        ({"url": "https://stats.example.com"}, {"Host": "192.0.2.1:8000"}, False),
        ({"url": "http://stats.example.com"}, {"Host": "stats.example.com"}, False),
    ],
    ids=str,
)
def test_the_cookie_of_an_encrypted_page_is_for_encrypted_pages(
    build: Build, settings: dict[str, Any], headers: dict[str, str], secure: bool
) -> None:
    answer = build(token=TOKEN, **settings).get("/", query_string={"token": TOKEN}, headers=headers)
    assert answer.location == "/"
    assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) == secure


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_program_sends_the_token_as_bearer(visitor: FlaskClient, scheme: str) -> None:
    assert status(visitor, "/api/sites", Authorization=f"{scheme} {TOKEN}") == 200
    assert status(visitor, "/api/sites") == 401


def test_a_token_in_the_address_posts_nothing(visitor: FlaskClient) -> None:
    sent = {"json": {"url": f"https://{OURS}/"}, "query_string": {"token": TOKEN}}
    assert visitor.post("/api/hits", **sent).status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/", "/api//evil.example", "/api/..//evil.example"])
def test_the_redirect_never_leaves_the_service(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path, query_string={"token": TOKEN})
    assert not (answer.location or "/").startswith(("//", "http"))


HOME = [
    "localhost",
    "localhost:8000",
    "LOCALHOST",
    "127.0.0.1:8000",
    "127.1.2.3",
    "[::1]:80",
    "wall.localhost",
]
AWAY = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:8000",
    "[::2]",
    "2130706433",
]


@pytest.mark.parametrize("endpoint", sorted(set(ADDRESSES) - {"metrics"}))
def test_without_a_token_a_page_of_somebody_else_s_name_reads_nothing(build: Build, endpoint: str) -> None:
    here = build()
    for host in (*HOME, *AWAY):
        got = status(here, address(endpoint), method(endpoint), Host=host)
        assert (got == 403) == (host in AWAY and endpoint not in OPEN), host


def test_without_a_token_the_host_of_its_own_address_is_home(build: Build) -> None:
    here = build(url="https://Stats.example.com:8443/hitwall")
    assert status(here, "/api/sites", Host="stats.Example.com:8443") == 200
    assert status(here, "/api/sites", Host="evil.example") == 403
    assert status(here, "/api/sites", Host="evil.example", X_Forwarded_Host="localhost") == 403
    proxied = build(trusted_proxies=1)
    assert status(proxied, "/api/sites", Host="evil.example", X_Forwarded_Host="localhost") == 403


def test_a_door_is_open_under_every_name(build: Build, redis: Redis) -> None:
    target = "/a.gif?url=https://example.com/"
    for browser in (build(), build(token=TOKEN), build(public=("*",))):
        assert status(browser, target, Host="stats.evil.example") == 200
        assert status(browser, "/a.js", Host="stats.evil.example") == 200
    assert RawLog(redis).length(OURS) == 4


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_of_another_site_posts_nothing_with_its_visitor_s_browser(build: Build, kind: str) -> None:
    here = build()
    sent = {"data": b'{"url": "https://example.com/"}', "headers": {"Origin": "https://evil.example"}}
    assert here.post("/api/hits", content_type=kind, **sent).status_code == 415


@pytest.mark.parametrize("endpoint", sorted(set(ADDRESSES) - {"metrics"}))
def test_other_sites_pages_may_read_the_doors_alone(build: Build, endpoint: str) -> None:
    for browser in (build(), build(token=TOKEN), build(token=TOKEN, public=("*",))):
        for how in (method(endpoint), "OPTIONS"):
            asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
            with browser.open(address(endpoint), method=how, headers=asked, buffered=False) as answer:
                assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert build().get("/a.js").headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "target", [*map(address, ADDRESSES), "/absent", "/api/absent", "/demo/absent", "/%ff"]
)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_every_answer_carries_the_policy(build: Build, target: str, token: str) -> None:
    for how in ("GET", "POST", "DELETE"):
        with build(token=token).open(target, method=how, buffered=False) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert policy.endswith("frame-ancestors 'none'")
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("said", "ancestors", "older"),
    [
        ("none", "'none'", "DENY"),
        ("self", "'self'", "SAMEORIGIN"),
        (
            "https://a.example https://*.b.example:8443",
            "https://a.example https://*.b.example:8443",
            "SAMEORIGIN",
        ),
    ],
)
def test_who_may_frame_the_wall_is_a_setting(build: Build, said: str, ancestors: str, older: str) -> None:
    chosen = Settings.read({"HITWALL_FRAME_ANCESTORS": said}).frame_ancestors
    with build(frame_ancestors=chosen).get("/", buffered=False) as answer:
        assert answer.headers["Content-Security-Policy"].endswith(f"; frame-ancestors {ancestors}")
        assert answer.headers["X-Frame-Options"] == older


def test_a_short_token_is_warned_of_at_the_start_without_telling_it(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    build(token="s3cret")
    build(token=TOKEN)
    lines = [record.getMessage() for record in caplog.records if record.name == "hitwall.access"]
    assert lines == ["HITWALL_TOKEN has fewer than 16 characters: somebody may guess it"]
    assert "s3cret" not in caplog.text
