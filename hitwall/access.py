"""Who may look: on loopback everybody, elsewhere whoever has the token."""

import hmac
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from summaries.problems import problem

COOKIE = "hitwall_token"
YEAR = 365 * 86_400  # seconds; a wall hangs for long
GUARDED = ("/", "/ask", "/live")  # and all under /api/; static files and doors hold no numbers
DENIED = "This wall needs its token: open it once with ?token=… at the end of the address.\n"
DENIED_HERE = "The API needs the wall's token: send it as Authorization: Bearer …"


def guard(app: Flask, token: str) -> None:
    """Ask for the token on wall, stream and API: a cookie, `Authorization: Bearer`, or `?token=`."""

    @app.before_request
    def check() -> AnyResponse | None:
        if request.path not in GUARDED and not request.path.startswith("/api/"):
            return None
        if _same(request.args.get("token", ""), token):
            return _remember(token)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        sent = bearer.strip() if scheme.lower() == "bearer" else ""  # RFC 9110: in any letter case
        if _same(request.cookies.get(COOKIE, ""), token) or _same(sent, token):
            return None
        return _deny()


def _deny() -> Response:
    """Under /api/ as a problem document, to a person as a sentence."""
    if request.path.startswith("/api/"):
        response = problem(401, DENIED_HERE)
    else:
        response = Response(DENIED, 401, mimetype="text/plain")
    response.headers["WWW-Authenticate"] = 'Bearer realm="hitwall"'
    return response


def _remember(token: str) -> AnyResponse:
    """The token moves from the address, which ends in histories and logs, into a cookie."""
    rest = [(name, v) for name, v in request.args.items(multi=True) if name != "token"]
    query = "?" + urlencode(rest) if rest else ""
    response = redirect(request.path + query)
    response.set_cookie(COOKIE, token, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
