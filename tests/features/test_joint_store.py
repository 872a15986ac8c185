"""A joint store gives the batches that the stores give which it was made of."""

import numpy as np
import pytest
import small
import torch

from screening.features.joint_store import joint_store
from screening.features.store import FeatureSet, GraphStore, featurize

SETS = [("atom_codes", ()), (None, ("ecfp_counts", "rdkit_fast")), ("atom_codes", ("ecfp_bits", "torsions"))]


@pytest.mark.parametrize(("graph", "vectors"), SETS)
def test_batches_are_those_of_the_molecules_featurised_together(
    graph: str | None, vectors: tuple[str, ...]
) -> None:
    texts, features = list(small.smiles(60)), FeatureSet(graph, vectors)
    first, second = featurize(texts[:30], features, workers=0), featurize(texts[30:], features, workers=0)
    places = np.arange(30), np.array([4, 29, 0, 7])
    joint = joint_store([(first, places[0]), (second, places[1]), (second, places[1][:0])])
    expected = featurize([*texts[:30], *(texts[30 + at] for at in places[1])], features, workers=0)
    assert len(joint) == 34
    rows = torch.randperm(34, generator=torch.Generator().manual_seed(0))
    one, other = joint.batch(rows), expected.batch(rows)
    for name in ("atoms", "bonds", "source", "target", "molecule", "vectors"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True)


def test_reasons_go_along_and_stores_of_other_features_are_refused() -> None:
    bad = featurize(["CCO", "not a molecule"], FeatureSet("atom_codes"), workers=0)
    joint = joint_store([(bad, np.array([1])), (bad, np.array([0]))])
    assert joint.reasons == [bad.reasons[1], ""]
    other = GraphStore.of(FeatureSet(None, ("ecfp_counts",)), [])
    with pytest.raises(ValueError, match="not of the same features"):
        joint_store([(bad, np.array([0])), (other, np.zeros(0, int))])
