"""The modules of both pages that need no page, run by the node that Playwright brings along."""

import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable, get_driver_env


@pytest.mark.parametrize(("name", "laws"), [("wall.test.mjs", 13), ("ask.test.mjs", 10)])
def test_arithmetic_words_and_parser_are_right(name: str, laws: int) -> None:
    node = compute_driver_executable()[0]
    suite = Path(__file__).with_name(name)
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", suite],
        env=get_driver_env() | {"TZ": "UTC", "LC_ALL": "en_US.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert f"# pass {laws}\n" in done.stdout
