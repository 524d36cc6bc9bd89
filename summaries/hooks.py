"""@summary and the standard hooks. A hook says what one hit counts as; add yours below the others.

@summary
def section(hit: Hit) -> str:
    '''First folder of the path.'''
    return hit.path.split("/")[1] or "home"
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter

from summaries import paths
from summaries.buckets import Calendar
from summaries.looks import looks_at, minute_of
from tracker import agents, headers
from tracker.fields import UNSEEN
from tracker.hit import Hit
from tracker.keys import SUMMARY

Hook = Callable[[Hit], str | Iterable[str] | None]

HOOKS: dict[str, Hook] = {}  # every @summary of this module by its name
FURTHER = {"minute", "country"}  # standard, too: they need settings, see in_calendar and summaries/chosen.py
CAMPAIGNS = 10  # labels of one hit at most; there are nine utm_ parameters
UTM = re.compile(r"utm_[a-z_]{1,30}")


def summary(hook: Hook) -> Hook:
    """Count every hit under the label or labels that the function returns; None counts it nowhere.

    The function's name is the summary's name. One of this module counts from now on, one of your own
    modules where HITWALL_SUMMARIES names it. Raises ValueError where the name is no plain lower-case
    identifier or taken by another.
    """
    name = hook.__name__
    if not re.fullmatch(SUMMARY, name):
        raise ValueError(f"{name} is no name for a summary: lower-case letters, digits and _")
    if name in HOOKS or name in FURTHER:
        raise ValueError(f"there are two summaries named {name}")
    if hook.__module__ == __name__:
        HOOKS[name] = hook
    return hook


def device_of(hit: Hit) -> Hashable:
    """What tells platform and device: the agent, and client hints where there are some."""
    if hit.headers:
        return hit.agent, *(_header(hit, name) for name in (PLATFORM, MOBILE))
    return hit.agent


def campaign_of(hit: Hit) -> Hashable:
    """What tells the campaign: the parameters, where one of them may. Most are others."""
    return tuple(hit.params.items()) if hit.params and "utm_" in " ".join(hit.params).lower() else None


AGENT = attrgetter("agent")
PLATFORM, MOBILE = "Sec-CH-UA-Platform", "Sec-CH-UA-Mobile"


def in_calendar(calendar: Calendar) -> dict[str, Hook]:
    """The hooks of this module by name, and `minute`, which counts in the calendar's zone."""

    @looks_at(minute_of)
    def minute(hit: Hit) -> str:
        """Minute of the day, such as 06:31: a time series."""
        return calendar.minute(hit.at)

    return {**HOOKS, "minute": minute}


@summary
@looks_at(attrgetter("site"))
def server(hit: Hit) -> str:
    """The site: one label, the exact total."""
    return hit.site


@summary
@looks_at(attrgetter("path", "event"))
def url(hit: Hit) -> str | None:
    """Path of the page, without its query. A custom event is no page view and counts nowhere here."""
    return None if hit.event else paths.page(hit.path)


@summary
@looks_at(attrgetter("remote"))
def ip(hit: Hit) -> str | None:
    """Address of the visitor, or its network where the visitor asks not to be tracked."""
    return hit.remote or None


@summary
@looks_at(AGENT)
def browser(hit: Hit) -> str | None:
    """Browser and major version, such as Firefox 140."""
    return agents.browser(hit.agent) if hit.agent else None


@summary
@looks_at(attrgetter("language"))
def language(hit: Hit) -> str | None:
    """First language that the browser asks for, such as en-US."""
    return headers.language(hit.language)


@summary
@looks_at(attrgetter("visitor"))
def visitor(hit: Hit) -> str | None:
    """Visitor, by cookie or hash."""
    return hit.visitor or None


@summary
@looks_at(attrgetter("referrer", "site"))
def referrer(hit: Hit) -> str | None:
    """Host that the visitor came from; none for direct visits and for the site's own pages."""
    return headers.referring(hit.referrer, hit.site)


@summary
@looks_at(device_of)
def platform(hit: Hit) -> str | None:
    """Operating system, such as Windows: as the browser's client hint says, else as its agent does."""
    if hit.headers:
        hinted = agents.HINTED.get(_header(hit, PLATFORM).strip('" '))
        if hinted:
            return hinted
    return agents.platform(hit.agent) if hit.agent else None


@summary
@looks_at(device_of)
def device(hit: Hit) -> str | None:
    """Phone, Tablet, Desktop, TV or Console: as the client hint says, else as the agent does."""
    if hit.headers and _header(hit, MOBILE) == "?1":
        return "Phone"
    return agents.device(hit.agent) if hit.agent else None


@summary
@looks_at(attrgetter("title", "event"))
def title(hit: Hit) -> str | None:
    """Title of the page. A custom event counts nowhere here."""
    return None if hit.event else hit.title or None


@summary
@looks_at(attrgetter("status"))
def status(hit: Hit) -> str | None:
    """HTTP status, such as 404, where the door knows it."""
    return str(hit.status) if hit.status else None


@summary
@looks_at(campaign_of)
def campaign(hit: Hit) -> list[str] | None:
    """Every utm_ parameter of the address in lower case, such as utm_source=newsletter."""
    return list(islice(_campaigns(hit.params), CAMPAIGNS)) if hit.params else None


@summary
@looks_at(attrgetter("event"))
def event(hit: Hit) -> str | None:
    """Name of the custom event."""
    return hit.event or None


@summary
@looks_at(AGENT)
def bot(hit: Hit) -> str | None:
    """Name of the bot, such as Googlebot; None for people."""
    return agents.bot(hit.agent) if hit.agent else None


def _header(hit: Hit, name: str) -> str:
    """A kept header, as HITWALL_HEADERS spells it or as HITWALL_HEADERS=* does."""
    return hit.headers.get(name) or hit.headers.get(name.title(), "")


def _campaigns(params: Mapping[str, str]) -> Iterator[str]:
    for name, value in params.items():
        name = name.strip().lower()
        if UTM.fullmatch(name) and (value := " ".join(UNSEEN.sub(" ", value).lower().split())):
            yield f"{name}={value}"
