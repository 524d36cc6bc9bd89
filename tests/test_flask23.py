"""TrackUsage with Flask 2.3, the oldest it is for: its tests once more, where that is what they import."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
FLASK = Path(sys.prefix) / "flask23"  # make installs it, and its Werkzeug
MODULES = (
    *("test_extension", "test_marks", "test_flask_config", "test_flask_hits", "test_flask_visitors"),
    *("test_sending", "test_promises"),
)
SCRIPT = """
import sys
from importlib.metadata import version

import flask
import pytest
import werkzeug

sys.exit(
    f"not Flask 2.3: {flask.__file__} and {werkzeug.__file__}"
    if (version("flask"), version("werkzeug")) != ("2.3.3", "2.3.8")
    or not flask.__file__.startswith(sys.argv[1])
    or not werkzeug.__file__.startswith(sys.argv[1])
    else pytest.main(sys.argv[2:])
)
"""


def test_track_usage_does_with_flask_23_what_its_tests_say(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    chosen = [f"tests/{module}.py" for module in MODULES]
    options = ["-q", "-n0", "-p", "no:cacheprovider", f"--junitxml={report}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(FLASK), *options, *chosen],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(FLASK)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    ran = [case for case in ElementTree.parse(report).iter("testcase") if not list(case)]
    assert {case.attrib["classname"].rpartition(".")[2] for case in ran} == set(MODULES)
