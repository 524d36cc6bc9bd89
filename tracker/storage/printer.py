"""PrintWriter: each hit is a line on standard output. For a first try and for tests."""

import sys
from collections.abc import Sequence
from typing import Any

from tracker.storage import Hook
from tracker.storage.output import OutputWriter


class PrintWriter(OutputWriter):
    """Prints what get_usage would give of each hit, a line each."""

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        super().__init__(transform="{}\n".format, hooks=hooks)

    @property
    def output(self) -> Any:
        return sys.stdout


PrintStorage = PrintWriter  # its name in versions before 1.0 of Flask-Track-Usage
