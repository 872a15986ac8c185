"""The folder of a scoring job: its lock, what job it is, its part files, its manifest.

A part is one block of the library as a Parquet file that is complete as soon as it has its name, and
says in its metadata how many records it stands for. How scores are made is not known here.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..runtime.files import half_written, sweep, write_atomically
from ..runtime.folders import claimed, explained
from .library import BLOCKS, Shard
from .sealed import check_seal, sealed

JOB, MANIFEST = "_job.json", "_manifest{}.json"
"""What is no part begins with "_", so that other programs read the folder as one table; "{}" is the shard."""

_META = b"screening"
_INSTEAD = "give another folder with `out` (the shards of one job, `shard` I/N, may share one)"
_OTHERWISE = "Give another folder with `out`, or replace the old scores with `overwrite`."
_AGAIN = "Start the same scoring again: what is missing or damaged is made again."
_ROOM = "Parts that are there are complete: make room and start the same command again."
_PART = re.compile(r"part-(\d{6})-(\d{6})\.parquet")
_HALF = half_written(r"(part|_?job|_?manifest|top|scores)[\w-]*\.\w+")
_WRITTEN = (
    *("part-*.parquet", JOB, MANIFEST.format(""), MANIFEST.format("-*-of-*"), "top.csv", "top-*-of-*.csv"),
    *("scores.csv", "scores.sdf", "scores-*-of-*.csv", "scores-*-of-*.sdf"),
)
_WRITTEN_BEFORE = ("job.json", "manifest.json", "manifest-*-of-*.json")
"""Before version 0.4."""


class Tally(NamedTuple):
    """What became of the records of one block."""

    number: int
    """The block's."""
    digest: str
    """SHA-256 of what was read."""
    reasons: Mapping[str, int]
    """Records per reason for which they were rejected; "" = scored."""
    below: int
    """Scored records that were left out because every score was below the threshold."""
    source: str | None = None
    """SHA-256 of the file it comes from, None for standard input."""
    is_last: bool = False
    """Whether it is the last block of its file."""

    @property
    def read(self) -> int:
        return sum(self.reasons.values())


@dataclass(frozen=True)
class PartFolder:
    """Where the parts of a job lie."""

    path: Path

    def part(self, number: int) -> Path:
        """The file of a block, named after its place among the library's files and in its file."""
        file, block = divmod(number, BLOCKS)
        return self.path / f"part-{file:06d}-{block:06d}.parquet"

    def numbers(self) -> list[int]:
        """Blocks that have a file, ascending."""
        names = filter(None, (_PART.fullmatch(path.name) for path in self.path.glob("part-*.parquet")))
        return sorted(int(name[1]) * BLOCKS + int(name[2]) for name in names)

    def finished(self, is_wanted: Callable[[int], bool] = lambda number: True) -> dict[int, Tally]:
        """The tallies of all (or the wanted) parts that are as they were written; others are made again."""
        numbers = list(filter(is_wanted, self.numbers()))
        with ThreadPoolExecutor(4) as threads:
            tallies = threads.map(self._sound, numbers)
        return {number: tally for number, tally in zip(numbers, tallies, strict=True) if tally is not None}

    def _sound(self, number: int) -> Tally | None:
        """The tally of a part; None where its bytes changed."""
        try:
            return self.checked(number)
        except DataError:
            return None

    def checked(self, number: int) -> Tally:
        """The tally of a part, every byte of which was checked.

        Raises
        ------
        DataError : it cannot be read, or is not as it was written; the message says only what is wrong.
        """
        try:
            content = self.part(number).read_bytes()
            check_seal(content)
            metadata = pq.read_schema(pa.BufferReader(content)).metadata
            return Tally(number, **json.loads(metadata[_META]))
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as problem:
            raise DataError(f"it cannot be read ({problem})") from problem

    def write(self, table: pa.Table, tally: Tally) -> None:
        """Write a part as a whole or not at all."""
        described = {key: value for key, value in tally._asdict().items() if key != "number"}
        table = table.replace_schema_metadata({_META: json.dumps(described)})
        texts = [field.name for field in table.schema if field.type == pa.string()]
        content = sealed(table, texts)  # in memory, for errors of the disk to be ours to explain
        with self.explained():
            write_atomically(self.part(tally.number), content)

    def read(self, number: int, columns: list[str] | None = None) -> pa.Table:
        """A part, or some columns of it.

        Raises
        ------
        DataError : it is not there any more, or damaged.
        """
        path = self.part(number)
        try:
            return pq.read_table(path, columns=columns)
        except FileNotFoundError as problem:
            raise DataError(f"{path} was removed meanwhile. {_AGAIN}") from problem
        except (pa.ArrowException, OSError, KeyError) as problem:
            raise DataError(f"{path} is damaged: {problem}. {_AGAIN}") from problem

    def check_all_there(self, numbers: Iterable[int]) -> None:
        """Raise DataError if one of the parts that were made is not there any more."""
        there = set(self.numbers())
        for number in (number for number in numbers if number not in there):
            raise DataError(f"{self.part(number)} was removed meanwhile. {_AGAIN}")

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        with self.explained():
            write_atomically(self.path / name, json.dumps(values, indent=1) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """What `write_json` wrote.

        Raises
        ------
        DataError : the file cannot be read, or holds something else.
        """
        path = self.path / name
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise ValueError("no object of JSON")
        except (OSError, ValueError, RecursionError) as problem:
            raise DataError(f"{path} cannot be read: {problem}. {_OTHERWISE}") from problem
        return values

    def clear(self) -> None:
        """Remove what an earlier job wrote, and nothing else."""
        patterns = _WRITTEN + (_WRITTEN_BEFORE if self._is_of_an_earlier_version() else ())
        with self.explained():
            for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
                path.unlink(missing_ok=True)

    def explained(self) -> AbstractContextManager[None]:
        """Faults of the disk as errors that say what to do."""
        return explained(self.path, room=_ROOM, instead=_INSTEAD)

    def _is_of_an_earlier_version(self) -> bool:
        """Whether there is a job of a version before 0.4; a run folder has a manifest.json too."""
        with suppress(DataError):
            return "block_size" in self.read_json("job.json")
        return False

    @contextmanager
    def claimed(self, shard: Shard | None = None) -> Iterator[None]:
        """The folder, made if need be, for this process alone; shards of one job may share it.

        Raises
        ------
        DataError : the folder cannot be written, or another process works in it.
        """
        was_there = self.path.exists()
        with ExitStack() as stack:
            shared = shard is not None
            stack.enter_context(claimed(self.path, _INSTEAD, shared=shared, stays=True))
            if shard is None:
                sweep(self.path, _HALF)
            else:
                name = f".lock-{shard.index}-of-{shard.of}"
                stack.enter_context(claimed(self.path, _INSTEAD, name=name, stays=True))
            try:
                yield
            except BaseException:
                if not was_there:
                    self._remove_if_empty()
                raise

    def _remove_if_empty(self) -> None:
        """Remove a folder that was made for work that came to nothing."""
        with suppress(OSError):
            locks = list(self.path.iterdir())
            if all(path.name.startswith(".lock") for path in locks):
                for path in locks:
                    path.unlink()
                self.path.rmdir()

    def check_job(self, job: Mapping[str, Any]) -> None:
        """Write down which job this is, or check that the folder holds parts of the same one.

        Raises
        ------
        DataError : the folder holds another job.
        """
        old = next(
            (path for path in self.path.glob("part-*.parquet") if not _PART.fullmatch(path.name)), None
        )
        if old is not None or self._is_of_an_earlier_version():
            name = "job.json" if old is None else old.name
            raise DataError(
                f"{self.path} holds the scores of an earlier version ({name}), whose parts have no "
                f"checksums: finish that job with it. {_OTHERWISE}"
            )
        if (self.path / JOB).exists():
            before = self.read_json(JOB)
            changed = [key for key in job if before.get(key) != job[key]]
            if changed:
                what = self._differences(before, job, changed)
                raise DataError(f"{self.path} holds the scores of another job: {what}. {_OTHERWISE}")
        elif self.numbers():
            raise DataError(
                f"{self.path} holds part files of an unknown job: {JOB}, which says what they are, is not "
                f"there. {_OTHERWISE}"
            )
        else:
            self.write_json(JOB, job)

    @staticmethod
    def _differences(before: Mapping[str, Any], job: Mapping[str, Any], changed: list[str]) -> str:
        files, now = before.get("library"), job["library"]
        if changed == ["library"] and isinstance(files, dict) and list(files) == list(now):
            names = [name for name in now if files[name] != now[name]]
            return f"the library changed since then ({', '.join(names)})"
        return f"different are {', '.join(changed)}"


def merged(tallies: Mapping[int, Tally]) -> Counter[str]:
    """Records per reason, "" = scored."""
    total: Counter[str] = Counter()
    for tally in tallies.values():
        total.update(tally.reasons)
    return total
