"""Folds inside the training part: made as the test part is, with nothing in two of them."""

from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pytest

from screening.config import Config, check_config
from screening.data.molecules import scaffolds
from screening.data.splits import split_table
from screening.errors import DataError
from screening.training.folds import Folds, folds_of
from screening.training.preparation import Prepared, prepare_data


def made(tmp_path: Path, split: Any = None, **blending: Any) -> tuple[Config, Prepared, Folds]:
    split = split or {"name": "scaffold", "fractions": [0.6, 0.2, 0.2]}
    model = {"blend": ["network", "ridge"], "blending": {"weights": "fitted", **blending}}
    features = {"graph": None, "vectors": ["rdkit_fast"]}
    settings = mixed.settings(tmp_path, model=model, split=split, features=features)
    config = check_config(settings)
    prepared = prepare_data(config, mixed.table())
    return config, prepared, folds_of(config, prepared)


@pytest.mark.parametrize("by", ["scaffold", "random"])
def test_folds_are_of_the_training_part_and_of_like_size(tmp_path: Path, by: str) -> None:
    _, prepared, folds = made(tmp_path, by=by, folds=4)
    trained = prepared.split.rows("train")
    np.testing.assert_array_equal(np.flatnonzero(folds.of_row >= 0), trained)
    sizes = np.bincount(folds.of_training, minlength=4)
    assert sizes.sum() == len(trained)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= (1 if by == "random" else len(trained) // 2)
    for fold in range(4):
        left = folds.without(prepared.split, fold)
        np.testing.assert_array_equal(np.sort([*left.rows("train"), *folds.rows(fold)]), trained)
        np.testing.assert_array_equal(left.rows("test"), prepared.split.rows("test"))


def test_a_scaffold_is_in_one_fold(tmp_path: Path) -> None:
    _, prepared, folds = made(tmp_path, by="scaffold")
    trained = prepared.split.rows("train")
    texts = scaffolds([prepared.table.smiles[row] for row in trained], workers=0)
    of = dict(zip(texts, folds.of_training, strict=True))
    assert [of[text] for text in texts] == folds.of_training.tolist()
    assert len(of) > 5


@pytest.mark.parametrize(("split", "by"), [("scaffold", "scaffold"), ("random", "random")])
def test_they_are_made_as_the_test_part_is(tmp_path: Path, split: str, by: str) -> None:
    assert made(tmp_path, split)[2].by == by


def test_copies_of_a_structure_are_in_one_fold(tmp_path: Path) -> None:
    table = mixed.table()
    twice = table.take(np.repeat(np.arange(len(table)), 2))
    config, prepared, _ = made(tmp_path, by="random")
    store = prepared.store
    copies = prepared._replace(table=twice, split=split_table(twice, "random", seed=0), store=store)
    of_row = folds_of(config, copies).of_row
    np.testing.assert_array_equal(of_row[::2], of_row[1::2])


def test_fewer_scaffolds_than_folds_are_refused(tmp_path: Path) -> None:
    config, prepared, _ = made(tmp_path, by="scaffold")
    chains = np.array(["c" not in text and "C1" not in text for text in prepared.table.smiles])
    parts = ["train" if is_chain else "test" for is_chain in chains]
    few = prepared._replace(split=type(prepared.split)(parts))
    with pytest.raises(DataError, match=r"fewer than model.blending.folds \(3\)"):
        folds_of(config, few)
