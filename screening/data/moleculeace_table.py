"""The table `moleculeace`: measured affinities of 30 ChEMBL targets, from the files of an installed wheel.

Van Tilborg, Alenicheva, Grisoni, Exposing the Limitations of Molecular Machine Learning with Activity Cliffs,
J. Chem. Inf. Model. 62 (2022) 5938. The package (MIT) is not imported; its values are ChEMBL's (CC BY-SA
3.0).
"""

import csv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePath
from typing import NamedTuple

from ..errors import DataError
from ..runtime.csv_bytes import packed_csv
from ..runtime.files import write_atomically

VERSION = 1
"""Raised when the rules below change, so that a table in the cache is made again."""

WHEEL = "moleculeace"
RELEASE = "3.0.0"
"""Of the wheel: the one whose 48,714 values are those of the publication's benchmark."""

INSTALL = f"pip install --no-deps {WHEEL}=={RELEASE}"
"""Without what it asks for: nothing of that is needed to read its files."""

VALUE = "exp_mean [nM]"


class Measurement(NamedTuple):
    """What was measured of a structure on a target."""

    smiles: str
    assay: str
    """ChEMBL's target and the type of the value, such as CHEMBL204_Ki."""
    nanomolar: str
    """Ki or EC50 as it is written in the file, the mean of all measurements."""
    is_cliff: bool
    """Whether a similar molecule of the target differs tenfold or more."""
    part: str
    """train or test, of this measurement: the structure may be in the other part for another target."""


def is_installed() -> bool:
    """Whether the wheel is there, whichever release."""
    try:
        metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        return False
    return True


def measurements() -> Iterator[Measurement]:
    """All measurements, by target in the order of their names, and as in their files.

    Raises
    ------
    DataError : the wheel is not installed, is another release, or lacks its files.
    """
    for path in _files():
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                is_cliff = line["cliff_mol"] == "1"
                yield Measurement(line["smiles"], path.stem, line[VALUE], is_cliff, line["split"])


def make_moleculeace(folder: Path) -> Path:
    """Path of the table in `folder`; made there (some seconds) if it is not there yet.

    Columns: mol_id (one per structure), smiles, split, then one per target: nM or empty. A row is a structure
    and a part: a structure that trains for one target and tests for another has two rows. Same bytes always.

    Raises
    ------
    DataError : as `measurements`.
    """
    path = folder / f"{WHEEL}-v{VERSION}-{RELEASE}.csv.gz"
    if not path.exists():
        content = packed_csv(_table(list(measurements())))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return path


def _table(values: list[Measurement]) -> list[list[str]]:
    """Header and rows; rows by the first appearance of the structure, its training row first."""
    assays = list(dict.fromkeys(value.assay for value in values))
    number = {smiles: n for n, smiles in enumerate(dict.fromkeys(value.smiles for value in values), 1)}
    cells: dict[tuple[int, bool], dict[str, Measurement]] = {}
    for value in values:
        cells.setdefault((number[value.smiles], value.part != "train"), {})[value.assay] = value
    rows = [["mol_id", "smiles", "split", *assays]]
    for (structure, _), row in sorted(cells.items()):
        first = next(iter(row.values()))
        texts = [row[assay].nanomolar if assay in row else "" for assay in assays]
        rows.append([f"ACE-{structure:05d}", first.smiles, first.part, *texts])
    return rows


def _files() -> list[Path]:
    """The tables of the wheel, sorted by name."""
    try:
        wheel = metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        raise DataError(
            f"The table 'moleculeace' is read from a package that is not installed here (1.1 MB, MIT; its "
            f"values are ChEMBL's, CC BY-SA 3.0). Install it, without what it asks for: {INSTALL}"
        ) from None
    if wheel.version != RELEASE:
        raise DataError(
            f"The table 'moleculeace' is that of release {RELEASE} of its package, and {wheel.version} is "
            f"installed. Install the other: {INSTALL}"
        )
    tables = [file for file in wheel.files or () if PurePath(file).parts[-2:-1] == ("benchmark_data",)]
    paths = sorted(Path(str(file.locate())) for file in tables if file.suffix == ".csv")
    missing = [path.name for path in paths if not path.exists()]
    if missing or not paths:
        what = f"lacks {missing[0]}" if missing else "has no tables"
        raise DataError(
            f"The installed package {WHEEL} {what}. Install it again: {INSTALL} --force-reinstall"
        )
    return paths
