"""Followers of a log that grows, in this process: started anew, and followed up to its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tracker.log_follow import Follower

Start = Callable[[], Follower]


def starts(make: Start) -> Iterator[Start]:
    """For a fixture: starts a follower, as after a restart; all of them are ended at the end."""
    started: list[Follower] = []

    def begin() -> Follower:
        started.append(make())
        return started[-1]

    yield begin
    for one in started:
        one.close()


def catch_up(one: Follower) -> None:
    """Until twice nothing is new."""
    while one.poll() or one.poll():
        pass


def add(path: Path, text: str | bytes) -> None:
    """Write on, as a server does."""
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)
