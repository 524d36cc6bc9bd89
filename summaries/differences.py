"""Difference: where a counter is not what the raw log says. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from summaries.fold import Tallies
from summaries.recount import Place

NO_NUMBER = -1  # what a field counts as that holds no number


@dataclass(frozen=True)
class Difference:
    """One label of one counter; [hits, bytes] as counted and as the raw log says, None for none."""

    summary: str
    bucket: str
    label: str
    counted: list[int] | None
    raw: list[int] | None


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
