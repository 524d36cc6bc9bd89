"""The commands import and follow: what they print, and how they end."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from hitwall.cli import main
from tests.hits import SITE
from tests.logs import line, lines, paths, stored


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(lines(range(20)))
    return path


@pytest.fixture
def environ(redis: Redis, redis_url: str) -> dict[str, str | None]:
    return {"REDIS_URL": redis_url}


def hitwall(environ: dict[str, str | None], *arguments: str | Path, piped: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], env=environ, input=piped)


def report(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_import_tells_what_it_read_stored_and_refused(environ: dict[str, str | None], log: Path) -> None:
    log.write_text(lines(range(20)) + "\x1b[31mred\n" + line("/")[:-1])
    result = hitwall(environ, "import", log, "--site", SITE)
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told[:4] == [
        f"{log}: 21 lines read, 20 hits stored",
        "  the last line has no end yet: not counted",
        "  1 line refused, bad log line, such as",
        "    \\x1b[31mred",
    ]
    assert told[4].endswith(f"a second, for {SITE}")
    assert told[5:] == [
        "20 hits of them too old for the counters of their hour: "
        "with HITWALL_KEEP_HOUR=0 those are kept for ever",
        "They are stored; start `hitwall run` or `hitwall count` to have them counted.",
    ]
    again = hitwall(environ, "import", log, "--site", f"www.{SITE}.").stdout.splitlines()
    assert again == [
        f"{log}: 0 lines read, 0 hits stored",
        "  21 lines known from before and passed over",
        "  the last line has no end yet: not counted",
    ]


def test_the_report_as_json_adds_the_logs_up(
    environ: dict[str, str | None], redis: Redis, log: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.log"
    other.write_text(lines([20, 21]) + "nothing\n")
    told = report(hitwall(environ, "import", other, log, "--site", SITE, "--json"))
    assert [one["file"] for one in told["logs"]] == [str(other), str(log)]
    assert {name: told[name] for name in ("site", "lines", "hits", "known", "refused", "counted")} == {
        "site": SITE,
        "lines": 23,
        "hits": 22,
        "known": 0,
        "refused": 1,
        "counted": "nobody counts",
    }
    assert told["logs"][0]["refused"] == {"bad log line": {"count": 1, "example": "nothing"}}
    assert stored(redis) == paths([20, 21, *range(20)])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--site", "no site"], "no site cannot be counted: bad site"),
        (["--site", "other.example"], "HITWALL_SITES does not name this site"),
        ([], "Missing option '--site'"),
    ],
)
def test_a_site_that_may_not_count_is_a_sentence(
    environ: dict[str, str | None], redis: Redis, log: Path, arguments: list[str], says: str
) -> None:
    for command in ("import", "follow"):
        result = hitwall({**environ, "HITWALL_SITES": SITE}, command, log, *arguments)
        assert result.exit_code != 0
        assert says in result.stderr
    assert redis.dbsize() == 0


def test_what_holds_no_line_of_a_log_is_an_error(environ: dict[str, str | None], tmp_path: Path) -> None:
    text = tmp_path / "poem.txt"
    text.write_text("Roses are red\n" * 3)
    result = hitwall(environ, "import", text, "--site", SITE)
    assert result.exit_code == 1
    assert "3 lines refused, bad log line" in result.stdout
    assert "None of the lines" in result.stderr


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_what_is_no_file_is_a_sentence(environ: dict[str, str | None], tmp_path: Path, name: str) -> None:
    result = hitwall(environ, "import", tmp_path / name, "--site", SITE)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_the_site_of_an_import_counts_to_the_most_sites(environ: dict[str, str | None], log: Path) -> None:
    environ["HITWALL_MAX_SITES"] = "1"
    assert hitwall(environ, "import", log, "--site", SITE).exit_code == 0
    result = hitwall(environ, "import", log, "--site", "other.example")
    assert (result.exit_code, "HITWALL_MAX_SITES is reached" in result.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["--edge", "--site", SITE]], ids=["neither", "both"])
def test_what_is_followed_is_the_log_of_a_site_or_of_the_edge(
    environ: dict[str, str | None], log: Path, arguments: list[str]
) -> None:
    result = hitwall(environ, "follow", log, *arguments)
    assert (result.exit_code, "'--site', or '--edge'" in result.stderr) == (2, True)
