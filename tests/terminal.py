"""A command of ours in a pseudo terminal of a given size, as somebody sits before it."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

from tests.service import ROOT, TIMEOUT
from tests.waiting import until

LEAVES = (
    b"\x1b[?1049l"  # the screen as it was before; https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
)
SHOWS_CURSOR = b"\x1b[?25h"


class Terminal:
    """What the command writes comes to `written`; keys are pressed with `press`."""

    def __init__(self, arguments: list[str], redis_url: str, size: tuple[int, int]) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(size)
        self._before = termios.tcgetattr(self._theirs)
        self.written = b""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HITWALL_")}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            kept.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hitwall", *arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            cwd=ROOT,
            env={**kept, "REDIS_URL": redis_url, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def resize(self, size: tuple[int, int]) -> None:
        columns, lines = size
        ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read(self) -> bytes:
        """All that has been written up to now."""
        while select.select([self._ours], [], [], 0)[0]:
            self.written += os.read(self._ours, 65_536)
        return self.written

    def see(self, text: str) -> None:
        """Wait until the text is drawn anew."""
        seen = len(self.read())
        until(lambda: text.encode() in self.read()[seen:])

    def ended(self) -> int | None:
        """The exit status, None while it runs; what it still writes is read meanwhile."""
        self.read()
        return self.process.poll()

    def sane(self) -> bool:
        """Whether the terminal is as it was: echo and lines, the old screen, a cursor."""
        after = self.read()[-200:]
        same = termios.tcgetattr(self._theirs) == self._before
        return same and LEAVES in after and SHOWS_CURSOR in after

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(TIMEOUT)
        os.close(self._ours)
        os.close(self._theirs)
