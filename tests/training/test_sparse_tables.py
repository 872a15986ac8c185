"""A table that is kept as its measured cells trains and is judged as the same one in an array."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import small
import torch

from screening import training
from screening.bundle import bundle as bundles
from screening.config import load_config
from screening.data import sparse_cells
from screening.data.assay_table import AssayTable
from screening.data.sparse_cells import Cells, SparseCells, marked_cells, measured_cells
from screening.models.baselines import contract
from screening.models.baselines.columns import Columns, columns_of
from screening.training.predictions import read_predictions


def sparse(table: AssayTable) -> AssayTable:
    labels = SparseCells.of(*measured_cells(table.labels), table.labels.shape, np.nan)
    censored = None
    if table.censored is not None:
        censored = SparseCells.of(*marked_cells(table.censored), table.labels.shape, 0)
    return replace(table, labels=labels, censored=censored)


def run_of(folder: Path, name: str, table: AssayTable, model: dict | None = None) -> Path:
    config = load_config(
        {
            "name": name,
            "data": {"source": "t.csv"},
            "runs": str(folder),
            "split": "random",
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "model": model or {"encoder": {"name": "fingerprint", "widths": [16]}},
            "train": {"epochs": 2, "batch_size": 32, "workers": 0},
        }
    )
    training.train(config, data=table)
    return folder / name


@pytest.mark.parametrize("kind", ["classes", "mixed"])
def test_cells_train_as_an_array_does(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = small.table() if kind == "classes" else mixed.table()
    dense = run_of(tmp_path, "dense", table)
    monkeypatch.setattr(sparse_cells, "DENSE_BYTES", 0)
    monkeypatch.setattr(sparse_cells, "DENSE_SHARE", 2.0)
    monkeypatch.setattr(bundles, "CELLS", 1)
    cells = run_of(tmp_path, "cells", sparse(table))
    for name in ("labels.csv", "evaluation.csv", "calibration.csv", "split.csv"):
        assert (cells / name).read_text() == (dense / name).read_text(), name
    one, other = (pd.read_csv(folder / "history.csv") for folder in (dense, cells))
    pd.testing.assert_frame_equal(one, other)
    first, second = (read_predictions(folder) for folder in (dense, cells))
    np.testing.assert_array_equal(first.labels, second.labels[:])
    measured = ~np.isnan(first.labels)
    np.testing.assert_allclose(first.scores[measured], second.scores[:][measured], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "baseline"),
    [("classes", "random_forest"), ("mixed", "ridge"), ("mixed", "gaussian_process"), ("mixed", "lightgbm")],
)
def test_baselines_learn_from_cells_as_from_an_array(
    tmp_path: Path, kind: str, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightgbm") if baseline == "lightgbm" else None
    table = small.table() if kind == "classes" else mixed.table()
    dense = run_of(tmp_path, "dense", table, {"baseline": baseline})
    monkeypatch.setattr(sparse_cells, "DENSE_BYTES", 0)
    monkeypatch.setattr(sparse_cells, "DENSE_SHARE", 2.0)
    forms: list[type] = []

    def spied(given: Cells, rows: torch.Tensor) -> torch.Tensor | Columns:
        forms.append(type(given))
        return columns_of(given, rows)

    monkeypatch.setattr(contract, "columns_of", spied)
    cells = run_of(tmp_path, "cells", sparse(table), {"baseline": baseline})
    assert set(forms) == {SparseCells}
    for name in ("evaluation.csv", "calibration.csv"):
        assert (cells / name).read_text() == (dense / name).read_text(), name
