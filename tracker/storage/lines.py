"""Hits as lines of JSON that the API door of a Hitwall takes, each within that door's bounds. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from tracker import fields, remote, scalars
from tracker.hit import MAX_PARAMS, MAX_URL, Hit
from tracker.posted import LINES, LONGEST
from tracker.posting import MAX_HIT
from tracker.visitors import ID

BODY = 500_000  # bytes of one request at most; nginx lets 1 MB through unless told otherwise
MAX_HEADERS = 100
STATUSES = 600
WISHES = ("dnt", "sec-gpc")  # headers that are sent however many there are: they bind the other side
LEFT_OUT = ("params", "track_var", "view_args", "ip_info")  # of a hit that is too large, one after another
OF_NO_PATH, OF_NO_QUERY = re.compile(r"[\x00-\x1f\x7f?]"), re.compile(r"[\x00-\x1f\x7f#]")

encode = msgspec.json.Encoder().encode


def bodies(hits: Sequence[Hit]) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of all hits, some at a time, and the place of the first; of equal hits they are equal."""
    lines: list[bytes] = []
    size = 0
    for place, line in enumerate(map(line_of, hits)):
        if size + len(line) > BODY:  # a line is far smaller
            yield place - len(lines), lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield len(hits) - len(lines), lines


def line_of(hit: Hit) -> bytes:
    """The hit without its source; what is longer than the door lets in is cut."""
    sent = {name: value for name, value in _sent(hit).items() if value}
    line = encode(sent)
    for name in LEFT_OUT:
        if len(line) > MAX_HIT:
            sent.pop(name, None)
            line = encode(sent)
    if len(line) > MAX_HIT:
        sent["headers"] = {name: value for name, value in sent["headers"].items() if not _is_no_wish(name)}
        line = encode(sent)
    return line


def _sent(hit: Hit) -> dict[str, Any]:
    path = hit.path if hit.path.startswith("/") else f"/{hit.path}"
    path = OF_NO_PATH.sub(_escape, _plain(path, MAX_URL))[:MAX_URL]
    query = OF_NO_QUERY.sub(_escape, _plain(hit.query, MAX_URL))[: MAX_URL - min(len(path) + 1, MAX_URL)]
    params = {} if hit.params == fields.params(query) else hit.params  # the door finds them itself
    return {
        "at": hit.at,
        "site": hit.site,
        "path": path,
        "query": query,
        "title": fields.text(hit.title, "title"),
        "referrer": fields.text(hit.referrer, "referrer"),
        "remote": remote.client(hit.remote, "", 0),
        "visitor": hit.visitor if ID.fullmatch(hit.visitor) else "",
        "agent": fields.text(hit.agent, "agent"),
        "language": fields.text(hit.language, "language"),
        "event": fields.text(hit.event, "event"),
        "status": hit.status if 0 <= hit.status < STATUSES else 0,
        "bytes": max(0, min(hit.bytes, fields.MAX_NUMBER)),
        "width": max(0, min(hit.width, fields.MAX_NUMBER)),
        "headers": _headers(hit.headers),
        "params": _texts(params, MAX_PARAMS),
        **{name: scalars.line(getattr(hit, name), scalars.NAME) for name in LINES},
        "view_args": scalars.flat(hit.view_args),
        "authorization": hit.authorization,
        "ip_info": _texts(hit.ip_info, scalars.MOST),
        "seconds": max(0.0, min(hit.seconds, LONGEST)),
        "track_var": scalars.flat(hit.track_var),
    }


def _plain(text: str, most: int) -> str:
    return text[:most].encode(errors="replace").decode()


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _headers(values: Mapping[str, str]) -> dict[str, str]:
    return _texts({name: values[name] for name in sorted(values, key=_is_no_wish)}, MAX_HEADERS)


def _is_no_wish(name: str) -> bool:
    return name.lower() not in WISHES


def _texts(values: Mapping[str, str], most: int) -> dict[str, str]:
    names = islice(values, most)
    return {scalars.line(name, scalars.NAME): fields.text(values[name], "header") for name in names}
