"""Seldom: one log line a minute about what may happen a thousand times in it, with how many there were."""

import logging
import os
import threading
import time
from contextlib import suppress

from tracker import fields

MINUTE = 60.0  # seconds between two lines
SENTENCE = 1.0  # seconds that a fork waits for a line to be written

# Held while a line is written. A child that is forked then finds the stream locked, for ever.
_SPEAKING = threading.RLock()


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
    with suppress(Exception), _SPEAKING:  # foreign code, and what we are at is worth more than a line of it
        logger.log(level, fields.UNSEEN.sub(" ", text % told))


def _about_to_fork() -> None:
    _SPEAKING.acquire(timeout=SENTENCE)


def _has_forked() -> None:
    with suppress(RuntimeError):  # it is another's: the line takes longer than anybody waits
        _SPEAKING.release()


def _forked() -> None:
    global _SPEAKING
    _SPEAKING = threading.RLock()


os.register_at_fork(before=_about_to_fork, after_in_parent=_has_forked, after_in_child=_forked)
