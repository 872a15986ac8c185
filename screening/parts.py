"""The folder of a scoring job: its lock, what job it is, its part files, its manifest.

A part is one block of the library as a Parquet file that is complete as soon as it has its name, and
says in its metadata how many records it stands for. How scores are made is not known here.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import DataError
from .folders import claimed, explained, replace, sweep
from .libraries import BLOCKS, Shard

_META = b"screening"
_INSTEAD = "give another folder with --out (the shards of one job, --shard I/N, may share one)"
_ROOM = "Parts that are there are complete: make room and start the same command again."
_PART = re.compile(r"part-(\d{6})-(\d{6})\.parquet")
_HALF = re.compile(r"\.(part|job|manifest|top|scores)\b.*\.\d+")
_WRITTEN = (
    *("part-*.parquet", "job.json", "manifest.json", "manifest-*-of-*.json", "top.csv", "top-*-of-*.csv"),
    *("scores.csv", "scores.sdf", "scores-*-of-*.csv", "scores-*-of-*.sdf"),
)


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

    def finished(self, wanted: Callable[[int], bool] = lambda number: True) -> dict[int, Tally]:
        """The tallies of all (or the wanted) parts that can be read; a damaged one will be made again."""
        found = {}
        for number in filter(wanted, self.numbers()):
            with suppress(pa.ArrowException, OSError, KeyError, ValueError, TypeError):
                metadata = pq.read_schema(self.part(number)).metadata
                found[number] = Tally(number, **json.loads(metadata[_META]))
        return found

    def write(self, table: pa.Table, tally: Tally) -> None:
        """Write a part as a whole or not at all."""
        described = {key: value for key, value in tally._asdict().items() if key != "number"}
        table = table.replace_schema_metadata({_META: json.dumps(described)})
        texts = [field.name for field in table.schema if field.type == pa.string()]
        with _explained(self.path):
            buffer = pa.BufferOutputStream()  # in memory, for errors of the disk to be ours to explain
            pq.write_table(table, buffer, use_dictionary=texts)
            replace(self.part(tally.number), lambda work: work.write_bytes(buffer.getvalue()))

    def read(self, number: int, columns: list[str] | None = None) -> pa.Table:
        """A part, or some columns of it."""
        return pq.read_table(self.part(number), columns=columns)

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        with _explained(self.path):
            replace(self.path / name, lambda work: work.write_text(json.dumps(values, indent=1) + "\n"))

    def clear(self) -> None:
        """Remove what an earlier job wrote, and nothing else."""
        for pattern in _WRITTEN:
            for path in self.path.glob(pattern):
                path.unlink()

    @contextmanager
    def claimed(self, shard: Shard | None = None) -> Iterator[None]:
        """The folder, made if need be, for this process alone; shards of one job may share it.

        Raises
        ------
        DataError : the folder cannot be written, or another process works in it.
        """
        with ExitStack() as stack:
            shared = shard is not None
            stack.enter_context(claimed(self.path, _INSTEAD, shared=shared, stays=True))
            if shard is None:
                sweep(self.path, _HALF)
            else:
                name = f".lock-{shard.index}-of-{shard.of}"
                stack.enter_context(claimed(self.path, _INSTEAD, name=name, stays=True))
            yield

    def check_job(self, job: Mapping[str, Any]) -> None:
        """Write down which job this is, or check that the folder holds parts of the same one.

        Raises
        ------
        DataError : the folder holds another job.
        """
        path = self.path / "job.json"
        old = next(
            (path for path in self.path.glob("part-*.parquet") if not _PART.fullmatch(path.name)), None
        )
        if old is not None:
            raise DataError(
                f"{self.path} holds parts of another job, named as by an earlier version ({old.name}). "
                "Give another folder with --out, or replace the old scores with --overwrite."
            )
        if path.exists():
            before = json.loads(path.read_text())
            changed = [key for key in job if before.get(key) != job[key]]
            if changed:
                what = self._differences(before, job, changed)
                raise DataError(
                    f"{self.path} holds the scores of another job: {what}. "
                    "Give another folder with --out, or replace the old scores with --overwrite."
                )
        elif self.numbers():
            raise DataError(
                f"{self.path} holds part files of an unknown job. Give another folder with --out."
            )
        else:
            self.write_json("job.json", job)

    @staticmethod
    def _differences(before: Mapping[str, Any], job: Mapping[str, Any], changed: list[str]) -> str:
        files, now = before.get("library") or {}, job["library"]
        if changed == ["library"] and list(files) == list(now):
            names = [name for name in now if files[name] != now[name]]
            return f"the library changed since then ({', '.join(names)})"
        return f"different are {', '.join(changed)}"


def merged(tallies: Mapping[int, Tally]) -> Counter[str]:
    """Records per reason, "" = scored."""
    total: Counter[str] = Counter()
    for tally in tallies.values():
        total.update(tally.reasons)
    return total


def _explained(folder: Path) -> AbstractContextManager[None]:
    return explained(folder, room=_ROOM, instead=_INSTEAD)
