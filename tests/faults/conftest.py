"""What tests of faults may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import OwnRedis


@pytest.fixture
def own_redis(tmp_path: Path, free_port: int) -> Iterator[OwnRedis]:
    """A Redis to be stopped and killed; what it has answered is in its append-only file."""
    with OwnRedis(tmp_path, free_port) as server:
        yield server
