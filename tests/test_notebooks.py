"""The notebooks run, hold no logic of their own, and are committed with outputs that name no machine."""

import ast
import re
import resource
import shutil
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BOOKS = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LOGIC = (ast.FunctionDef, ast.Lambda, ast.For, ast.While, ast.Match)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def test_there_are_six() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == list("123456")


@BOOKS
def test_they_are_valid_and_small(path: Path) -> None:
    nbformat.validate(read(path))
    assert path.stat().st_size < 1_000_000
    assert cells(path, "markdown")[0].source.startswith("# ")


@BOOKS
def test_outputs_are_there_and_name_no_machine(path: Path) -> None:
    found = [output for cell in cells(path, "code") for output in cell.outputs]
    assert any("image/svg+xml" in output.get("data", {}) for output in found)
    assert not [output for output in found if output.output_type == "error"]
    assert not [output for output in found if output.get("name") == "stderr"]
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr|Users|opt|mnt)/|[A-Z]:\\\\", path.read_text())


@BOOKS
def test_they_hold_no_logic(path: Path) -> None:
    """Calls of public functions only; the fifth is about a class of one's own, and shows an error."""
    for cell in cells(path, "code"):
        tree = ast.parse(cell.source)
        own = {inner for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for inner in ast.walk(node)}
        assert not [node for node in ast.walk(tree) if isinstance(node, LOGIC) and node not in own]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert not [name.name for name in node.names if name.name.startswith("_")]
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")


@BOOKS
def test_they_import_the_front_door_and_faces_alone(path: Path) -> None:
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                ours = [name for name in node.names if name.name.split(".")[0] == "screening"]
                assert not [name.name for name in ours if (name.name, name.asname) != ("screening", "sc")]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "screening":
                package, *face = str(node.module).split(".")
                assert len(face) == 1, f"from {node.module}: deeper than a face"
                listed = import_module(f"{package}.{face[0]}").__all__
                assert {name.name for name in node.names} <= set(listed)


@BOOKS
def test_a_cell_is_short_enough_to_copy(path: Path) -> None:
    for cell in cells(path, "code"):
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= 5, cell.source


@pytest.mark.slow
@BOOKS
def test_they_run_in_two_minutes(path: Path, tmp_path: Path) -> None:
    """From nothing, in a copy of the two folders they need; processor time, as the machine may be busy."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "notebooks").mkdir()
    book, committed = read(path), read(path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    NotebookClient(
        book, timeout=1200, resources={"metadata": {"path": str(tmp_path / "notebooks")}}
    ).execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 5 < after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 120
    for cell, was in zip(book.cells, committed.cells, strict=True):
        if cell.cell_type == "code":
            kinds = [sorted(output.get("data", {})) for output in cell.outputs]
            assert kinds == [sorted(output.get("data", {})) for output in was.outputs]
