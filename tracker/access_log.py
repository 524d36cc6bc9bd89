"""Lines of a web server's log: combined and common format, JSON of nginx and Caddy."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tracker.hit import BadHit

QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
# Combined format: https://httpd.apache.org/docs/2.4/logs.html#combined. Nearly every line is one of these.
PLAIN = re.compile(
    r'(\S+) \S+ \S+ \[([^\]]+)\] "([A-Z]+) ([^\s"\\]+) HTTP/[0-9.]+" '
    r'([0-9]{3}) ([0-9]{1,19}|-) "([^"\\]*)" "([^"\\]*)"'
)
# The others: a virtual host in front, blanks in a user's name, escapes, common format, fields at the end.
ANY = re.compile(
    r"(?:[^\s:]+:[0-9]+ |\S+ (?=[0-9a-fA-F]*[.:][0-9a-fA-F.:]* \S+ \S+ \[))?"
    rf"(\S+) \S+ [^\[\"]+ \[([^\]]+)\] {QUOTED} ([0-9]{{3}}) ([0-9]{{1,19}}|-)"
    rf'(?: {QUOTED} {QUOTED})?(?: [^"]*(?:{QUOTED}[^"]*)*)?'
)
REQUEST = re.compile(r"([A-Z][A-Z_-]{0,31}) (\S.*?)(?: HTTP/[0-9.]+)?", re.S)
ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.S)
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"b": b"\b", b"f": b"\f"}
HEX_IN_JSON = re.compile(r"\\x([0-9A-Fa-f]{2})")  # nginx without escape=json

NO_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)  # the last where it is nested too deeply

decode = msgspec.json.Decoder().decode


class Line(msgspec.Struct, frozen=True, gc=False):
    """One request as the log tells it, escapes undone; what it does not tell is empty."""

    remote: str  # address or host name
    target: str  # path and query as requested
    referrer: str = ""
    agent: str = ""
    at: str = ""  # as written: 21/Nov/2026:06:31:11 +0000, ISO 8601 or seconds since 1970
    method: str = ""
    status: str = ""
    bytes: str = ""
    language: str = ""
    seconds: str = ""


def parse_line(text: str) -> Line:
    """The request of a line, in whichever format it is. Raises BadHit."""
    if text.startswith("{"):
        return _json_line(text)
    found = PLAIN.fullmatch(text)
    if found:
        remote, at, method, target, status, size, referrer, agent = found.groups()
    else:
        remote, at, method, target, status, size, referrer, agent = _odd_line(text)
    return Line(
        remote,
        target,
        "" if referrer == "-" else referrer,
        "" if agent == "-" else agent,
        at,
        method,
        status,
        "" if size == "-" else size,
    )


def _odd_line(text: str) -> tuple[str, ...]:
    found = ANY.fullmatch(text)
    if not found:
        raise BadHit("bad log line", "it is neither in the combined or common format nor JSON")
    remote, at, request, status, size, referrer, agent, _ = (unescape(part or "") for part in found.groups())
    return remote, at, *_request(request), status, size, referrer, agent


def _request(request: str) -> tuple[str, str]:
    """Method and target of `GET /blog HTTP/1.1`."""
    found = REQUEST.fullmatch(request)
    if not found:
        raise BadHit("no request", "where the request should be there is none that HTTP knows")
    return found[1], found[2]


def unescape(text: str) -> str:
    r"""Without the escapes that Apache and nginx write: \" and \x22 are ", \xc3\xa4 is ä."""
    if "\\" not in text:
        return text
    plain = ESCAPE.sub(_unescaped, text.encode(errors="replace"))
    return plain.decode(errors="replace")


def _unescaped(found: "re.Match[bytes]") -> bytes:
    code, mark = found.groups()
    return bytes.fromhex(code.decode()) if code else ESCAPED.get(mark, mark)


def _json_line(text: str) -> Line:
    try:
        told = decode(text)
    except NO_JSON:
        try:
            told = decode(HEX_IN_JSON.sub(r"\\u00\1", text))
        except NO_JSON:
            raise BadHit("bad log line", "it begins like JSON but is none") from None
    caddy = isinstance(told.get("request"), dict)
    line = _caddy_line(told, told["request"]) if caddy else _nginx_line(told)
    if not line.at:
        raise BadHit("bad log line", "the object has no time: ts, time_iso8601, time_local, msec or time")
    return line


def _nginx_line(told: Mapping[str, Any]) -> Line:
    """Named as nginx's variables: https://nginx.org/en/docs/varindex.html"""
    method, target = _first(told, "request_method", "method"), _first(told, "request_uri", "uri", "path")
    if not (method and target):
        method, target = _request(_first(told, "request"))
    return Line(
        _first(told, "remote_addr", "remote_ip", "client_ip"),
        target,
        _first(told, "http_referer", "http_referrer", "referer", "referrer"),
        _first(told, "http_user_agent", "user_agent", "agent"),
        _first(told, "time_iso8601", "time_local", "msec", "time", "timestamp", "@timestamp", "ts"),
        method,
        _first(told, "status"),
        _first(told, "body_bytes_sent", "bytes_sent", "bytes", "size"),
        _first(told, "http_accept_language", "accept_language"),
        _first(told, "request_time", "duration"),
    )


def _caddy_line(told: Mapping[str, Any], request: Mapping[str, Any]) -> Line:
    """Source: https://caddyserver.com/docs/logging#structured-logs"""
    sent = request.get("headers")
    headers = {name.lower(): value for name, value in sent.items()} if isinstance(sent, dict) else {}
    method, target = _first(request, "method"), _first(request, "uri")
    if not (method and target):
        raise BadHit("no request", "the object's request has no method or no uri")
    return Line(
        _first(request, "client_ip", "remote_ip", "remote_addr"),
        target,
        _first(headers, "referer"),
        _first(headers, "user-agent"),
        _first(told, "ts", "time"),
        method,
        _first(told, "status"),
        _first(told, "size", "bytes_written"),
        _first(headers, "accept-language"),
        _first(told, "duration"),
    )


def _first(told: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that says something; of a list its first element."""
    for name in names:
        value = told.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, str | int | float) and value not in ("", "-"):
            return str(value)
    return ""
