"""@summary and the standard hooks. A hook says what one hit counts as; add yours below the others.

@summary
def section(hit: Hit) -> str:
    '''First folder of the path.'''
    return hit.path.split("/")[1] or "home"
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from ua_parser import parse_user_agent

from summaries.buckets import Calendar
from tracker.hit import Hit
from tracker.keys import SUMMARY

Hook = Callable[[Hit], str | Iterable[str] | None]

HOOKS: dict[str, Hook] = {}  # every @summary by its name
CACHED = 4096  # agents, languages and referrers whose labels are remembered
HOST = re.compile(r"https?://(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?:[:/?#]|$)", re.I)


def summary(hook: Hook) -> Hook:
    """Count every hit under the label or labels that the function returns; None counts it nowhere.

    The function's name is the summary's name. Raises ValueError where it is no plain lower-case
    identifier or taken by another.
    """
    name = hook.__name__
    if not re.fullmatch(SUMMARY, name):
        raise ValueError(f"{name} is no name for a summary: lower-case letters, digits and _")
    if name in (*HOOKS, "minute"):  # in_calendar has that one
        raise ValueError(f"there are two summaries named {name}")
    HOOKS[name] = hook
    return hook


def in_calendar(calendar: Calendar) -> dict[str, Hook]:
    """All hooks by name; `minute` counts in the calendar's zone."""

    def minute(hit: Hit) -> str:
        """Minute of the day, such as 06:31: a time series."""
        return calendar.minute(hit.at)

    return {**HOOKS, "minute": minute}


@summary
def server(hit: Hit) -> str:
    """The site: one label, the exact total."""
    return hit.site


@summary
def url(hit: Hit) -> str | None:
    """Path of the page, without its query. A custom event is no page view and counts nowhere here."""
    return None if hit.event else hit.path


@summary
def ip(hit: Hit) -> str | None:
    """Address of the visitor, or its network where the visitor asks not to be tracked."""
    return hit.remote or None


@summary
def browser(hit: Hit) -> str | None:
    """Browser and major version, such as Firefox 140."""
    return _browser(hit.agent) if hit.agent else None


@summary
def language(hit: Hit) -> str | None:
    """First language that the browser asks for, such as en-US."""
    return _language(hit.language)


@summary
def visitor(hit: Hit) -> str | None:
    """Visitor, by cookie or hash."""
    return hit.visitor or None


@summary
def referrer(hit: Hit) -> str | None:
    """Host that the visitor came from; none for direct visits and for the site's own pages."""
    host = _host(hit.referrer) if hit.referrer else None
    return None if host == hit.site.partition(":")[0] else host


@lru_cache(maxsize=CACHED)
def _browser(agent: str) -> str:
    """Source of families and versions: https://github.com/ua-parser/uap-core"""
    found = parse_user_agent(agent)
    if found is None:
        return "Other"
    return f"{found.family} {found.major}" if found.major else found.family


@lru_cache(maxsize=CACHED)
def _language(accepted: str) -> str | None:
    """Source: https://www.rfc-editor.org/rfc/rfc9110#name-accept-language and BCP 47's usual case."""
    tag = accepted.partition(",")[0].partition(";")[0].strip()
    if not re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", tag):
        return None
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def _subtag(part: str) -> str:
    return {2: part.upper(), 4: part.title()}.get(len(part), part.lower())


@lru_cache(maxsize=CACHED)
def _host(address: str) -> str | None:
    found = HOST.match(address)
    return found[1].lower().rstrip(".").removeprefix("www.") or None if found else None
