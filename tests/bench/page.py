"""RESULTS.md: what had to be shown, what others have told, and every part's figures."""

from datetime import timedelta

from tests.bench.report import Part, table
from tests.bench.summary import summary

MOST = 15  # minutes that all of it may take

SHOWN = ("comparison", "edge", "counting", "walls", "growth")  # the parts whose aims stand at the top

HEADER = """\
# What one machine does

Written by `make bench`, which measures the machine it runs on: web process, counter, embedded Redis
(append-only file, synced every second) and the load generator share it. Whatever else runs there
at the same time makes these figures worse.
"""
AIMED = """\
## What had to be shown

What this version was to reach, and what it did this time; where it missed its aim, it says so. How each
figure was measured is said in its part below, and so are the aims of the other parts.
"""
PEERS = """\
What others do, as they themselves or their programs told on two cores, load included, and not measured in
this run: GoatCounter (Go, hits held in memory for up to 10 s) 10,300 to 10,600 hits/s at 0.138 to 0.146
CPU s per 1,000, its batch API 38,200 hits/s at 0.046 over one connection; counter.dev (Go and Redis) 5,200
to 6,000 hits/s at 0.29 to 0.33; GoAccess reads 100,000 lines/s offline and 7,400 in its real-time mode,
where a line is on its page after 0.75 s at the median; Umami 150 to 180 hits/s; the application of a usual
tutorial 570 to 710; nginx's `empty_gif` with a log 82,000 to 108,000 at 0.009 to 0.011. To measure one of
them on this machine, under the load of this page: `make bench PEER=http://…`.
"""


def page(where: list[tuple[str, str]], parts: dict[str, Part | str], took: timedelta) -> str:
    """The whole page."""
    minutes = f"{took.total_seconds() / 60:.1f} min"
    whole = Part("The whole benchmark", "", [("it took", minutes, f"≤ {MOST} min")])
    return "\n".join(
        [
            HEADER,
            AIMED,
            summary({name: part for name, part in parts.items() if name in SHOWN} | {"whole": whole}),
            "",
            PEERS,
            "## The machine\n",
            table(("", ""), where),
            "",
            *(_part(name, part) for name, part in parts.items()),
        ]
    )


def _part(name: str, part: Part | str) -> str:
    if isinstance(part, str):
        return f"## {name.capitalize()}\n\nNot measured: {part}\n"
    return part.markdown()
