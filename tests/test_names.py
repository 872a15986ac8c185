"""Names of values say what they hold: words that fit any value, and so none, are not among them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "screening"
FILES = sorted(HOUSE.rglob("*.py"))
SAY_NOTHING = {"found", "known", "made", "some", "wanted"}
A_SETTING = {("data/assay_kinds.py", "wanted"), ("config_assays.py", "wanted")}
"""The word of the user's config that says which end of the values of an assay is looked for."""


def named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every variable, field and parameter that a file gives a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name is not None:
            yield node.lineno, node.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_names_of_values_say_what_they_hold(path: Path) -> None:
    place = str(path.relative_to(HOUSE))
    empty = [
        f"line {line}: {name}"
        for line, name in named(ast.parse(path.read_text()))
        if name in SAY_NOTHING and (place, name) not in A_SETTING
    ]
    assert not empty, f"{path} names values by words that say nothing of them: {', '.join(empty)}"
