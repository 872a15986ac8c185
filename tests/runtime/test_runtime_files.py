"""Atomic writes: whole or not there, beside other writers, whatever fails; what killed processes left."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from screening.errors import DataError
from screening.runtime.files import (
    A_DAY,
    atomic_folder,
    atomic_write,
    file_sha256,
    half_written,
    sweep,
    sweep_old,
    write_atomically,
)
from screening.runtime.folders import explained


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_the_disk(path: Path) -> None:
    """Write a little, then fail as a full disk does."""
    path.write_text("half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("content", ["lone \r, \n and µ", b"\xff\x00\r\n"])
def test_what_is_written_is_there_to_the_byte(tmp_path: Path, content: str | bytes) -> None:
    write_atomically(tmp_path / "a", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "a").read_bytes() == expected
    assert names(tmp_path) == ["a"]


def test_readers_see_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text("old")
    with atomic_write(path) as work:
        work.write_text("new")
        assert work.name.endswith(path.name)
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    full = pytest.raises(DataError, match=r"no room left to write \(No space left.*Make room")
    with full, explained(tmp_path), atomic_write(tmp_path / "a") as work:
        fill_the_disk(work)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_processes_that_write_one_file_do_not_mix(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from screening.runtime.files import write_atomically\n"
        "path, letter = Path(sys.argv[1]), sys.argv[2]\n"
        "for _ in range(200):\n"
        "    write_atomically(path, letter * 20_000)\n"
        "    assert len(set(path.read_text())) == 1 and len(path.read_text()) == 20_000\n"
    )
    crowd = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a"), each]) for each in "xyz"]
    assert [process.wait() for process in crowd] == [0, 0, 0]
    assert names(tmp_path) == ["a"]


def test_a_folder_is_replaced_as_a_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bundle"
    with atomic_folder(path) as work:
        (work / "old").touch()
    with pytest.raises(OSError, match="No space left"), atomic_folder(path) as work:
        fill_the_disk(work / "half")
    assert names(path) == ["old"]
    with atomic_folder(path) as work:
        (work / "new").touch()
    assert names(path) == ["new"]
    assert names(path.parent) == ["bundle"]


@pytest.mark.parametrize("name", ["a.csv", "bundle"])
def test_what_a_killed_process_left_goes(tmp_path: Path, name: str) -> None:
    write = "atomic_folder" if name == "bundle" else "atomic_write"
    code = (
        f"import os; from screening.runtime.files import {write} as write\n"
        f"with write({str(tmp_path / name)!r}) as work:\n"
        "    work.is_dir() or work.touch(); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    sweep(tmp_path, half_written(r"[a-z]\.csv|bundle"))
    assert names(tmp_path) == []


def test_only_half_written_names_go(tmp_path: Path) -> None:
    left = [".a.csv.host.7", ".my.host.12.a.csv", ".a.csv", ".h.3.bundle-old"]
    others = [".notes", "a.csv", ".a.csv.swp", ".b.csv", ".h.3.b.csv", ".lock"]
    for name in left + others:
        (tmp_path / name).touch()
    sweep(tmp_path, half_written(r"a\.csv|bundle"))
    assert names(tmp_path) == sorted(others)


def test_in_a_cache_only_what_nobody_wrote_to_for_a_day_goes(tmp_path: Path) -> None:
    for name, age in ((".h.77.a.bin", A_DAY + 60), (".h.78.a.bin", 0), ("a.bin", 2 * A_DAY)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (os.path.getmtime(tmp_path / name) - age,) * 2)
    sweep_old(tmp_path, half_written(r"a\.bin"))
    assert names(tmp_path) == [".h.78.a.bin", "a.bin"]


def test_sha256_of_an_empty_file_and_of_abc(tmp_path: Path) -> None:
    """The values of FIPS 180-4."""
    for content, start in ((b"", "e3b0c44298fc1c14"), (b"abc", "ba7816bf8f01cfea")):
        (tmp_path / "a").write_bytes(content)
        assert file_sha256(tmp_path / "a").startswith(start)
