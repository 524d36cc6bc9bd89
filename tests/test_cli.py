"""The command itself: quick to start, silent on Ctrl-C, and its list of commands can be read."""

import signal
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hitwall import __main__ as command
from hitwall.cli import LATE, PLACES, main
from tests.service import ROOT


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


HEAVY = {
    "hitwall.cli": ("sqlalchemy", "alembic", "flask", "gevent", "rich.console", "summaries.rounds"),
    "hitwall.app": ("sqlalchemy", "alembic", "rich.console"),
}


@pytest.mark.parametrize("module", HEAVY)
def test_what_takes_long_to_import_waits_for_a_command_that_needs_it(module: str) -> None:
    ask = f"import sys, {module}; print([name for name in {HEAVY[module]} if name in sys.modules])"
    assert python(ask) == "[]\n"


@pytest.mark.parametrize("name", LATE)
def test_a_command_that_is_imported_late_is_there(name: str) -> None:
    told = CliRunner().invoke(main, [name, "--help"], prog_name="hitwall")
    assert told.exit_code == 0
    assert f"hitwall {name}" in told.output
    assert [command.name for command in import_module(LATE[name]).COMMANDS] == list(PLACES[LATE[name]])


def test_the_list_of_commands_has_a_whole_line_for_each() -> None:
    told = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    lines = told.partition("Commands:\n")[2].splitlines()
    assert {*LATE, "top", "run"} < {line.split()[0] for line in lines}
    assert [line for line in lines if line.endswith("...") or not line.endswith((".", "`."))] == []


def test_ctrl_c_ends_it_silently_while_it_is_still_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = []

    def note() -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    def imported(name: str) -> SimpleNamespace:
        note()
        return SimpleNamespace(main=note)

    monkeypatch.setattr(command, "import_module", imported)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert handlers == [signal.SIG_DFL, signal.default_int_handler]


def test_what_is_not_utf_8_is_refused_in_a_sentence(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    told = CliRunner().invoke(
        main, ["demo", "--count", "1", "--site", "x\udcff", "--to", "http://127.0.0.1:1"]
    )
    assert told.exit_code == 1
    assert "is not UTF-8" in told.output


def test_a_long_default_in_the_list_of_settings_is_cut_visibly() -> None:
    told = CliRunner().invoke(main, ["settings"]).output
    assert "Sec-CH-UA,Sec-CH-UA-Mob… " in told


def test_a_web_process_never_looks_for_garbage_among_what_it_imported(redis_url: str) -> None:
    code = "import gc; from hitwall.web import Web; from tracker.settings import Settings;"
    code += f"import os; os.environ['REDIS_URL'] = '{redis_url}';"
    code += "Web(Settings.read()).load(); print(gc.get_freeze_count() > 50_000)"
    assert python(code) == "True\n"
