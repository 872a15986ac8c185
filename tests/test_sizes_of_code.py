"""Functions fit a screen and files a sitting: lines of `screening/`, docstrings and all."""

import ast
import io
import statistics
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parent.parent / "screening"
FILES = {str(path.relative_to(HOUSE)): path.read_text() for path in sorted(HOUSE.rglob("*.py"))}
MOST_OF_A_FILE, MOST_OF_A_FUNCTION = 400, 60
MEDIAN, NINETIETH = 7, 22
"""Lines of functions."""
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
"""What is too long today; who splits one takes its line out, and none is added."""


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and lines of every function of a file, from `def` to its end."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def longest(limit: int) -> dict[str, int]:
    """File and name of every function of more than `limit` lines; of two of one name, the longer one."""
    lines: dict[str, int] = {}
    for path, text in FILES.items():
        for name, count in functions(text):
            if count > limit:
                lines[f"{path}: {name}"] = max(count, lines.get(f"{path}: {name}", 0))
    return lines


def check(lines: dict[str, int], allowed: set[str]) -> None:
    """Nothing is too long but what is on the list; a warning says what can be taken out of it.

    Raises
    ------
    AssertionError : what is too long and not on the list.
    """
    if over := allowed - lines.keys():
        warnings.warn(f"no longer too long, take out of {Path(__file__).name}: {sorted(over)}", stacklevel=2)
    new = {name: count for name, count in lines.items() if name not in allowed}
    assert not new, f"too long, split it: {new}"


def test_files_are_short() -> None:
    lines = {path: len(text.splitlines()) for path, text in FILES.items()}
    check({path: count for path, count in lines.items() if count > MOST_OF_A_FILE}, LONG_FILES)


def test_functions_fit_a_screen() -> None:
    check(longest(MOST_OF_A_FUNCTION), LONG_FUNCTIONS)


def test_most_functions_are_a_few_lines() -> None:
    lines = [count for text in FILES.values() for _, count in functions(text)]
    assert len(lines) > 1000
    assert statistics.median(lines) <= MEDIAN
    assert statistics.quantiles(lines, n=10)[8] <= NINETIETH


def lines_of_code(text: str) -> int:
    """Lines that hold code: no blank ones, comments and docstrings."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.string:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert node.end_lineno is not None
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_lines_of_code_are_counted() -> None:
    assert (
        lines_of_code('"""Docstring\nof two lines."""\n\n# a comment\nx = 1  # one\ny = (\n    2\n)\n') == 4
    )


def test_there_are_nearly_as_many_lines_of_tests_as_of_code() -> None:
    tests = [path for path in Path(__file__).parent.rglob("*.py") if "cases" not in path.parts]
    n_tested = sum(lines_of_code(text) for text in FILES.values())
    assert sum(lines_of_code(path.read_text()) for path in tests) >= 0.9 * n_tested
