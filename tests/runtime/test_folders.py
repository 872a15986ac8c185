"""Claims of folders: one owner at a time, also over kills and removals; what killed processes left."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from screening.errors import DataError
from screening.runtime.files import write_atomically
from screening.runtime.folders import check_still_ours, claimed, explained, owner

HOLD = (
    "import sys, time; from pathlib import Path; from screening.runtime.folders import claimed\n"
    "with claimed(Path(sys.argv[1]), shared=len(sys.argv) > 2):\n    print('held', flush=True); input()"
)
REFUSED = (
    r"in use by another process: it is being written by process {} on \S+ since \d{{4}}-\d\d-\d\d .*Wait"
)


@contextmanager
def holder(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed the folder."""
    command = [sys.executable, "-c", HOLD, str(folder), *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_whoever_comes_second_hears_who_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with holder(folder) as process:
        with pytest.raises(DataError, match=REFUSED.format(process.pid)), claimed(folder):
            pass
        assert re.match(rf"being written by process {process.pid} on \S+ since \d", owner(folder))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert owner(folder) == ""
        with claimed(folder):
            assert f"process {os.getpid()} " in owner(folder)
    assert list(folder.iterdir()) == []


def test_a_claim_holds_in_its_own_process_too(tmp_path: Path) -> None:
    refused: list[str] = []

    def claim() -> None:
        try:
            with claimed(tmp_path):
                pass
        except DataError as problem:
            refused.append(str(problem))

    with claimed(tmp_path):
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join()
        claim()
    claim()
    assert len(refused) == 2


def test_shared_claims_keep_others_out_until_the_last_is_gone(tmp_path: Path) -> None:
    with holder(tmp_path, "shared"):
        with claimed(tmp_path, shared=True):
            pass
        with pytest.raises(DataError, match="in use"), claimed(tmp_path):
            pass
    with claimed(tmp_path):
        pass


def test_a_folder_that_was_removed_is_not_written_by_its_old_owner(tmp_path: Path) -> None:
    """The new owner gets a lock of its own; the old one finds out before it writes."""
    folder = tmp_path / "run"
    with claimed(folder):
        write_atomically(folder / "a.txt", "old")
        shutil.rmtree(folder)
        with claimed(folder):
            pass
        with pytest.raises(DataError, match="removed or replaced while"):
            check_still_ours(folder)
        with holder(folder):
            with pytest.raises(DataError, match="removed or replaced while"):
                write_atomically(folder / "a.txt", "old")
            assert not (folder / "a.txt").exists()
    assert owner(folder) == ""


def test_the_lock_of_another_is_not_removed_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed(folder):
        shutil.rmtree(folder)
        other = claimed(folder)
        other.__enter__()
    assert owner(folder) != ""
    other.__exit__(None, None, None)
    assert owner(folder) == ""


def test_many_processes_enter_one_after_the_other(tmp_path: Path) -> None:
    """Each claims, counts up a file without care and leaves; nothing is lost and no lock is left."""
    count = tmp_path / "count"
    count.write_text("0")
    code = (
        "import sys; from pathlib import Path; from screening.runtime.folders import claimed\n"
        "from screening.errors import DataError\n"
        "folder, done = Path(sys.argv[1]), 0\n"
        "while done < 30:\n"
        "    try:\n"
        "        with claimed(folder / 'f'):\n"
        "            count = folder / 'count'; count.write_text(str(int(count.read_text()) + 1)); done += 1\n"
        "    except DataError: pass\n"
    )
    crowd = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in crowd] == [0, 0, 0]
    assert count.read_text() == "90"
    assert list((tmp_path / "f").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (errno.EROFS, "cannot be written: .*Read-only file system.*Choose another"),
        (errno.EACCES, "cannot be written: .*Permission denied"),
        (errno.EDQUOT, "no room left"),
        (errno.EIO, "cannot be written: .*Input/output error"),
    ],
)
def test_faults_of_the_disk_are_explained(tmp_path: Path, fault: int, message: str) -> None:
    with pytest.raises(DataError, match=message), explained(tmp_path):
        raise OSError(fault, os.strerror(fault))


def test_a_folder_that_went_away_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was removed or replaced meanwhile"), explained(tmp_path / "gone"):
        (tmp_path / "gone" / "a").write_text("x")


def test_work_that_fails_before_it_begins_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def fail(folder: Path, *files: str) -> None:
        with claimed(folder):
            for file in files:
                (folder / file).touch()
            raise KeyError

    for name, files in (("runs/x", ()), ("there/x", ()), ("runs/y", ("file",))):
        with pytest.raises(KeyError):
            fail(tmp_path / name, *files)
    assert [path.name for path in (tmp_path / "there").iterdir()] == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["y"]
    with claimed(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()
