"""What waits in a spool as others see it, and batches that are put off."""

import os
from datetime import UTC, datetime
from pathlib import Path

from tests.spooling import adopting, batch
from tracker.spool import Spool
from tracker.spool_record import record_of
from tracker.spooled import Spooled, files, spooled


def given(spool: Spool, most: int = 1) -> list[int]:
    return [found.position for found in spool.several(most)]


def test_any_process_sees_files_bytes_and_since_when_hits_wait(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    assert spooled(folder, "door") == Spooled(0, 0, None)
    one, other, foreign = Spool(folder, "door"), Spool(folder, "door"), Spool(folder, "doors")
    one.append(batch(1), batch(2))
    other.append(batch(3))
    foreign.append(batch(4))
    size = sum(len(record_of(batch(n))) for n in (1, 2, 3))
    assert spooled(folder, "door") == Spooled(2, size, datetime(2126, 11, 21, tzinfo=UTC))
    for spool in (one, other):
        while spool.oldest():
            spool.done()
    assert spooled(folder, "door") == Spooled()


def test_a_spool_that_cannot_be_read_is_told_as_far_as_it_is_seen(tmp_path: Path) -> None:
    (tmp_path / "door.web-1.spool").write_bytes(b"+0000000f 00000000 nonsense")
    os.mkfifo(tmp_path / "door.pipe.spool")
    (tmp_path / "door.gone.spool").symlink_to(tmp_path / "nowhere")
    found = spooled(tmp_path, "door")
    assert (found.files, found.oldest) == (3, None)
    assert found.bytes == sum(size for _, size, _ in files(tmp_path, "door"))
    assert spooled(tmp_path / "door.web-1.spool", "door") == Spooled()


def test_batches_that_are_put_off_come_again_in_order_and_stay_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "door")
    spool.append(*(batch(n) for n in range(1, 7)))
    assert given(spool, 3) == [1, 2, 3]
    spool.settle([True, False, True])
    assert given(spool, 2) == [4, 5]
    spool.settle([False, True])
    assert given(spool) == [6]
    spool.settle([True])
    assert given(spool) == []
    assert spool.waiting == 2
    spool.append(batch(7))
    assert given(spool) == [7]  # until `again`, what was put off rests
    spool.settle([False])
    spool.again()
    assert given(spool, 9) == [2, 4, 7]
    spool.close()
    later = adopting(tmp_path, "door")
    assert given(later, 9) == [2, 4, 7]
    later.settle([True] * 3)
    assert given(later) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_left_and_put_off_comes_again_with_the_next_look(tmp_path: Path) -> None:
    for n in (1, 2):
        left = Spool(tmp_path, "door")
        left.append(batch(n, source=f"web-{n}"))
        left.close()
    spool = adopting(tmp_path, "door")
    seen = []
    while found := given(spool):
        seen += found
        spool.settle([False])
    assert sorted(seen) == [1, 2]
    spool.again()
    assert given(spool) == []  # others may have taken it
    spool.adopt()
    assert given(spool) == seen[:1]


def test_one_batch_is_given_however_many_hits_it_has(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "door")
    spool.append(batch(1, *["/a"] * 50), batch(2, *["/b"] * 50))
    assert given(spool, 10) == [1]
    assert given(spool, 100) == [1, 2]  # what was not settled comes again


def test_what_is_unreadable_is_counted_once_however_often_it_is_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "door")
    spool.append(batch(1), batch(2))
    spool.close()
    [(_, _, path)] = files(tmp_path, "door")
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    later = adopting(tmp_path, "door")
    for _ in range(3):
        assert given(later, 9) == [1, 2]
    assert later._adopted
    assert later._adopted.unread == len(b"nonsense\n")
