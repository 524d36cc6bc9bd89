"""Writers: each hit is written once, or named as not written; the host's output is never harmed."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_storages import batch, flask_hit, many
from tracker.storage import Unstorable, Writer
from tracker.storage.output import OutputWriter
from tracker.storage.printer import PrintStorage, PrintWriter
from tracker.usage import usage_of


class Recorder:
    """An output that remembers what was called; it may fail."""

    def __init__(self, write: Callable[[Any], Any] = str, flush: Callable[[], Any] = str) -> None:
        self.calls: list[Any] = []
        self._failing = write, flush

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> None:
        self._failing[0](text)
        self.calls.append(text)

    def flush(self) -> None:
        self._failing[1]()
        self.calls.append("flushed")


def broken(*given: Any) -> None:
    raise BrokenPipeError("its reader has gone")


def path_of(usage: dict[str, Any]) -> str:
    return str(usage["path"])


def test_printwriter_prints_the_fields_of_get_usage_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    PrintWriter().store(batch(*many(3)))
    assert capsys.readouterr().out == "".join(f"{usage_of(hit)}\n" for hit in many(3))


def test_its_old_name_is_its_name_still() -> None:
    assert PrintStorage is PrintWriter
    assert issubclass(PrintWriter, Writer)
    assert not hasattr(PrintWriter(), "get_usage")


def test_outputwriter_writes_to_the_standard_error_of_the_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = OutputWriter()
    for stream in (io.StringIO(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        writer.store(batch(flask_hit()))
        assert stream.getvalue() == str(usage_of(flask_hit()))


def test_transform_says_what_is_written_in_one_write_a_hit_and_one_flush_a_batch() -> None:
    output = Recorder()
    OutputWriter(output, transform=lambda usage: "OUTPUT: " + path_of(usage)).store(batch(*many(2)))
    assert output.calls == ["OUTPUT: /0", "OUTPUT: /1", "flushed"]


def test_a_file_has_its_hits_at_once(tmp_path: Path) -> None:
    with (tmp_path / "hits").open("wb") as file:
        OutputWriter(file, transform=lambda usage: path_of(usage).encode() + b"\n").store(batch(*many(2)))
        assert (tmp_path / "hits").read_bytes() == b"/0\n/1\n"


@pytest.mark.parametrize("output", [object(), 1, "a name"])
def test_an_output_must_have_a_write_method_and_a_writable_method(output: Any) -> None:
    with pytest.raises(TypeError, match="has no method"):
        OutputWriter(output)


def test_an_output_must_be_writable(tmp_path: Path) -> None:
    (tmp_path / "hits").touch()
    with (tmp_path / "hits").open() as file, pytest.raises(ValueError, match="open for writing"):
        OutputWriter(file)
    with pytest.raises(ValueError, match="open for writing"):
        OutputWriter(file)


def test_a_transform_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="transform takes a function"):
        OutputWriter(io.StringIO(), transform="OUTPUT: {}")  # type: ignore[arg-type]


def test_an_output_without_flush_is_written_to() -> None:
    class Plain:
        written: list[str] = []  # noqa: RUF012

        def writable(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.written.append(text)

    OutputWriter(Plain(), transform=path_of).store(batch(*many(2)))
    assert Plain.written == ["/0", "/1"]


def test_a_hit_that_transform_fails_on_is_named_and_the_others_are_written() -> None:
    output = Recorder()
    writer = OutputWriter(output, transform=lambda usage: {"/0": "a", "/2": "c"}[usage["path"]])
    with pytest.raises(Unstorable, match=r"1 of 3 hits could not be written: KeyError\('/1'\)") as failed:
        writer.store(batch(*many(3)))
    assert set(failed.value.places) == {1}
    assert output.calls == ["a", "c", "flushed"]


@pytest.mark.parametrize("output", [Recorder(write=broken), Recorder(flush=broken)])
def test_an_output_that_breaks_gets_no_hit_twice_and_tells_why(output: Recorder) -> None:
    with pytest.raises(Unstorable, match="2 of 2 hits could not be written: BrokenPipeError") as failed:
        OutputWriter(output).store(batch(*many(2)))
    assert set(failed.value.places) == {0, 1}


def test_a_closed_file_and_a_closed_pipe_and_no_stream_at_all_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = (tmp_path / "hits").open("w")
    reader, end = os.pipe()
    os.close(reader)
    pipe = os.fdopen(end, "wb", buffering=0)
    writers = [OutputWriter(file), OutputWriter(pipe, transform=lambda usage: b"a"), PrintWriter()]
    file.close()
    monkeypatch.setattr(sys, "stdout", None)
    for writer in writers:
        with pytest.raises(Unstorable, match="1 of 1 hits could not be written"):
            writer.store(batch(flask_hit()))
    pipe.close()
