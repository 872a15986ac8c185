"""Applicability domain: the same neighbours as RDKit, a threshold that means what it says."""

import numpy as np
import pytest
import small
from numpy.testing import assert_array_equal
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from screening.data.assay_kinds import Assay
from screening.errors import BundleError
from screening.features.store import FeatureSet, featurize
from screening.uncertainty import structure_domain as domain
from screening.uncertainty.structure_domain import (
    Domain,
    Fingerprints,
    best_tenth,
    fingerprints,
    fingerprints_of,
    nearest,
    with_fingerprints,
)

TEXTS = list(small.smiles(150))
NONE = Fingerprints(np.zeros(1, np.int64), np.zeros(0, np.int16))


def by_rdkit(smiles: list[str]) -> list[DataStructs.ExplicitBitVect]:
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    return [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]


@pytest.fixture(scope="module")
def known() -> Fingerprints:
    return fingerprints(TEXTS[:100], workers=0)


@pytest.mark.parametrize("at_once", [(512, 1024), (7, 13)])
def test_neighbours_are_those_of_rdkit(
    known: Fingerprints, at_once: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "_AT_ONCE", at_once)
    found = nearest(fingerprints(TEXTS, workers=0), known)
    oracle = by_rdkit(TEXTS)
    for number, bits in enumerate(oracle):
        similarity = DataStructs.BulkTanimotoSimilarity(bits, oracle[:100])
        assert found.similarity[number] == pytest.approx(max(similarity))
        assert found.row[number] == int(np.argmax(similarity))
    assert (found.similarity[:100] == 1).all()


def test_real_tables_have_the_neighbours_of_rdkit(real_data: object) -> None:
    import pandas as pd

    table = pd.read_csv(f"{real_data}/tox21.csv.gz")["smiles"]
    readable = [text for text in table[:4000] if Chem.MolFromSmiles(text) is not None]
    library = pd.read_csv(f"{real_data}/library/zinc250k.smi.gz", sep="\t", header=None, nrows=60)[0].tolist()
    found = nearest(fingerprints(library, workers=0), fingerprints(readable, workers=0))
    oracle = by_rdkit(readable)
    for bits, similarity in zip(by_rdkit(library), found.similarity, strict=True):
        assert similarity == pytest.approx(max(DataStructs.BulkTanimotoSimilarity(bits, oracle)))


def test_many_bits_do_not_overflow() -> None:
    """More shared bits than fit into a byte."""
    all_bits = Fingerprints(np.array([0, 2048, 2348]), np.concatenate([np.arange(2048), np.arange(300)]))
    found = nearest(all_bits, all_bits)
    assert found.similarity.tolist() == [1, 1]
    assert found.row.tolist() == [0, 1]
    assert nearest(all_bits.take(np.array([1])), all_bits.take(np.array([0]))).similarity == 300 / 2048


def test_what_cannot_be_read_is_like_nothing(known: Fingerprints) -> None:
    found = nearest(fingerprints(["C1CC", "CCO"], workers=0), known)
    assert found.similarity[0] == 0
    assert found.similarity[1] > 0
    assert nearest(known, NONE).row.tolist() == [-1] * 100
    assert len(nearest(NONE, known).row) == 0


def test_features_of_the_model_are_used_where_they_are_ecfp() -> None:
    for features in (FeatureSet("atom_codes"), FeatureSet(None, ("ecfp_counts",), "cleanup")):
        more = with_fingerprints(features)
        assert more.vectors[: len(features.vectors)] == features.vectors
        assert more.standardize == features.standardize
        found = fingerprints_of(featurize(TEXTS[:20], more, workers=0))
        alone = fingerprints(TEXTS[:20], standardize=features.standardize, workers=0)
        np.testing.assert_array_equal(found.first, alone.first)
        np.testing.assert_array_equal(nearest(found, alone).row, np.arange(20))
    with pytest.raises(ValueError, match="no ECFP"):
        fingerprints_of(small.store(vectors=()))


@pytest.mark.parametrize("percentile", [5.0, 50.0])
def test_the_threshold_leaves_its_share_outside(known: Fingerprints, percentile: float) -> None:
    validation = fingerprints(TEXTS[100:], workers=0)
    fitted = Domain.fit(known, validation, percentile=percentile)
    outside = ~fitted.is_inside(fitted.nearest(validation).similarity)
    assert outside.mean() == pytest.approx(percentile / 100, abs=0.03)
    assert fitted.is_inside(fitted.nearest(known).similarity).all()
    with pytest.raises(ValueError, match="needs training and validation"):
        Domain.fit(known, NONE)


def test_nearest_actives_are_active(known: Fingerprints) -> None:
    labels = small.table(missing=0.3).labels[:100]
    labels[:, 1] = np.nan
    fitted = Domain.fit(known, known).keeping([f"M{n}" for n in range(100)], TEXTS[:100], labels)
    molecules = fingerprints(TEXTS[100:], workers=0)
    for task in (0, 2, 3):
        found = fitted.nearest_active(molecules, task)
        assert (labels[found.row, task] == 1).all()
        actives = by_rdkit([TEXTS[row] for row in np.flatnonzero(labels[:, task] == 1)])
        for bits, similarity in zip(by_rdkit(TEXTS[100:]), found.similarity, strict=True):
            assert similarity == pytest.approx(max(DataStructs.BulkTanimotoSimilarity(bits, actives)))
    none = fitted.nearest_active(molecules, 1)
    assert set(none.row) == {-1}
    assert set(none.similarity) == {0}
    with pytest.raises(ValueError, match="keeps no structures"):
        Domain.fit(known, known).nearest_active(molecules, 0)


@pytest.mark.parametrize("structures", [False, True])
def test_state_gives_the_same_domain_back(known: Fingerprints, structures: bool) -> None:
    fitted = Domain.fit(known, fingerprints(TEXTS[100:], workers=0), standardize="cleanup")
    if structures:
        odd = ['β"\n', *TEXTS[1:100]]
        fitted = fitted.keeping(odd, TEXTS[:100], small.table().labels[:100])
    again = Domain.restore(fitted.state())
    assert (again.threshold, again.standardize) == (fitted.threshold, "cleanup")
    assert (again.structures is not None) == structures
    molecules = fingerprints(TEXTS, workers=0)
    np.testing.assert_array_equal(again.nearest(molecules).similarity, fitted.nearest(molecules).similarity)
    if structures:
        assert again.structures[:2] == fitted.structures[:2]
        np.testing.assert_array_equal(
            again.nearest_active(molecules, 2).row, fitted.nearest_active(molecules, 2).row
        )


@pytest.mark.parametrize(
    "change",
    [
        {"columns": np.array([5000], np.int16)},
        {"threshold": np.array([np.nan])},
        {"threshold": np.zeros(0)},
        {"about": np.frombuffer(b"{}", np.uint8)},
        {"about": np.frombuffer(b"\xff", np.uint8)},
        {"active_rows": np.array([700])},
        {"active_bounds": np.array([0, 1])},
        {"first": None},
    ],
)
def test_other_states_are_refused(known: Fingerprints, change: dict[str, np.ndarray | None]) -> None:
    fitted = Domain.fit(known, known).keeping(TEXTS[:100], TEXTS[:100], small.table().labels[:100])
    state = {**fitted.state(), **change}
    with pytest.raises(BundleError, match="applicability domain"):
        Domain.restore({name: value for name, value in state.items() if value is not None})


def test_good_molecules_of_a_real_assay_are_its_best_tenth() -> None:
    """By a plain loop, with ties, both ends and bounds."""
    random = np.random.default_rng(0)
    assays = (Assay("a", "real"), Assay("b"), Assay("c", "real", wanted="low"), Assay("d", "real"))
    labels = random.integers(0, 30, (240, 4)).astype(np.float32)
    labels[random.random(labels.shape) < 0.3] = np.nan
    labels[:, 1] = labels[:, 1] > 20
    labels[40:, 3] = np.nan
    censored = random.choice([0, 0, 0, 1, -1], labels.shape).astype(np.int8)
    good = best_tenth(labels, assays, censored)
    assert not good[:, 1].any()
    for task, sign in ((0, 1), (2, -1), (3, 1)):
        values, bounds = labels[:, task] * sign, censored[:, task] * sign
        measured = np.isfinite(values)
        can = measured & (bounds >= 0)
        n = max(10, int(np.ceil(0.1 * measured.sum())))
        last = np.sort(values[can])[::-1][n - 1]
        assert_array_equal(good[:, task], can & (values >= last))
    assert not best_tenth(labels[:0], assays).any()
    few = best_tenth(labels[:5], assays)
    assert_array_equal(few[:, 0], np.isfinite(labels[:5, 0]))


def test_a_domain_keeps_the_values_of_good_molecules(known: Fingerprints) -> None:
    assays = (Assay("a", "real", wanted="low"), Assay("b"))
    labels = np.stack([np.arange(100), np.arange(100) % 7 == 0], axis=1).astype(np.float32)
    ids, smiles = [str(row) for row in range(100)], TEXTS[:100]
    fitted = Domain.restore(Domain.fit(known, known).keeping(ids, smiles, labels, assays).state())
    near = fitted.nearest_active(fingerprints(TEXTS[:15], workers=0), 0)
    assert near.row[:10].tolist() == list(range(10))
    assert (near.row < 10).all()
    assert_array_equal(fitted.values_of(0)[near.row], near.row)
    assert np.isnan(fitted.values_of(0)[10:]).all()
    assert fitted.nearest_active(fingerprints(TEXTS[:1], workers=0), 1).row.tolist() == [0]
    plain = Domain.fit(known, known).keeping(ids, smiles, labels[:, 1:])
    assert "active_values" not in plain.state()
    with pytest.raises(ValueError, match="no values"):
        plain.values_of(0)
    with pytest.raises(BundleError, match="do not fit"):
        Domain.restore({**fitted.state(), "active_values": np.zeros(3, np.float32)})
