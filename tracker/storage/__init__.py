"""Storages: where TrackUsage puts hits. One of your own is any class with `store(hits)`.

Each storage is served by a thread of its own, which hands it batches in order. What `store` raises
decides: an OSError (a ConnectionError, a TimeoutError, Away) means that the storage is out of reach,
and the same batch comes again until it is stored; anything else means that these hits cannot be
stored, and they are given up: the whole batch, or of an Unstorable those that it names. A batch that
comes again has the same source and position.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from tracker.hit import Hit
from tracker.settings import Settings
from tracker.usage import usage_of

Hook = Callable[..., object]  # called with those fields of get_usage that it takes, and `hit`

LIMIT = 500  # results of a page of get_usage


class Away(OSError):
    """The storage is out of reach just now; the message says why."""


class Unstorable(ValueError):
    """Hits that cannot be stored, now or later; the message says why. All others of the batch are stored.

    `places` are those hits' places in the batch.
    """

    def __init__(self, message: str, places: Collection[int]) -> None:
        super().__init__(message)
        self.places = frozenset(places)


class Batch(tuple[Hit, ...]):
    """Hits to be stored together; `source` and `position` are the batch's own, also when it comes again.

    The positions of a source grow. `ids` has a text for each hit that no other hit has.
    """

    source: str
    position: int

    def __new__(cls, hits: Iterable[Hit], source: str, position: int) -> "Batch":
        made = super().__new__(cls, hits)
        made.source = source
        made.position = position
        return made

    @property
    def key(self) -> tuple[str, int]:
        return self.source, self.position

    @property
    def ids(self) -> list[str]:
        return [f"{self.source}-{self.position}-{place}" for place in range(len(self))]


class Stores(Protocol):
    """What TrackUsage needs of a storage. `hooks` and `name` may be there, too, as in Writer."""

    def store(self, hits: Batch, /) -> None:
        """Store all of them; raise OSError to get them again."""


class Writer:
    """Takes hits and gives none back. `hooks` are called after each hit has been stored."""

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        self.hooks = tuple(hooks)
        for hook in self.hooks:
            if not callable(hook):
                raise TypeError(f"{hook!r} is no hook: a hook is a function that is called for each hit")

    @property
    def name(self) -> str:
        """Tells the storage from others of the same application, also after a restart."""
        return type(self).__name__.lower()

    def store(self, hits: Batch) -> None:
        raise NotImplementedError(f"{type(self).__name__} needs a method store(hits)")


class Storage(Writer):
    """Takes hits and gives them back."""

    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """Those given, by TrackUsage the application's; else the environment's. Raises BadSetting."""
        if self._settings is None:
            self._settings = Settings.read()
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings
        self._renew()

    def _renew(self) -> None:
        """Let go of what was made by other settings."""

    def hits(self, start: datetime | None, end: datetime | None) -> Iterator[Hit]:
        """The hits that happened from `start` to `end`, both in, the newest first. Raises Away."""
        raise NotImplementedError(f"{type(self).__name__} needs a method hits(start, end)")

    def get_usage(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = LIMIT,
        page: int = 1,
    ) -> list[dict[str, Any]]:
        """Hits from `start_date` to `end_date`, the newest first, as usage_of has them; `limit` a page,
        with 0 all on the first. A time without a zone is UTC. Raises Away.
        """
        if limit < 0 or page < 1:
            raise ValueError(f"limit takes 0 or more, page 1 or more: not {limit} and {page}")
        if page > 1 and not limit:
            return []
        first = limit * (page - 1)
        found = self.hits(aware(start_date), aware(end_date))
        return [usage_of(hit) for hit in islice(found, first, first + limit if limit else None)]

    def get_sum(
        self,
        hook: Any,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = LIMIT,
        page: int = 1,
        target: str | None = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """What a summary such as sumUrl, or one of `hooks` by its name, has counted: for "hour", "day" and
        "month" rows of date, label, hits and transfer (bytes), the newest first. Raises Away.

        `start_date` alone means its own hour, day and month; `target` is the label, with None all.
        """
        found = hook if hasattr(hook, "get_sum") else self._hook(str(hook))
        span = (aware(start_date), aware(end_date))
        rows: dict[str, list[dict[str, Any]]] = found.get_sum(self, span, (limit, page), target)
        return rows

    def _hook(self, name: str) -> Any:
        for hook in self.hooks:
            if getattr(hook, "__name__", "") == name and hasattr(hook, "get_sum"):
                return hook
        raise NotImplementedError(f"No summary named {name} is among the hooks of {type(self).__name__}.")


def aware(at: datetime | None) -> datetime | None:
    """That moment in UTC; a time without a zone is UTC."""
    if at is None:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
