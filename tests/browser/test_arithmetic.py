"""The wall's modules that need no page, run by the node that Playwright brings along."""

import subprocess
from pathlib import Path

from playwright._impl._driver import compute_driver_executable, get_driver_env


def test_the_walls_arithmetic_words_and_parser_are_right() -> None:
    node = compute_driver_executable()[0]
    suite = Path(__file__).with_name("wall.test.mjs")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", suite],
        env=get_driver_env() | {"TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 9" in done.stdout
