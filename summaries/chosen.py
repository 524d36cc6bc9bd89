"""Which summaries are counted: those of ours that HITWALL_SUMMARIES names, and functions of your own."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from summaries import hooks, paths
from summaries.buckets import Calendar
from summaries.countries import code, countries
from summaries.fold import nobody
from summaries.hooks import Hook
from summaries.looks import looks_at
from tracker.hit import Hit
from tracker.keys import SUMMARY
from tracker.settings import BadSetting, Settings

ALWAYS = ("server", "minute")  # the wall's totals and series stand on them
ALL = "*"
# What the code of a module may raise when it is imported, but for what ends a process.
FAILED: tuple[type[Exception], ...] = (ImportError, SyntaxError, NameError, AttributeError, TypeError)
FAILED += (ValueError, LookupError, OSError, RuntimeError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class Chosen:
    """The summaries by name, and which hits count in `bot` alone."""

    hooks: Mapping[str, Hook]
    apart: Callable[[Hit], bool]


def chosen(settings: Settings) -> Chosen:
    """The summaries of these settings. Raises BadSetting where HITWALL_SUMMARIES or _GEOIP cannot be used."""
    standard = _standard(settings)
    ours = [entry for entry in settings.summaries if ":" not in entry]
    for name in ours:
        _check(name, standard)
    wanted = {*ALWAYS, *ours} if ours and ALL not in ours else set(standard)
    picked = {name: hook for name, hook in standard.items() if name in wanted}
    for entry in settings.summaries:
        if ":" in entry:
            name, hook = _load(entry)
            if name in picked or name in standard or name in hooks.FURTHER:
                raise _bad(entry, f"there are two summaries named {name}: name yours otherwise")
            picked[name] = hook
    return Chosen(picked, nobody if settings.count_bots else is_bot)


@looks_at(hooks.AGENT)
def is_bot(hit: Hit) -> bool:
    """Whether a program sent this hit that its agent names."""
    return hooks.bot(hit) is not None


def _standard(settings: Settings) -> dict[str, Hook]:
    """All of ours; `country` where there is a file, so that it sees all hits once there is one."""
    made = hooks.in_calendar(Calendar.of(settings))
    if settings.url_params:
        made["url"] = _url(settings.url_params)
    if settings.geoip:
        made["country"] = _country(countries(settings.geoip))
    return made


def _url(names: tuple[str, ...]) -> Hook:
    def url(hit: Hit) -> str | None:
        """Path of the page with the parameters of HITWALL_URL_PARAMS. A custom event counts nowhere here."""
        return None if hit.event else paths.page_with(hit.path, names, hit.params)

    return url


def _country(country_of: Callable[[str], str | None]) -> Hook:
    def country(hit: Hit) -> str | None:
        """Country of the address, as its ISO 3166 code such as DE."""
        return (country_of(hit.remote) if hit.remote else None) or code(hit.ip_info)

    return country


def _check(name: str, standard: Iterable[str]) -> None:
    if name in (ALL, *standard):
        return
    if name == "country":
        raise _bad(name, "HITWALL_GEOIP names no file that knows the countries of addresses")
    near = get_close_matches(name, standard, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(standard))}."
    raise _bad(name, f"that is no summary of ours, and yours are named module:function; {hint}")


def _load(entry: str) -> tuple[str, Hook]:
    """The summary's name and the function of `module:function`."""
    place, _, name = entry.partition(":")
    if not re.fullmatch(SUMMARY, name):
        raise _bad(entry, f"{name or 'nothing'} is no name for a summary: lower-case letters, digits and _")
    try:
        module = _imported(place)
    except FAILED as error:
        raise _bad(entry, f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    hook = getattr(module, name, None)
    if hook is None:
        raise _bad(entry, f"there is no function {name} in {place}")
    if not callable(hook):
        raise _bad(entry, f"{name} in {place} is no function")
    return name, hook


def _imported(place: str) -> ModuleType:
    """The module, looked for in the working directory last: nothing there stands in for an installed one."""
    here = os.getcwd()
    sys.path.append(here)
    try:
        return import_module(place)
    finally:
        sys.path.reverse()
        sys.path.remove(here)  # the last of that name
        sys.path.reverse()


def _bad(entry: str, why: str) -> BadSetting:
    return BadSetting(f"HITWALL_SUMMARIES names {entry}, but {why}")
