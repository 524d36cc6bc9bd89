"""Who visits a Flask application: the visitor's cookie, and the name of who has logged in."""

import re
import secrets
from typing import Any

from flask import Request, Response

from tracker import scalars
from tracker.headers import Environ, asks_not
from tracker.visitors import COOKIE, ID

YEAR = 31_536_000  # seconds; a.js keeps the cookie as long
NAME = 128  # characters of a user's name
OWN = re.compile(r"private|no-store|no-cache|max-age=0")  # one visitor's, or asked for anew each time


class Cookies:
    """Reads the cookie that a.js and this extension set, and sets it where a page goes out without."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def visitor(self, environ: Environ, response: Response) -> str:
        """The visitor's id; empty where cookies are off, nobody may be tracked, or no page answers."""
        if not self._on or asks_not(environ):
            return ""
        found = COOKIE.search(environ.get("HTTP_COOKIE", ""))
        if found and ID.fullmatch(found[1]):
            return found[1]
        return _introduce(environ, response) if _is_page(environ, response) else ""


def _is_page(environ: Environ, response: Response) -> bool:
    """Whether it is one visitor's page: a shared cache would give its cookie to the next one, too."""
    return (
        environ["REQUEST_METHOD"] in ("GET", "POST")
        and response.status_code < 400
        and response.mimetype == "text/html"
        and not _is_shared(response.headers.get("Cache-Control", "").lower())
    )


def _is_shared(cache: str) -> bool:
    """Whether that Cache-Control lets shared caches keep the page.

    Source: https://www.rfc-editor.org/rfc/rfc9111#section-3
    """
    if "public" in cache or "s-maxage" in cache:
        return True
    return "max-age" in cache and OWN.search(cache) is None


def _introduce(environ: Environ, response: Response) -> str:
    """A new visitor. The cookie is one that a script may read: a.js counts with the same id."""
    made = secrets.token_urlsafe(16)
    secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
    cookie = f"_hitwall={made}; Path=/; Max-Age={YEAR}; SameSite=Lax{secure}"
    response.headers.add("Set-Cookie", cookie)
    return made


def username(request: Request, user: Any) -> str:
    """The name of Flask-Login's user where the application has asked for it, else of basic or digest
    authentication, else empty.
    """
    return scalars.line(_of_user(user) or _of_header(request), NAME)


def _of_user(user: Any) -> Any:
    try:
        if user is None or _is_expired(user) or not user.is_authenticated:
            return ""
        return getattr(user, "username", None) or user.get_id() or ""
    except Exception:  # the host's own class
        return ""


def _is_expired(user: Any) -> bool:
    """Whether SQLAlchemy would ask the database when the user is read, as after each commit."""
    state = getattr(user, "__dict__", {}).get("_sa_instance_state")
    return bool(getattr(state, "expired_attributes", ()))


def _of_header(request: Request) -> Any:
    if not request.environ.get("HTTP_AUTHORIZATION"):
        return ""
    try:
        sent = request.authorization
    except ValueError:  # werkzeug, on credentials that are no ASCII
        return ""
    return sent.username or "" if sent and sent.type in ("basic", "digest") else ""
