"""The folder of a job: one process at a time, whole parts or none, faults of the disk explained."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pytest

from screening.errors import DataError
from screening.scoring.library import BLOCKS, Shard
from screening.scoring.part_files import PartFolder, Tally

JOB = {"model": "a", "library": {"x.smi": "1", "y.smi": "2"}, "limit": None}
HOLD = (
    "import sys, time; from pathlib import Path; from screening.scoring.part_files import PartFolder\n"
    "with PartFolder(Path(sys.argv[1])).claimed():\n    print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def folder(tmp_path: Path) -> PartFolder:
    return PartFolder(tmp_path / "scores")


def part(n: int = 4) -> pa.Table:
    return pa.table({"row": list(range(n)), "reason": [""] * n, "x": pa.array([0.5] * n, pa.float32())})


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """A disk on which no file can grow further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_two_jobs_cannot_work_in_one_folder(folder: PartFolder) -> None:
    with folder.claimed():
        for other in (None, Shard(1, 3)):
            with pytest.raises(DataError, match="in use by another process"), folder.claimed(other):
                pass
    with folder.claimed():
        pass


def test_shards_may_share_a_folder_but_not_with_themselves_or_the_whole(folder: PartFolder) -> None:
    with folder.claimed(Shard(1, 3)), folder.claimed(Shard(2, 3)):
        for other in (None, Shard(1, 3)):
            with pytest.raises(DataError, match="in use"), folder.claimed(other):
                pass


def test_a_killed_process_leaves_no_lock(folder: PartFolder) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="in use"), folder.claimed():
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with folder.claimed():
        pass


def test_what_a_killed_process_left_half_written_goes(folder: PartFolder) -> None:
    folder.path.mkdir()
    names = [".host.12.part-000000-000002.parquet", ".my.host.3.top-1-of-3.csv", ".scores.csv.host.1"]
    for name in (*names, ".notes.12"):
        (folder.path / name).touch()
    with folder.claimed(Shard(1, 2)):
        assert all((folder.path / name).exists() for name in names)  # perhaps another shard is at it
    with folder.claimed():
        assert not any((folder.path / name).exists() for name in names)
    assert (folder.path / ".notes.12").exists()


def test_a_part_is_whole_or_not_there(folder: PartFolder) -> None:
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 3, "bad": 1}, 0))
        with largest_file(200), pytest.raises(DataError, match=r"no room left.*start the same command again"):
            folder.write(part(), Tally(1, "d", {"": 4}, 0))
    assert folder.finished() == {0: Tally(0, "d", {"": 3, "bad": 1}, 0)}
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "part-000000-000000.parquet"]


def test_a_full_disk_is_explained(folder: PartFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with folder.claimed(), pytest.raises(DataError, match="No space left on device"):
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
    assert folder.numbers() == []


@pytest.mark.parametrize("n_bytes", [0, 10, 300])
def test_a_damaged_part_is_not_finished(folder: PartFolder, n_bytes: int) -> None:
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
    path = folder.part(0)
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert folder.finished() == {}


def test_a_part_of_which_a_bit_changed_is_not_finished(folder: PartFolder) -> None:
    """Some of such parts Parquet itself reads without a word, with other scores in them."""
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
    content, path = folder.part(0).read_bytes(), folder.part(0)
    read_otherwise = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert folder.finished() == {}
        with suppress(DataError):
            read_otherwise += folder.read(0).column("x").to_pylist() != [0.5] * 4
    assert read_otherwise
    with pytest.raises(DataError, match="its bytes changed"):
        folder.checked(0)


@pytest.mark.parametrize("damage", ["gone", "cut", "not there"])
def test_reading_a_part_that_is_gone_or_damaged_is_explained(folder: PartFolder, damage: str) -> None:
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
    path = folder.part(0)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    else:
        path.unlink()
        path.parent.joinpath(".lock").unlink()
        path.parent.rmdir()
    with pytest.raises(DataError, match="Start the same scoring again"):
        folder.read(0)
    with pytest.raises(DataError, match=r"cannot be read|no checksum"):
        folder.checked(0)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_job_file_is_explained(folder: PartFolder, content: bytes) -> None:
    with folder.claimed():
        folder.check_job(JOB)
        (folder.path / "_job.json").write_bytes(content)
        with pytest.raises(DataError, match=r"_job\.json cannot be read.*`overwrite`"):
            folder.check_job(JOB)
        folder.clear()
        folder.check_job(JOB)


def test_a_job_of_version_0_3_is_refused_and_cleared(folder: PartFolder) -> None:
    with folder.claimed():
        (folder.path / "job.json").write_text('{"model": "a", "block_size": 4096}')
        (folder.path / "manifest.json").write_text("{}")
        with pytest.raises(DataError, match=r"earlier version \(job.json\).*`overwrite`"):
            folder.check_job(JOB)
        folder.clear()
        folder.check_job(JOB)
    assert sorted(path.name for path in folder.path.glob("*.json")) == ["_job.json"]


def test_clearing_leaves_the_manifest_of_a_run(folder: PartFolder) -> None:
    with folder.claimed():
        (folder.path / "manifest.json").write_text('{"name": "a run"}')
        folder.clear()
    assert (folder.path / "manifest.json").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"cannot be written.*`out`"),
        PartFolder(tmp_path / "file" / "x").claimed(),
    ):
        pass


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({**JOB, "model": "b"}, "another job: different are model"),
        ({**JOB, "library": {"x.smi": "1", "y.smi": "3"}}, r"library changed since then \(y.smi\)"),
        ({**JOB, "library": {"x.smi": "1"}}, "different are library"),
    ],
)
def test_another_job_is_refused(folder: PartFolder, job: dict, message: str) -> None:
    with folder.claimed():
        folder.check_job(JOB)
        folder.check_job(JOB)
        with pytest.raises(DataError, match=message):
            folder.check_job(job)


def test_parts_with_names_of_an_earlier_version_are_refused_and_cleared(folder: PartFolder) -> None:
    with folder.claimed():
        folder.check_job(JOB)
        (folder.path / "part-000003.parquet").touch()
        with pytest.raises(DataError, match=r"earlier version \(part-000003.parquet\).*`overwrite`"):
            folder.check_job(JOB)
        assert folder.numbers() == []
        folder.clear()
        folder.check_job(JOB)
    assert [path.name for path in folder.path.glob("part-*")] == []


def test_parts_are_named_after_file_and_block(folder: PartFolder) -> None:
    names = [folder.part(file * BLOCKS + block).name for file, block in ((0, 0), (0, 999_999), (12, 3))]
    assert names == sorted(names)
    assert names[-1] == "part-000012-000003.parquet"


def test_parts_of_nobody_are_refused(folder: PartFolder) -> None:
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
        with pytest.raises(DataError, match="unknown job"):
            folder.check_job(JOB)


def test_clearing_leaves_what_is_not_ours(folder: PartFolder) -> None:
    with folder.claimed():
        folder.write(part(), Tally(0, "d", {"": 4}, 0))
        folder.write_json("_manifest.json", JOB)
        (folder.path / "notes.txt").write_text("mine")
        folder.clear()
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "notes.txt"]
