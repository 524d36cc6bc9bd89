"""The spool: what is on disk is there once and in order, whatever has happened to its writer or its disk."""

import logging
import os
import re
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import NOW, PROPERTY, generated_hits, hit
from tests.spooling import adopting, batch, positions, ran, started, taken
from tracker.hit import Hit
from tracker.spool import Spool
from tracker.spool_record import record_of
from tracker.storage import Batch


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def left(folder: Path, *batches: Batch, name: str = "redis") -> Path:
    """The file of a process that is gone, which held these batches."""
    spool = Spool(folder, name)
    before = set(files(folder))
    assert all(map(spool.append, batches))
    spool.close()
    (path,) = set(files(folder)) - before
    return path


def test_a_spool_that_is_not_needed_touches_no_file(tmp_path: Path) -> None:
    spool = adopting(tmp_path / "none")
    assert (spool.oldest(), spool.waiting, spool.size) == (None, 0, 0)
    spool.done()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_batches_come_back_in_order_with_their_source_and_position_and_the_file_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool", "redis")
    given = [batch(1, "/a", "/b"), batch(2), batch(7)]
    assert all(map(spool.append, given))
    assert spool.waiting == 3
    found = list(taken(spool))
    assert found == given
    assert [(one.source, one.position, one.ids) for one in found] == [
        (one.source, one.position, one.ids) for one in given
    ]
    assert spool.waiting == 0
    assert files(tmp_path / "deep" / "spool") == []


@PROPERTY
@given(hits=st.lists(generated_hits(), min_size=1, max_size=5))
def test_a_hit_is_the_same_after_the_disk(tmp_path: Path, hits: list[Hit]) -> None:
    spool = Spool(tmp_path, "redis")
    assert spool.append(Batch(hits, "flask-1", 1))
    assert list(spool.oldest() or ()) == hits
    spool.done()


def test_the_oldest_batch_comes_again_until_it_is_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "redis")
    spool.append(batch(1))
    spool.append(batch(2))
    assert [spool.oldest(), spool.oldest()] == [batch(1), batch(1)]
    spool.append(batch(3))
    spool.done()
    spool.done()  # only what was given can be done
    assert positions(spool) == [2, 3]


def test_nobody_else_may_read_what_visitors_did(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, "redis")
    spool.append(batch(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in files(folder)] == [0o600]
    spool.close()


def test_what_a_process_has_left_is_given_after_ones_own_and_once(tmp_path: Path) -> None:
    left(tmp_path, batch(1, source="flask-old"), batch(2, source="flask-old"))
    spool = adopting(tmp_path)
    spool.append(batch(1, "/new"))
    assert [(one.source, one.position) for one in taken(spool)] == [
        ("flask-1", 1),
        ("flask-old", 1),
        ("flask-old", 2),
    ]
    assert files(tmp_path) == []
    assert positions(adopting(tmp_path)) == []


def test_all_files_that_were_left_are_given_the_oldest_first(tmp_path: Path) -> None:
    for n in range(5):
        path = left(tmp_path, batch(n, source=f"flask-{n}"))
        os.utime(path, (1000 - n, 1000 - n))
    assert positions(adopting(tmp_path)) == [4, 3, 2, 1, 0]


def test_a_batch_that_is_done_is_not_given_to_the_next_process(tmp_path: Path) -> None:
    left(tmp_path, batch(1), batch(2), batch(3))
    first = adopting(tmp_path)
    first.oldest()
    first.done()
    first.oldest()  # and it ends before it is stored
    first.close()
    assert positions(adopting(tmp_path)) == [2, 3]


def test_the_file_of_a_living_process_is_its_own(tmp_path: Path) -> None:
    one, two, three = Spool(tmp_path, "redis"), adopting(tmp_path), adopting(tmp_path)
    one.append(batch(1))
    assert two.oldest() is None
    one.close()
    two.adopt()
    assert two.oldest() == batch(1)
    assert three.oldest() is None  # of two that look one gets it
    two.done()
    assert two.oldest() is None


def test_files_of_other_names_are_others(tmp_path: Path) -> None:
    names = ["redis", "redis-2", "redis.flask-1", "sql/..", "*", "ü"]
    for n, name in enumerate(names):
        left(tmp_path, batch(n), name=name)
    assert len(files(tmp_path)) == len(names)
    assert [positions(adopting(tmp_path, name)) for name in names] == [[n] for n in range(len(names))]


def test_a_torn_tail_is_cut_wherever_it_is_torn(tmp_path: Path) -> None:
    path = left(tmp_path, batch(1, "/a"), batch(2, "/b"))
    whole = path.read_bytes()
    second = len(record_of(batch(1, "/a")))
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        expected = [1, 2] if size == len(whole) else [1] if size >= second else []
        assert positions(adopting(tmp_path)) == expected, size
        assert files(tmp_path) == []


def test_a_tail_of_zeros_after_a_power_failure_is_cut(tmp_path: Path) -> None:
    path = left(tmp_path, batch(1))
    path.write_bytes(path.read_bytes() + bytes(100_000))
    assert positions(adopting(tmp_path)) == [1]


@PROPERTY
@given(where=st.integers(0, 10_000), new=st.binary(min_size=1, max_size=40))
def test_a_broken_record_loses_itself_and_at_most_the_next(tmp_path: Path, where: int, new: bytes) -> None:
    given_batches = [batch(n, f"/{n}") for n in range(6)]
    path = left(tmp_path, *given_batches)
    whole = path.read_bytes()
    where %= len(whole)
    path.write_bytes((whole[:where] + new + whole[where + len(new) :])[: len(whole)])
    found = list(taken(adopting(tmp_path)))
    assert [one for one in found if one not in given_batches] == []
    assert len(found) >= 4 or b"-" in new  # a mark that was turned over counts as done


def test_what_cannot_be_read_is_left_out_with_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(tmp_path, batch(1), batch(2), batch(3))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"/2"', b'"/X"'))
    assert positions(adopting(tmp_path)) == [1, 3]
    assert re.findall(r"(\d+) bytes of the spool", caplog.text) == [str(len(record_of(batch(2))))]


def test_what_is_no_batch_of_ours_is_left_out(tmp_path: Path) -> None:
    path = left(tmp_path, batch(1))
    foreign = b'{"source": "flask-1", "position": "first", "hits": 3}'
    good = path.read_bytes()
    head = b"-fffffff 00000000 \n+ffffffff ffffffff \n+00000000 00000000 \n+-0000001 00000000 {}\n"
    path.write_bytes(head + foreign + b"\n" + good)
    assert positions(adopting(tmp_path)) == [1]


def test_law_10_all_files_of_a_name_together_have_a_bound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(record_of(batch(1)))
    left(tmp_path, batch(1))
    spool = Spool(tmp_path, "redis", most=2 * size)
    assert [spool.append(batch(n)) for n in (1, 2, 3)] == [True, False, False]
    assert spool.size == 2 * size
    assert len(caplog.records) == 1  # a minute
    assert positions(spool) == [1]
    assert spool.append(batch(3))
    assert positions(spool) == [3]


def test_batches_that_are_put_in_together_are_there_all_or_not_at_all(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "redis", most=3 * len(record_of(batch(1))))
    assert not spool.append(*map(batch, range(4)))
    assert positions(spool) == []
    assert spool.append(*map(batch, range(3)))
    assert spool.waiting == 3
    assert positions(spool) == [0, 1, 2]


WRITES = """
import sys
from pathlib import Path
from tests.spooling import batch
from tracker.spool import Spool
spool = Spool(Path(sys.argv[1]), "redis")
position = 0
while True:
    position += 1
    assert spool.append(batch(position, *["/a"] * 20))
    print(position, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 7, 60])
def test_law_1_what_a_killed_process_has_written_is_there(tmp_path: Path, batches: int) -> None:
    with started(WRITES, tmp_path) as process:
        assert process.stdout is not None
        for _ in range(batches):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        told = [int(line) for line in process.stdout.read().splitlines() if line.strip()]
    last = told[-1] if told else batches
    found = positions(adopting(tmp_path))
    assert found == [*range(1, len(found) + 1)]
    assert len(found) in (last, last + 1)  # one may be written that it had no time to tell of


LIMITED = """
import resource, sys
from pathlib import Path
from tests.spooling import batch, positions
from tracker.spool import Spool
from tracker.spool_record import record_of
size = len(record_of(batch(1)))
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size + size // 2, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]), "redis")
print([spool.append(batch(n)) for n in (1, 2, 3)], spool.size == 2 * size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(spool.append(batch(4)), positions(spool))
"""


def test_a_disk_that_is_full_takes_nothing_of_a_batch_and_later_everything(tmp_path: Path) -> None:
    lines = ran(LIMITED, tmp_path).splitlines()
    assert lines == ["[True, True, False] True", "True [1, 2, 4]"]


FORBIDDEN = """
import os, sys
from pathlib import Path
from tests.spooling import batch
from tracker.spool import Spool
folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)  # root may do anything
spool = Spool(folder, "redis")
spool.adopt()
print(spool.append(batch(1)), spool.oldest(), spool.size)
"""


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111, 0o555])
@pytest.mark.parametrize("below", ["", "below"])
def test_a_directory_that_may_not_be_used_is_no_error(mode: int, below: str) -> None:
    with TemporaryDirectory() as name:  # pytest's own are closed to who is not root
        closed = Path(name)
        left(closed / below, batch(1))
        closed.chmod(mode)
        try:
            assert ran(FORBIDDEN, closed / below).split()[:2] == ["False", "None"]
        finally:
            closed.chmod(0o700)
        assert positions(adopting(closed / below)) == [1]


def test_a_directory_that_is_a_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        spool = adopting(folder)
        assert not spool.append(batch(1))
        assert spool.oldest() is None


def test_what_only_looks_like_a_spool_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "redis.pipe-1.spool")
    (tmp_path / "redis.folder-1.spool").mkdir()
    (tmp_path / "redis.link-1.spool").symlink_to(left(tmp_path / "other", batch(9)))
    (tmp_path / "redis.gone-1.spool").symlink_to(tmp_path / "nowhere")
    (tmp_path / "redis.empty-1.spool").touch()
    left(tmp_path, batch(1))
    assert positions(adopting(tmp_path)) == [1]
    names = sorted(path.name.split(".")[1] for path in files(tmp_path))
    assert names == ["folder-1", "gone-1", "link-1", "pipe-1"]  # what is not ours is not deleted


def test_a_file_that_somebody_else_has_put_there_brings_no_hits_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else is who has neither this process nor the directory, in which others may write."""
    owner, stat = os.getuid(), Path.stat

    def changed(path: Path, **more: bool) -> os.stat_result:
        found = stat(path, **more)
        return os.stat_result((*found[:4], owner + 1, *found[5:])) if path == tmp_path else found

    monkeypatch.setattr(Path, "stat", changed)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    left(tmp_path, batch(1))
    assert positions(adopting(tmp_path)) == [1]  # nobody but the owner can have let it in
    tmp_path.chmod(0o1777)
    planted = left(tmp_path, batch(2))
    assert positions(adopting(tmp_path)) == []
    assert planted.exists()
    assert "somebody else's" in caplog.text
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert positions(adopting(tmp_path)) == [2]


def test_a_hit_that_json_cannot_hold_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "redis")
    with pytest.raises(TypeError):
        spool.append(Batch([hit(view_args={"object": object()})], "flask-1", 1))
    with pytest.raises(ValueError, match="surrogates"):
        spool.append(Batch([hit("/\ud800")], "flask-1", 1))
    assert list(tmp_path.iterdir()) == []


FORKS = """
import os, sys
from pathlib import Path
from tests.spooling import adopting, batch, positions
from tracker.spool import Spool
spool = Spool(Path(sys.argv[1]), "redis")
spool.append(batch(1))
child = os.fork()
if child == 0:
    assert (spool.waiting, spool.oldest()) == (0, None)
    assert spool.append(batch(1, source="flask-child"))
    print("child ready", flush=True)
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""


def test_a_child_that_lives_on_does_not_keep_the_file_of_a_parent_that_is_gone(tmp_path: Path) -> None:
    with started(FORKS, tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().split() == ["child", "ready"]
        parent.wait(20)
        spool = adopting(tmp_path)
        assert [(one.source, one.position) for one in taken(spool)] == [("flask-1", 1)]
        assert parent.stdin is not None
        parent.stdin.close()
        parent.stdout.read()  # ends with the child
        spool.adopt()
        assert [one.source for one in taken(spool)] == ["flask-child"]


def test_a_batch_far_in_the_future_is_a_batch(tmp_path: Path) -> None:
    left(tmp_path, Batch([hit(at=NOW.replace(year=8999))], "flask-1", 2**40))
    assert positions(adopting(tmp_path)) == [2**40]


def test_a_file_that_somebody_deletes_meanwhile_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, "redis")
    spool.append(batch(1))
    spool.append(batch(2))
    files(tmp_path)[0].unlink()
    assert positions(spool) == [1, 2]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
