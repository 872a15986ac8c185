"""The files of a bundle: that they are plain, of a possible size, and unchanged, before anything is read.

A bundle may come from anywhere: a pipe in place of a file would wait for ever, a size that is a lie would
fill the memory. Sizes are looked at first, then sums; what the files say is read in `bundle`.
"""

import json
import stat
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..runtime.files import file_sha256

SUMS = "SHA256SUMS"
MOST_TEXT = 16 * 1024**2
"""Bytes of bundle.json and of the list of sums; those of 20 networks and 2,000 assays have 0.2 MB."""
MOST_ARRAYS = 16 * 1024**3
"""Bytes of a file of arrays: forests of hundreds of assays have 1 GB."""

AGAIN = "Copy the bundle again, with all its files."


def check_sums(folder: Path) -> set[str]:
    """The names in the list of sums, all of them plain files of a possible size, there and unchanged.

    Raises
    ------
    BundleError : a file is missing, no plain file, too large, shorter or longer than it says, or changed.
    """
    expected: dict[str, str] = {}
    for line in _text_of(folder / SUMS).splitlines():
        total, _, name = line.partition("  ")
        if name in ("", ".", "..") or Path(name).name != name or "\0" in name or len(name) > 200:
            raise BundleError(f"{folder / SUMS} names {name[:80]!r}, which is not a file of the bundle.")
        expected[name] = total
    for name in expected:
        _check_size(folder / name)
    for name, total in expected.items():
        path = folder / name
        try:
            is_same = total == file_sha256(path)
        except OSError as problem:
            raise BundleError(f"{path} cannot be read: {problem}. {AGAIN}") from problem
        if not is_same:
            raise BundleError(f"{path} was changed after it was written (checksum). Copy the bundle again.")
    return set(expected)


def _text_of(path: Path) -> str:
    _check_size(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BundleError(f"{path} cannot be read: {problem}. Copy the bundle again.") from problem


def _check_size(path: Path) -> None:
    try:
        state = path.lstat()
    except OSError as problem:
        raise BundleError(f"{path} is missing or cannot be read: {problem}. {AGAIN}") from problem
    if not stat.S_ISREG(state.st_mode):
        raise BundleError(f"{path} is missing: there is a link, pipe, device or folder in its place. {AGAIN}")
    is_arrays = path.suffix == ".safetensors"
    most = MOST_ARRAYS if is_arrays else MOST_TEXT
    if state.st_size > most:
        raise BundleError(f"{path} has {state.st_size:,} bytes, more than the {most:,} that are possible.")
    if is_arrays:
        _check_length(path, state.st_size)


def _check_length(path: Path, size: int) -> None:
    """The length that a file of arrays says it has: 8 bytes, a header in JSON, and the numbers."""
    try:
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(8), "little")
            header: Any = json.loads(file.read(n_header)) if n_header <= min(MOST_TEXT, size) else None
        ends = [value["data_offsets"][1] for name, value in header.items() if name != "__metadata__"]
        is_whole = size == 8 + n_header + max(ends, default=0)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as problem:
        raise BundleError(f"{path} was changed: its header cannot be read. {AGAIN}") from problem
    if not is_whole:
        raise BundleError(f"{path} was changed: it has {size:,} bytes, not as many as it says. {AGAIN}")
