"""OutputWriter: each hit is written to a file, a stream or anything else that takes text."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from tracker.storage import Batch, Hook, Unstorable, Writer
from tracker.usage import usage_of

Transform = Callable[[dict[str, Any]], Any]  # from the fields of get_usage to what is written


class OutputWriter(Writer):
    """Writes each hit to `output` (default: sys.stderr) as `transform` (default: str) has it.

    `transform` gets what get_usage would give of the hit. What it returns is written as it is, in one
    call of write: a line needs its own "\\n". A hit is written at most once.
    """

    def __init__(
        self, output: Any = None, transform: Transform | None = None, hooks: Sequence[Hook] = ()
    ) -> None:
        super().__init__(hooks)
        if output is not None:
            _check(output)
        if transform is not None and not callable(transform):
            raise TypeError("transform takes a function")
        self._output = output
        self._transform = transform or str

    @property
    def output(self) -> Any:
        """What is written to just now: sys.stderr may be replaced."""
        return sys.stderr if self._output is None else self._output

    def store(self, hits: Batch) -> None:
        """Raises Unstorable for those that could not be written: a closed file stays closed."""
        failed: dict[int, Exception] = {}
        output = self.output
        for place, hit in enumerate(hits):
            try:
                output.write(self._transform(usage_of(hit)))
            except Exception as error:  # both are the host's and may raise anything; the next hit may be good
                failed[place] = error
        try:
            getattr(output, "flush", int)()
        except Exception as error:  # the host's, too: a full disk, a pipe whose reader has gone
            failed = dict.fromkeys(range(len(hits)), error)
        if failed:
            why = next(iter(failed.values()))
            raise Unstorable(f"{len(failed)} of {len(hits)} hits could not be written: {why!r}", failed)


def _check(output: Any) -> None:
    """The mistake is told where it was made."""
    for name in ("write", "writable"):
        if not hasattr(output, name):
            raise TypeError(f"output takes a file or the like; this one has no method {name}")
    if not output.writable():
        raise ValueError("output takes a file that is open for writing")
