"""Imports point down the tower of packages, and no file is part of a circle (docs/architecture.md)."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "screening"
TOWER = [
    *("cli", "testing", "triage", "grouping", "tuning", "reporting", "evaluation", "pretraining", "training"),
    *("scoring", "bundle", "uncertainty", "balancing", "models", "features", "metrics", "data", "runtime"),
    "root",
]
BESIDE = {  # lower in the list and yet not below: neighbours that know nothing of each other
    "grouping": {"tuning", "reporting"},
    "training": {"scoring"},
    "bundle": {"balancing"},
    "uncertainty": {"balancing"},
    "features": {"metrics"},
    "metrics": {"data"},
}
WITH_TORCH = {"runtime/distributed.py"}
HEAVY = {"deepchem", "ray", "torch_geometric", "lightgbm", "optuna", "sqlalchemy"}
FILES = sorted(HOUSE.rglob("*.py"))
TESTS = HOUSE.parent / "tests"
TEST_FILES = sorted(
    path for shape in ("test_*.py", "helpers/*.py", "conftest.py") for path in TESTS.rglob(shape)
)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))


def package_of(path: Path) -> str:
    """The package of a file of the house; files that lie in no package are `root`."""
    inside = path.relative_to(HOUSE).parts
    if inside in {("__init__.py",), ("__main__.py",), ("run.py",)}:
        return "cli"  # the front door and the command may know everything
    return inside[0] if len(inside) > 1 else "root"


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """(absolute module, at the top of the file) of every import; `from . import it` is the module `it`."""
    tree = ast.parse(path.read_text())
    top = set(tree.body)
    here = ["screening", *path.relative_to(HOUSE).parts[:-1]]
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [(name.name, node in top) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            inner = [f"{module}.{name.name}" for name in node.names if file_of(f"{module}.{name.name}")]
            imported += [(name, node in top) for name in inner or [module]]
    return imported


def file_of(module: str) -> Path | None:
    """The file of a module of ours, None for any other."""
    if module.split(".")[0] != "screening":
        return None
    place = HOUSE.joinpath(*module.split(".")[1:])
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def test_the_tower_is_the_house() -> None:
    folders = {path.parent.name for path in HOUSE.glob("*/__init__.py")}
    assert folders == set(TOWER) - {"root"}


@each_file
def test_imports_point_down(path: Path) -> None:
    package = package_of(path)
    below = set(TOWER[TOWER.index(package) :]) - BESIDE.get(package, set())
    for module, _ in imports_of(path):
        target = file_of(module)
        if target is not None and target != HOUSE / "__init__.py":
            assert package_of(target) in below, f"{package} imports {module}, which is not below it"


def test_no_file_is_part_of_a_circle() -> None:
    """Imports at the top of files alone: what runs inside a function is resolved later."""
    graph = {
        path: {
            file_of(module) for module, top in imports_of(path) if top and file_of(module) not in (None, path)
        }
        for path in FILES
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as circle:
        pytest.fail(" imports ".join(str(path.relative_to(HOUSE)) for path in reversed(circle.args[1])))


@each_file
def test_ground_floors_do_not_import_torch(path: Path) -> None:
    if package_of(path) in {"root", "runtime", "data", "metrics", "cli"}:
        imported = {module.split(".")[0] for module, top in imports_of(path) if top}
        assert "torch" not in imported or str(path.relative_to(HOUSE)) in WITH_TORCH


@each_file
def test_heavy_or_optional_packages_are_imported_inside_functions(path: Path) -> None:
    assert not {module.split(".")[0] for module, top in imports_of(path) if top} & HEAVY


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_test_files_do_not_import_each_other(path: Path) -> None:
    """What two of them need is a module in tests/helpers, which knows no test file either."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    names = {piece for module in modules for piece in module.split(".")}
    assert not names & {"tests", "conftest", *(each.stem for each in TESTS.rglob("test_*.py"))}
