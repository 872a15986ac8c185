"""From the name or path of a table to the table: finding, fetching, checking and loading it.

What is known of public tables is in `catalogue`, reading is in `assays`. Two tables are made on this machine:
`alerts`, whose labels are computed, and `moleculeace` from an installed wheel, each in the file of its name.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from ..config import Data
from ..config_sections import LongColumns, Table
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from ..runtime.files import file_sha256
from .alerts_table import make_alerts
from .assay_columns import ATTENTION
from .assay_table import AssayTable
from .assays import read_assays
from .catalogue import DataSet, catalogue
from .catalogue_check import compare_with_catalogue, differences_of_file
from .declared import AnySettings
from .downloads import DownloadError, download
from .formats.opening import is_stream, lasting
from .moleculeace_table import is_installed, make_moleculeace
from .several_files import read_several
from .tables import IN_MEMORY

MAKERS: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {"alerts": make_alerts, "moleculeace": make_moleculeace}
)
"""What makes the tables without an address, in a folder."""


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


def files_of(sources: Sequence[str], data: object = None) -> list[Path]:
    """The files of a list in `data.source`.

    Raises
    ------
    ConfigError : `data` is given, which names one file; or a name is none of a file or of the catalogue.
    """
    if data is not None:
        raise ConfigError("data.source is a list of files: name them there, and leave `data` out.")
    return [find(name) for name in sources]


def load_dataset(
    source: str | Sequence[str],
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

    A table in memory, as `data`, is taken as it is, with the assays `tasks`. Several sources are one table of
    all rows; settings of `assays` then need to fit in one of them alone.

    A note says if the content is not that of the catalogue, and what its row gives notice of.
    """
    if isinstance(data, AssayTable):
        return data if tasks is None else data.select(tasks)
    if not isinstance(source, str):
        read = partial(read_several, files_of(source, data), tasks, assays, keep_apart=keep_apart)
        return read(smiles=smiles, id=id, labels=labels, format=format, long=long)
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


def reading(settings: Table) -> dict[str, Any]:
    """The settings that `load_dataset` and `read_assays` take."""
    names = ("smiles", "id", "tasks", "labels", "assays", "format", "long")
    keep_apart = settings.keep_apart if isinstance(settings, Data) else None
    return {name: getattr(settings, name) for name in names} | {"keep_apart": keep_apart}


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
