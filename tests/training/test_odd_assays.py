"""Odd assays in training: values known by a bound alone, which baselines count; none at all for a network."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest

from screening import training
from screening.config import check_config
from screening.data.assay_table import AssayTable
from screening.data.sparse_cells import SparseCells, marked_cells, measured_cells
from screening.errors import DataError

RIDGE = {"name": "ridge", "bounds": "left_out"}


def notes_of(folder: Path, baseline: object, table: AssayTable) -> list[str]:
    told: list[str] = []
    model = {"baseline": baseline}
    training.train(check_config(mixed.settings(folder, model=model)), data=table, on_note=told.append)
    return [text for text in told if "bounds (>, <)" in text]


def n_bounds(folder: Path, table: AssayTable) -> int:
    split = pd.read_csv(folder / "runs" / "mixed" / "split.csv")
    is_train = (split["part"] == "train").to_numpy()
    return int((np.asarray(table.censored)[is_train, 3] != 0).sum())


@pytest.mark.parametrize(
    ("baseline", "what"), [("ridge", "taken as values measured there"), (RIDGE, "left out")]
)
def test_bounds_are_counted_by_assay(tmp_path: Path, baseline: object, what: str) -> None:
    table = mixed.table()
    (note,) = notes_of(tmp_path, baseline, table)
    assert note.startswith(f"baseline ridge: bounds (>, <) {what}: 'Ki' {n_bounds(tmp_path, table)} of ")


def test_the_gaussian_process_knows_them(tmp_path: Path) -> None:
    assert notes_of(tmp_path, "gaussian_process", mixed.table()) == []


def test_a_table_of_cells_is_fitted_as_an_array(tmp_path: Path) -> None:
    table = mixed.table()
    labels = SparseCells.of(*measured_cells(table.labels), table.labels.shape, np.nan)
    marks = SparseCells.of(*marked_cells(table.censored), table.labels.shape, 0)
    of_array = notes_of(tmp_path / "array", "ridge", table)
    assert notes_of(tmp_path / "cells", "ridge", replace(table, labels=labels, censored=marks)) == of_array
    pair = (tmp_path / name / "runs" / "mixed" / "evaluation.csv" for name in ("array", "cells"))
    one, other = (path.read_text() for path in pair)
    assert one == other


def test_a_network_without_any_label_is_refused_before_one_is_trained(tmp_path: Path) -> None:
    table = mixed.table()
    labels = table.labels.copy()
    labels[:, 4] = np.nan
    told: list[str] = []
    config = check_config(mixed.settings(tmp_path, model={"single_task": True}))
    with pytest.raises(DataError, match=r"no labels for the networks of 'logP>=2'"):
        training.train(config, data=replace(table, labels=labels), on_note=told.append)
    assert not any(text.startswith("network 1") for text in told)
