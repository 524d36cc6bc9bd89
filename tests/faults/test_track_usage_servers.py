"""TrackUsage in each kind of server: every request counts once, answers are whole, and the server ends."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from tests.host import SERVERS, TIMEOUT, Host, ask, holds, stored_hits
from tests.host_app import CHUNK, CHUNKS
from tests.waiting import until

SOME = 40  # requests of each page; some for every worker
STATIC = "/static/SOURCE.md"
PAGES = {
    "/": b"A page.",
    "/stream": CHUNK * CHUNKS,
    STATIC: (Path(__file__).parents[1] / "data" / "SOURCE.md").read_bytes(),
}

# On SIGTERM the first two end as Python itself does, at once, and what waits for its storage is not stored.
# gunicorn 27 has to kill every second preloaded gevent worker, of an application without TrackUsage, too.
AT_ONCE = ("waitress", "werkzeug", "gevent, preloaded")


@pytest.mark.parametrize("kind", SERVERS)
def test_each_request_counts_once_with_all_its_bytes_and_the_server_ends_in_time(
    kind: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with Host(kind, tmp_path, redis_url) as host:
        for path, body in PAGES.items():
            answers = ask(host, SOME, path).answers.values()
            assert [(answer.status, answer.body) for answer in answers] == [(200, body)] * SOME
        if kind in AT_ONCE:
            until(lambda: holds(redis, SOME * len(PAGES)))
        host.stop()
        assert host.others() == []
    seen = Counter((hit.path, hit.bytes, hit.query) for hit in stored_hits(redis))
    assert seen == {(path, len(PAGES[path]), f"n={n}"): 1 for path in PAGES for n in range(1, SOME + 1)}


def test_a_server_that_ends_on_ctrl_c_has_stored_all(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    with Host("waitress", tmp_path, redis_url) as host:
        ask(host, SOME)
        host.stop(signal.SIGINT, TIMEOUT)  # waitress gives its own threads 5 s
    assert len(stored_hits(redis)) == SOME
