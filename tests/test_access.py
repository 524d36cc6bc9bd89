"""Who may look: whoever has the token."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hitwall.access import COOKIE, guard

TOKEN = "s3cret/+&="
GUARDED = ["/", "/ask", "/live", "/api/sites", "/api/"]
OPEN = ["/static/wall.css", "/healthz", "/demo/", "/apis"]


@pytest.fixture
def visitor() -> FlaskClient:
    """A browser, without a token yet, of a site that answers every path."""
    app = Flask("guarded", static_folder=None)
    guard(app, TOKEN)

    @app.route("/", defaults={"path": ""})
    @app.route("/<path:path>")
    def page(path: str) -> str:
        return f"page {path}"

    return app.test_client()


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
    assert "page" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "s3cret", "s3cret/%2B%26=x", "%00", "%ff", "%C3%BC"])
def test_a_wrong_token_in_the_address_is_refused_and_not_remembered(visitor: FlaskClient, token: str) -> None:
    answer = visitor.get(f"/?token={token}")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", OPEN)
def test_what_holds_no_numbers_is_open(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path).text == f"page {path[1:]}"


@pytest.mark.parametrize("path", GUARDED)
def test_the_token_moves_from_the_address_into_a_cookie(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path, query_string={"token": TOKEN, "site": "a&b", "kiosk": ""})
    assert answer.status_code == 302
    assert answer.location == f"{path}?site=a%26b&kiosk="
    [cookie] = answer.headers.getlist("Set-Cookie")
    parts = set(cookie.split("; ")[1:])
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"} <= parts
    assert "Secure" not in parts
    assert visitor.get(answer.location).text == f"page {path[1:]}"
    assert visitor.get("/live").status_code == 200


def test_the_cookie_of_an_encrypted_page_is_for_encrypted_pages(visitor: FlaskClient) -> None:
    answer = visitor.get("/", query_string={"token": TOKEN}, base_url="https://stats.example.com")
    assert answer.location == "/"
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_program_sends_the_token_as_bearer(visitor: FlaskClient, scheme: str) -> None:
    sent = {"Authorization": f"{scheme} {TOKEN}"}
    assert visitor.get("/api/sites", headers=sent).status_code == 200
    assert visitor.get("/api/sites").status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/", "/api//evil.example", "/api/..//evil.example"])
def test_the_redirect_never_leaves_the_service(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path, query_string={"token": TOKEN})
    assert not (answer.location or "/").startswith(("//", "http"))
