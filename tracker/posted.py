"""PostedHit: what a program may send to the API door, and the Hit it is. Pure but for the visitor's salt."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, structs

from tracker import fields, remote
from tracker.addresses import Addresses
from tracker.headers import NEVER_KEPT, asks_not, environ_name
from tracker.hit import CONTROL, MAX_PARAMS, MAX_URL, BadHit, Hit, Page, parse_page
from tracker.settings import Settings
from tracker.visitors import Visitors

EPOCH = datetime.fromtimestamp(0, UTC)
WHOLE = 2**53  # beyond it JSON's readers disagree about a whole number
LONGEST = 86_400.0  # seconds a request may have taken
UNTIMED = next(field.default for field in structs.fields(Hit) if field.name == "seconds")  # not stored

LINES = ("method", "origin", "protocol", "app", "endpoint", "blueprint", "username")
FLAT = ("view_args", "ip_info", "track_var")

Name = Annotated[str, Meta(max_length=128)]
Number = Annotated[int, Meta(ge=0, le=fields.MAX_NUMBER)]
Scalar = (
    Annotated[str, Meta(max_length=512)] | Annotated[int, Meta(ge=-WHOLE, le=WHOLE)] | float | bool | None
)
Texts = dict[Name, Annotated[str, Meta(max_length=4096)]]
Values = dict[Name, Scalar]


class PostedHit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One hit as a program sends it: `url`, or `site` and `path`; all else may be left out."""

    url: Annotated[str, Meta(max_length=MAX_URL, description="Whole address of the page, http or https")] = ""
    site: Annotated[
        str, Meta(max_length=264, description="Site it counts for; default: the host of url, without www.")
    ] = ""
    path: Annotated[str, Meta(max_length=MAX_URL, description="Path of the page, where there is no url")] = ""
    query: Annotated[str, Meta(max_length=MAX_URL, description="Query of the page, without ?")] = ""
    at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="When it was, RFC 3339, from 1970 to a day ahead; default: now"),
    ] = None
    title: Annotated[str, Meta(description="Title of the page; cut at 512 bytes")] = ""
    referrer: Annotated[str, Meta(description="Address of the page before; cut at 2048 bytes")] = ""
    remote: Annotated[str, Meta(max_length=64, description="IP address of the visitor")] = ""
    visitor: Annotated[
        str,
        Meta(max_length=64, description="Id of the visitor: 8 to 64 letters, digits, - and _"),
    ] = ""
    agent: Annotated[str, Meta(description="User-Agent of the visitor; cut at 512 bytes")] = ""
    language: Annotated[str, Meta(description="Accept-Language of the visitor; cut at 256 bytes")] = ""
    event: Annotated[
        str, Meta(description="Name of a custom event; empty for a page view; cut at 128 bytes")
    ] = ""
    status: Annotated[int, Meta(ge=0, le=599, description="HTTP status; 0 where it is not known")] = 0
    bytes: Annotated[Number, Meta(description="Bytes transferred for the page")] = 0
    width: Annotated[Number, Meta(description="Width of the screen, CSS pixels")] = 0
    headers: Annotated[
        Texts,
        Meta(max_length=100, description="Request headers; those that HITWALL_HEADERS names are kept"),
    ] = {}
    params: Annotated[
        Texts, Meta(max_length=MAX_PARAMS, description="Parameters of the page; default: those of the query")
    ] = {}
    method: Annotated[Name, Meta(description="HTTP method")] = ""
    origin: Annotated[
        Name, Meta(description="Scheme, host and port as the request had them, where path is sent")
    ] = ""
    protocol: Annotated[Name, Meta(description="Protocol of the request, such as HTTP/1.1")] = ""
    app: Annotated[Name, Meta(description="Name of the application that answered")] = ""
    endpoint: Annotated[Name, Meta(description="Name of the view that answered")] = ""
    blueprint: Annotated[Name, Meta(description="Part of the application that answered")] = ""
    view_args: Annotated[Values, Meta(max_length=50, description="Arguments of the view")] = {}
    username: Annotated[Name, Meta(description="Who was logged in")] = ""
    authorization: Annotated[bool, Meta(description="Whether the request carried credentials")] = False
    ip_info: Annotated[Texts, Meta(max_length=50, description="Where the address is")] = {}
    seconds: Annotated[float, Meta(ge=0, le=LONGEST, description="Seconds the server took to answer")] = 0.0
    track_var: Annotated[Values, Meta(max_length=50, description="Values of your own")] = {}


class PostedReader:
    """Turns what programs send into hits, cleaned as at the other doors, as the settings say."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._visitors = visitors
        self._addresses = Addresses(settings, visitors.hashed_address)
        self._kept = {name.lower(): name for name in settings.headers if name != "*"}
        self._keep_all = "*" in settings.headers

    def read(self, sent: PostedHit, now: datetime) -> Hit:
        """The hit; `at` is now where none was sent. Raises BadHit."""
        page = _page(sent)
        hit = Hit(
            at=_time(sent.at, now),
            site=page.site,
            path=page.path,
            source="api",
            query=page.query,
            title=fields.title(fields.text(sent.title, "title")),
            referrer=fields.text(sent.referrer, "referrer"),
            remote=_address(sent.remote),
            agent=fields.text(sent.agent, "agent"),
            language=fields.text(sent.language, "language"),
            event=fields.text(sent.event, "event"),
            headers=self._headers(sent.headers),
            params=_flat(sent.params) if sent.params else fields.params(page.query),
            status=sent.status,
            bytes=sent.bytes,
            width=sent.width,
            seconds=sent.seconds or UNTIMED,
            authorization=sent.authorization,
            **_cleaned(sent),
        )
        private = _asks_not(sent.headers)
        return self._addresses.kept(hit if private else self._named(hit, sent.visitor), private)

    def _named(self, hit: Hit, visitor: str) -> Hit:
        """With its visitor; a hash needs an address, or all who have none would be one."""
        named = self._visitors.named(visitor, "")
        if self._visitors.mode == "hash" and hit.remote:
            named = self._visitors.hashed(hit)
        return structs.replace(hit, visitor=named)

    def _headers(self, sent: Mapping[str, str]) -> dict[str, str]:
        kept = {}
        for name, value in sent.items():
            known = self._kept.get(name.lower(), _line(name).title() if self._keep_all else "")
            if known and environ_name(known) not in NEVER_KEPT:
                kept[known] = fields.text(value, "header")
        return kept


def _asks_not(headers: Mapping[str, str]) -> bool:
    return asks_not({environ_name(name): value for name, value in headers.items() if value == "1"})


def _time(sent: datetime | None, now: datetime) -> datetime:
    if sent is None:
        return now
    if not EPOCH <= sent <= now + fields.AHEAD:
        raise BadHit("bad time", "at lies between 1970 and tomorrow")
    return sent.astimezone(UTC)


def _page(sent: PostedHit) -> Page:
    if sent.url and (sent.path or sent.query):
        raise BadHit("two pages", "send url alone, or site, path and query")
    if sent.url:
        return parse_page(sent.url, sent.site)
    if not (sent.site and sent.path.startswith("/")):
        raise BadHit("no url", "send url, or site and a path that begins with /")
    address, mark, route = sent.path.partition("#")
    if "?" in address or "#" in sent.query:
        raise BadHit("bad path", "the query goes to query, the fragment to the end of path")
    query = f"?{sent.query}" if sent.query else ""
    return parse_page(f"{address}{query}{mark}{route}", sent.site)


def _cleaned(sent: PostedHit) -> dict[str, Any]:
    """The fields of LINES and FLAT."""
    lines = {name: _line(getattr(sent, name)) for name in LINES}
    return {**lines, **{name: _flat(getattr(sent, name)) for name in FLAT}}


def _address(sent: str) -> str:
    address = remote.client(sent, "", 0)
    if sent and not address:
        raise BadHit("bad address", "remote takes an IPv4 or IPv6 address")
    return address


def _line(text: str) -> str:
    return CONTROL.sub(" ", text)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names and texts without control characters."""
    return {_line(name): _line(value) if isinstance(value, str) else value for name, value in values.items()}
