"""Benchmarks are run by hand: what they take from the house must still be there."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "benchmarks").glob("*.py"))


def taken(path: Path) -> list[str]:
    """What a script takes from the house: `module` or `module.name` of imports, and attributes of modules."""
    tree = ast.parse(path.read_text())
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("screening"):
            names |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    attributes = [
        f"{names[node.value.id]}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    ]
    return sorted({*names.values(), *attributes})


def is_there(name: str) -> bool:
    """Whether a module, or something in a module or in a class, has this dotted name."""
    parts = name.split(".")
    n_modules = 1
    while n_modules < len(parts) and find_spec(".".join(parts[: n_modules + 1])) is not None:
        n_modules += 1
        if not hasattr(import_module(".".join(parts[:n_modules])), "__path__"):
            break
    item: object = import_module(".".join(parts[:n_modules]))
    for part in parts[n_modules:]:
        if not hasattr(item, part):
            return False
        item = getattr(item, part)
    return True


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_benchmark_takes_from_the_house_is_there(path: Path) -> None:
    names = taken(path)
    assert names
    assert [name for name in names if not is_there(name)] == []


def test_what_is_gone_is_seen() -> None:
    assert is_there("screening.config.load_config")
    assert not is_there("screening.config.gone")
    assert not is_there("screening.gone")
