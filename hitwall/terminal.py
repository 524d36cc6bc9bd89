"""The wall as lines of text: what `hitwall watch` draws. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from hitwall.bars import bar, great
from hitwall.chart import chart
from hitwall.wording import change, count, label, short

TITLES = {
    "url": "Pages",
    "referrer": "Referrers",
    "browser": "Browsers",
    "country": "Countries",
    "language": "Languages",
    "platform": "Platforms",
    "ip": "Addresses",
}
SUMMARIES = ("server", "minute", "visitor", *TITLES)
HITS = {"hour": "hits this hour", "day": "hits today", "month": "hits this month"}
KEYS = "h hour   d day   m month   s next site   q end"
NARROW = 26  # cells of a list at least
WIDE = 38  # cells from which a list has bars
BAR = 8
FIXED = 13  # lines that are neither chart, lists nor last hits

Frame = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """How true the picture is, and who looks at it when."""

    now: datetime
    zone: ZoneInfo
    note: str = ""  # why the numbers stand still or lag; empty while live
    style: str = "green"
    keys: bool = True  # whether a keyboard is there


def draw(frame: Frame, state: State, size: tuple[int, int]) -> Text:
    """The picture for so many columns and lines."""
    width, height = size
    kind = frame["bucket"].partition(":")[0]
    rows = max(3, height - FIXED)
    longest = max([1, *(len(found) for name, found in frame["top"].items() if name in TITLES)])
    listed = min(longest, max(1, rows * 4 // 11))
    recent = min(len(frame["recent"]) or 1, max(1, rows * 3 // 11))
    tall = (width, max(1, rows - listed - recent))
    lines = [
        _head(frame, state, width),
        Text(),
        *_numbers(frame, kind, state, width),
        Text(),
        *chart(frame["bucket"], frame["series"], frame["before"], tall),
        Text(),
        *_lists(frame, width, listed),
        Text(),
        Text("Last hits", "bold"),
        *_recent(frame, state, width, recent),
        Text(KEYS if state.keys else "", "dim"),
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines[:height])


def _head(frame: Frame, state: State, width: int) -> Text:
    kind, _, name = frame["bucket"].partition(":")
    left = Text.assemble((frame["site"], "bold"), f"  {kind} {name.replace('T', ' ')}  {state.zone.key}")
    sign = "●" if not state.note else "◌"
    clock = f"{state.now.astimezone(state.zone):%H:%M:%S}"
    right = Text.assemble((f"{sign} {state.note or 'live'}", state.style), f"  {clock}")
    return _between(left, right, width)


def _between(left: Text, right: Text, width: int) -> Text:
    """Left and right ends of a line; where there is no room for both the left one is cut."""
    room = max(0, width - right.cell_len - 1)
    left.truncate(room, overflow="ellipsis", pad=True)
    return left.append(" ").append_text(right)


def _numbers(frame: Frame, kind: str, state: State, width: int) -> list[Text]:
    """The four great numbers, three lines each, and what they are."""
    room = width // 4
    grown = change(frame["hits"], before_so_far(frame, kind, state))
    hits = f"{HITS[kind]} {grown}"
    names = [
        hits if len(hits) < room else f"hits {grown}",
        "visitors",
        "active in 5 minutes",
        "hits a second",
    ]
    values = [(number, count(number)) for number in (frame["hits"], frame["visitors"], frame["active"])]
    values.append((frame["rate"], f"{frame['rate']:,.1f}"))
    digits = [great(_fitting(number, text, room - 2)) for number, text in values]
    lines = [Text(no_wrap=True) for _ in range(4)]
    for name, shown in zip(names, digits, strict=True):
        for line, text in zip(lines, shown, strict=False):
            line.append(text.ljust(room), "bold")
        lines[3].append(name[: room - 1].ljust(room), "dim")
    return lines


def _fitting(number: float, text: str, room: int) -> str:
    """The text where there is room for its great digits, else the number with a unit."""
    return text if len(great(text)[0]) <= room else short(number)


def before_so_far(frame: Frame, kind: str, state: State) -> float:
    """The hits that the bucket before had at the same time in it."""
    done = len(frame["series"])
    past = [hits for _, hits in frame["before"]]
    at = state.now.astimezone(state.zone)
    part = {"hour": at.second / 60, "day": at.minute / 60, "month": (at.hour * 60 + at.minute) / 1440}[kind]
    last = past[done - 1] if 0 < done <= len(past) else 0
    return float(sum(past[: max(0, done - 1)]) + last * part)


def _lists(frame: Frame, width: int, rows: int) -> list[Text]:
    """Lists side by side, as many as there is room for."""
    names = [name for name in TITLES if frame["top"].get(name)]
    names = names[: max(1, width // (WIDE if width // WIDE >= 3 else NARROW))] or ["url"]
    room = width // len(names)
    columns = [_list(TITLES[name], frame["top"].get(name, []), room - 2, rows) for name in names]
    lines = []
    for row in range(rows + 1):
        line = Text(no_wrap=True)
        for column in columns:
            line.append_text(column[row]).append("  ")
        lines.append(line)
    return lines


def _list(title: str, rows: Sequence[tuple[str, int, int]], room: int, most: int) -> list[Text]:
    """A title and so many rows: label, bar where there is room, hits."""
    lines = [Text(title.ljust(room), "bold")]
    highest = rows[0][1] if rows else 0
    for name, hits, _ in rows[:most]:
        number = count(hits).rjust(len(count(highest)))
        drawn = bar(hits / max(1, highest), BAR).ljust(BAR) + " " if room + 2 >= WIDE else ""
        line = label(name)
        line.truncate(max(1, room - len(drawn) - len(number) - 1), overflow="ellipsis", pad=True)
        lines.append(line.append(f" {drawn}", "cyan").append(number))
    return lines + [Text(" " * room) for _ in range(most + 1 - len(lines))]


def _recent(frame: Frame, state: State, width: int, most: int) -> list[Text]:
    lines = []
    for hit in frame["recent"][:most]:
        at = datetime.fromisoformat(hit["at"]).astimezone(state.zone)
        line = Text(f"{at:%H:%M:%S}  ", "dim", no_wrap=True)
        where = label(hit.get("event") or hit.get("path", ""), "bold" if hit.get("event") else "")
        where.truncate(max(10, width * 2 // 5), overflow="ellipsis", pad=True)
        beside = [label(hit[name], "dim") for name in ("title", "browser", "referrer") if hit.get(name)]
        line.append_text(where).append("  ").append_text(Text("  ").join(beside))
        lines.append(line)
    return lines + [Text() for _ in range(most - len(lines))]
