"""The benchmarks' own rules: how a figure is held against its aim, and what becomes of a part that fails."""

import re
from collections import Counter
from datetime import timedelta

import pytest

from tests.bench import columns, fanout, page, parts, peer, profile, redis_benchmark
from tests.bench.columns import Run
from tests.bench.profile import Profile
from tests.bench.report import UNKNOWN, Part
from tests.bench.sender import Sent
from tests.bench.streams import NOTE
from tests.bench.summary import summary, verdict
from tests.service import ROOT

INSTALLATION = 1.5  # minutes that `make bench` takes on a fresh machine before it measures
PART = Part(
    "Counting",
    "How to read it.",
    [("Hits a second", "9 (8 to 11)", "≥ 10"), ("CPU", "3 s", "≤ 2 s"), ("Memory", "3 MB", "")],
)


@pytest.mark.parametrize(
    ("figure", "aim", "said"),
    [
        ("31,602 (28,565 to 34,527)", "≥ 25,000", "reached"),
        ("9,999 (9,000 to 12,000)", "≥ 10,000", "missed"),
        ("0.116", "≤ 0.115", "missed"),
        ("0.3 s", "≤ 200 ms", "missed"),
        ("287 ms", "< 0.3 s", "reached"),
        ("300 ms", "< 0.3 s", "missed"),
        ("20.0 kB", "≤ 20 kB", "reached"),
        ("900 µs", "≤ 2 ms", "reached"),
        ("14 %", "≤ 15%", "reached"),
        ("0 of 220,149", "0", "reached"),
        ("1 of 220,149", "0", "missed"),
        ("3.95, 4.01", "≤ 4", "missed"),
        ("0, 1 of 7,200", "0, 0", "missed"),
        ("-0.1 ms", "< 5 ms", "reached"),
        ("12,345/s", "≥ 12,000", "reached"),
        ("12.6 min", "≤ 15 min", "reached"),
        ("1.38", "1 to 4", "reached"),
        ("4.2", "1 to 4", "missed"),
        ("—", "≥ 1", "not measured"),
        ("3 ms", "soon", "—"),
    ],
)
def test_a_figure_is_held_against_its_aim_as_a_person_reads_both(figure: str, aim: str, said: str) -> None:
    assert verdict(figure, aim) == said


def test_the_page_begins_with_every_figure_that_has_an_aim_reached_or_not() -> None:
    text = page.page([("CPU", "slow")], {"counting": PART, "edge": "no nginx"}, timedelta(minutes=4))
    top = text.partition("## The machine")[0]
    assert "| Counting: hits a second | 9 (8 to 11) | ≥ 10 | missed |" in top
    assert "| Counting: CPU | 3 s | ≤ 2 s | missed |" in top
    assert "| edge: all of it | — |  | not measured |" in top
    assert "| The whole benchmark: it took | 4.0 min | ≤ 15 min | reached |" in top
    assert "Memory" not in top


def test_of_rows_that_belong_to_one_above_the_summary_has_the_first_that_misses_else_the_last() -> None:
    rows = [
        ("A hit, 10 labels", "9 µs", ""),
        ("… 100", "1.01 times", "≤ 1.1"),
        ("… 1,000", "1.05 times", "≤ 1.1"),
    ]
    flat = summary({"growth": Part("Growth", "", rows)})
    assert "| Growth: a hit, 10 labels … 1,000 | 1.05 times | ≤ 1.1 | reached |" in flat
    assert "… 100 |" not in flat
    steep = summary({"growth": Part("Growth", "", [rows[0], ("… 100", "1.2 times", "≤ 1.1"), rows[2]])})
    assert "| Growth: a hit, 10 labels … 100 | 1.2 times | ≤ 1.1 | missed |" in steep
    assert "… 1,000" not in steep


def test_the_page_says_in_the_place_of_a_part_why_it_is_not_there() -> None:
    text = page.page([], {"edge": "no nginx", "counting": PART}, timedelta())
    assert "## Edge\n\nNot measured: no nginx\n" in text
    assert "| Memory | 3 MB |  |" in text


def test_a_row_of_the_comparison_holds_medians_all_losses_and_the_share_of_the_limit_round_by_round() -> None:
    runs = [
        Run(answers=110.0, counted=100.0, lost=0, cpu=0.2, p50=0.001, p99=0.02, memory=3e6),
        Run(answers=100.0, counted=80.0, lost=2, cpu=0.0123, p50=0.002, p99=0.01, memory=2e6),
        Run(answers=130.0, counted=120.0, lost=1, cpu=0.05, p50=0.003, p99=0.03, memory=9e6),
    ]
    assert columns.row("ours", runs, [1_000.0, 200.0, 1_000.0]) == (
        "ours", "110", "100 (80 to 120)", "3", "0.0500", "2.0 ms", "20 ms", "3 MB", "0.12"
    )  # fmt: skip


def test_what_cannot_be_known_is_a_dash() -> None:
    assert columns.row("a peer", [Run(answers=5.0)]) == ("a peer", "5", *[UNKNOWN] * 7)


@pytest.mark.parametrize(
    ("said", "p99"),
    [
        (
            '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms",'
            '"max_latency_ms"\n"XADD","49817.50","0.9","0.1","0.7","1.0","1.1","4.2"\n',
            1.1,
        ),
        ('"XADD raw * hit x","49817.50"\n', None),
    ],
    ids=["version 7", "version 6"],
)
def test_the_figures_of_redis_benchmark_are_read_as_every_version_tells_them(
    said: str, p99: float | None
) -> None:
    figures = redis_benchmark.figures(said)
    assert figures["rps"] == 49817.5
    assert figures.get("p99_latency_ms") == p99


def test_an_event_has_reached_a_stream_with_the_first_that_is_not_older() -> None:
    sent = [Sent(10.0, 10.1), Sent(11.0, 11.1), Sent(12.0, 12.1)]  # events 8, 9 and 10
    notes = [(0, 7, 9.9), (0, 8, 10.2), (1, 7, 9.9), (0, 9, 11.3), (1, 9, 11.5), (1, 9, 11.9), (0, 10, 12.25)]
    found = fanout.delays(b"".join(NOTE.pack(*note) for note in notes), 7, sent)
    assert found == pytest.approx([0.2, 0.25, 0.3, 0.5, 1.5])


def test_the_own_time_of_a_function_is_that_of_the_looks_at_which_it_was_the_innermost() -> None:
    raw = "run (a.py:1);read (b.py:7) 30\nrun (a.py:1) 10\nserve (c.py:3);run (a.py:1);read (b.py:7) 60\n"
    found = profile.own_time(raw)
    assert found == {"read (b.py:7)": 90, "run (a.py:1)": 10}
    assert profile.rows("counter", Profile(found, 20e-6)) == [
        ("**counter**", "", "**20.0**"),
        ("`read (b.py:7)`", "90.0%", "18.0"),
        ("`run (a.py:1)`", "10.0%", "2.0"),
        ("0 others", "0.0%", "0.0"),
    ]


def test_where_py_spy_may_not_look_the_row_says_what_to_do() -> None:
    [(said, share, cost)] = profile.rows("counter", Profile(Counter(), 20e-6, "run as root"))
    assert (said, share, cost) == ("**counter**: run as root", "", "")


def test_every_figure_in_the_readme_s_table_of_speed_is_one_of_the_results() -> None:
    chapter = (ROOT / "README.md").read_text().partition("\n## How fast\n")[2].partition("\n## ")[0]
    results = (ROOT / "tests" / "bench" / "RESULTS.md").read_text().splitlines()
    assert [line for line in chapter.splitlines() if line.startswith("| ") and line not in results] == []


def documented(title: str) -> list[str]:
    """The names in the first cells of a table of docs/benchmarks.md, of the chapter with this title."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    chapter = text.partition(f"# {title}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", chapter, re.M)
    return [name for cell in cells for name in re.findall("`(.*?)`", cell)]


def test_every_part_and_every_name_of_a_template_is_documented() -> None:
    assert documented("Measuring") == list(parts.PARTS)
    assert sorted(documented("Another system under the same load")) == sorted(f"{{{n}}}" for n in peer.NAMES)


def test_all_parts_together_leave_time_for_the_installation() -> None:
    assert sum(part.seconds for part in parts.PARTS.values()) <= (page.MOST - INSTALLATION) * 60
