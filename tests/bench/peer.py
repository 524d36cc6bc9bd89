"""Another system under the same load: its address as a template, filled in for every hit."""

import http.client
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.bench import columns, usage
from tests.bench.columns import Run
from tests.bench.report import Lacking, Part
from tests.bench.traffic import SITE, Visit
from tests.bench.wrk import CONNECTIONS, THREADS, Load, load

ROUNDS = 3
SECONDS = 5  # of load, each round
WARM_UP = 1  # seconds of load before
ASKED = 100  # hits that are sent one by one before, to see how they are answered
TIMEOUT = 10  # seconds for each of them
EXAMPLE = "http://127.0.0.1:8081/count?p={path}&r={referrer}&t={title}"
NAMES = (
    "url",
    "site",
    "path",
    "query",
    "title",
    "referrer",
    "visitor",
    "agent",
    "language",
    "address",
    "bytes",
)
NAMED = re.compile(rf"\{{({'|'.join(NAMES)})\}}")
USUAL = f"It looks like this: PEER='{EXAMPLE}'. It may name {', '.join(f'{{{name}}}' for name in NAMES)}."

READING = """\
It got the load of this page's table at {template}, with the headers of its visitors (User-Agent,
Accept-Language, X-Forwarded-For): wrk sent them over {connections} keep-alive connections with {threads}
threads for {seconds} s, as fast as they were answered, {rounds} times. What it stored and counted is not
known here. Of {asked} hits that were sent one by one before, it answered {statuses}. Of the answers to the
load, {refused:,} had a status of 400 or more, and {broken:,} connections failed. {processes}"""


class NoTemplate(ValueError):
    """PEER is no template of an address; the message says why, and how one looks."""


@dataclass(frozen=True)
class Peer:
    """The other system."""

    base: str  # http://127.0.0.1:8081
    target: str  # the rest of the address, with names in braces
    body: str = ""  # of a POST, JSON, with the same names; empty: hits are sent with GET
    pids: Sequence[int] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Peer":
        """From PEER, PEER_BODY, PEER_PID and PEER_ANYWHERE; raises NoTemplate."""
        template, body = environ.get("PEER", ""), environ.get("PEER_BODY", "")
        parts = urlsplit(template)
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s#]", template):
            raise NoTemplate(f"PEER={template} is no address that hits could be sent to. {USUAL}")
        base = f"{parts.scheme}://{parts.netloc}"
        target = template.removeprefix(base)
        if unknown := re.search(r"[{}]", parts.netloc + NAMED.sub("", target)):
            raise NoTemplate(f"PEER={template} has a {unknown[0]} that belongs to no name. {USUAL}")
        if not NAMED.search(target + body):
            raise NoTemplate(f"PEER={template} names nothing of a hit: all would be the same. {USUAL}")
        if not environ.get("PEER_ANYWHERE") and not _is_loopback(parts.hostname):
            raise NoTemplate(
                f"{parts.hostname} is not this machine. Is it yours to flood? Then PEER_ANYWHERE=1"
            )
        pids = re.findall(r"\d+", environ.get("PEER_PID", ""))
        return cls(base, target if target.startswith("/") else f"/{target}", body, [int(pid) for pid in pids])

    def lines(self, plan: Sequence[Visit]) -> list[tuple[str, ...]]:
        """For load.lua: target, User-Agent, Accept-Language, X-Forwarded-For, a body or none."""
        return [
            (
                _filled(self.target, visit, lambda value: quote(value, safe="")),
                visit.visitor.agent,
                visit.visitor.language,
                visit.visitor.address,
                _filled(self.body, visit, lambda value: json.dumps(value)[1:-1]),
            )
            for visit in plan
        ]


def measure(peer: Peer, plan: Sequence[Visit], folder: Path) -> Part:
    """What can be seen of it from outside."""
    lines = peer.lines(plan)
    file = folder / "peer.tsv"
    file.write_text("".join("\t".join(line) + "\n" for line in lines))
    statuses = _statuses(peer, lines[:ASKED])
    load(peer.base, file, WARM_UP)
    loads, runs = [], []
    for _ in range(ROUNDS):
        cpu = sum(map(usage.cpu, peer.pids))
        loads.append(load(peer.base, file, SECONDS))
        runs.append(_run(loads[-1], sum(map(usage.cpu, peer.pids)) - cpu, peer.pids))
    reading = READING.format(
        template=f"`{peer.base}{peer.target}`",
        connections=CONNECTIONS,
        threads=THREADS,
        seconds=SECONDS,
        rounds=ROUNDS,
        asked=min(ASKED, len(lines)),
        statuses=", ".join(f"{count} with {status}" for status, count in sorted(statuses.items())),
        refused=sum(seen.refused for seen in loads),
        broken=sum(seen.broken for seen in loads),
        processes=_processes(peer.pids),
    )
    return Part("Peer", reading, [columns.row(peer.base, runs)], columns.HEAD)


def _run(seen: Load, cpu: float, pids: Sequence[int]) -> Run:
    return Run(
        answers=seen.rate,
        cpu=cpu / max(1, seen.answers) * 1000 if pids else None,
        p50=seen.p50,
        p99=seen.p99,
        memory=sum(map(usage.peak, pids)) if pids else None,
    )


def _processes(pids: Sequence[int]) -> str:
    if not pids:
        return "Its processor time and memory are known where PEER_PID names its processes."
    return f"CPU and memory are those of process {', '.join(map(str, pids))} and its children."


def _statuses(peer: Peer, lines: Sequence[tuple[str, ...]]) -> Counter[int]:
    """How it answers hits one by one."""
    parts = urlsplit(peer.base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    found: Counter[int] = Counter()
    for target, agent, language, address, body in lines:
        door = kind(parts.netloc, timeout=TIMEOUT)
        headers = {"User-Agent": agent, "Accept-Language": language, "X-Forwarded-For": address}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            door.request("POST" if body else "GET", target, body.encode() or None, headers)
            with door.getresponse() as answer:
                found[answer.status] += 1
        except (OSError, http.client.HTTPException) as error:
            raise Lacking(f"nobody answers at {peer.base}: {error}") from None
        finally:
            door.close()
    return found


def _filled(template: str, visit: Visit, escaped: Callable[[str], str]) -> str:
    """With the fields of the visit in the place of their names."""
    values = {
        "url": visit.url,
        "site": SITE,
        "path": visit.path,
        "query": visit.query,
        "title": visit.title,
        "referrer": visit.referrer,
        "visitor": visit.visitor.name,
        "agent": visit.visitor.agent,
        "language": visit.visitor.language,
        "address": visit.visitor.address,
        "bytes": str(visit.bytes),
    }
    return NAMED.sub(lambda found: escaped(values[found[1]]), template)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
