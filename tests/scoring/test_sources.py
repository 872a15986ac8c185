"""Files that change while they are read: every kind of change is seen, and no other."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from screening.errors import DataError
from screening.scoring.sources import Source

CONTENT = b"CCO a\nCCN b\n"


def rewrite_with_its_times(path: Path) -> None:
    """As by a program that hides it: same size, same time of modification."""
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(CONTENT[::-1])
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "was removed": Path.unlink,
    "was cut from 12 to 6 bytes": lambda path: os.truncate(path, 6),
    "grew from 12 to 24 bytes": lambda path: path.write_bytes(CONTENT * 2),
    "was replaced by another file of 12 bytes": replace,
    "was written anew": rewrite_with_its_times,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "library.smi").write_bytes(CONTENT)
    return tmp_path / "library.smi"


@pytest.mark.parametrize("is_summed", [True, False])
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_and_named(path: Path, what: str, is_summed: bool) -> None:
    source = Source(str(path))
    if is_summed:
        source.sum()
    CHANGES[what](path)
    for check in (source.check, pickle.loads(pickle.dumps(source)).check):  # noqa: S301  as a process of Ray has it
        with pytest.raises(DataError, match=rf"library\.smi changed while it was read: it {what}"):
            check()


def test_a_sum_is_not_given_of_a_file_that_changed_before_it(path: Path) -> None:
    source = Source(str(path))
    replace(path)
    with pytest.raises(DataError, match="was replaced"):
        source.sum()


@pytest.mark.parametrize(
    "touch",
    [
        lambda path: os.utime(path, ns=(1, 1)),
        lambda path: path.chmod(0o600),
        lambda path: path.with_name("link").hardlink_to(path),
        lambda path: path.write_bytes(CONTENT),
    ],
)
def test_the_same_content_is_no_change(path: Path, touch: Callable[[Path], object]) -> None:
    source = Source(str(path))
    total = source.sum()
    touch(path)
    source.check()
    assert source.sum() == source.sum_now() == total


def test_what_is_no_file_never_changes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("-", str(tmp_path / "pipe"), str(tmp_path / "none")):
        source = Source(path)
        source.check()
        assert source.sum() is source.sum_now() is None
        assert source.size == 0
