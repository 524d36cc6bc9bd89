"""A hit as Flask-Track-Usage's users know it: the dict of get_usage, of hooks and of writers. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from tracker import agents, headers
from tracker.hit import Hit


def usage_of(hit: Hit) -> dict[str, Any]:
    """The documented fields. Times are aware UTC; `speed` is in seconds, `content_length` in bytes; dicts
    are JSON texts but for `user_agent` and `url_args`; what is not known is None.
    """
    url = address(hit)
    return {
        "url": url,
        "user_agent": _agent(hit),
        "server_name": hit.app or None,
        "blueprint": hit.blueprint or None,
        "view_args": _text(hit.view_args),
        "status": hit.status,
        "remote_addr": hit.remote or None,
        "xforwardedfor": hit.headers.get("X-Forwarded-For"),
        "authorization": hit.authorization,
        "ip_info": _text(hit.ip_info),
        "path": hit.path,
        "speed": hit.seconds,
        "date": hit.at,
        "content_length": hit.bytes,
        "request": f"{hit.method or 'GET'} {url} {hit.protocol}".rstrip(),
        "url_args": dict(hit.params),
        "username": hit.username or None,
        "track_var": _text(hit.track_var),
    }


def address(hit: Hit) -> str:
    """The whole address of the page; where the door did not see it, as the site most likely has it."""
    query = f"?{hit.query}" if hit.query else ""
    return f"{hit.origin or f'http://{hit.site}'}{hit.path}{query}"


def _agent(hit: Hit) -> dict[str, str | None]:
    return {
        "browser": agents.family(hit.agent) if hit.agent else None,
        "language": headers.language(hit.language),
        "platform": agents.platform(hit.agent) if hit.agent else None,
        "version": agents.version(hit.agent) or None,
    }


def _text(values: Mapping[str, Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False, default=str) if values else None
