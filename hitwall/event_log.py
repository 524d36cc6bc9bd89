"""The log of all our processes: one line an event on standard error, for people or, by HITWALL_LOG, as JSON.

What strangers sent may stand in a line, so nothing in it is obeyed by a terminal or looks like another line.
"""

import logging
from datetime import UTC, datetime

from pythonjsonlogger.json import JsonFormatter

from tracker.fields import printable

OURS = ("hitwall", "summaries", "tracker")  # of others only what is wrong
NAMES = {"levelname": "level", "name": "logger", "exc_info": "error"}


def set_up(form: str) -> None:
    """Log as `text` or as `json`; where something else handles the log already, nothing is changed."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def formatter(form: str) -> logging.Formatter:
    """What makes a line of an event. In JSON its fields are time, level, logger, message and error."""
    if form == "json":
        return JsonFormatter("%(levelname)s %(name)s %(message)s", timestamp="time", rename_fields=NAMES)
    return Plain("%(asctime)s %(levelname)s %(name)s: %(message)s")


class Plain(logging.Formatter):
    """One line of printable characters; the lines of a traceback follow, each behind blanks."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"  {printable(line)}" for line in lines)
