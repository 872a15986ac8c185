"""Folders that commands write into: one process at a time (file locks), faults of the disk explained.

The operating system lets go of a lock when its process ends, however it ends. The files in them are the
business of `files`.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DataError

LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GONE = (errno.ENOENT, errno.ESTALE)
_TRIES, _PAUSE = 5, 0.05
"""Attempts at a lock and seconds between them: whoever looks for its owner holds it for an instant."""

_held: dict[int, Path] = {}
"""Locks of this process: file descriptor to path."""


@contextmanager
def claimed(
    folder: Path,
    instead: str = "choose another folder",
    *,
    name: str = LOCK,
    shared: bool = False,
    stays: bool = False,
    wait: float = 0.0,
) -> Iterator[None]:
    """The folder, made if need be, for this piece of work alone; one that fails leaves no empty folder.

    Parameters
    ----------
    instead : what whoever is refused can do, but wait.
    name : of the lock file in it.
    shared : others may hold it too, if they share it.
    stays : whether the lock file stays in the folder; one that is shared must.
    wait : seconds for which another may still hold it.

    Raises
    ------
    DataError : another process (or another call of this one) works in the folder, or it cannot be written.
    """
    path = Path(folder).absolute() / name
    with explained(folder, instead=instead):
        new = [each for each in path.parents if not each.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
    if lock is None:
        what = folder if name == LOCK else Path(folder) / name.strip(".").removesuffix(LOCK)
        raise DataError(
            f"{what} is in use by another process: it is {_described(path)}. Wait for it, or {instead}."
        )
    _held[lock] = path
    try:
        _sign(lock)
        yield
        new = []
    finally:
        del _held[lock]
        if stays or shared:
            with suppress(OSError):
                os.ftruncate(lock, 0)
        elif _is_at(path, lock):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # one that something is in
                for each in new:
                    each.rmdir()
        os.close(lock)


def owner(folder: Path | str, name: str = LOCK) -> str:
    """Who writes into a folder now, as "being written by process 12 on host since ..."; "" if nobody does."""
    path = Path(folder) / name
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(path)
    except OSError:
        return ""
    finally:
        os.close(file)
    return ""


def is_ours(folder: Path | str) -> bool:
    """Whether this process claimed the folder."""
    return Path(folder).absolute() / LOCK in _held.values()


@contextmanager
def explained(
    folder: Path | str,
    *,
    room: str = "Make room and start again.",
    instead: str = "choose another folder",
) -> Iterator[None]:
    """Faults of the disk as errors that say what to do.

    Parameters
    ----------
    room : what is kept where the disk is full, and how to go on.
    instead : what to do where the folder cannot be written at all.
    """
    try:
        yield
    except OSError as problem:
        advice = f"{instead[0].upper()}{instead[1:]}."
        if problem.errno in _FULL:
            text = f"{folder}: there is no room left to write ({problem.strerror}). {room}"
        elif problem.errno in _GONE and not os.path.isdir(folder):
            text = f"{folder} cannot be written: it was removed or replaced meanwhile ({problem}). {advice}"
        else:
            text = f"{folder} cannot be written: {problem}. {advice}"
        raise DataError(text) from problem


def check_still_ours(folder: Path) -> None:
    """Raise DataError if this process claimed the folder and somebody removed or replaced it since."""
    path = Path(folder).absolute() / LOCK
    locks = [lock for lock, held in _held.items() if held == path]
    if locks and not any(_is_at(path, lock) for lock in locks):
        raise DataError(
            f"{folder} was removed or replaced while this process was writing into it. What is there now is "
            "left alone: look who else works there, and start again."
        )


def _locked(path: Path, how: int, wait: float) -> int | None:
    """The locked file, None if another has it."""
    tries = max(_TRIES, round(wait / _PAUSE))
    for attempt in range(tries):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            time.sleep(_PAUSE if attempt < tries - 1 else 0)
            continue
        except OSError:
            os.close(file)
            raise
        if _is_at(path, file):
            return file
        os.close(file)  # its owner removed it between our opening and locking
    return None


def _is_at(path: Path, file: int) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


def _sign(lock: int) -> None:
    """Write into the lock who holds it; for people, so it may fail."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, text.encode(), 0)


def _described(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"being written by process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "being written by a process that left no name"
