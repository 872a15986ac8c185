"""What each atom adds to descriptors that are sums over atoms or groups of atoms. Called by `contributions`.

Counts of fragments (RDKit's `fr_...`) belong to the atoms that match, each match in equal parts; surface
areas by logP, refractivity or charge (`SlogP_VSA`, `SMR_VSA`, `PEOE_VSA`) and TPSA are sums over atoms. A
descriptor is taken apart only where the parts add up to the value that the model saw.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rdkit import RDConfig
from rdkit.Chem import Mol, MolFromSmarts, rdMolDescriptors, rdPartialCharges
from torch import Tensor

LOGP = (-0.4, -0.2, 0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
REFRACTIVITY = (1.29, 1.82, 2.24, 2.45, 2.75, 3.05, 3.63, 3.8, 4.0)
CHARGE = (-0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Upper ends of RDKit's bins (rdkit.Chem.MolSurf: logpBins, mrBins, chgBins)."""
TOLERANCE = 1e-3  # of the value: descriptors are float32

_SURFACE = re.compile(r"(SlogP|SMR|PEOE)_VSA_?(\d+)")


class AtomShares(NamedTuple):
    """Which atoms descriptors belong to: k rows, one for each descriptor and atom."""

    molecule: Tensor
    """[k] int64"""
    column: Tensor
    """[k] int64, of `GraphBatch.vectors`."""
    atom: Tensor
    """[k] int64, counted over all molecules."""
    share: Tensor
    """[k] float64, above 0; sums to 1 per molecule and column."""


def atom_shares_of(mols: Sequence[Mol], values: Tensor, places: Tensor, names: Sequence[str]) -> AtomShares:
    """The descriptors that can be taken apart, of n molecules.

    Parameters
    ----------
    values : [n, C], descriptors of the molecules as the model sees them.
    places, names : [C], their columns in `GraphBatch.vectors` and what they are.
    """
    rows: list[tuple[int, int, int, float]] = []
    divisible = [
        (c, place, name)
        for c, (place, name) in enumerate(zip(places.tolist(), names, strict=True))
        if _SURFACE.fullmatch(name) or name == "TPSA" or name in fragments()
    ]
    first = 0
    for number, mol in enumerate(mols):
        surfaces = cache(lambda kind, mol=mol: _surfaces(mol, kind))
        for column, place, name in divisible:
            value = float(values[number, column])
            parts = _parts(mol, name, surfaces) if value > 0 else np.zeros(0)
            if len(parts) and abs(parts.sum() - value) <= TOLERANCE * max(value, 1):
                shares, atoms = parts / parts.sum(), np.flatnonzero(parts).tolist()
                rows += [(number, place, first + atom, shares[atom]) for atom in atoms]
        first += mol.GetNumAtoms()
    sides = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
    molecules, columns, atoms_of_all = sides[:, :3].long().unbind(1)
    return AtomShares(molecules, columns, atoms_of_all, sides[:, 3])


@cache
def fragments() -> dict[str, Mol]:
    """RDKit's fragments by the names of their descriptors, from the file that RDKit makes these of."""
    lines = (Path(RDConfig.RDDataDir) / "FragmentDescriptors.csv").read_text().splitlines()
    fields = [line.strip().split("\t") for line in lines if line.startswith("fr_")]
    return {re.sub("[=-]", "_", each[0]): MolFromSmarts(each[2]) for each in fields if len(each) > 2}


def _parts(mol: Mol, name: str, surfaces: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """[atoms] at least 0; empty where there are none."""
    if name == "TPSA":
        return np.array(rdMolDescriptors._CalcTPSAContribs(mol))
    if surface := _SURFACE.fullmatch(name):
        areas, bins = surfaces(surface[1])
        return np.where(bins == int(surface[2]) - 1, areas, 0.0)
    parts = np.zeros(mol.GetNumAtoms())
    for match in mol.GetSubstructMatches(fragments()[name], uniquify=True):
        parts[list(match)] += 1 / len(match)
    return parts


def _surfaces(mol: Mol, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labute's surface area of each atom, and the bin of its logP, refractivity or charge."""
    areas = np.array(rdMolDescriptors._CalcLabuteASAContribs(mol)[0])
    if kind == "PEOE":
        copy = Mol(mol)
        rdPartialCharges.ComputeGasteigerCharges(copy)
        charges = [atom.GetDoubleProp("_GasteigerCharge") for atom in copy.GetAtoms()]
        sane = [charge if math.isfinite(charge) else 0.0 for charge in charges]
        return areas, np.searchsorted(CHARGE, sane, side="right")
    pairs = rdMolDescriptors._CalcCrippenContribs(mol)
    ends = LOGP if kind == "SlogP" else REFRACTIVITY
    return areas, np.searchsorted(ends, [pair[kind == "SMR"] for pair in pairs], side="right")
