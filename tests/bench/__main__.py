"""Run the benchmarks named as arguments, or all of them; all of them together write RESULTS.md."""

import os
import signal
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import machine, page
from tests.bench.parts import ALL, PARTS, PEER, measured
from tests.bench.peer import NoTemplate, Peer
from tests.bench.report import Part

RESULTS = Path(__file__).with_name("RESULTS.md")


def main(names: list[str]) -> None:
    if unknown := set(names) - set(ALL):
        sys.exit(f"There is no part {', '.join(sorted(unknown))}. There are: {', '.join(ALL)}.")
    if PEER in names:
        try:
            Peer.of(os.environ)
        except NoTemplate as error:
            sys.exit(str(error))
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: sys.exit("ended"))  # so that all we started ends too
    begun = datetime.now(UTC)
    where = machine.describe(begun)
    parts: dict[str, Part | str] = {}
    with TemporaryDirectory(prefix="hitwall-bench-") as folder:
        for name in names or PARTS:
            since = time.monotonic()
            parts[name] = part = measured(name, Path(folder))
            print(f"Not measured: {name}: {part}" if isinstance(part, str) else part.text())
            if name == PEER and isinstance(part, Part):
                print(textwrap.fill(part.reading, 100))
            print(f"({time.monotonic() - since:.0f} s)\n", flush=True)
    if not names:
        RESULTS.write_text(page.page(where, parts, datetime.now(UTC) - begun))
        print(f"Written: {RESULTS}")
    if missing := [name for name, part in parts.items() if isinstance(part, str)]:
        sys.exit(f"Not measured: {', '.join(missing)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
