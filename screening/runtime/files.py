"""Atomic writes: a file or folder with its final name is whole, whoever is killed meanwhile; and SHA-256.

What is written lies beside its final place under a name with a dot, the host and the process in front, so
processes do not disturb each other; what killed ones left goes by `sweep`, or in a cache by `sweep_old`.
"""

import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .folders import check_still_ours

A_DAY = 24 * 3600
"""Seconds after which nobody is at work on a file of a cache any more."""


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Where to write a file, which gets the name `path`, replacing an older one, once the block has ended.

    The temporary name ends in the final one, for writers and readers that go by the ending. Where the block
    fails, `path` is what it was and nothing is left beside it.

    Raises
    ------
    DataError : this process claimed the folder, and it is not the same any more.
    OSError : the file cannot be written or renamed.
    """
    path = Path(path)
    check_still_ours(path.parent)
    work = _beside(path)
    try:
        yield work
        work.replace(path)
    finally:
        with suppress(OSError):
            work.unlink(missing_ok=True)


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write a text, in UTF-8, or bytes by `atomic_write`."""
    with atomic_write(path) as work:
        if isinstance(content, str):
            work.write_text(content, encoding="utf-8")
        else:
            work.write_bytes(content)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """An empty folder, which gets the name `path` once the block has ended; an older one goes as a whole.

    Only its owner may look into it meanwhile. Raises as `atomic_write`.
    """
    path = Path(path)
    check_still_ours(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    work = _beside(path)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(0o700)
    try:
        yield work
        older = work.with_name(f"{work.name}-old")
        if path.exists():
            path.rename(older)
        work.rename(path)
        shutil.rmtree(older, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def half_written(names: str) -> re.Pattern[str]:
    """The temporary names of files and folders whose final names match `names`.

    Those of earlier versions are among them: a dot in front, and perhaps host and process behind.
    """
    return re.compile(rf"\.(.+\.\d+\.)?({names})(-old|\..+\.\d+)?")


def sweep(folder: Path | str, names: re.Pattern[str]) -> None:
    """Remove what killed processes left under names that match as a whole; the folder must be claimed."""
    for path in Path(folder).glob(".*"):
        if names.fullmatch(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sweep_old(folder: Path | str, names: re.Pattern[str]) -> None:
    """`sweep` for a folder that many use at once, such as a cache: files nobody wrote to for a day."""
    for path in Path(folder).glob(".*"):
        with suppress(OSError):
            if names.fullmatch(path.name) and time.time() - path.stat().st_mtime > A_DAY:
                path.unlink()


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f".{socket.gethostname()}.{os.getpid()}.{path.name}")
