"""Lines of a web server's log."""

import re
from dataclasses import dataclass

from tracker.hit import BadHit

# Combined format: https://httpd.apache.org/docs/2.4/logs.html#combined
COMBINED = re.compile(
    r'(?P<remote>\S+) \S+ \S+ \[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<target>\S+)(?: \S+)?" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-)(?: "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)


@dataclass(frozen=True)
class Line:
    """One request as the log tells it."""

    remote: str
    target: str  # path and query as requested
    referrer: str
    agent: str


def parse_line(text: str) -> Line:
    """A line in the combined or common format. Raises BadHit."""
    found = COMBINED.match(text)
    if not found:
        raise BadHit("bad log line", "it is neither in the combined nor in the common format")
    part = {name: "" if value in (None, "-") else value for name, value in found.groupdict().items()}
    return Line(part["remote"], part["target"], part["referrer"], part["agent"])
