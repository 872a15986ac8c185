"""Reads several files as one assay table; what each holds is told by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..registry import did_you_mean
from .assay_kinds import matches
from .assay_table import AssayTable
from .assays import read_assays
from .declared import AnySettings, checked_settings
from .table_union import united


def read_several(
    paths: Sequence[Path], tasks: Sequence[str] | None, assays: AnySettings, **settings: Any
) -> AssayTable:
    """The tables of all files, united.

    Parameters
    ----------
    tasks : assays to use, each in one file at least; None = all.
    assays : as in `read_assays`; each must fit an assay of one file at least.
    settings : the other settings of `read_assays`, the same for all files.

    Raises
    ------
    DataError, ConfigError : as `read_assays` of a file; or assays of one name differ in kind, scale or unit.
    """
    declared = checked_settings(assays)
    tables = [read_assays(path, assays=declared, is_one_of_several=True, **settings) for path in paths]
    names = [path.name for path in paths]
    table = united(tables, names if len(set(names)) == len(names) else [str(path) for path in paths])
    for pattern in declared:
        if not any(matches(f"*{pattern}*", name) for name in table.tasks):
            hint = did_you_mean(pattern, table.tasks)
            raise ConfigError(f"data.assays, '{pattern}': no file has it. {hint}")
    return table if tasks is None else table.select(tasks)
