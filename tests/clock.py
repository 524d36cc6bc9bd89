"""A clock of their own for processes of a test, to be set while they run: Debian's package faketime."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

LIBRARY = "faketime/libfaketimeMT.so.1"  # the one for processes with threads

SHIM = Path(__file__).with_name("faketime")  # a sitecustomize for Python under it


class ByHand:
    """Stands for the module `time` in this process; its monotonic clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0  # seconds

    def monotonic(self) -> float:
        return self.now


class Clock:
    """Shows the machine's time until it is set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """So many seconds later than the machine's, or earlier; timers run on."""
        made = self._file.with_suffix(".new")
        made.write_text(f"{seconds:+d}\n")
        made.replace(self._file)

    @property
    def environ(self) -> Mapping[str, str]:
        """For a process that shall have this clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",  # else a new time is seen after 10 s
            "DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(SHIM),
        }

    @contextmanager
    def given(self) -> Iterator[None]:
        """What is started in here has it."""
        with patch.dict(os.environ, self.environ):
            yield


def library() -> Path:
    return next(Path("/usr/lib").glob(f"*/{LIBRARY}"))
