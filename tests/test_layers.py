"""The arrow of the imports, one place for keys, small files and functions, bounds on caches."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("tracker", "summaries", "hitwall")  # each may import from itself and those before it
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).glob("**/*.py"))
SCRIPTS = sorted(path for floor in FLOORS for path in (ROOT / floor).glob("**/*.lua"))
PURE = (
    "tracker/hit",
    "tracker/keys",
    "tracker/settings",
    "tracker/entries",
    "tracker/remote",
    "tracker/access_log",
    "tracker/headers",
    "tracker/scalars",
    "tracker/usage",
    "tracker/storage/documents",
    "tracker/storage/lines",
    "tracker/agents",
    "summaries/announcement",
    "summaries/bound",
    "summaries/buckets",
    "summaries/differences",
    "summaries/fold",
    "summaries/folded_sums",
    "summaries/hooks",
    "summaries/paths",
    "summaries/stretch",
    "summaries/tally",
)
MOST_LINES = {"file": 200, "function": 30}


def offending(find: Callable[[str], object]) -> dict[str, object]:
    """Module -> what is found in its text, of those where anything is."""
    return {path.relative_to(ROOT).as_posix(): found for path in MODULES if (found := find(path.read_text()))}


def imported(tree: ast.AST) -> list[str]:
    """Names of the modules that the imports of this code name, submodules among them."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def keys_spelled(text: str) -> list[str]:
    """String literals that begin a key; a sentence that mentions one does not."""
    literals = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [part for part in literals if isinstance(part, str) and re.search(r"^hitwall:|hitwall:\{", part)]


def unbounded(text: str) -> list[str]:
    """Decorators that remember without a bound."""
    marks = [ast.unparse(mark) for made in functions(ast.parse(text)) for mark in made.decorator_list]
    cached = [mark for mark in marks if re.match(r"(functools\.)?(lru_)?cache\b", mark)]
    return [mark for mark in cached if not re.search(r"maxsize=([A-Z_]+|[0-9]+)\b", mark)]


def too_long(text: str) -> dict[str, int]:
    """Lines of the file and of its functions, where they are too many."""
    lengths = {f"{f.name}()": (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(ast.parse(text))}
    long = {name: n for name, n in lengths.items() if n > MOST_LINES["function"]}
    lines = len(text.splitlines())
    return long | ({"file": lines} if lines > MOST_LINES["file"] else {})


def test_the_checks_see_the_whole_product_and_what_they_forbid() -> None:
    assert {path.parts[len(ROOT.parts)] for path in MODULES} == set(FLOORS)
    assert SCRIPTS
    assert keys_spelled('key = f"hitwall:{{{site}}}:raw"') == ["hitwall:{"]
    remembering = "@cache\ndef f(x): ...\n@lru_cache(maxsize=None)\ndef g(x): ...\n"
    assert unbounded(remembering) == ["cache", "lru_cache(maxsize=None)"]
    assert unbounded("@lru_cache(maxsize=4096)\ndef f(x): ...") == []
    assert too_long("def f():\n" + "    f()\n" * 200) == {"file": 201, "f()": 201}
    assert offending(lambda text: "tracker.keys" in imported(ast.parse(text)))


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_run_one_way(floor: str) -> None:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    found = offending(
        lambda text: [name for name in imported(ast.parse(text)) if name.split(".")[0] in above]
    )
    assert {module: names for module, names in found.items() if module.startswith(f"{floor}/")} == {}


def test_imports_make_no_circle() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    graph = {
        name: [other for other in imported(ast.parse(path.read_text())) if other in names and other != name]
        for name, path in names.items()
    }
    assert sum(map(len, graph.values())) > len(names)  # there are edges to go round
    assert set(TopologicalSorter(graph).static_order()) == set(names)  # CycleError names a circle


def test_nothing_is_imported_inside_a_function() -> None:
    assert offending(lambda text: [f.name for f in functions(ast.parse(text)) if imported(f)]) == {}


@pytest.mark.parametrize("name", PURE)
def test_what_needs_no_connection_does_not_import_redis(name: str) -> None:
    names = imported(ast.parse((ROOT / f"{name}.py").read_text()))
    assert [name for name in names if name.split(".")[0] in ("redis", "flask", "gevent")] == []


def test_keys_are_spelled_in_keys_alone() -> None:
    found = offending(keys_spelled)
    assert list(found) == ["tracker/keys.py"], found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_handed_their_keys_and_name_each_argument(script: Path) -> None:
    lines = script.read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("--"))
    code = "\n".join(line for line in lines if not line.startswith("--"))
    assert "hitwall" not in code
    used = set(re.findall(r"(?:KEYS|ARGV)\[\d\]", code))
    assert used
    assert [argument for argument in used if argument not in header] == []


def test_files_and_functions_are_small() -> None:
    assert offending(too_long) == {}


def test_law_10_every_cache_has_a_bound() -> None:
    assert offending(unbounded) == {}


def test_the_web_process_imports_no_redis_before_its_workers_are_patched() -> None:
    code = "import hitwall.web, sys; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
