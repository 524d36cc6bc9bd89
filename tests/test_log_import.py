"""Importing logs: every line once, whatever the file is called, however often it is imported."""

import gzip
import io
import os
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.hits import PROPERTY, SITE
from tests.logs import (
    LOG,
    count_all,
    counters,
    import_all,
    importing,
    line,
    lines,
    paths,
    read_alike,
    recount,
    stored,
)
from tracker import keys, log_import, log_lines
from tracker.backlog import FULL, Backlog
from tracker.connection import connect
from tracker.fields import printable
from tracker.log_file import KEPT, BadLog, LogFile
from tracker.log_import import LOG_SEEN, Interrupted, LogImport, insist
from tracker.log_lines import CHUNK, MAX_LINE, Lines, Place
from tracker.log_reader import LogReader, Tally
from tracker.raw import START, Moved, RawLog
from tracker.visitors import Visitors


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(lines(range(100)))
    return path


def put(path: Path, text: str) -> Path:
    """New text in the same file."""
    with path.open("r+") as file:
        file.truncate(0)
        file.write(text)
    return path


def add(path: Path, text: str) -> Path:
    with path.open("a") as file:
        file.write(text)
    return path


def piped(redis: Redis, content: bytes) -> Tally:
    """Import of what a pipe brings."""
    outlet, inlet = os.pipe()
    writer = threading.Thread(target=write, args=(inlet, content))
    writer.start()
    try:
        return import_all(redis, Path(f"/dev/fd/{outlet}"))
    finally:
        os.close(outlet)
        writer.join()


def write(inlet: int, content: bytes) -> None:
    with os.fdopen(inlet, "wb") as file:
        try:
            file.write(content)
            file.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), inlet)  # closing has nothing left to fail at


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_logs_that_begin_with_the_same_line_are_each_stored_once(
    redis: Redis, tmp_path: Path, packed: bool
) -> None:
    bodies = [line("/health") + lines(range(n, n + 5)) for n in (0, 10, 20)]
    logs = [tmp_path / f"{n}.log" for n in range(3)]
    for _ in range(3):
        for path, body in zip(logs, bodies, strict=True):
            path.unlink(missing_ok=True)
            path.write_bytes(gzip.compress(body.encode()) if packed else body.encode())
            import_all(redis, path)
    assert Counter(stored(redis)) == Counter(
        ["/health"] * 3 + paths([*range(5), *range(10, 15), *range(20, 25)])
    )


def test_every_counter_of_an_imported_log_equals_an_independent_recount(redis: Redis) -> None:
    tally = import_all(redis, LOG)
    hits = [hit for hit in map(read_alike, LOG.read_text().splitlines()) if hit]
    assert (tally.lines, tally.hits, tally.refused, len(hits)) == (760, 760, {}, 760)
    counting = count_all(redis)
    expected = recount(hits, counting)
    assert {key.split(":")[3] for key in expected} >= {"url", "ip", "browser", "server", "minute", "referrer"}
    assert counters(redis) == expected


def test_importing_again_in_whatever_form_adds_nothing(redis: Redis, log: Path, tmp_path: Path) -> None:
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    copy = tmp_path / "copy"
    copy.write_bytes(log.read_bytes())
    assert import_all(redis, log).hits == 100
    for path in (log, packed, copy):
        again = import_all(redis, path)
        assert (again.lines, again.hits, again.known) == (0, 0, 100), path
    for content in (log.read_bytes(), packed.read_bytes()):
        assert piped(redis, content).known == 100
    log.rename(tmp_path / "access.log.2")
    assert import_all(redis, tmp_path / "access.log.2").known == 100
    assert stored(redis) == paths(range(100))


@pytest.mark.parametrize("first", ["gzip", "pipe", "copy"])
def test_a_log_known_by_its_content_goes_on_where_that_ended(redis: Redis, log: Path, first: str) -> None:
    if first == "gzip":
        packed = log.with_suffix(".gz")
        packed.write_bytes(gzip.compress(log.read_bytes()[:4000]) + gzip.compress(log.read_bytes()[4000:]))
        assert import_all(redis, packed).hits == 100
    elif first == "pipe":
        assert piped(redis, log.read_bytes()).hits == 100
    else:
        copy = log.with_suffix(".copy")
        copy.write_bytes(log.read_bytes())
        assert import_all(redis, copy).hits == 100
    assert import_all(redis, add(log, lines([100, 101]))).hits == 2
    assert stored(redis) == paths(range(102))


def test_a_log_that_has_grown_adds_its_new_lines(redis: Redis, log: Path) -> None:
    import_all(redis, log)
    tally = import_all(redis, add(log, lines(range(100, 105))))
    assert (tally.lines, tally.hits, tally.known) == (5, 5, 100)
    assert stored(redis) == paths(range(105))


def test_a_log_truncated_in_place_begins_anew(redis: Redis, log: Path) -> None:
    import_all(redis, log)
    assert import_all(redis, put(log, lines(range(500, 510)))).hits == 10
    assert import_all(redis, put(log, lines(range(600, 900)))).hits == 300  # longer than it was
    assert import_all(redis, log).hits == 0
    assert stored(redis) == paths([*range(100), *range(500, 510), *range(600, 900)])


def test_two_logs_that_begin_alike_are_two_logs(redis: Redis, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text(lines([0, *range(200, 250)]))
    for _ in range(3):
        import_all(redis, log)
        import_all(redis, other)
    assert stored(redis) == paths([*range(100), 0, *range(200, 250)])


def test_the_same_log_counts_for_each_site_of_its_own(redis: Redis, log: Path) -> None:
    import_all(redis, log)
    with closing(importing(redis, log).log) as opened:
        names = opened.names()
    assert len(names) == 2
    for name in names:
        key = keys.seen(SITE, name)
        assert keys.parse(key) is not None
        assert LOG_SEEN - 5 <= redis.ttl(key) <= LOG_SEEN
        assert RawLog(redis).position("other.example", name) == ""


def test_a_line_without_its_end_waits_in_a_file_and_counts_where_nothing_more_can_come(
    redis: Redis, log: Path, tmp_path: Path
) -> None:
    half = line("/100")[:-20]
    tally = import_all(redis, add(log, half))
    assert (tally.hits, tally.unfinished) == (100, True)
    assert import_all(redis, log).hits == 0
    tally = import_all(redis, add(log, line("/100")[-20:]))
    assert (tally.hits, tally.unfinished) == (1, False)
    whole = tmp_path / "other.gz"
    whole.write_bytes(gzip.compress(lines([7, 8]).encode()[:-1]))
    assert import_all(redis, whole).hits == 2
    assert import_all(redis, put(log, line("/9")[:-1])).unfinished
    assert piped(redis, line("/9").encode()[:-1]).hits == 1
    assert stored(redis) == paths([*range(101), 7, 8, 9])


def test_odd_bytes_are_passed_over_line_by_line(redis: Redis, tmp_path: Path) -> None:
    log = tmp_path / "odd.log"
    odd = [b"\xff\xfe nothing", b"\0\0\0", b"\x1b[31mred", b"x" * (MAX_LINE + 1), b"y" * 3 * CHUNK, b""]
    good = [line("/1").encode().strip() + b"\r", line("/\xe4").encode("latin-1").strip(), b" ", b"\r"]
    log.write_bytes(b"\n".join([*odd, *good, *odd, line("/2").encode()]))
    tally = import_all(redis, log)
    assert (tally.lines, tally.hits) == (13, 3)
    assert {reason: refused.count for reason, refused in tally.refused.items()} == {
        "bad log line": 6,
        "too long": 4,
    }
    assert stored(redis) == ["/1", "/\ufffd", "/2"]
    assert all(refused.example.isprintable() for refused in tally.refused.values())
    assert import_all(redis, log).known == 17


def test_what_a_terminal_would_obey_is_shown_escaped() -> None:
    assert printable("a\x1b[31m\u202e\x00ä") == "a\\x1b[31m\\u202e\\x00ä"


def test_refused_lines_move_the_place_as_well(redis: Redis, tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_text("nothing here\n" * 50)
    assert (import_all(redis, log).hits, import_all(redis, log).known) == (0, 50)
    assert stored(redis) == []


def test_a_file_that_holds_no_hit_makes_no_site(redis: Redis, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a log\n" * 3)
    import_all(redis, tmp_path / "notes.txt")
    assert RawLog(redis).sites() == set()


def test_an_empty_log_is_no_error(redis: Redis, tmp_path: Path) -> None:
    log = tmp_path / "empty.log"
    log.touch()
    assert import_all(redis, log) == Tally()
    assert piped(redis, b"") == Tally()


def test_a_damaged_gzip_file_is_a_sentence_and_what_came_before_is_stored(
    redis: Redis, tmp_path: Path
) -> None:
    packed = tmp_path / "access.log.gz"
    whole = gzip.compress(lines(range(20_000)).encode())
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadLog, match=r"access\.log\.gz cannot be read to its end"):
        import_all(redis, packed)
    before = len(stored(redis))
    assert 0 < before < 20_000
    packed.write_bytes(whole)
    assert import_all(redis, packed).hits == 20_000 - before
    assert stored(redis) == paths(range(20_000))


def test_a_pipe_that_goes_on_otherwise_is_refused_once_its_beginning_is_gone(redis: Redis) -> None:
    known = lines(range(3 * KEPT // 100)).encode()
    assert piped(redis, known).hits == 3 * KEPT // 100
    with pytest.raises(BadLog, match="write it to a file"):
        piped(redis, known[: 2 * KEPT] + known)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_of_two_imports_at_once_each_line_is_stored_by_one(redis: Redis, tmp_path: Path, steps: int) -> None:
    log = tmp_path / "access.log"
    log.write_text(lines(range(10_000)))
    assert log.stat().st_size > 3 * CHUNK
    slow, fast = importing(redis, log), importing(redis, log)
    with closing(slow.log), closing(fast.log):
        for _ in range(steps):
            assert slow.step()
        assert fast.step()
        assert fast.step()
        if steps:
            with pytest.raises(Moved):
                slow.step()
        while fast.step() or slow.step():
            pass
        assert fast.tally.hits + slow.tally.hits == 10_000
    assert stored(redis) == paths(range(10_000))


def test_an_import_tries_for_a_while_to_reach_redis(
    redis: Redis, log: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_import, "PATIENCE", 0.1)
    away = importing(connect(f"redis://127.0.0.1:{free_port}/0"), log)
    with closing(away.log), pytest.raises(Interrupted, match="goes on where it stopped"):
        insist(away.step)
    assert import_all(redis, log).hits == 100


def test_a_backlog_is_what_waits_while_somebody_counts(redis: Redis) -> None:
    def add(*names: str) -> None:
        for name in names:
            redis.xadd(keys.raw(SITE), {"hit": "{}"}, id=name)

    backlog = Backlog(redis, SITE)
    assert (backlog.seconds(), backlog.last(), backlog.counted()) == (0.0, START, START)
    add("1000-0", "2000-0", "3500-1")
    assert (backlog.seconds(), backlog.last()) == (2.5, "3500-1")
    redis.hset(keys.cursor(SITE), mapping={"url": "900-0", "server": "1000-0"})
    assert (backlog.seconds(), backlog.counted()) == (1.5, "1000-0")
    add(f"{2001 + int(FULL * 1000)}-0")
    assert not backlog.is_full()  # nobody counts
    redis.set(keys.LEASE, "somebody")
    assert Backlog(redis, SITE).is_full()
    redis.hset(keys.cursor(SITE), "server", backlog.last())
    assert backlog.seconds() == 0


def test_visitors_of_a_log_are_hashed_by_the_day_of_their_hit(redis: Redis, log: Path) -> None:
    import_all(redis, log, "hash")
    hits = [hit for _, hit in RawLog(redis).after(SITE, START, 1000) if hit]
    assert len({hit.visitor for hit in hits}) == 1
    assert len(hits[0].visitor) == 32
    assert redis.exists(keys.salt(hits[0].at))


def test_in_cookie_mode_a_log_has_no_visitors(redis: Redis, log: Path) -> None:
    import_all(redis, log, "cookie")
    [(_, hit)] = RawLog(redis).after(SITE, START, 1)
    assert hit is not None
    assert (hit.visitor, hit.source) == ("", "log")


def test_hits_too_old_for_a_counter_are_told(redis: Redis) -> None:
    limits = {"hour": datetime(2025, 11, 21, 7, tzinfo=UTC), "day": datetime(2025, 11, 21, tzinfo=UTC)}
    reader = LogReader(SITE, Visitors("off", redis), limits)
    _, tally = reader.read([line("/").encode()], datetime(2025, 11, 22, tzinfo=UTC))
    assert tally.old == {"hour": 1, "day": 0}


def drain(lines: Lines) -> tuple[list[bytes], list[tuple[Place, list[bytes]]]]:
    """All lines, and the places between batches with the lines that come after them."""
    batches, lines_before = [], lines.place.lines
    while batch := lines.batch() or lines.rest():
        batches.append(batch)
    found = [line for batch in batches for line in batch.lines]
    return found, [(batch.end, found[batch.end.lines - lines_before :]) for batch in batches]


@given(st.lists(st.text("ab\n", max_size=9), max_size=30), st.integers(1, 40), st.integers(1, 40))
@PROPERTY
def test_lines_are_the_same_however_the_stream_is_cut_and_from_wherever_it_goes_on(
    parts: list[str], chunk: int, tail: int
) -> None:
    content = "".join(parts).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_lines, "CHUNK", chunk)
        patch.setattr(log_lines, "TAIL", tail)
        stream = io.BytesIO(content)
        found, places = drain(Lines(stream))
        expected = content.split(b"\n")
        assert found == (expected if expected[-1] else expected[:-1])
        for place, rest in places:
            again = Lines(stream, Place.read(str(place)))
            assert again.there()
            assert drain(again)[0] == rest
            changed = io.BytesIO(content[: max(0, place.offset - 1)] + b"c" + content[place.offset :])
            assert not Lines(changed, place).there()
            assert not Lines(io.BytesIO(content[: place.offset - 1]), place).there()


class Hurried(RawLog):
    """Whenever it asks where a log stands, another import has just stored a batch of it."""

    other: LogImport

    def position(self, site: str, name: str) -> str:
        self.overtake()
        return super().position(site, name)

    def positions(self, site: str, names: Sequence[str]) -> dict[str, str]:
        self.overtake()
        return super().positions(site, names)

    def overtake(self) -> None:
        with suppress(Moved):
            self.other.step()


def test_an_import_that_another_overtakes_while_it_asks_stores_no_line_again(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "CHUNK", 200)  # a line or two a batch
    log = tmp_path / "access.log"
    log.write_text(lines(range(60)))
    raw = Hurried(redis)
    raw.other = importing(redis, log)
    with closing(raw.other.log), closing(LogFile.open(log)) as opened:
        mine = LogImport(raw, opened, LogReader(SITE, Visitors("off", redis)))
        for _ in range(200):  # in turns, to the end and on
            for one in (mine, raw.other):
                with suppress(Moved):
                    one.step()
    assert stored(redis) == paths(range(60))
