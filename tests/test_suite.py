"""The suite itself: every process must collect the same tests under the same names."""

from collections import Counter
from pathlib import Path

import pytest


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\0now", b"text"])
def test_bytes_never_name_a_test(request: pytest.FixtureRequest, content: bytes) -> None:
    assert content
    assert "x1f" not in request.node.name
    assert "text" not in request.node.name
    assert not [item.nodeid for item in request.session.items if "\\x1f\\x8b" in item.nodeid]


def test_no_two_files_of_tests_have_the_same_name() -> None:
    """Python would take one for the other, and the suite would not be collected."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, n in names.items() if n > 1] == []
