"""Assay tables: molecules and what was measured on them, in memory."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config_sections import LongColumns
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from ..runtime.files import atomic_write
from .assay_kinds import Assay, are_real, bounds_of
from .cell_texts import cell_texts
from .sparse_cells import n_equal, n_measured, take_columns, take_rows
from .tables import Rejected, open_frame
from .threshold_cells import ThresholdCells

if TYPE_CHECKING:
    from .declared import AnySettings


@dataclass(frozen=True, eq=False, repr=False)
class AssayTable:
    """Molecules and what was measured on them; n rows, T assays."""

    ids: list[str]
    """n identifiers as written, "" where there is none; not necessarily different."""
    smiles: list[str]
    """n structures as written."""
    labels: np.ndarray
    """float32 [n, T]: 1 = active, 0 = inactive; of a real assay its value on the trained scale, or the bound
    where it is censored; NaN = not measured. `SparseCells` where few of very many are measured."""
    tasks: tuple[str, ...]
    """T names of assays."""
    extra: dict[str, list[str]]
    """The other columns, n texts each."""
    rows: np.ndarray
    """int64 [n], record numbers in the file, from 1."""
    canonical: list[str] | None = None
    """n canonical SMILES after standardisation, None before `prepare`."""
    rejected: list[Rejected] = field(default_factory=list)
    """Records that could not be used when it was read."""
    notes: list[str] = field(default_factory=list)
    """What was decided or odd when it was read."""
    about: tuple[Assay, ...] = ()
    """Kind, unit and scale of each assay; () = all are of two classes."""
    censored: np.ndarray | None = None
    """int8 [n, T]: 1 = the true value is above the label, -1 = below, 0 = as it is; None = no cell is
    censored."""
    thresholded: ThresholdCells | None = None
    """Measurements behind classes of a threshold; None once those of a structure are merged, or unknown."""

    def __post_init__(self) -> None:
        n = len(self.smiles)
        lengths = {len(self.ids), len(self.rows), len(self.canonical or self.smiles)}
        lengths |= {len(texts) for texts in self.extra.values()}
        if self.labels.shape != (n, len(self.tasks)) or lengths != {n}:
            raise ValueError(f"the columns are not all of {n} rows and {len(self.tasks)} assays")
        if len(set(self.tasks)) != len(self.tasks):
            twice = next(name for name in self.tasks if self.tasks.count(name) > 1)
            raise ValueError(f"two assays are called {twice!r}: name every assay once")
        if self.about and tuple(assay.name for assay in self.about) != self.tasks:
            raise ValueError("`about` is not of the assays `tasks`, in their order")
        if self.censored is not None and self.censored.shape != self.labels.shape:
            raise ValueError("`censored` has not the shape of `labels`")

    def __len__(self) -> int:
        return len(self.smiles)

    def __repr__(self) -> str:
        n_labels, n_active = (
            int(n_measured(self.labels).sum()),
            int(n_equal(self.labels, 1)[~self.is_real].sum()),
        )
        return (
            f"AssayTable: {len(self):,} molecules, {len(self.tasks):,} assays, {n_labels:,} labels "
            f"({n_labels / max(self.labels.size, 1):.1%} of all), {n_active:,} active; "
            f"{len(self.rejected):,} records rejected"
        )

    @property
    def assays(self) -> tuple[Assay, ...]:
        """Kind, unit and scale of the T assays."""
        return self.about or tuple(map(Assay, self.tasks))

    @property
    def is_real(self) -> np.ndarray:
        """bool [T], which assays have real values."""
        return are_real(self.assays)

    def bounds(self, rows: np.ndarray) -> np.ndarray:
        """Labels of some rows as `bounds_of` gives them."""
        return bounds_of(self.labels[rows], None if self.censored is None else self.censored[rows])

    def take(self, rows: Sequence[int] | np.ndarray) -> "AssayTable":
        """The rows at these places (from 0) in the given order, or those where a boolean array is true."""
        rows = np.asarray(rows)
        places = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return replace(
            self,
            ids=texts_at(self.ids, places),
            smiles=texts_at(self.smiles, places),
            labels=take_rows(self.labels, places),
            censored=None if self.censored is None else take_rows(self.censored, places),
            thresholded=None if self.thresholded is None else self.thresholded.take(places),
            extra={name: texts_at(texts, places) for name, texts in self.extra.items()},
            rows=self.rows[places],
            canonical=None if self.canonical is None else texts_at(self.canonical, places),
        )

    def select(self, tasks: Sequence[str]) -> "AssayTable":
        """The table with these assays only, in the given order; all rows stay.

        Raises
        ------
        ConfigError : an assay is not in the table.
        """
        places = {name: place for place, name in enumerate(self.tasks)}
        for name in tasks:
            if name not in places:
                raise ConfigError(f"There is no assay '{name}'. {did_you_mean(name, self.tasks)}")
        columns = np.array([places[name] for name in tasks], np.int64)
        return replace(
            self,
            labels=take_columns(self.labels, columns),
            tasks=tuple(tasks),
            about=tuple(self.about[column] for column in columns) if self.about else (),
            censored=None if self.censored is None else take_columns(self.censored, columns),
            thresholded=None if self.thresholded is None else self.thresholded.select(columns),
        )

    def write_csv(self, path: str | Path) -> None:
        """Write columns id, smiles, the extra ones and the assays; gzipped if the name ends in .gz.

        `read_assays(path, smiles="smiles", id="id", tasks=table.tasks, assays=settings_of(table.assays))`
        gives the table back, but for `rows`, `canonical` and the thresholds of its assays. Values are in the
        user's unit, with > or < before them where they are censored. An extra column called id or smiles is
        written as 'id (2)', 'smiles (2)'.

        Raises
        ------
        DataError : an assay is called id or smiles.
        """
        if {"id", "smiles"} & set(self.tasks):
            raise DataError("An assay cannot be called 'id' or 'smiles' in a CSV file. Rename it.")
        extra = [f"{name} (2)" if name in ("id", "smiles") else name for name in self.extra]
        opened = gzip.open if str(path).endswith(".gz") else open
        with atomic_write(path) as work, opened(work, "wt", encoding="utf-8", newline="") as stream:
            writer = csv.writer(
                stream,
                lineterminator="\n",  # beside which Python leaves a lone carriage return unquoted:
                quoting=csv.QUOTE_ALL if self._has_carriage_return() else csv.QUOTE_MINIMAL,
            )
            writer.writerow(["id", "smiles", *extra, *self.tasks])
            for start in range(0, len(self), 8192):
                rows = slice(start, start + 8192)
                censored = None if self.censored is None else self.censored[rows]
                labels = cell_texts(self.labels[rows], censored, self.assays)
                columns = zip(*(c[rows] for c in (self.ids, self.smiles, *self.extra.values())), strict=True)
                writer.writerows([*left, *right] for left, right in zip(columns, labels, strict=True))

    def _has_carriage_return(self) -> bool:
        columns = (self.ids, self.smiles, *self.extra.values())
        return any("\r" in text for column in columns for text in column)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        smiles: str | None = None,
        id: str | None = None,
        tasks: Sequence[str] | None = None,
        *,
        labels: Mapping[str, float | None] = MappingProxyType({}),
        assays: "AnySettings" = MappingProxyType({}),
        format: str = "auto",
        long: LongColumns | None = None,
        keep_apart: str | None = None,
    ) -> "AssayTable":
        """The assay table in a pandas table, as `read_assays` reads a file of the same cells.

        An index with a name counts as a column. Empty, None and NaN = not measured.

        Parameters
        ----------
        smiles, id, tasks, labels, assays, format, long, keep_apart : as in `read_assays`; None = found by
            name or content.

        Raises
        ------
        DataError, ConfigError : as `read_assays`.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "A": [1, None], "weight": [46.1, 45.1]})
        >>> table = AssayTable.from_frame(frame)
        >>> table, table.extra
        (AssayTable: 2 molecules, 1 assays, 1 labels (50.0% of all), 1 active; 0 records rejected, \
{'weight': ['46.1', '45.1']})
        """
        from .assays import assays_of

        opened = partial(open_frame, frame, smiles=smiles, id=id)
        return assays_of(opened, tasks, labels, format, assays, long, keep_apart)

    @classmethod
    def from_deepchem(
        cls, dataset: Any, tasks: Sequence[str] | None = None, smiles: Sequence[str] | None = None
    ) -> "AssayTable":
        """The labels of a DeepChem data set whose `ids` are SMILES, as in MoleculeNet.

        A label of weight 0, or NaN, is missing. Other weights are not kept; a warning says so where they are
        not 1.

        Parameters
        ----------
        tasks : names of the assays; None = the data set's own, which a `NumpyDataset` numbers.
        smiles : structures of the rows, where the `ids` are something else; None = the `ids`.

        Raises
        ------
        DataError : a label with a weight is neither 0 nor 1, no `id` is a SMILES, or numbers do not fit.
        TypeError : it is no data set of DeepChem.
        """
        from .deepchem import from_deepchem

        return from_deepchem(dataset, tasks, smiles)

    def to_deepchem(self, features: Any = None) -> Any:
        """A DeepChem `NumpyDataset`: ids = SMILES, and label 0 with weight 0 where nothing was measured.

        `AssayTable.from_deepchem(dataset, tasks=table.tasks)` gives structures and labels back; identifiers,
        names of assays and extra columns have no place in it.

        Parameters
        ----------
        features : n rows of X, such as those of a DeepChem featurizer; None = the SMILES themselves.

        Raises
        ------
        ConfigError : DeepChem is not installed.
        ValueError : the features are not of n rows.
        """
        from .deepchem import to_deepchem

        return to_deepchem(self, features)


def texts_at(texts: list[str], places: np.ndarray) -> list[str]:
    """The texts at some places, in their order."""
    return [texts[place] for place in places.tolist()]
