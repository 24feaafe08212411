"""Who may import whom, and how long a file and a function may be: rules read from the source, not from a run."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("fsar_core", "search_spaces", "sweeps")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]

ABOVE_CORE = {"ray", "optuna", "mlflow", "search_spaces", "sweeps"}
OF_SPACES = {"optuna", "pydantic", "fsar_core", "search_spaces"}

_BASE = {"aside", "episode", "frozen", "mask_settings", "positions", "precision", "progress", "seeds"}
BELOW = {
    "aside": set[str](),
    "frozen": set[str](),
    "mask_settings": {"frozen"},
    "positions": set[str](),
    "precision": set[str](),
    "progress": set[str](),
    "seeds": set[str](),
    "episode": {"frozen"},
    "backbones": _BASE | {"backbones"},
    "frame_samplers": _BASE | {"frame_samplers", "backbones"},
    "stages": _BASE | {"stages"},
    "matchers": _BASE | {"matchers"},
    "losses": _BASE | {"losses", "backbones", "frame_samplers", "matchers", "stages"},
    "data": _BASE | {"data"},
}
"""What the folders and lowest files of fsar_core may import of fsar_core."""


def imported(source: str) -> Iterator[str]:
    """Dotted names of all imports of a file, also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(file: str, source: str) -> list[str]:
    """The imports of ``file``, a path from the repository's root, that the tree of folders forbids."""
    parts = file.removesuffix(".py").split("/")
    return [name for name in imported(source) if _is_forbidden(parts, name.split("."))]


def _is_forbidden(file: list[str], name: list[str]) -> bool:
    if file[0] == "search_spaces":
        return name[0] not in OF_SPACES | sys.stdlib_module_names
    if file[0] != "fsar_core":
        return False
    outside = name[0] in ABOVE_CORE
    return outside or (file[1] in BELOW and name[0] == "fsar_core" and name[1] not in BELOW[file[1]])


@pytest.mark.parametrize("file", NAMES)
def test_a_file_imports_only_what_stands_below_it(file: str) -> None:
    assert faults(file, (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("fsar_core/train.py", "import ray"),
        ("fsar_core/config.py", "from search_spaces.table import Table"),
        ("fsar_core/losses/new.py", "from fsar_core.method import Method"),
        ("fsar_core/data/new.py", "from fsar_core.config import RunConfig"),
        ("fsar_core/stages/new.py", "def f():\n    from fsar_core.losses import LOSSES"),
        ("search_spaces/new.py", "import torch"),
        ("search_spaces/new.py", "from sweeps.engine import plan"),
    ],
)
def test_a_forbidden_import_is_found(file: str, line: str) -> None:
    assert len(faults(file, line)) == 1


def test_nothing_imports_the_sweeps_but_sweeps_tests_and_benchmarks() -> None:
    free = {"sweeps", "tests", "benchmarks"}
    others = [path for path in ROOT.rglob("*.py") if not {*free, ".venv"} & set(path.relative_to(ROOT).parts)]
    assert len(others) > 50
    assert [path for path in others if any(name.split(".")[0] == "sweeps" for name in imported(path.read_text()))] == []


def _part_names() -> set[str]:
    """Classes with a Config of their own: the parts of methods."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "fsar_core").rglob("*.py")]
    return {
        outer.name
        for tree in trees
        for outer in tree.body
        if isinstance(outer, ast.ClassDef)
        if any(isinstance(inner, ast.ClassDef) and inner.name == "Config" for inner in outer.body)
    }


@pytest.mark.parametrize("file", ["train.py", "evaluate.py"])
def test_the_loop_and_the_measurement_name_no_part(file: str) -> None:
    parts = _part_names()
    assert {"MaskedReconstruction", "Otam", "TokenTransformer", "ResNet", "ClassScores"} <= parts
    source = (ROOT / "fsar_core" / file).read_text()
    named = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert named & (parts | {"isinstance"}) == set()
    assert [name for name in imported(source) if name.startswith("fsar_core.methods")] == []


@pytest.mark.parametrize("module", ["fsar_core", "fsar_core.data.video"])
def test_importing_it_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines below the signature, docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("file", NAMES)
def test_files_and_functions_are_short(file: str) -> None:
    source = (ROOT / file).read_text()
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(source.splitlines()) < 300
    assert [f"{f.name}: {_body_lines(f)} lines" for f in functions if _body_lines(f) > 40] == []
