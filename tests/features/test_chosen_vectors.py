"""A store, inputs and the mean molecule with some of their vectors: columns stay where they were."""

import numpy as np
import pytest
import small
import torch

from screening.bundle.reference import Reference
from screening.models.network import inputs_of

ALL = ("ecfp_counts", "rdkit_fast", "torsions")


@pytest.mark.parametrize("names", [("torsions",), ("rdkit_fast", "ecfp_counts"), (), ALL])
def test_some_vectors_are_the_columns_of_all(names: tuple[str, ...]) -> None:
    store = small.store(vectors=ALL)
    seen, columns = store.with_vectors(names), inputs_of(store).columns_of(names)
    rows = torch.tensor([5, 0, 17])
    whole, some = store.batch(rows), seen.batch(rows)
    torch.testing.assert_close(some.vectors, whole.vectors[:, columns], equal_nan=True)
    torch.testing.assert_close(some.atoms, whole.atoms)
    assert inputs_of(seen) == inputs_of(store).with_vectors(names)
    assert seen.features.vectors == names
    assert seen.with_vectors(names) is seen
    assert store.with_vectors(None) is store
    for name, block in zip(names, seen.vectors, strict=True):
        assert block is store.vectors[ALL.index(name)]


def test_the_mean_molecule_is_seen_as_the_store_is() -> None:
    store, names, rows = small.store(vectors=ALL), ("torsions", "rdkit_fast"), np.arange(80)
    whole, own = Reference.fit(store, rows), Reference.fit(store.with_vectors(names), rows)
    np.testing.assert_array_equal(whole.seen_by(names, store).vectors, own.vectors)
    np.testing.assert_array_equal(whole.seen_by(names, store).atoms, own.atoms)
    assert whole.seen_by(None, store) is whole


def test_vectors_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        small.store(vectors=ALL).with_vectors(["ecfp6_counts"])
