"""MinMax on counts: that of RDKit and of a plain loop, a kernel, whatever is empty or unseen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from small import smiles

from screening.features.store import FeatureSet, featurize
from screening.models.baselines.min_max_kernel import EVEN, FALLING, Counts, MinMax

GENERATORS = {
    "ecfp_counts": rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048),
    "atom_pairs": rdFingerprintGenerator.GetAtomPairGenerator(fpSize=4096, countSimulation=False),
    "torsions": rdFingerprintGenerator.GetTopologicalTorsionGenerator(fpSize=4096, countSimulation=False),
}


def counts(dense: np.ndarray) -> Counts:
    return Counts.of([dense])


def plain(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """MinMax of every pair by its definition."""
    smaller = np.minimum(one[:, None], other).sum(-1).astype(float)
    larger = np.maximum(one[:, None], other).sum(-1).astype(float)
    return np.where(larger > 0, smaller / np.where(larger > 0, larger, 1), 1.0)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two tables of counts with the same columns: empty molecules, unseen columns and 255 among them."""
    seed, width = draw(st.integers(0, 2**31)), draw(st.integers(1, 12))
    generator = np.random.default_rng(seed)
    sizes = draw(st.integers(0, 7)), draw(st.integers(0, 25))
    values = np.array([0, 0, 0, 1, 1, 2, 3, 40, 255])
    one, other = (generator.choice(values, (size, width)) for size in sizes)
    return one, other


@given(tables())
@settings(deadline=None)
def test_it_is_the_plain_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = pair
    similarity = MinMax([counts(other)]).to([counts(one)])
    assert similarity.dtype == np.float32
    np.testing.assert_allclose(similarity, plain(one, other), rtol=1e-6)


@given(tables())
@settings(deadline=None)
def test_falling_strokes_are_logarithms_of_counts(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = pair
    similarity = MinMax([counts(other)], FALLING).to([counts(one)])
    np.testing.assert_allclose(similarity, plain(np.log1p(one), np.log1p(other)), atol=3e-6)


@given(tables())
@settings(deadline=None)
def test_its_matrix_is_symmetric_with_ones_and_no_negative_eigenvalue(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    both = counts(np.concatenate(pair))
    similarity = MinMax([both]).to([both]).astype(float)
    np.testing.assert_array_equal(similarity, similarity.T)
    np.testing.assert_array_equal(similarity.diagonal(), 1.0)
    if len(both):
        assert np.linalg.eigvalsh(similarity).min() > -1e-5


@pytest.mark.parametrize("name", GENERATORS)
def test_it_is_the_tanimoto_similarity_of_rdkit(name: str) -> None:
    texts = smiles(60)
    vectors = featurize(list(texts), FeatureSet(None, (name,)), workers=0).batch(range(60)).vectors.numpy()
    fingerprints = [GENERATORS[name].GetCountFingerprint(Chem.MolFromSmiles(text)) for text in texts]
    expected = [DataStructs.BulkTanimotoSimilarity(each, fingerprints) for each in fingerprints]
    has_counts = vectors.sum(1) > 0  # of two molecules without counts RDKit says 0, which no kernel can
    similarity = MinMax([counts(vectors)]).to([counts(vectors)])
    np.testing.assert_allclose(
        similarity[has_counts][:, has_counts], np.array(expected)[has_counts][:, has_counts], rtol=1e-6
    )


def test_several_fingerprints_are_averaged() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 4, (2, 9, 5))
    both = MinMax([counts(one), counts(other)]).to([counts(one), counts(other)])
    np.testing.assert_allclose(both, (plain(one, one) + plain(other, other)) / 2, rtol=1e-6)


def test_molecules_are_taken_in_any_order_and_parts_join() -> None:
    dense = np.random.default_rng(0).integers(0, 3, (10, 6))
    whole, parts = counts(dense), Counts.of([dense[:4], dense[4:4], dense[4:]])
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    rows = np.array([7, 0, 7, 3])
    for one, other in zip(whole.take(rows), counts(dense[rows]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.totals(EVEN).tolist() == dense.sum(1).tolist()
    np.testing.assert_allclose(whole.totals(FALLING), np.log1p(dense).sum(1), rtol=1e-6)
