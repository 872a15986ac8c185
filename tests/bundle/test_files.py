"""Bundles from anywhere: whatever is in the folder, one paragraph, quickly, without memory or waiting."""

import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import resign
from safetensors.numpy import load_file, save_file

from screening.bundle.bundle import Bundle
from screening.bundle.files import SUMS
from screening.errors import BundleError


@pytest.fixture
def folder(real_run: Path, tmp_path: Path) -> Path:
    """A copy of a trained bundle, to be spoilt."""
    shutil.copytree(real_run / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(autouse=True)
def _quick_and_small(folder: Path) -> Iterator[None]:
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - before < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000  # KiB


def refused(folder: Path, message: str = r"\w") -> str:
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(folder)
    text = str(caught.value)
    assert len(text) < 700
    assert "\n" not in text
    return text


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link": lambda path: path.symlink_to(path.with_name("elsewhere")),
    "a folder": Path.mkdir,
    "nothing": lambda path: None,
    "a terabyte of zeros": lambda path: (path.touch(), os.truncate(path, 10**12)),
}


@pytest.mark.parametrize("name", [SUMS, "bundle.json", "member-0.safetensors", "domain.safetensors"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_in_the_place_of_a_file(folder: Path, name: str, place: str) -> None:
    (folder / name).rename(folder / "elsewhere")
    PLACES[place](folder / name)
    assert name in refused(folder) or name == "bundle.json"


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"encoder": {"name": "hybrid", "width": 10**9}}},
        {"model": {"encoder": {"name": "hybrid", "width": 20_000, "hidden": 20_000}}},
        {"model": {"encoder": {"name": "hybrid", "width": 16, "hidden": 16, "depth": 10**9}}},
        {"model": {"encoder": {"name": "hybrid", "width": 16, "hidden": 16, "depth": 100}}},
        {"model": {"encoder": {"name": "fingerprint", "widths": [16] * 100_000}}},
        {"model": {"encoder": {"name": "gine", "width": 16, "depth": 1}, "heads": {"hidden": 10**9}}},
        {"members": [{"kind": "network", "columns": [0]}] * 20_000},
        {"members": [{"kind": "network", "columns": [0.0, 1, 2, 3, 4]}] * 2},
        {"members": [{"kind": "network", "columns": [True, 0, 2, 3, 4]}] * 2},
        {"members": [None, None]},
        {"members": {"0": 1, "1": 2}},
        {"tasks": "abcde"},
        {"tasks": ["a", "a", "b", "c", "d"]},
        {"tasks": [1, 2, 3, 4, 5]},
        {"tasks": ["a", "b", "c", "d", ""]},
        {"tasks": [f"task {number}" for number in range(20_000)]},
        {"about": ["x"]},
        {"about": None},
        {"features": []},
        {"features": {"graph": "x" * 10**6, "vectors": [], "standardize": "none"}},
        {"features": {"graph": "atom_codes", "vectors": ["ecfp_counts"], "standardize": 7}},
        {"inputs": {"atom_sizes": [10**12] * 9, "bond_sizes": [3], "vectors": []}},
        {"inputs": {"atom_sizes": ["9"], "bond_sizes": [3], "vectors": []}},
        {"inputs": {"atom_sizes": [-1], "bond_sizes": [1e300], "vectors": [{"name": 1}]}},
        {"parts": "domain"},
        {"parts": [None]},
        {"format": []},
    ],
    ids=lambda change: json.dumps(change)[:60],
)
def test_a_description_beyond_reason(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    resign(folder)
    refused(folder)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "7", DEEP, '{"format": 1e999}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_description_that_is_none(folder: Path, text: str | bytes) -> None:
    (folder / "bundle.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    resign(folder)
    refused(folder)


@pytest.mark.parametrize("line", ["x" * 300, "..", ".", "", "a/b", "/etc/passwd", "a\0b"])
def test_a_list_of_sums_with_odd_names(folder: Path, line: str) -> None:
    with (folder / SUMS).open("a") as file:
        file.write(f"{'0' * 64}  {line}\n")
    refused(folder, "not a file of the bundle")


@pytest.mark.parametrize(
    "header", [b"", b"\xff" * 8, (2).to_bytes(8, "little") + b"[]", (10**6).to_bytes(8, "little")]
)
def test_arrays_with_a_header_that_is_none(folder: Path, header: bytes) -> None:
    (folder / "member-1.safetensors").write_bytes(header)
    resign(folder)
    refused(folder, r"member-1\.safetensors was changed")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(folder: Path, value: float) -> None:
    for path in sorted(folder.glob("*.safetensors")):
        arrays = load_file(path)
        name = next(name for name, array in arrays.items() if array.dtype.kind == "f" and array.size)
        spoilt = {**arrays, name: np.full_like(arrays[name], value)}
        save_file(spoilt, path)
        resign(folder)
        if path.stem.startswith(("member", "calibration", "domain", "representation")):
            refused(folder)
        save_file(arrays, path)


@pytest.mark.parametrize("kind", [np.float64, np.bool_])
def test_indices_of_another_type_are_refused(folder: Path, kind: type) -> None:
    for name in ("calibration", "domain"):
        path = folder / f"{name}.safetensors"
        arrays = load_file(path)
        for key in arrays.keys() & {"bounds", "first", "columns", "active_rows", "active_bounds"}:
            save_file({**arrays, key: arrays[key].astype(kind)}, path)
            resign(folder)
            refused(folder)
        save_file(arrays, path)


def test_a_trained_bundle_is_none_of_these(folder: Path) -> None:
    assert Bundle.load(folder).tasks
    resign(folder)
    assert Bundle.load(folder).tasks
