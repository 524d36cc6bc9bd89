"""The log of an edge under all that logrotate, operators and followers do to it, in any order."""

import gzip
import os
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.edge import follower, lines, pages, stored
from tests.following import add, catch_up
from tests.hits import PROPERTY
from tracker import edge_import

SITES = 3


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines do not wait for more of them."""
    monkeypatch.setattr(edge_import, "GATHER", 0.0)


DEEDS = st.lists(
    st.sampled_from(["write", "half", "poll", "other", "rotate", "restart", "truncate", "compress"]),
    max_size=25,
)


class Scene:
    """nginx, logrotate and two followers, one of which is started again and again."""

    def __init__(self, redis: Redis, log: Path) -> None:
        self.redis, self.log = redis, log
        self.numbers = count()
        self.written = self.rotated = 0
        self.half = b""
        self.one, self.two = follower(redis, log), follower(redis, log)

    def write(self) -> None:
        text, self.half = self.half, b""
        add(self.log, text or self._new())

    def half_line(self) -> None:
        if self.half:
            self.write()
        text = self._new()
        add(self.log, text[:90])
        self.half = text[90:]

    def poll(self) -> None:
        catch_up(self.one)

    def other(self) -> None:
        catch_up(self.two)

    def rotate(self) -> None:
        """As logrotate does; nginx finishes its line in the old file."""
        if self.log.exists():
            self._finish()
            self.poll()
            self.rotated += 1
            old = self.log.rename(self.log.with_name(f"hits.log-{self.rotated}"))
            os.utime(old, (self.rotated, self.rotated))

    def restart(self) -> None:
        self.one.close()
        self.one = follower(self.redis, self.log)

    def truncate(self) -> None:
        """As copytruncate does while nobody writes."""
        if self.log.exists():
            self._finish()
            self.poll()
            self.log.write_bytes(b"")

    def compress(self) -> None:
        """The log rotated away last."""
        old = self.log.with_name(f"hits.log-{self.rotated}")
        if old.exists():
            packed = old.with_name(old.name + ".gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            os.utime(packed, (self.rotated, self.rotated))
            old.unlink()

    def close(self) -> None:
        self._finish()
        self.poll()
        self.one.close()
        self.two.close()

    def _finish(self) -> None:
        if self.half:
            self.write()

    def _new(self) -> bytes:
        self.written += 1
        return lines([next(self.numbers)], SITES)


@pytest.fixture(params=[edge_import.MOST, 400], ids=["large reads", "one line a read"])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are read at once: where they are few the next batch is read while one is stored."""
    monkeypatch.setattr(edge_import, "MOST", request.param)
    monkeypatch.setattr(edge_import, "CHUNK", min(edge_import.CHUNK, request.param))


@given(DEEDS)
@PROPERTY
@pytest.mark.usefixtures("most")
def test_whatever_happens_to_a_log_each_line_is_stored_once(
    redis: Redis, tmp_path_factory: pytest.TempPathFactory, deeds: list[str]
) -> None:
    redis.flushdb()
    scene = Scene(redis, tmp_path_factory.mktemp("log") / "hits.log")
    for deed in ["write", "poll", *deeds]:
        getattr(scene, "half_line" if deed == "half" else deed)()
    scene.close()
    assert stored(redis) == pages(range(scene.written))
