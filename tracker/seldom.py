"""Seldom: one log line a minute about what may happen a thousand times in it, with how many there were."""

import logging
import time
from contextlib import suppress

from tracker import fields

MINUTE = 60.0  # seconds between two lines


class Seldom:
    """Counts, and tells. Used by one thread at a time: it has no lock of its own."""

    def __init__(self, logger: logging.Logger, level: int, text: str) -> None:
        """`text` is a format: first %d, the number since the last line, then what `add` is given."""
        self._logger = logger
        self._level = level
        self._text = text
        self._number = 0
        self._told: tuple[object, ...] = ()
        self._due = 0.0  # when the next line may come, monotonic; 0 for at once

    def add(self, number: int, *told: object) -> bool:
        """So many more; of what goes into the line the newest is kept. Whether the line was told."""
        self._number += number
        self._told = told
        return self.tell()

    def tell(self, now: bool = False) -> bool:
        """The line, where there is news and the minute is over, or `now`."""
        is_due = self._number > 0 and (now or not self._due or time.monotonic() >= self._due)
        if is_due:
            self._due = time.monotonic() + MINUTE
            number, self._number = self._number, 0
            say(self._logger, self._level, self._text, number, *self._told)
        return is_due


def say(logger: logging.Logger, level: int, text: str, *told: object) -> None:
    """Log one line that no terminal obeys, whatever the host's filters and handlers make of it.

    Many a filter of a web application wants the request it is in, and raises in a thread that has none.
    """
    with suppress(Exception):  # foreign code, and what we are at is worth more than a line about it
        logger.log(level, fields.UNSEEN.sub(" ", text % told))
