"""The suite itself: every process must collect the same tests under the same names."""

import pytest


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\0now", b"text"])
def test_bytes_never_name_a_test(request: pytest.FixtureRequest, content: bytes) -> None:
    assert content
    assert "x1f" not in request.node.name
    assert "text" not in request.node.name
    assert not [item.nodeid for item in request.session.items if "\\x1f\\x8b" in item.nodeid]
