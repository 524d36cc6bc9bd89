"""What pip installs with Hitwall, and what make installs, are the same packages."""

import re
import tomllib

from packaging.requirements import Requirement

from tests.service import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(file: str) -> dict[str, Requirement]:
    lines = (ROOT / file).read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not re.match(r"#|-r ", line)]
    return {each.name: each for each in found}


def test_every_requirement_is_pinned_to_one_version() -> None:
    for file in ("requirements.txt", "tests/requirements.txt", "tests/flask23.txt"):
        assert [
            str(each) for each in pinned(file).values() if not re.match(r"==[\w.]+$", str(each.specifier))
        ] == []


def test_pip_asks_for_what_requirements_name_and_takes_the_versions_of_the_host() -> None:
    direct, _, _ = (ROOT / "requirements.txt").read_text().partition("# What they need")
    pins = {
        name: each
        for name, each in pinned("requirements.txt").items()
        if re.search(rf"^{name}\b", direct, re.M)
    }
    asked = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
    assert asked.keys() == pins.keys()
    for name, each in asked.items():
        version = str(pins[name].specifier).removeprefix("==")
        assert each.specifier.contains(version), name
        assert (each.extras, str(each.marker)) == (pins[name].extras, str(pins[name].marker)), name
        assert "==" not in str(each.specifier), name


def test_the_oldest_flask_that_pip_accepts_is_the_one_that_is_tested() -> None:
    flask = next(each for each in map(Requirement, PROJECT["dependencies"]) if each.name == "flask")
    tested = str(pinned("tests/flask23.txt")["flask"].specifier).removeprefix("==")
    assert str(flask.specifier) == f">={tested.rpartition('.')[0]}"


def test_what_is_optional_is_tested_in_the_version_that_pip_takes() -> None:
    tests = pinned("tests/requirements.txt")
    for each in map(Requirement, PROJECT["optional-dependencies"]["mongo"]):
        assert each.specifier.contains(str(tests[each.name].specifier).removeprefix("=="))
