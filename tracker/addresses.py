"""Which form of a visitor's address a hit keeps: whole, its network, or a hash that is forgotten daily."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import unquote

from msgspec import structs

from tracker import geoip, remote
from tracker.entries import encode
from tracker.headers import ADDRESSES, environ_name
from tracker.hit import Hit
from tracker.settings import Settings

Hashing = Callable[[str, datetime], str]  # an address, and when it was used

NOWHERE = "-"  # in place of an address of which no form is kept
COUNTRY = ("country", "country_code")  # entries of ip_info that stay beside a hash
IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])")
IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(?:(?::|%3[Aa])[0-9A-Fa-f]{0,4}){2,8}")  # a query may escape colons
# Fields that tell of other things, or of this by design.
CLEAN = ("at", "site", "source", "remote", "visitor")
TEXTS = [name for name, kind in Hit.__annotations__.items() if kind is str and name not in CLEAN]
DICTS = [name for name, kind in Hit.__annotations__.items() if getattr(kind, "__origin__", None) is dict]


class Addresses:
    """Gives a hit the address that is kept, as HITWALL_IP says. `hashing` is where a salt is; without,
    nothing is kept of what should be hashed.
    """

    def __init__(self, settings: Settings, hashing: Hashing | None = None) -> None:
        self.mode = settings.ip
        self._hashing = hashing
        known = settings.geoip if self.mode == "hash" else None
        self._record = geoip.records(known) if known else None

    def kept(self, hit: Hit, private: bool = False) -> Hit:
        """The hit as it may be stored; `private`: who sent it asks not to be tracked, and the stricter wins.

        Where not the whole address is kept, no other field holds it either.
        """
        if not private and self.mode == "full":
            return hit
        whole = hit.remote
        address = remote.network(whole) if private else whole
        form = self._form(address, hit.at)
        headers = {name: text for name, text in hit.headers.items() if environ_name(name) not in ADDRESSES}
        hit = structs.replace(hit, remote=form, headers=headers, ip_info=self._place(hit, address))
        return without(hit, whole, form or NOWHERE) if whole else hit

    def _form(self, address: str, at: datetime) -> str:
        if self.mode != "hash":
            return remote.network(address)
        return self._hashing(address, at) if address and self._hashing else ""

    def _place(self, hit: Hit, address: str) -> dict[str, str]:
        """Beside a hash the country alone: nobody can look it up later."""
        if self.mode != "hash":
            return hit.ip_info
        found = geoip.flat(self._record(address)) if self._record else {}
        return {name: found[name] for name in COUNTRY if name in found}


def without(hit: Hit, address: str, form: str) -> Hit:
    """The hit with `form` wherever a field of it holds the address."""
    if not _may_hold(hit, address):
        return hit
    mask = partial(_masked, address=address, form=form)
    fields = {name: mask(getattr(hit, name)) for name in (*TEXTS, *DICTS)}
    return structs.replace(hit, **{name: value for name, value in fields.items() if value})


def _may_hold(hit: Hit, address: str) -> bool:
    """Whether a look at each field is worth its time. However an address is written, its numbers are there,
    and JSON escapes none of them.
    """
    try:
        text = encode(hit)
    except (TypeError, ValueError, RecursionError):  # JSON does not know an object of the host's
        return True
    if ":" not in address:
        return address.encode() in text
    text = text.lower()
    return all(group in text for group in address.encode().split(b":"))


def mentions(text: str, address: str) -> bool:
    """Whether the text holds the address, however that is written."""
    return any(_is(found[0], address) for found in _pattern(address).finditer(text))


def _masked(value: Any, address: str, form: str) -> Any:
    if isinstance(value, str):
        return _pattern(address).sub(lambda found: _put(found[0], address, form), value) if value else value
    if isinstance(value, dict):
        return {_masked(k, address, form): _masked(v, address, form) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner, address, form) for inner in value]
    return value


def _put(found: str, address: str, form: str) -> str:
    return form if _is(found, address) else found


def _pattern(address: str) -> re.Pattern[str]:
    return IPV6 if ":" in address else IPV4


def _is(found: str, address: str) -> bool:
    """A colon before or behind it may belong to the words around: `ip:2001:db8::1: hello`."""
    plain = unquote(found) if "%" in found else found
    tried = {plain, plain[:-1] if plain.endswith(":") else plain}
    tried |= {text[1:] for text in tried if text.startswith(":")}
    return any(remote.client(text, "", 0) == address for text in tried)
