"""The `hitwall` command, also as `python -m hitwall`."""

import signal
from importlib import import_module


def main() -> None:
    """Run it. Ctrl-C ends it silently even while all that it needs is being imported."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else ignored, as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = import_module("hitwall.cli").main
    signal.signal(signal.SIGINT, before)
    command()


if __name__ == "__main__":
    main()
