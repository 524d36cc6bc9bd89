"""The wall on a terminal's screen: drawn anew as it changes, until `q`; or printed once."""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hitwall.terminal import draw
from hitwall.watching import APART, Watch

KINDS = {"h": "hour", "d": "day", "m": "month"}
PRINTED = 40  # lines of a picture where there is no screen


class Keyboard:
    """Keys as they are pressed, without Enter; the terminal is as before when it ends."""

    def __enter__(self) -> "Keyboard":
        self.there = sys.stdin.isatty()
        if self.there:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.there:
            termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, self._before)

    def key(self) -> str:
        """The key that was pressed, empty for none; never waits."""
        if self.there and select.select([sys.stdin], [], [], 0)[0]:
            return os.read(sys.stdin.fileno(), 1).decode("ascii", "replace") or "q"  # the terminal has gone
        return ""


def show(watch: Watch, sites: Sequence[str], screen: Console) -> None:
    """Draw until `q` or Ctrl-C."""
    if not screen.is_terminal or screen.is_dumb_terminal:
        raise click.ClickException("There is no screen to draw on; for one picture: hitwall watch --once")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # else the screen would stay as it is
    with (
        suppress(KeyboardInterrupt),
        Keyboard() as keyboard,
        Live(console=screen, screen=True, auto_refresh=False) as live,
    ):
        shown, drawn = Text(), float("-inf")
        while (key := keyboard.key()) != "q":
            _turn(watch, key, sites)
            watch.step()
            if time.monotonic() - drawn >= APART:
                picture = _picture(watch, keyboard.there, (screen.width, screen.height))
                if picture != shown:
                    live.update(picture, refresh=True)
                    shown, drawn = picture, time.monotonic()


def once(watch: Watch, screen: Console) -> None:
    """Print one picture."""
    watch.refresh(datetime.now(UTC))
    picture = _picture(watch, False, (screen.width, screen.height - 1 if screen.is_terminal else PRINTED))
    picture.rstrip()
    for line in picture.split():
        line.rstrip()
        screen.print(line)


def _turn(watch: Watch, key: str, sites: Sequence[str]) -> None:
    view = watch.view
    if key in KINDS and KINDS[key] != view.kind:
        watch.turn(view.site, KINDS[key])
    elif key == "s" and len(sites) > 1:
        place = sites.index(view.site) if view.site in sites else -1
        watch.turn(sites[(place + 1) % len(sites)], view.kind)


def _picture(watch: Watch, keys: bool, size: tuple[int, int]) -> Text:
    now = datetime.now(UTC)
    frame, state = watch.frame(now), watch.state(now, keys)
    if frame is None:
        return Text(state.note or "Reading …", state.style)
    return draw(frame, state, size)
