"""Which atoms the columns of circular fingerprints stand for. Called by `contributions`."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from rdkit.Chem import Mol
from rdkit.Chem.rdFingerprintGenerator import AdditionalOutput, GetMorganGenerator
from torch import Tensor

from ..features.store import VectorBlock
from ..features.vectors.ecfp import ECFP_RADIUS, ECFP_SIZE

CIRCULAR = ("ecfp_counts", "ecfp_bits")
"""Vector featurizers whose columns are environments of atoms."""


class Environments(NamedTuple):
    """Which atoms the columns of circular fingerprints stand for: k rows, one for each column and atom."""

    molecule: Tensor
    """[k] int64"""
    column: Tensor
    """[k] int64, of `GraphBatch.vectors`."""
    atom: Tensor
    """[k] int64, counted over all molecules."""
    share: Tensor
    """[k] float64: occurrences of the column are equal, so are the atoms of each; sums to 1 per column."""
    removed: Tensor
    """[k] float32, by how much the column falls when every environment with this atom is taken away."""


def environments_of(mols: Sequence[Mol], blocks: Sequence[VectorBlock]) -> Environments:
    """The environments of the circular fingerprints among `blocks`; empty if there are none."""
    rows: list[tuple[int, int, int, float, float]] = []
    left, lefts = 0, []
    for block in blocks:
        if block.name in CIRCULAR:
            lefts.append((left, block.kind == "bits"))
        left += len(block.columns)
    first = 0
    for number, mol in enumerate(mols):
        for place, atoms in _environments(mol).items() if lefts else ():
            for left, is_bit in lefts:
                rows += _column_rows(number, left + place, first, atoms, is_bit)
        first += mol.GetNumAtoms()
    columns = list(zip(*rows, strict=True)) or [()] * 5
    molecule, column, atom = (torch.tensor(values, dtype=torch.int64) for values in columns[:3])
    share = torch.tensor(columns[3], dtype=torch.float64)
    return Environments(molecule, column, atom, share, torch.tensor(columns[4], dtype=torch.float32))


def _environments(mol: Mol) -> dict[int, list[np.ndarray]]:
    """Column of the fingerprint to the atoms of each of its occurrences."""
    generator = GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE)
    output = AdditionalOutput()
    output.AllocateBitInfoMap()
    generator.GetCountFingerprint(mol, additionalOutput=output)
    near = [[atom.GetIdx(), *(other.GetIdx() for other in atom.GetNeighbors())] for atom in mol.GetAtoms()]
    return {
        column: [_within(near, centre, radius) for centre, radius in places]
        for column, places in output.GetBitInfoMap().items()
    }


def _within(near: Sequence[Sequence[int]], centre: int, radius: int) -> np.ndarray:
    """Atoms at most `radius` bonds from one, ascending; `near` has each atom with its neighbours."""
    atoms = {centre}
    for _ in range(radius):
        atoms = {other for atom in atoms for other in near[atom]}
    return np.array(sorted(atoms), np.int64)


def _column_rows(
    molecule: int, column: int, first: int, occurrences: list[np.ndarray], is_bit: bool
) -> Iterator[tuple[int, int, int, float, float]]:
    share: dict[int, float] = {}
    held: dict[int, int] = {}
    for atoms in occurrences:
        for atom in atoms.tolist():
            share[atom] = share.get(atom, 0.0) + 1 / len(atoms) / len(occurrences)
            held[atom] = held.get(atom, 0) + 1
    for atom, part in share.items():
        removed = float(held[atom] == len(occurrences)) if is_bit else float(held[atom])
        yield molecule, column, first + atom, part, removed
