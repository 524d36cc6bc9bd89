"""What an import of logs has done, for people and as JSON."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from tracker.fields import printable
from tracker.log_reader import Tally
from tracker.settings import PREFIX

COUNTED = {  # what became of the hits after they were stored
    "yes": "All of them are counted.",
    "not yet": "They are stored; the counting process is still at work on them.",
    "nobody counts": "They are stored; start `hitwall run` or `hitwall count` to have them counted.",
}


@dataclass
class Report:
    """The tally of each log, in order. `counted` is a word of COUNTED, empty where nothing was stored."""

    site: str
    logs: list[tuple[str, Tally]] = field(default_factory=list)
    counted: str = ""
    seconds: float = 0.0
    _begun: float = field(default_factory=time.monotonic)

    def add(self, name: str, tally: Tally) -> None:
        self.logs.append((name, tally))

    def stop_clock(self) -> None:
        """What comes now is not reading and storing any more."""
        self.seconds = time.monotonic() - self._begun

    def total(self) -> Tally:
        """All logs together."""
        total = Tally()
        for _, tally in self.logs:
            total.add(tally)
        return total

    def rate(self) -> int:
        """Lines a second."""
        return round(self.total().lines / self.seconds) if self.seconds else 0

    def holds_no_log(self) -> bool:
        """Whether there were lines, and none that could be read."""
        total = self.total()
        return total.lines > 0 and not total.hits and not total.known

    def as_json(self) -> str:
        total = self.total()
        told = {
            "site": self.site,
            "logs": [{"file": name, **asdict(tally)} for name, tally in self.logs],
            "lines": total.lines,
            "hits": total.hits,
            "known": total.known,
            "refused": sum(refused.count for refused in total.refused.values()),
            "seconds": round(self.seconds, 3),
            "lines_per_second": self.rate(),
            "counted": self.counted,
        }
        return json.dumps(told, indent=2)

    def as_text(self) -> str:
        return "\n".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        for name, tally in self.logs:
            lines, hits = _amount(tally.lines, "line"), _amount(tally.hits, "hit")
            yield f"{printable(name)}: {lines} read, {hits} stored"
            yield from _details(tally)
        if self.total().lines:
            yield f"{_amount(self.rate(), 'line')} a second, for {self.site}"
        for kind, old in self.total().old.items():
            if old:
                yield (
                    f"{_amount(old, 'hit')} of them too old for the counters of their {kind}: with "
                    f"{PREFIX}KEEP_{kind.upper()}=0 those are kept for ever"
                )
        if self.counted:
            yield COUNTED[self.counted]


def _details(tally: Tally) -> Iterator[str]:
    if tally.known:
        yield f"  {_amount(tally.known, 'line')} known from before and passed over"
    if tally.unfinished:
        yield "  the last line has no end yet: not counted"
    for reason, refused in tally.refused.items():
        yield f"  {_amount(refused.count, 'line')} refused, {reason}, such as"
        yield f"    {refused.example}"


def _amount(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
