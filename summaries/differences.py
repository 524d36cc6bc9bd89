"""Difference: where a counter is not what the raw log says, and the report of a site's. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from summaries.fold import Tallies
from summaries.recount import Place

TOLD = 1000  # differences that a report holds at most
NO_NUMBER = -1  # what a field counts as that holds no number


@dataclass(frozen=True)
class Difference:
    """One label of one counter; [hits, bytes] as counted and as the raw log says, None for none."""

    summary: str
    bucket: str
    label: str
    counted: list[int] | None
    raw: list[int] | None


@dataclass
class Report:
    """What came out for one site."""

    site: str
    counters: int = 0  # compared
    differ: int = 0  # of these
    left: int = 0  # that differ and were not mended, for their hook failed
    labels: int = 0  # that differ in them
    differences: list[Difference] = field(default_factory=list)  # the first of them
    unchecked: int = 0  # counters whose raw hits are forgotten
    since: dict[str, str | None] = field(default_factory=dict)  # kind -> first bucket compared, None: all
    failed: dict[str, int] = field(default_factory=dict)  # summary -> hits on which its hook failed

    def take(self, found: list[Difference]) -> None:
        """One counter that was compared."""
        self.counters += 1
        self.differ += bool(found)
        self.labels += len(found)
        self.differences += found[: TOLD - len(self.differences)]


def tallies_of(hits: Mapping[bytes, bytes], sizes: Mapping[bytes, bytes]) -> Tallies:
    found = {label: [_number(n), _number(sizes.get(label, b"0"))] for label, n in hits.items()}
    found |= {label: [0, _number(size)] for label, size in sizes.items() if label not in hits}
    return {label.decode(errors="backslashreplace"): pair for label, pair in found.items()}


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else NO_NUMBER


def differences(place: Place, counted: Tallies, raw: Tallies) -> Iterator[Difference]:
    for label in {**raw, **counted}:
        if counted.get(label) != raw.get(label):
            yield Difference(*place, label, counted.get(label), raw.get(label))
