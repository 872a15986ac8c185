"""predictions.parquet of tables of which few cells are measured: lists, and all that is read from them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mixed_runs
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small
from scipy.special import expit

from screening.data.assay_kinds import are_real
from screening.data.assay_table import AssayTable
from screening.data.sparse_cells import SparseCells, marked_cells, measured_cells
from screening.errors import DataError
from screening.evaluation.comparison import compare
from screening.evaluation.pooled import pool, read_pooled_material
from screening.evaluation.results import read_material
from screening.reporting.explorer import explore
from screening.reporting.report import macro_of, write_report
from screening.reporting.values import errors
from screening.run import Run
from screening.training import predictions
from screening.training.evaluating import evaluate
from screening.training.predictions import LISTS, NAMES, read_predictions

ASSAYS = (*mixed_runs.REAL, *mixed_runs.CLASSES)


def as_cells(table: AssayTable) -> AssayTable:
    """The same table, kept as its measured cells."""
    shape = table.labels.shape
    labels = SparseCells.of(*measured_cells(table.labels), shape, np.nan)
    marks = None if table.censored is None else SparseCells.of(*marked_cells(table.censored), shape, 0)
    return replace(table, labels=labels, censored=marks)


def write_both(folder: Path, assays: tuple, name: str, seed: int) -> None:
    """A run folder of the same predictions in either form: folder / "arrays" / name and "cells" / name."""
    table, scores, split = mixed_runs.table(assays, 240, 0)
    noise = np.random.default_rng(100 + seed).normal(0, 0.3, scores.shape)
    of_classes = ~are_real(assays)
    scores, noise = scores + noise, expit(3 * noise[:, of_classes])
    scores[:, of_classes] = (scores[:, of_classes].clip(0, 1) + noise).astype(np.float32) / 2
    table.labels[::9] = np.nan  # molecules without a label stay
    for form, each in (("arrays", table), ("cells", as_cells(table))):
        (folder / form / name).mkdir(parents=True)
        small.write_run(folder / form / name, each, scores, split, np.random.default_rng(0))


@pytest.fixture(scope="module", params=["binary", "both"])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    assays = mixed_runs.CLASSES if request.param == "binary" else ASSAYS
    for seed in (0, 1):
        write_both(folder, assays, f"a-seed{seed}", seed)
    return folder


def test_all_measured_cells_are_read_again(runs: Path) -> None:
    dense, cells = (read_predictions(runs / form / "a-seed0") for form in ("arrays", "cells"))
    assert isinstance(cells.labels, SparseCells)
    assert (dense.ids, dense.smiles, dense.tasks, dense.kinds) == (
        cells.ids,
        cells.smiles,
        cells.tasks,
        cells.kinds,
    )
    np.testing.assert_array_equal(dense.labels, cells.labels[:])
    np.testing.assert_array_equal(np.where(np.isnan(dense.labels), np.nan, dense.scores), cells.scores[:])
    assert (dense.censored is None) == (cells.censored is None)
    if dense.censored is not None and cells.censored is not None:
        np.testing.assert_array_equal(dense.censored, cells.censored[:])


def test_results_are_those_of_arrays(runs: Path) -> None:
    dense, cells = (evaluate(runs / form / "a-seed0") for form in ("arrays", "cells"))
    for one, other in zip(dense, cells, strict=True):
        pd.testing.assert_frame_equal(one, other)
    macros = [macro_of(read_material(runs / form / "a-seed0")) for form in ("arrays", "cells")]
    np.testing.assert_allclose(macros[0], macros[1])


@pytest.mark.parametrize("metric", [None, "average_precision", "roc_auc", "rmse"])
def test_comparisons_are_those_of_arrays(runs: Path, metric: str | None) -> None:
    if metric == "rmse" and runs.name.startswith("binary"):
        metric = "roc_auc"
    dense, cells = (
        compare([runs / form / "a-seed0", runs / form / "a-seed1"], metric=metric)
        for form in ("arrays", "cells")
    )
    pd.testing.assert_frame_equal(dense.assays, cells.assays)
    pd.testing.assert_frame_equal(dense.summary, cells.summary)


def test_sets_are_those_of_arrays(runs: Path) -> None:
    dense, cells = (pool(runs / form / "a") for form in ("arrays", "cells"))
    pd.testing.assert_frame_equal(dense.evaluation, cells.evaluation)
    assert dense.repeated == cells.repeated > 0
    materials = [read_pooled_material(runs / form / "a") for form in ("arrays", "cells")]
    pd.testing.assert_frame_equal(materials[0].evaluation, materials[1].evaluation)
    pd.testing.assert_frame_equal(materials[0].counts, materials[1].counts)


def test_pages_draw_what_those_of_arrays_draw(runs: Path) -> None:
    dense, cells = (read_material(runs / form / "a-seed0") for form in ("arrays", "cells"))
    ones, others = (json.loads(explore(each)) for each in (dense, cells))
    names = {row[1] for row in zip(cells.test_predictions.ids, cells.test_predictions.smiles, strict=True)}
    for one, other in zip(ones["assays"], others["assays"], strict=True):
        for key in set(one) - {"missed", "false", "top"}:
            assert one[key] == other[key], key
        assert len(one["missed"]) == len(other["missed"])
        assert all(label is not None for _, _, label, _ in other["top"])
    assert {smiles for _, smiles, _ in others["molecules"]} <= names
    if cells.is_real.any():
        np.testing.assert_allclose(errors(dense.test_predictions), errors(cells.test_predictions))
    page = write_report(runs / "cells" / "a-seed0").page.read_text()
    assert "Of a table of so many assays only the predictions of what was measured are kept" in page
    with pytest.raises(DataError, match="only what was measured is kept"):
        Run(runs / "cells" / "a-seed0").plot.likeness_map()


def test_wrong_molecules_are_told_by_their_names(runs: Path) -> None:
    """Missed actives of an assay are molecules that are active in it."""
    cells = read_predictions(runs / "cells" / "a-seed0")
    data = json.loads(explore(read_material(runs / "cells" / "a-seed0")))
    labels = {name: row for row, name in enumerate(cells.ids)}
    place = cells.tasks.index("toxic")
    listed = [(data["molecules"][at][0], label) for at, _, label, _ in data["assays"][place]["missed"]]
    assert len(listed) > 2
    for name, label in listed:
        assert label == 1 == cells.labels[labels[name], place]


def test_in_python_a_row_for_each_measurement(runs: Path) -> None:
    frames = [Run(runs / form / "a-seed0").predictions("test") for form in ("arrays", "cells")]
    assert list(frames[1].columns[:6]) == ["row", "id", "smiles", "assay", "label", "score"]
    for assay, rows in frames[1].groupby("assay"):
        wide = frames[0][frames[0][f"label:{assay}"].notna()]
        assert rows["id"].tolist() == wide["id"].tolist()
        np.testing.assert_array_equal(rows["label"], wide[f"label:{assay}"])
        np.testing.assert_array_equal(rows["score"], wide[f"score:{assay}"])


def test_a_large_array_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, scores, split = mixed_runs.table(ASSAYS, 60, 0)
    said = {part: scores[split.rows(part)] for part in ("valid", "test")}
    for name, cells in (("whole", predictions.CELLS), ("pieces", 64)):
        monkeypatch.setattr(predictions, "CELLS", cells)
        (tmp_path / name).mkdir()
        predictions.write_predictions(tmp_path / name / "predictions.parquet", said, table, split)
    assert pq.ParquetFile(tmp_path / "pieces" / "predictions.parquet").num_row_groups > 2
    one, other = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("whole", "pieces"))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("fault", ["names", "an unknown assay", "lengths", "twice"])
def test_a_damaged_file_is_refused(runs: Path, tmp_path: Path, fault: str) -> None:
    folder = shutil.copytree(runs / "cells" / "a-seed0", tmp_path / "a")
    table = pq.read_table(folder / "predictions.parquet")
    lists = {name: table.column(name).to_pylist() for name in LISTS[:3]}
    at = next(row for row, names in enumerate(lists["assays"]) if len(names) > 1)
    metadata = table.schema.metadata
    if fault == "names":
        metadata = None
    elif fault == "an unknown assay":
        metadata = {NAMES: b'["toxic"]'}
    elif fault == "lengths":
        lists["labels"][at] = lists["labels"][at][:-1]
    else:
        lists["assays"][at][1] = lists["assays"][at][0]
    for name, column in lists.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(column, table.schema.field(name).type))
    pq.write_table(table.replace_schema_metadata(metadata), folder / "predictions.parquet")
    with pytest.raises(DataError, match="is not a table of predictions"):
        read_predictions(folder, part=table.column("part")[at].as_py())
