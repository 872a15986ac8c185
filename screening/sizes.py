"""How large a molecule may be, and how its size is seen in a text before RDKit reads it.

Looking for rings, canonical SMILES and layout take a time that grows faster than the molecule, and at some
20,000 atoms the stack overflows, which ends the process. Called wherever a structure enters.
"""

import re
from typing import Any

MOST_ATOMS = 1000
"""Atoms besides hydrogen that a molecule may have unless the user says otherwise: 3 times the largest of the
public tables we know (PCBA, 332 atoms). Reading and canonical SMILES then take 0.3 s at most."""
LARGEST = 2000
"""What a user may raise it to: reading takes up to 0.8 s there (a sheet of hexagons), and no call of RDKit
that we make comes near the end of its stack."""

_LETTERS = 20  # of a SMILES per atom; the longest of the public tables have 5
_HYDROGENS = 4  # per atom besides hydrogen, where they are written
_EXTENSION = 100_000  # letters of a name or of a CXSMILES extension behind a SMILES
_ATOM = re.compile(r"\[[^\][]*\]|Br|Cl|[BCNOPSFIbcnops*]")
_HYDROGEN = re.compile(r"\[\d*H[-+]*\d*(?::\d+)?\]")
_COUNTS = re.compile(r"M  V30 COUNTS +(\d+)")


def too_large(text: str, most: int = MOST_ATOMS) -> str:
    """Why a SMILES is not read, "" where it may be: it has more than `most` atoms besides hydrogen.

    A name or extension behind the first blank is not counted.
    """
    if len(text) <= most:
        return ""
    smiles, _, behind = text.strip().partition(" ")
    if len(smiles) > _LETTERS * most:
        return f"the SMILES has {len(smiles):,} letters, more than {_LETTERS} for each of {_allowed(most)}"
    if len(behind) > _EXTENSION:
        return f"there are {len(behind):,} letters behind the SMILES, more than {_EXTENSION:,}"
    n_all = len(_ATOM.findall(smiles))
    n_hydrogens = len(_HYDROGEN.findall(smiles))
    return _verdict(n_all - n_hydrogens, n_hydrogens, most)


def too_large_molecule(mol: Any, most: int = MOST_ATOMS) -> str:
    """`too_large` of a molecule of RDKit."""
    if mol.GetNumAtoms() <= most:
        return ""
    n_hydrogens = sum(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms())
    return _verdict(mol.GetNumAtoms() - n_hydrogens, n_hydrogens, most)


def too_large_block(molblock: str, most: int = LARGEST) -> str:
    """`too_large` of a MOL block, by its counts line and, where that is large, its lines of atoms."""
    lines = molblock.split("\n", 4)
    counts = _COUNTS.search(molblock)
    number = counts[1] if counts else lines[3][:3].strip() if len(lines) > 3 else ""
    n_all = int(number) if number.isdecimal() else 0
    if n_all <= most:
        return ""
    n_hydrogens = sum(" H " in line for line in molblock.splitlines()[4:])
    return _verdict(n_all - min(n_hydrogens, n_all), n_hydrogens, most)


def _verdict(n_atoms: int, n_hydrogens: int, most: int) -> str:
    if n_atoms > most:
        return f"the molecule has {n_atoms:,} atoms besides hydrogen, more than {_allowed(most)}"
    if n_hydrogens > _HYDROGENS * most:
        return (
            f"the molecule has {n_hydrogens:,} hydrogens, more than {_HYDROGENS} for each of {_allowed(most)}"
        )
    return ""


def _allowed(most: int) -> str:
    how = "max_atoms" if most < LARGEST else "the most that can be allowed"
    return f"{most:,} atoms ({how})"
