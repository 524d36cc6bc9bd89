"""Redis or the way to it fails in every way there is, under load: nothing acknowledged is lost or doubled."""

import re
import socket
from collections.abc import Iterator

import pytest

from tests.faults.ledger import FULL, Table, settle
from tests.faults.load import load
from tests.faults.world import (
    Fault,
    World,
    answered,
    demoted,
    forgetful,
    full,
    hung,
    killed,
    last,
    loading,
    more,
    mute,
    refusing,
    slow,
    stopped,
    swallowing,
    unreachable,
    world,
)

PACE = 0.01  # seconds between two hits of a visitor


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all of these; each has a site of its own in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    with world(tmp_path_factory.mktemp("world"), port) as made:
        yield made


fault = pytest.mark.fault
FAULTS = [  # what happens, for how many seconds, how often
    pytest.param(hung, 8.0, 2, marks=fault("Redis hangs"), id="hangs"),
    pytest.param(slow(0.3), 5.0, 1, marks=fault("Redis answers late"), id="0.3 s late"),
    pytest.param(slow(3.0), 8.0, 1, marks=fault("Redis answers late"), id="3 s late"),
    pytest.param(
        refusing, 4.0, 2, marks=fault("Redis takes no more clients (`maxclients`)"), id="maxclients"
    ),
    pytest.param(full, 4.0, 3, marks=fault("Redis is out of memory"), id="out of memory"),
    pytest.param(stopped, 3.0, 3, marks=fault("Redis is restarted"), id="restarted"),
    pytest.param(killed, 3.0, 3, marks=fault("Redis is restarted"), id="killed"),
    pytest.param(loading, 0.0, 2, marks=fault("Redis is loading its file"), id="loading"),
    pytest.param(demoted, 3.0, 3, marks=fault("Redis has become a replica"), id="a replica"),
    pytest.param(forgetful, 0.2, 20, marks=fault("Redis forgets its scripts"), id="no script"),
    pytest.param(mute(3), 4.0, 3, marks=fault("A connection is cut before the answer"), id="cut, some"),
    pytest.param(mute(1), 4.0, 2, marks=fault("A connection is cut before the answer"), id="cut, all"),
    pytest.param(swallowing, 6.0, 2, marks=fault("The network swallows everything"), id="a black hole"),
    pytest.param(unreachable, 4.0, 3, marks=fault("Nobody listens at Redis's address"), id="refused"),
]


@pytest.mark.parametrize(("bad", "seconds", "rounds"), FAULTS)
def test_laws_1_2_3_and_7_hold_while_redis_or_the_way_to_it_is(
    bad: Fault, seconds: float, rounds: int, own: World, request: pytest.FixtureRequest, table: Table
) -> None:
    name = request.node.get_closest_marker("fault").args[0]
    rounds = rounds if FULL else 1
    site = re.sub(r"[^a-z0-9]+", "-", request.node.callspec.id) + ".example"
    with load(own.service.base, site, pace=PACE) as visitors:
        for _ in range(rounds):
            more(visitors)
            with bad(own):
                more(visitors, 20)
                last(seconds)
            more(visitors)
    table.add(settle(own.client, visitors, name, rounds, settings=own.service.settings))
    answered(visitors)
