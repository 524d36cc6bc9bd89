"""Which summaries are counted: those of ours that HITWALL_SUMMARIES names, and functions of your own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from summaries.buckets import Calendar
from summaries.hooks import Hook, in_calendar
from tracker.hit import Hit
from tracker.settings import Settings


@dataclass(frozen=True)
class Chosen:
    """The summaries by name, and which hits count in `bot` alone."""

    hooks: Mapping[str, Hook]
    apart: Callable[[Hit], bool]


def chosen(settings: Settings) -> Chosen:
    """The summaries of these settings. Raises BadSetting where HITWALL_SUMMARIES cannot be used."""
    return Chosen(in_calendar(Calendar.of(settings)), lambda hit: False)
