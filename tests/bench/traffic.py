"""The traffic of the benchmarks: visits as varied as a busy site's, the same in every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from tracker.access_log import Line
from tracker.hit import Hit
from tracker.remote import client

LOG = Path(__file__).resolve().parent.parent / "data" / "access.log"
SITE = "bench.example"
AGENTS = 40  # the most frequent ones of the log
VISITORS = 6_000
VISITS = 20_000  # made in advance and sent again and again
LANGUAGES = (
    "en-US,en;q=0.9", "en-GB,en;q=0.7", "de-DE,de;q=0.9,en;q=0.6", "de", "fr-FR,fr;q=0.8,en-US;q=0.5",
    "es-ES,es;q=0.9", "pt-BR,pt;q=0.9,en;q=0.5", "ja,en-US;q=0.9", "zh-CN,zh;q=0.9", "nl-NL,nl;q=0.9",
    "pl", "it-IT,it;q=0.8", "ru-RU,ru;q=0.9", "sv-SE,sv;q=0.8", "ko-KR,ko;q=0.9", "",
)  # fmt: skip


@dataclass(frozen=True)
class Visitor:
    """Who comes: a browser with its language, its address and its cookie."""

    name: str
    agent: str
    language: str
    address: str


@dataclass(frozen=True)
class Visit:
    """One page seen by one visitor."""

    visitor: Visitor
    path: str
    query: str
    title: str
    referrer: str
    bytes: int

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"https://{SITE}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def target(self) -> str:
        """What the script asks the pixel door for."""
        fields = {"url": self.url, "ref": self.referrer, "t": self.title, "v": self.visitor.name}
        return "/a.gif?" + urlencode({**fields, "b": self.bytes, "w": 1920})

    def hit(self, at: datetime) -> Hit:
        """What the door makes of it."""
        return Hit(
            at=at,
            site=SITE,
            path=self.path,
            source="pixel",
            query=self.query,
            title=self.title,
            referrer=self.referrer,
            remote=self.visitor.address,
            visitor=self.visitor.name,
            agent=self.visitor.agent,
            language=self.visitor.language,
            bytes=self.bytes,
            width=1920,
            params=dict(pair.split("=") for pair in self.query.split("&") if pair),
        )


def visits(lines: list[Line], count: int = VISITS) -> list[Visit]:
    """Visits to the pages of this log by its agents; a few pages have most of them, as everywhere."""
    dice = random.Random(2)
    agents = _frequent([line.agent for line in lines if line.agent])[:AGENTS]
    people = [_visitor(dice, agents) for _ in range(VISITORS)]
    pages = _frequent([line.target.partition("?")[0] for line in lines])
    weights = [1 / rank for rank in range(1, len(pages) + 1)]
    referrers = [line.referrer for line in lines if line.referrer.isascii()] + [""] * (len(lines) // 2)
    chosen = dice.choices(pages, weights, k=count)
    return [_visit(dice, dice.choice(people), page, dice.choice(referrers)) for page in chosen]


def _visitor(dice: random.Random, agents: list[str]) -> Visitor:
    weights = [1 / rank for rank in range(1, len(agents) + 1)]
    address = ".".join(str(dice.randrange(1, 255)) for _ in range(4))
    if dice.random() < 0.2:
        address = client(f"2001:db8:{dice.randrange(65536):x}::{dice.randrange(65536):x}", "", 0)
    name = f"{dice.getrandbits(64):016x}"
    return Visitor(name, dice.choices(agents, weights)[0], dice.choice(LANGUAGES), address)


def _visit(dice: random.Random, visitor: Visitor, page: str, referrer: str) -> Visit:
    query = f"page={dice.randrange(9)}&from=letter{dice.randrange(30)}" if dice.random() < 0.5 else ""
    title = f"{page.strip('/').replace('/', ' · ') or 'Start'} — a title"
    return Visit(visitor, page, query, title, referrer, dice.randrange(2_000, 90_000))


def _frequent(words: list[str]) -> list[str]:
    """Each once, the most frequent first; equals by name."""
    return sorted(set(words), key=lambda word: (-words.count(word), word))


def write(file: Path, plan: list[Visit]) -> None:
    """For load.lua: target, User-Agent, Accept-Language, X-Forwarded-For, tabs between them."""
    rows = ((v.target, v.visitor.agent, v.visitor.language, v.visitor.address) for v in plan)
    file.write_text("".join("\t".join(row) + "\n" for row in rows))


def hits(plan: list[Visit], count: int, end: datetime, per_second: float = 100) -> Iterator[Hit]:
    """So many hits, evenly spread, the last of them at `end`."""
    for n in range(count):
        at = end - timedelta(seconds=(count - n - 1) / per_second)
        yield plan[n % len(plan)].hit(at.astimezone(UTC))
