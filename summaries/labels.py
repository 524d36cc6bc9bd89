"""What the reports ask of a hit beside its fields, as the summaries have it."""

from collections.abc import Iterable

from summaries import hooks
from summaries.chosen import is_bot
from tracker.hit import Hit
from tracker.rows import Labels


def labels(hit: Hit) -> Labels:
    """Whether a bot sent it, the language asked for first, the domain that the visitor came from."""
    return Labels(is_bot(hit), _text(hooks.language(hit)), _text(hooks.referrer(hit)))


def _text(label: str | Iterable[str] | None) -> str:
    """The one label that these summaries have."""
    return label if isinstance(label, str) else ""
