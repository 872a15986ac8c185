"""Smaller training parts: nested, of whole scaffolds where asked for, and nothing else is changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pytest
import small

from screening.config import check_config
from screening.data.assay_table import AssayTable
from screening.data.molecules import scaffolds
from screening.data.sparse_cells import SparseCells, measured_cells
from screening.evaluation.training_subsets import TrainingOrder, subset
from screening.models.targets import Targets
from screening.training.preparation import Prepared, prepare_data

SHARES = (0.1, 0.25, 0.5, 0.75)


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[AssayTable], Prepared]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sections: dict[str, Any] = {
        "name": "a",
        "data": {"source": "given"},
        "split": {"name": "random", "fractions": [0.6, 0.2, 0.2]},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
        "train": {"workers": 0},
    }
    return lambda table: prepare_data(check_config(sections), table)


def as_sparse(table: AssayTable) -> AssayTable:
    rows, tasks, labels = measured_cells(table.labels)
    return replace(table, labels=SparseCells.of(rows, tasks, labels, table.labels.shape, np.nan))


@pytest.mark.parametrize("by", ["random", "scaffold"])
@pytest.mark.parametrize("seed", [0, 1])
def test_subsets_are_nested_and_about_as_large_as_asked_for(
    prepare: Callable[[AssayTable], Prepared], by: str, seed: int
) -> None:
    prepared = prepare(small.table())
    order = TrainingOrder(prepared, by=by, seed=seed, workers=0)
    train = set(prepared.split.rows("train").tolist())
    before: set[int] = set()
    for share in SHARES:
        rows = subset(prepared, order, share).split.rows("train")
        assert before <= set(rows.tolist()) <= train
        if by == "random":
            assert abs(len(rows) - share * len(train)) <= 0.5
        before = set(rows.tolist())
    texts = [prepared.table.smiles[row] for row in sorted(train)]
    keys = dict(zip(sorted(train), scaffolds(texts, workers=0), strict=True))
    if by == "scaffold":
        assert not {keys[row] for row in before} & {keys[row] for row in train - before}


def test_seeds_draw_other_molecules(prepare: Callable[[AssayTable], Prepared]) -> None:
    prepared = prepare(small.table())
    drawn = [TrainingOrder(prepared, by="random", seed=seed).rows(0.5).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_other_parts_stay(prepare: Callable[[AssayTable], Prepared]) -> None:
    prepared = prepare(small.table())
    order = TrainingOrder(prepared, by="random", seed=0)
    for assay in ("", "acid"):
        left = subset(prepared, order, 0.25, assay)
        for part in ("valid", "test"):
            rows = prepared.split.rows(part)
            np.testing.assert_array_equal(left.split.rows(part), rows)
            np.testing.assert_array_equal(left.table.labels[rows], prepared.table.labels[rows])
        assert left.store is prepared.store
    assert subset(prepared, order, 1.0) is prepared
    assert subset(prepared, order, 1.0, "acid") is prepared


@pytest.mark.parametrize("sparse", [False, True])
def test_one_assay_is_thinned_alone(prepare: Callable[[AssayTable], Prepared], sparse: bool) -> None:
    prepared = prepare(small.table())
    if sparse:
        prepared = prepared._replace(table=as_sparse(prepared.table))
    order, train = TrainingOrder(prepared, by="random", seed=0), prepared.split.rows("train")
    whole, task = np.asarray(prepared.table.labels), prepared.table.tasks.index("acid")
    n_whole = (~np.isnan(whole[train, task])).sum()
    before = np.zeros(len(whole), bool)
    for share in SHARES:
        left = np.asarray(subset(prepared, order, share, "acid").table.labels)
        others = [other for other in range(whole.shape[1]) if other != task]
        np.testing.assert_array_equal(left[:, others], whole[:, others])
        kept = ~np.isnan(left[:, task])
        assert abs(kept[train].sum() - share * n_whole) <= 0.5
        assert not (before & ~kept).any()
        np.testing.assert_array_equal(left[kept, task], whole[kept, task])
        before = kept


def test_scales_of_real_values_are_those_of_what_is_left(prepare: Callable[[AssayTable], Prepared]) -> None:
    prepared = prepare(mixed.table())
    order = TrainingOrder(prepared, by="random", seed=0)
    for assay in ("", "Ki"):
        left = subset(prepared, order, 0.3, assay)
        rows = left.split.rows("train")
        censored = left.table.censored
        assert censored is not None
        expected = Targets.fit(left.table.labels[rows], left.table.is_real, censored[rows])
        assert left.targets is not None
        np.testing.assert_array_equal(left.targets.mean, expected.mean)
        assert (left.targets.mean != prepared.targets.mean).any()  # type: ignore[union-attr]
        hidden = np.isnan(left.table.labels) & ~np.isnan(prepared.table.labels)
        assert (censored[hidden] == 0).all()
        shown = ~np.isnan(left.table.labels)
        np.testing.assert_array_equal(censored[shown], prepared.table.censored[shown])  # type: ignore[index]
