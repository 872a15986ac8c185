"""What must hold for every featurizer, of graphs or of vectors."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import Mol

from ..data.molecules import read_molecules
from ..features.featurizers import Featurizer, GraphFeaturizer, VectorFeaturizer, featurizers
from ..features.store import FeatureSet, featurize
from .subjects import DRUGS, ODD, Check, Subject

STRUCTURES = (*DRUGS, *ODD)


def build(subject: Subject) -> Any:
    """The featurizer, of graphs or of vectors."""
    return featurizers.build(subject.name, **subject.options)


def molecules(featurizer: Featurizer) -> list[Mol]:
    """The molecules of the checks, read as for this featurizer."""
    mols = [mol for mol, _ in read_molecules(list(STRUCTURES), stereo=featurizer.reads_stereo)]
    return [mol for mol in mols if mol is not None]


def is_declared(subject: Subject) -> None:
    """Name, version and rate are stated, and its kind is that of graphs or of vectors."""
    kind = featurizers.get(subject.name)
    assert kind.__doc__, "the class has no docstring"
    is_one = isinstance(kind, type) and issubclass(kind, GraphFeaturizer | VectorFeaturizer)
    assert is_one, "expected a class on GraphFeaturizer or VectorFeaturizer"
    stated = getattr(kind, "name", None)
    assert stated == subject.name, f"its name is {stated!r}: expected {subject.name!r}, as registered"
    for key in ("version", "rate"):
        value = getattr(kind, key, None)
        is_count = isinstance(value, int) and value > 0
        assert is_count, f"{key} is {value!r}: expected a whole number above 0"
    if issubclass(kind, VectorFeaturizer):
        is_known = getattr(kind, "kind", None) in ("counts", "bits", "real")
        assert is_known, "kind is not stated: expected counts, bits or real"


def values_are_what_is_declared(subject: Subject) -> None:
    """Codes are below their sizes; vectors have their columns, type and range."""
    featurizer = build(subject)
    check = _check_graph if isinstance(featurizer, GraphFeaturizer) else _check_vector
    for mol in molecules(featurizer):
        check(featurizer, mol)


def _check_graph(featurizer: GraphFeaturizer, mol: Mol) -> None:
    graph, where = featurizer(mol), Chem.MolToSmiles(mol)
    sizes = (mol.GetNumAtoms(), mol.GetNumBonds())
    counted = (int(graph.n_atoms.sum()), int(graph.n_bonds.sum()))
    assert counted == sizes, f"{where}: {counted} atoms and bonds, expected {sizes}"
    for codes, limits, what in (
        (graph.atoms, featurizer.atom_sizes, "atom"),
        (graph.bonds, featurizer.bond_sizes, "bond"),
    ):
        assert codes.shape[1:] == (len(limits),), f"{where}: {what} codes are {codes.shape}, sizes {limits}"
        too_large = np.flatnonzero((codes >= np.array(limits)).any(0))
        assert not len(too_large), f"{where}: {what} code {too_large[0]} is not below {limits[too_large[0]]}"
    assert (graph.ends[:, 0] < graph.ends[:, 1]).all(), f"{where}: the lower end of a bond comes first"


def _check_vector(featurizer: VectorFeaturizer, mol: Mol) -> None:
    vector, where = featurizer(mol), Chem.MolToSmiles(mol)
    columns = featurizer.columns
    assert len(set(columns)) == len(columns), f"{len(columns) - len(set(columns))} columns share their names"
    assert vector.shape == (len(columns),), f"{where}: shape {vector.shape} for {len(columns)} columns"
    expected = np.float32 if featurizer.kind == "real" else np.uint8
    assert vector.dtype == expected, f"{where}: {vector.dtype}, expected {np.dtype(expected)}"
    assert not np.isinf(vector).any(), f"{where}: infinite in {columns[int(np.isinf(vector).argmax())]}"
    if featurizer.kind != "real":
        assert featurizer.kind == "counts" or vector.max(initial=0) <= 1, f"{where}: a bit is above 1"
        places, values = featurizer.nonzero(mol)
        dense = np.zeros(len(columns))
        dense[list(places)] = values
        n_other = int((np.minimum(dense, 255) != vector).sum())
        assert not n_other, f"{where}: `nonzero` and the vector differ in {n_other} columns"


def order_of_atoms_does_not_matter(subject: Subject) -> None:
    """Another order of a molecule's atoms gives the same codes or vector."""
    featurizer = build(subject)
    for mol in molecules(featurizer):
        order = list(range(mol.GetNumAtoms()))[::-1]
        one, other = (_without_order(featurizer, each) for each in (mol, Chem.RenumberAtoms(mol, order)))
        is_same = len(one) == len(other) and np.allclose(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)
        assert is_same, f"{Chem.MolToSmiles(mol)}: the features depend on the order of the atoms"


def _without_order(featurizer: Any, mol: Mol) -> np.ndarray:
    if isinstance(featurizer, GraphFeaturizer):
        return np.array(sorted(map(tuple, featurizer(mol).atoms.tolist())))
    return np.asarray(featurizer(mol), dtype=np.float64)


def repeated_gives_the_same(subject: Subject) -> None:
    """A molecule has the same features again, after others, and from a copy of the featurizer."""
    featurizer = build(subject)
    mols = molecules(featurizer)
    first = [_whole(featurizer, mol) for mol in mols]
    copy: Callable[..., Any] = build(subject)
    for again in (featurizer, copy):
        for mol, before in zip(mols, first, strict=True):
            is_same = pickle.dumps(_whole(again, mol)) == pickle.dumps(before)
            assert is_same, f"{Chem.MolToSmiles(mol)}: other features the second time"


def _whole(featurizer: Any, mol: Mol) -> list[bytes]:
    result = featurizer(mol)
    arrays = result if isinstance(featurizer, GraphFeaturizer) else [result]
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def store_has_them(subject: Subject) -> None:
    """A table of molecules is featurised as one by one; what cannot be is rejected with a reason."""
    is_graph = issubclass(featurizers.get(subject.name), GraphFeaturizer)
    features = FeatureSet(subject.name if is_graph else None, () if is_graph else (subject.name,))
    store = featurize([*STRUCTURES, "C1CC", ""], features, workers=0)
    rejected = [text for text, is_usable in zip(STRUCTURES, store.usable[:-2], strict=True) if not is_usable]
    assert not rejected, f"rejected: {', '.join(rejected)} ({store.reasons[STRUCTURES.index(rejected[0])]})"
    assert not np.asarray(store.usable)[-2:].any(), "a text that is no molecule was not rejected"
    if is_graph:
        assert len(store.batch(range(len(STRUCTURES))).atoms) == sum(
            mol.GetNumAtoms() for mol in molecules(build(subject))
        )


CHECKS: tuple[Check, ...] = (
    is_declared,
    values_are_what_is_declared,
    order_of_atoms_does_not_matter,
    repeated_gives_the_same,
    store_has_them,
)
