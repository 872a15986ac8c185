"""From the name or path of a table to the table: finding, fetching, checking, loading and describing it.

What is known of public tables is in `catalogue`, reading is in `assays`. Two tables are made on this machine:
`alerts`, whose labels are computed, and `moleculeace` from an installed wheel, each in the file of its name.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from ..config import Data
from ..config_sections import LongColumns
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from ..runtime.files import file_sha256
from ..runtime.printable import printable
from .alerts_table import make_alerts
from .assay_columns import ATTENTION
from .assay_table import AssayTable
from .assays import read_assays
from .catalogue import AssayCounts, DataSet, catalogue
from .catalogue_check import compare_with_catalogue, count_labels, differences_of_file
from .declared import AnySettings
from .downloads import DownloadError, download
from .formats.opening import is_stream, lasting
from .merging import prepare
from .moleculeace_table import is_installed, make_moleculeace
from .molecules import parents
from .tables import IN_MEMORY, Rejected

MAKERS: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {"alerts": make_alerts, "moleculeace": make_moleculeace}
)
"""What makes the tables without an address, in a folder."""

MANY_SALTS = 0.01
"""Share of structures of several components from which advice is given; 3 % in Tox21."""


@dataclass(frozen=True)
class Description:
    """What is in a table; `str()` is the text for the terminal."""

    path: Path
    entry: DataSet | None
    """Of the catalogue."""
    n_rows: int
    """Records of the file."""
    n_unread: int
    """Records that are no row of the table (too many fields, ...)."""
    n_unusable: int
    """Rows whose structure cannot be used."""
    n_duplicates: int
    """Rows whose structure occurred before."""
    n_several: int
    """Structures of several components (salts, mixtures), each counted once."""
    assays: list[AssayCounts]
    """Before duplicates are merged."""
    rejected: list[Rejected]
    notes: list[str]

    @property
    def n_labels(self) -> int:
        return sum(assay.labels for assay in self.assays)

    @property
    def n_actives(self) -> int:
        return sum(assay.actives or 0 for assay in self.assays)

    @property
    def share_measured(self) -> float:
        """Labels by cells of the table, 0 where there is none."""
        return self.n_labels / max((self.n_rows - self.n_unread) * len(self.assays), 1)

    def __str__(self) -> str:
        title = f"{self.path}" + (f" ({self.entry.name}: {self.entry.summary})" if self.entry else "")
        loud = [note for note in self.notes if note.startswith(ATTENTION)]
        lines = [
            title,
            *loud,
            f"{self.n_rows:,} records; {self.n_unread:,} could not be read as rows, {self.n_unusable:,} have "
            f"no usable structure, {self.n_duplicates:,} repeat a structure; {self.n_several:,} structures "
            "have several components",
            f"{len(self.assays):,} assays; {self.n_labels:,} labels, {self.share_measured:.1%} of all; "
            f"{self.n_actives:,} active, {self.n_actives / max(self.n_labels, 1):.2%} of the labels",
            f"labels per assay {_spread([assay.labels for assay in self.assays])}, actives per assay "
            f"{_spread([assay.actives or 0 for assay in self.assays])} (fewest / median / most)",
        ]
        if self.entry:
            lines += [f"known defects: {self.entry.defects}", f"source: {self.entry.source}"]
            lines += [f"licence: {self.entry.licence}"]
        names = [printable(assay.assay) for assay in self.assays]
        width = max(map(len, names), default=0)
        lines.append(f"  {'assay':<{width}} {'labels':>9} {'actives':>9}")
        lines += [
            f"  {name:<{width}} {assay.labels:>9,} {assay.actives:>9,}"
            for name, assay in zip(names, self.assays, strict=True)
        ]
        lines += [f"rejected: record {r.row}, {r.smiles[:60]!r}: {r.reason}" for r in self.rejected[:10]]
        if len(self.rejected) > 10:
            lines.append(f"rejected: {len(self.rejected) - 10:,} more")
        return "\n".join([*lines, *(note for note in self.notes if note not in loud)])


def cache_folder() -> Path:
    """Where downloads and made tables are kept: ./data where it exists, else the user's cache folder."""
    here = Path("data")
    if here.is_dir():
        return here
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "screening"


def is_here(name: str) -> bool:
    """Whether `find(name)` needs neither a download nor another package."""
    if name == "moleculeace" and is_installed():
        return True
    return name == "alerts" or _look_up(catalogue[name].files) is not None


def find(name: str, *, data: str | Path | None = None) -> Path:
    """The file of a table: a name of the catalogue, or a path, also relative to the data folders.

    Of what can be read only once ("-" for standard input, a pipe) it is a copy that lasts till the end.

    Looked up in this order: `data` (the file itself or its folder; then nowhere else), the folder
    SCREENING_DATA, the cache, and then downloaded, or made if it is of MAKERS.

    Raises
    ------
    DataError : it is nowhere and cannot be downloaded; the message says what to put where.
    ConfigError : no such name or file, or `data` or SCREENING_DATA is wrong.
    """
    if is_stream(name):
        return lasting(name)
    if name == IN_MEMORY and data is None:
        raise ConfigError(
            "data.source: the table was in memory, not in a file. Give it again from Python, "
            "train(config, table=table, ...), or the same table as a file: `data` FILE."
        )
    row = catalogue.get(name)
    files = row.files if row else (name,)
    if data is not None:
        given = lasting(data)
        path = given if given.is_file() else _first(given, files)
        if path is None:
            raise ConfigError(f"{given} is no file, and there is no {_one_of(files)} in it: correct `data`.")
        return path
    if row is None and Path(name).exists():
        return Path(name)
    path = _look_up(files)
    if path is None and row is None:
        raise ConfigError(
            f"'{name}' is neither a file ({_places()}) nor a table of the catalogue. "
            f"{did_you_mean(name, catalogue)}"
        )
    return path or fetch(name)


def fetch(name: str, to: str | Path | None = None) -> Path:
    """Download a table into the folder `to` (None = the cache), check its content, and give its path.

    What is there under that name already is replaced, once the new file has passed.

    Raises
    ------
    ConfigError : no such table.
    DataError : no network, not found, too large, not the table that the catalogue describes, or the package
        that it is made from is not installed.
    """
    if name not in catalogue:
        raise ConfigError(f"There is no table '{name}' in the catalogue. {did_you_mean(name, catalogue)}")
    row = catalogue[name]
    folder = Path(to) if to is not None else cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if row.address is None:
            return MAKERS[name](folder)
        path = folder / row.files[0]
        limit = row.limit * 1_000_000
        download(row.address, path, limit=limit, check=lambda part: _check(row, part), sha256=row.sha256)
        return path
    except DownloadError as problem:
        raise DataError(
            f"The table '{name}' is not on this machine and could not be downloaded ({problem}). Get "
            f"{row.address} on a machine with a network and save it as {path.absolute()}, or keep it in a "
            "folder of your own and name that with the variable SCREENING_DATA or the option `data`. The "
            "table 'alerts' needs no network."
        ) from problem
    except OSError as problem:
        raise DataError(
            f"The table '{name}' cannot be written to {folder.absolute()} ({problem}). Make the folder "
            "writable, make a folder ./data, or name another cache with the variable XDG_CACHE_HOME."
        ) from problem


def verify_table(name: str) -> tuple[Path, list[str]]:
    """The file of a table of the catalogue, and how it differs from what is known of it, in words.

    Rows, assays, labels and actives are compared, as far as they are known; a table of MAKERS is made anew,
    and all of its bytes are.

    Raises
    ------
    DataError : the table is not on this machine.
    """
    row = catalogue[name]
    if not is_here(name):
        raise DataError(
            f"The table '{name}' is not on this machine ({_places()}). Get it: screening data fetch {name}"
        )
    path = find(name)
    return path, _differs_from_new(name, path) if row.address is None else differences_of_file(row, path)


def load_dataset(
    source: str,
    *,
    data: str | Path | AssayTable | None = None,
    smiles: str | None = None,
    id: str | None = None,
    tasks: Sequence[str] | None = None,
    labels: Mapping[str, float | None] = MappingProxyType({}),
    assays: AnySettings = MappingProxyType({}),
    format: str = "auto",
    long: LongColumns | None = None,
    keep_apart: str | None = None,
) -> AssayTable:
    """The table `find` finds, as `read_assays` reads it; the catalogue's assays unless others are given.

    A table in memory, as `data`, is taken as it is, with the assays `tasks`.

    A note says if the content is not that of the catalogue, and what its row gives notice of.
    """
    if isinstance(data, AssayTable):
        return data if tasks is None else data.select(tasks)
    path = find(source, data=data)
    read = partial(read_assays, path, smiles=smiles, id=id, labels=labels)
    read = partial(read, format=format, long=long, keep_apart=keep_apart)
    row = catalogue.get(source)
    if row is None:
        return read(tasks=tasks, assays=assays)
    named = tasks if tasks is not None or row.assays else row.tasks
    table = read(tasks=named, assays=assays or row.assays)
    notes = table.notes
    if row.address is None:
        notes = [note for note in notes if not note.startswith(ATTENTION)]  # its other columns are no assays
    elif tasks is None and (differences := compare_with_catalogue(row, table, _n_records(table))):
        notes = [*notes, f"{path} is not the known table '{source}': {'; '.join(differences)}."]
    return replace(table, notes=[*notes, f"{source}: {row.notice}"] if row.notice else notes)


def _n_records(table: AssayTable) -> int:
    return len(table) + len(table.rejected)


def describe(
    source: str,
    *,
    data: str | Path | None = None,
    settings: Data | None = None,
    workers: int | None = None,
) -> Description:
    """Rows, assays, labels and problems of a table, by name or path; every structure is read.

    Parameters
    ----------
    settings : how to read it, as in a config; None = by its defaults.
    """
    settings = settings or Data(source=source)
    table = load_dataset(source, data=data, **reading(settings))
    merged, unusable, decided = prepare(
        table, standardize=settings.standardize, keep_apart=settings.keep_apart, workers=workers
    )
    several = sum("." in text for text in merged.canonical or [])
    return Description(
        path=find(source, data=data),
        entry=catalogue.get(source),
        n_rows=_n_records(table),
        n_unread=len(table.rejected),
        n_unusable=len(unusable),
        n_duplicates=len(table) - len(unusable) - len(merged),
        n_several=several,
        assays=count_labels(table),
        rejected=sorted([*table.rejected, *unusable]),
        notes=[
            *table.notes,
            *decided,
            *_salt_notes(several, len(merged), settings.standardize),
            *_parent_notes(merged.canonical or [], workers),
        ],
    )


def reading(settings: Data) -> dict[str, Any]:
    """The settings that `load_dataset` and `read_assays` take."""
    names = ("smiles", "id", "tasks", "labels", "assays", "format", "long", "keep_apart")
    return {name: getattr(settings, name) for name in names}


def _salt_notes(n_several: int, n: int, standardize: str) -> list[str]:
    """Advice where salts and mixtures are many."""
    if standardize in ("fragment", "neutral") or n_several < MANY_SALTS * n or not n_several:
        return []
    return [
        f"{n_several:,} of {n:,} structures ({n_several / n:.1%}) have several components (salts, mixtures): "
        "a salt and its parent count as two molecules, and may be trained on and tested. With the setting "
        "data.standardize=fragment the largest component stands for the molecule."
    ]


def _parent_notes(canonical: Sequence[str], workers: int | None) -> list[str]:
    """How many structures are other forms of compounds that came before."""
    structures = list(dict.fromkeys(canonical))
    forms = Counter(parents(structures, are_canonical=True, workers=workers))
    n_related = sum(forms.values()) - len(forms)
    if not n_related:
        return []
    return [
        f"{n_related:,} of {len(structures):,} structures have the parent of another (another salt, charge "
        "or stereoisomer) and are kept apart. With the setting data.standardize=neutral salts and charges "
        "count as the same structure; stereoisomers never do."
    ]


# --- looking up ---------------------------------------------------------------------------------------


def _folders() -> list[Path]:
    """Folders in which tables are looked for, in order."""
    named = os.environ.get("SCREENING_DATA")
    if named and not Path(named).is_dir():
        raise ConfigError(
            f"The variable SCREENING_DATA names '{named}', which is no folder. Correct or unset it."
        )
    return [*([Path(named)] if named else []), cache_folder()]


def _look_up(files: Sequence[str]) -> Path | None:
    return next(filter(None, (_first(folder, files) for folder in _folders())), None)


def _first(folder: Path, files: Sequence[str]) -> Path | None:
    return next((folder / file for file in files if (folder / file).is_file()), None)


def _places() -> str:
    named = "" if "SCREENING_DATA" in os.environ else " (the variable SCREENING_DATA is not set)"
    folders = " and ".join(str(folder.absolute()) for folder in _folders())
    return f"looked for here, in {folders}{named}"


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(names)


def _check(row: DataSet, part: Path) -> None:
    """Raise DataError unless the downloaded file is the table of the row."""
    differences = differences_of_file(row, part)
    if differences:
        raise DataError(
            f"What {row.address} gave is not the table '{row.name}' and was not kept: "
            f"{'; '.join(differences)}. If it is what you want all the same, save it yourself and name the "
            "file with `data`."
        )


def _differs_from_new(name: str, path: Path) -> list[str]:
    """Whether the table that was made on this machine is byte by byte what would be made now."""
    with TemporaryDirectory() as folder:
        is_same = file_sha256(MAKERS[name](Path(folder))) == file_sha256(path)
    return [] if is_same else ["its bytes are not those of a table made anew"]


def _spread(numbers: Iterable[int]) -> str:
    values = list(numbers) or [0]
    return f"{min(values):,} / {round(median(values)):,} / {max(values):,}"
