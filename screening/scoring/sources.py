"""A file that is read for a long time: whether it is still what it was when the work on it began.

Size, times and number of the file are looked at often; where they changed, its checksum decides.
"""

import os
import stat
from typing import NamedTuple

from ..errors import DataError
from ..runtime.files import file_sha256


class State(NamedTuple):
    """What the operating system says of a file; the device is not in it, it differs between machines."""

    size: int
    modified: int
    """Nanoseconds, as the file's owner may set it."""
    changed: int
    """Nanoseconds, as nobody can set it."""
    number: int
    """Of the file on its disk: another one has the name after a replacement."""


class Source:
    """A file as it was when this was made. Can be pickled.

    Parameters
    ----------
    path : of a file; "-" or a pipe have no state and never change.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._state = _state(path)
        self._sum: str | None = None

    @property
    def size(self) -> int:
        """Bytes on disk, 0 for standard input."""
        return 0 if self._state is None else self._state.size

    def sum(self) -> str | None:
        """SHA-256 of the file, None for what has no state.

        Raises
        ------
        DataError : the file is not what it was.
        """
        if self._sum is None and self._state is not None:
            total = _summed(self.path)
            self.check()
            self._sum = total
        return self._sum

    def sum_now(self) -> str | None:
        """SHA-256 of what is there now; None for what has no state or cannot be read any more."""
        return None if self._state is None else _summed(self.path)

    def check(self) -> None:
        """Raise DataError if the file is not what it was; new times alone (touched) are no change."""
        if self._state is None or (now := _state(self.path)) == self._state:
            return
        if now is not None and self._sum is not None and _summed(self.path) == self._sum:
            self._state = now
            return
        raise DataError(
            f"{self.path} changed while it was read: it {_what_happened(self._state, now)}. Wait until it is "
            "complete, and start again; over scores that are there already, with `overwrite`."
        )


def _what_happened(before: State, now: State | None) -> str:
    """
    >>> _what_happened(State(20, 0, 0, 1), State(10, 0, 0, 1))
    'was cut from 20 to 10 bytes'
    """
    if now is None:
        return "was removed"
    if now.number != before.number:
        return f"was replaced by another file of {now.size:,} bytes"
    if now.size == before.size:
        return "was written anew"
    return f"{'was cut' if now.size < before.size else 'grew'} from {before.size:,} to {now.size:,} bytes"


def _state(path: str) -> State | None:
    """None for standard input, and for what is not there or is no file."""
    try:
        status = None if path == "-" else os.stat(path)
    except OSError:
        return None
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _summed(path: str) -> str | None:
    """None if it cannot be read (any more)."""
    try:
        return file_sha256(path)
    except OSError:
        return None
