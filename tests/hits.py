"""Hits for tests: one by hand, or generated ones that share labels, minutes and zones' odd hours."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tracker.hit import Hit

NOW = datetime(2126, 11, 21, 6, 31, 11, tzinfo=UTC)  # far ahead: what Redis is told expires later
SITE = "example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36"

# The fixtures give one Redis to all examples of a property; each example empties it itself.
PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PATHS = st.sampled_from([f"/{n}" for n in range(12)]) | st.text(max_size=8).map("/".__add__)
TIMES = st.sampled_from([NOW + timedelta(minutes=n) for n in (0, 1, 29, 40, 61, 1200, 20000)])


def hit(path: str = "/", **fields: Any) -> Hit:
    return Hit(**{"at": NOW, "site": SITE, "path": path, "source": "pixel", **fields})


def generated_hits(times: st.SearchStrategy[datetime] = TIMES) -> st.SearchStrategy[Hit]:
    return st.builds(
        Hit,
        at=times,
        site=st.just(SITE),
        path=PATHS,
        source=st.just("pixel"),
        remote=st.sampled_from(["", "203.0.113.7", "2001:db8::1"]),
        visitor=st.sampled_from(["", *(f"visitor-{n}" for n in range(15))]),
        agent=st.sampled_from(["", FIREFOX, CHROME, "curl/8.5.0"]),
        language=st.sampled_from(["", "de", "en-US,en;q=0.5", "*"]),
        referrer=st.sampled_from(["", "https://lobste.rs/s/1", "https://www.example.com/a"]),
        event=st.sampled_from(["", "", "", "signup"]),
        bytes=st.integers(0, 3) | st.just(2**40),
    )
