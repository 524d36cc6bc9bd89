"""README's table of what can be lost: every row has a test, and every fault that is tested has a row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.service import ROOT

TITLE = "What can be lost, and when"
COLUMNS = ["fault", "what visitors see", "what is lost", "how it heals"]


def table() -> list[list[str]]:
    """Its rows, cell by cell, the head first."""
    chapter = (ROOT / "README.md").read_text().partition(f"\n## {TITLE}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \|$", chapter, re.M)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


def marked(file: Path) -> Iterator[str]:
    """What the markers `fault` of this file name, as they stand there or as a constant of the file."""
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.mark.fault", "fault"):
            (name,) = node.args
            yield str(name.value if isinstance(name, ast.Constant) else constants[ast.unparse(name)])


def test_every_row_of_the_table_is_a_test_and_every_fault_that_is_tested_has_a_row() -> None:
    rows = [row[0] for row in table()[1:]]
    tested = {name for file in (ROOT / "tests").glob("**/test_*.py") for name in marked(file)}
    assert sorted(set(rows) ^ tested) == []
    assert len(rows) == len(set(rows))


def test_every_row_says_what_visitors_see_what_is_lost_and_how_it_heals() -> None:
    head, *rows = table()
    assert head == COLUMNS
    assert [row for row in rows if len(row) != len(COLUMNS) or not all(row)] == []
