"""Blocks of features: those of `featurize`, whatever the size of a block, kept, and found again."""

from pathlib import Path

import numpy as np
import pytest
import small
import torch

from screening.data.skeletons import skeletons
from screening.errors import DataError
from screening.features.store import FeatureSet, featurize
from screening.pretraining import blocks as blocks_module
from screening.pretraining.blocks import Blocks, shuffled, view

TEXTS = [*small.smiles(90), "C(C", "CCO"]
FEATURES = FeatureSet("atom_codes", ("rdkit_fast", "ecfp_counts"))


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blocks:
    monkeypatch.setattr(blocks_module, "BLOCK", 40)
    return Blocks(TEXTS, FEATURES, tmp_path, 0)


def test_blocks_one_behind_the_other_are_the_features_of_all(blocks: Blocks) -> None:
    whole = featurize(TEXTS, FEATURES, workers=0)
    assert [len(store) for store in blocks.stores] == [40, 40, 12]
    assert torch.cat(blocks.used).tolist() == whole.usable.tolist()
    for number, store in enumerate(blocks.stores):
        rows = torch.arange(len(store))
        mine, theirs = store.batch(rows), whole.batch(rows + 40 * number)
        assert torch.equal(mine.atoms, theirs.atoms)
        assert torch.equal(mine.bonds, theirs.bonds)
        np.testing.assert_array_equal(mine.vectors, theirs.vectors)


def test_unreadable_molecules_are_counted_and_not_used(blocks: Blocks) -> None:
    assert blocks.n_used == len(TEXTS) - 1
    assert blocks.reasons.total() == 1
    assert not blocks.used[2][10]


def test_a_view_is_the_store_of_its_features_alone(blocks: Blocks) -> None:
    for graph, vectors in (
        ("atom_codes", ()),
        (None, ("ecfp_counts",)),
        ("atom_codes", ("ecfp_counts", "rdkit_fast")),
    ):
        features = FeatureSet(graph, vectors)
        mine = view(blocks.stores[0], features)
        theirs = featurize(TEXTS[:40], features, workers=0)
        rows = torch.arange(40)
        assert mine.vector_blocks == theirs.vector_blocks
        np.testing.assert_array_equal(mine.batch(rows).vectors, theirs.batch(rows).vectors)
        if graph is not None:
            assert torch.equal(mine.batch(rows).atoms, theirs.batch(rows).atoms)
            assert mine.atom_sizes == theirs.atom_sizes


def test_a_view_of_what_is_not_there_is_an_error(blocks: Blocks) -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        view(blocks.stores[0], FeatureSet("atom_codes", ("ecfp_bits",)))


def test_numbers_are_worked_out_once_and_again_for_other_molecules_or_where_damaged(
    blocks: Blocks, tmp_path: Path
) -> None:
    calls: list[int] = []

    def work_out(number: int) -> torch.Tensor:
        calls.append(number)
        return torch.full((len(blocks.texts[number]), 2), float(number))

    first = blocks.kept("ones", 0, {"a": 1}, lambda: work_out(0))
    assert torch.equal(blocks.kept("ones", 0, {"a": 1}, lambda: work_out(0)), first)
    assert calls == [0]
    blocks.kept("ones", 1, {"a": 1}, lambda: work_out(1))
    blocks.kept("ones", 0, {"a": 2}, lambda: work_out(0))
    blocks.kept("twos", 0, {"a": 1}, lambda: work_out(0))
    assert calls == [0, 1, 0, 0]
    for path in (tmp_path / "pretraining").glob("*.safetensors"):
        path.write_bytes(b"nothing")
    assert torch.equal(blocks.kept("ones", 0, {"a": 1}, lambda: work_out(0)), first)
    assert calls == [0, 1, 0, 0, 0]


def test_numbers_of_another_length_are_not_taken_from_the_cache(blocks: Blocks, tmp_path: Path) -> None:
    blocks.kept("ones", 0, None, lambda: torch.ones(40))
    (path,) = (tmp_path / "pretraining").glob("*.safetensors")
    blocks.kept("ones", 2, None, lambda: torch.zeros(12))
    other = next(each for each in (tmp_path / "pretraining").glob("*.safetensors") if each != path)
    path.write_bytes(other.read_bytes())
    assert blocks.kept("ones", 0, None, lambda: torch.ones(40)).sum() == 40


def test_a_cache_that_cannot_be_written_is_explained(blocks: Blocks, tmp_path: Path) -> None:
    (tmp_path / "pretraining").write_text("a file in the way")
    with pytest.raises(DataError, match=r"the cache cannot be written.*XDG_CACHE_HOME"):
        blocks.kept("ones", 0, None, lambda: torch.ones(40))


def test_left_out_are_those_of_the_skeletons_and_the_unreadable_stay_out(blocks: Blocks) -> None:
    keys = frozenset(key for key in skeletons(["OCC.Cl", TEXTS[3], "C(C"]) if key is not None)
    expected = [key not in keys for key in skeletons(TEXTS)]
    n_left_out = blocks.leave_out(keys)
    usable = featurize(TEXTS, FEATURES, workers=0).usable
    assert torch.cat(blocks.used).tolist() == [
        is_other and bool(is_usable) for is_other, is_usable in zip(expected, usable, strict=True)
    ]
    assert n_left_out == expected.count(False) >= 2


def test_shuffled_rows_are_the_same_rows_and_the_generator_decides() -> None:
    rows = torch.tensor([3, 5, 8, 13, 21, 34])
    torch.manual_seed(1)
    first = shuffled(rows)
    torch.manual_seed(1)
    assert torch.equal(shuffled(rows), first)
    assert sorted(first.tolist()) == rows.tolist()
