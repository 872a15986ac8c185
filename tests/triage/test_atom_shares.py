"""Descriptors on atoms: parts that add up to what RDKit gives, on the atoms that make them."""

import numpy as np
import pytest
import small
import torch
from rdkit import Chem
from rdkit.Chem import Descriptors, Fragments

from screening.features.vectors.rdkit_descriptors import RdkitDescriptors
from screening.features.vectors.rdkit_fast import RdkitFast
from screening.triage.atom_shares import atom_shares_of, fragments

MOLS = [Chem.MolFromSmiles(text) for text in [*small.smiles(80), "[Na+].[Cl-]", "C", "[Fe]", "[2H]C([2H])O"]]


def taken(featurizer: RdkitDescriptors | RdkitFast, mols: list[Chem.Mol]) -> tuple[torch.Tensor, list]:
    values = torch.tensor(np.array([featurizer(mol) for mol in mols]), dtype=torch.float32)
    names = featurizer.columns
    return values, [atom_shares_of(mols, values, torch.arange(len(names)), names), names]


@pytest.mark.parametrize("featurizer", [RdkitDescriptors(), RdkitFast()], ids=lambda each: each.name)
def test_nearly_all_areas_and_fragments_are_taken_apart(featurizer: RdkitDescriptors | RdkitFast) -> None:
    values, (parts, names) = taken(featurizer, MOLS)
    sums = torch.zeros(values.shape, dtype=torch.float64)
    sums.index_put_((parts.molecule, parts.column), parts.share, accumulate=True)
    assert ((sums - 1).abs() < 1e-9).logical_or(sums == 0).all()
    assert (parts.share > 0).all()
    ours = [c for c, name in enumerate(names) if name.startswith(("fr_", "SlogP_VSA", "SMR_VSA", "PEOE_VSA"))]
    has = values[:, ours] > 0
    assert (sums[:, ours][has] == 0).double().mean() < 0.02
    assert (sums[:, ours][~has] == 0).all()
    ends = np.cumsum([mol.GetNumAtoms() for mol in MOLS])
    assert (np.searchsorted(ends, parts.atom.numpy(), side="right") == parts.molecule.numpy()).all()


def test_every_fragment_of_rdkit_is_known() -> None:
    counts = dict(Fragments.fns)
    assert set(fragments()) == {name for name, _ in Descriptors.descList if name.startswith("fr_")}
    for mol in MOLS[:40]:
        for name, pattern in fragments().items():
            assert len(mol.GetSubstructMatches(pattern)) == counts[name](mol), name


def test_aniline_by_hand() -> None:
    """fr_aniline (c-[NX3]) belongs to the nitrogen and its neighbour; TPSA to the nitrogen alone."""
    mol = Chem.MolFromSmiles("Nc1ccccc1")
    _, (parts, names) = taken(RdkitDescriptors(), [mol])
    for name, expected in (("fr_aniline", {0: 0.5, 1: 0.5}), ("TPSA", {0: 1.0})):
        rows = parts.column == names.index(name)
        assert dict(zip(parts.atom[rows].tolist(), parts.share[rows].tolist(), strict=True)) == expected


def test_what_does_not_add_up_stays_whole() -> None:
    mol = Chem.MolFromSmiles("Nc1ccccc1")
    for value in (2.0, float("nan"), 0.0, -1.0):
        parts = atom_shares_of([mol], torch.tensor([[value]]), torch.tensor([7]), ["fr_aniline"])
        assert len(parts.share) == 0
    assert atom_shares_of(
        [mol], torch.tensor([[1.0]]), torch.tensor([7]), ["fr_aniline"]
    ).column.tolist() == [7, 7]
