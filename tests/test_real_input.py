"""A real web server's log through the pixel door: every counter equals an independent count.

By default the excerpt; HITWALL_TEST_LOG names another log in combined format.
"""

import http.client
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from redis import Redis
from ua_parser import parse_user_agent

from tests.service import Service, counted, running, total
from tests.waiting import until
from tracker import keys

LOG = Path(os.environ.get("HITWALL_TEST_LOG", Path(__file__).parent / "data" / "access.log"))
SITE = "semicomplete.com"
LINE = re.compile(r'(\S+) .*?\] "(\S+) (\S+) \S+" (\d+) (\S+) "(.*?)" "(.*)"$')


def requests() -> list[tuple[str, ...]]:
    """Address, target, bytes, referrer and agent of each line that the pattern knows."""
    found = (LINE.match(line) for line in LOG.read_text(errors="replace").splitlines())
    return [m.group(1, 3, 5, 6, 7) for m in found if m]


def replay(service: Service) -> Counter[int]:
    """Every line as one request for the pixel; how often each status came back."""
    door = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    statuses: Counter[int] = Counter()
    for address, target, size, referrer, agent in requests():
        url = quote(f"https://www.semicomplete.com{target}", safe="")
        ref, size = quote(referrer, safe=""), size.replace("-", "")
        headers = {"User-Agent": agent, "X-Forwarded-For": f"spoofed, {address}"}
        door.request("GET", f"/a.gif?url={url}&ref={ref}&b={size}", headers=headers)
        with door.getresponse() as response:
            response.read()
            statuses[response.status] += 1
    door.close()
    return statuses


def spelled(path: str) -> str:
    """The label of a path, as the README says it; in that log there are no dots and no bare signs."""

    def shown(run: re.Match[str]) -> str:
        characters = unquote(run[0], errors="surrogateescape")
        return "".join(c if c.isprintable() and c not in " /?#%" else escape(c) for c in characters)

    def escape(character: str) -> str:
        return quote(character, safe="", errors="surrogateescape")

    return re.sub("(?:%[0-9A-Fa-f]{2})+", shown, path.rstrip("/") or "/")


def expected() -> dict[str, Counter[str]]:
    """What the counters must say, counted from the file without any of the product's code."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("url", "ip", "browser", "referrer")}
    for address, target, _, referrer, agent in requests():
        counts["url"][spelled(re.split(r"[?#]", target)[0])[:512]] += 1  # bytes of a label, as documented
        counts["ip"][address] += 1
        host = (urlsplit(referrer).hostname or "").removeprefix("www.") if "//" in referrer else ""
        if re.fullmatch(r"[\w.-]+", host) and host != SITE:  # one has the log's own \x escapes
            counts["referrer"][host] += 1
        browser = parse_user_agent(agent)
        name = f"{browser.family} {browser.major or ''}".strip() if browser else "Other"
        counts["browser"][name] += 1
    return counts


@pytest.fixture
def everybody(redis: Redis, redis_url: str) -> Iterator[Service]:
    """Web process and counter; bots count like people."""
    with running(redis_url, trusted_proxies="1", count_bots="yes") as started:
        yield started


def test_every_counter_equals_an_independent_count_of_a_real_log(everybody: Service, redis: Redis) -> None:
    lines = requests()
    assert replay(everybody) == {200: len(lines)}
    until(lambda: total(redis, SITE) == len(lines), 60)
    for kind in ("hour", "day", "month"):
        for name, counts in expected().items():
            assert counted(redis, name, SITE, kind) == counts, (name, kind)
    sizes = sum(int(size) for _, _, size, *_ in lines if size != "-")
    found = redis.scan_iter(keys.counter(SITE, "bytes", "server", "month:*"))
    assert sum(int(n) for key in found for n in redis.hvals(key)) == sizes
    assert redis.xlen(keys.raw(SITE)) == len(lines)
