"""What tests of the wall share: somebody with a browser, a wall that hangs, what it shows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.hits import FIREFOX
from tests.service import Service
from tracker.hit import Hit
from tracker.raw import RawLog

SITE = "example.com"
SOON = 20_000  # milliseconds; back-off after a cut is a second or two, a busy machine takes its own


@contextmanager
def somebody(chromium: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Somebody with a browser; nothing that the page does may be reported as a violation or an error."""
    context = chromium.new_context(**{"locale": "en-US", "timezone_id": "UTC", **options})
    troubles: list[str] = []
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    context.on(
        "console", lambda line: troubles.append(line.text) if "Content Security" in line.text else None
    )
    try:
        yield context
    finally:
        context.close()
    assert troubles == []


def hang(person: BrowserContext, service: Service, query: str = f"?site={SITE}&bucket=month") -> Page:
    page = person.new_page()
    page.goto(f"{service.base}/{query}")
    return page


def shows(page: Page, hits: int) -> None:
    """The great number gets there; what it counts up to is what the frame says."""
    expect(page.locator("#hits")).to_have_text(f"{hits:,}", timeout=SOON)


def rows(page: Page, summary: str) -> list[str]:
    labels = page.locator(f"table[data-summary={summary}] tbody th").all_inner_texts()
    return [label for label in labels if label.strip()]


@dataclass
class Visited:
    """A site whose hits go straight into the raw log, many at once."""

    name: str
    raw: RawLog
    position: int = 0

    @property
    def wall(self) -> str:
        """The query of its wall."""
        return f"?site={self.name}&bucket=month"

    def visit(self, paths: Iterable[str], **fields: Any) -> None:
        """One hit of each path, just now, in one batch."""
        now = datetime.now(UTC)
        common: dict[str, Any] = {"agent": FIREFOX, "remote": "203.0.113.7", "language": "en", **fields}
        hits = [Hit(at=now, site=self.name, path=path, source="api", **common) for path in paths]
        self.position += 1
        assert self.raw.append(self.name, hits, "stage", self.position) == len(hits)
