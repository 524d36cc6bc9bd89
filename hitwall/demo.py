"""`hitwall demo`: the lines of a log, sent to the pixel door as if their visitors were here now."""

import http.client
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from tracker.access_log import Line, parse_line
from tracker.agents import bot
from tracker.hit import BadHit

SAMPLE = Path(__file__).with_name("demo.log")
SITE = "demo.example"
LANGUAGES = ("en-US", "en-GB", "de", "fr-FR", "es-ES", "pt-BR", "ja", "zh-CN", "en-US", "de-DE")


class NoDoor(RuntimeError):
    """The pixel door cannot be reached; the message says what to start."""


class NoLines(ValueError):
    """The logs hold nothing to replay."""


def lines(files: Iterable[Path]) -> Iterator[Line]:
    """The lines of these logs that are requests of people; bots run no script, and the rest is no request."""
    for file in files:
        for text in file.read_text(errors="replace").splitlines():
            with suppress(BadHit):
                line = parse_line(text)
                if not bot(line.agent):
                    yield line


def pixel(line: Line, site: str) -> tuple[str, dict[str, str]]:
    """Target and headers of the pixel request that this visitor's browser would have sent.

    A log knows neither language nor cookie: both are made up from the address, so that they stay.
    """
    mark = blake2b(f"{line.remote} {line.agent}".encode(), digest_size=8).hexdigest()
    fields = {"url": f"https://{site}{line.target}", "ref": line.referrer, "v": mark}
    headers = {
        "User-Agent": line.agent.encode("ascii", "replace").decode(),
        "Accept-Language": LANGUAGES[int(mark, 16) % len(LANGUAGES)],
        "X-Forwarded-For": quote(line.remote, safe=":"),
    }
    return "/a.gif?" + urlencode(fields), headers


def replay(source: Iterable[Line], base: str, rate: float, site: str = SITE) -> Iterator[int]:
    """Send the lines at `rate` a second; yields the status of each answer. Raises NoDoor."""
    door = connection(base)
    begun = time.monotonic()
    for n, line in enumerate(source):
        time.sleep(max(0.0, begun + n / rate - time.monotonic()))
        yield _send(door, *pixel(line, site))


def connection(base: str) -> http.client.HTTPConnection:
    """A connection to the service at an http(s) address. Raises NoDoor for anything else."""
    try:
        parts = urlsplit(base if "://" in base else f"http://{base}")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        kind: type[http.client.HTTPConnection] = kinds[parts.scheme]
        return kind(parts.hostname or "", parts.port, timeout=10)
    except (KeyError, ValueError, http.client.InvalidURL):
        raise NoDoor(f"{base} is no address of a service, such as http://127.0.0.1:8000") from None


def _send(door: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> int:
    for last in (False, True):
        try:
            door.request("GET", target, headers=headers)
            with door.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException) as error:
            door.close()  # a kept connection may have been closed on us: once more on a new one
            if last:
                raise NoDoor(
                    f"No answer from http://{door.host}:{door.port} ({error}). "
                    "Start the service with `hitwall run`, or name another with --to."
                ) from None
    raise AssertionError("unreachable")


def endlessly(files: Iterable[Path]) -> Iterator[Line]:
    """The lines of these logs again and again. Raises NoLines where there is none."""
    found = list(lines(files))
    if not found:
        raise NoLines("None of the lines is a request in the combined or common log format.")
    return itertools.cycle(found)
