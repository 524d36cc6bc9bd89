"""Who may look: on loopback everybody, elsewhere whoever has the token, and everybody at public sites."""

import hmac
import logging
import re
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from summaries.frame import PERSONAL
from summaries.problems import problem
from tracker.settings import Settings

log = logging.getLogger(__name__)

COOKIE = "hitwall_token"
YEAR = 365 * 86_400  # seconds; a wall hangs for long
SAFE = 16  # characters of a token that nobody guesses; those that we make have 32
LOCAL = re.compile(r"(localhost|[a-z0-9.-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.I)

# What a stranger gets, by the names of the endpoints. Whatever is not named here needs the token: raw hits
# and reports of public sites, too. So do the summaries of PERSONAL, which frames for strangers lack.
OPEN = frozenset({"static", "demo", "healthz", "readyz"})  # no numbers
PAGES = frozenset({"wall", "ask", "api.openapi"})  # no numbers either; open where some site is public
LISTS = frozenset({"api.sites"})  # open there, too: it tells strangers of the public sites alone
OF_A_SITE = frozenset({"live.stream", "api.summaries", "api.summary", "api.series", "api.label"})

DENIED = "This wall needs its token: open it once with ?token=… at the end of the address.\n"
DENIED_HERE = "The API needs the wall's token: send it as Authorization: Bearer …"
ELSEWHERE = (
    "This wall needs no token, so it answers at localhost alone, and at the host of HITWALL_URL. "
    "To look from elsewhere, set that; and HITWALL_TOKEN, for others reach it, too.\n"
)


def guard(app: Flask, settings: Settings) -> None:
    """Refuse whom the settings do not let look, before any view is asked; `g.stranger` tells views."""
    if settings.token and len(settings.token) < SAFE:
        log.warning("HITWALL_TOKEN has fewer than %d characters: somebody may guess it", SAFE)

    @app.before_request
    def check() -> AnyResponse | None:
        if request.endpoint in OPEN or _is_nothing():
            return None
        if settings.open_to_lookers:
            return None if _is_home(settings) else _deny(403, ELSEWHERE)
        if request.method in ("GET", "HEAD") and _same(request.args.get("token", ""), settings.token):
            return _remember(settings)
        if _same(request.cookies.get(COOKIE, ""), settings.token) or _same(_bearer(), settings.token):
            return None
        g.stranger = True
        return None if _is_public(settings) else _deny(401)


def _is_nothing() -> bool:
    """Whether no endpoint is there; under /api/ that, too, is told to those who may look."""
    return request.endpoint is None and not request.path.startswith("/api/")


def _is_home(settings: Settings) -> bool:
    """Whether the browser means this machine. A name of somebody else's that leads here (DNS rebinding)
    would make our numbers readable to that somebody's page."""
    host = request.environ.get("HTTP_HOST", "")
    named = urlsplit(settings.url.lower()).netloc
    return not host or LOCAL.fullmatch(host) is not None or host.lower() == named


def _is_public(settings: Settings) -> bool:
    """Whether a stranger may have this, wherever the site that is asked for exists or not."""
    path = request.view_args or {}
    if request.endpoint in OF_A_SITE and path.get("summary") not in PERSONAL:
        return settings.is_public(path.get("site") or request.args.get("channel", ""))
    return bool(settings.public) and request.endpoint in PAGES | LISTS


def _deny(status: int, said: str = "") -> Response:
    """Under /api/ as a problem document, to a person as a sentence."""
    if request.path.startswith("/api/"):
        response = problem(status, said.strip() or DENIED_HERE)
    else:
        response = Response(said or DENIED, status, mimetype="text/plain")
        response.headers["Cache-Control"] = "no-store"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="hitwall"'
    return response


def _bearer() -> str:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return sent.strip() if scheme.lower() == "bearer" else ""  # RFC 9110: in any letter case


def _remember(settings: Settings) -> AnyResponse:
    """The token moves from the address, which ends in histories and logs, into a cookie."""
    rest = [(name, v) for name, v in request.args.items(multi=True) if name != "token"]
    query = "?" + urlencode(rest) if rest else ""
    response = redirect(request.path + query)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE, settings.token, max_age=YEAR, httponly=True, samesite="Lax", secure=_is_encrypted(settings)
    )
    return response


def _is_encrypted(settings: Settings) -> bool:
    """Whether the browser came by https, perhaps to a proxy of ours; what others say so is not believed."""
    said = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    named = urlsplit(settings.url.lower())
    is_named = named.scheme == "https" and named.netloc == request.environ.get("HTTP_HOST", "").lower()
    return request.is_secure or is_named or (settings.trusted_proxies > 0 and said == "https")


def _same(given: str, token: str) -> bool:
    """In constant time; without a token nothing is the same as it."""
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())
