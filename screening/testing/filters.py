"""What must hold for every filter of hits."""

from rdkit import Chem
from rdkit.Chem import Mol

from ..data.molecules import read_molecules
from ..triage.filters import filters
from .subjects import DRUGS, ODD, Check, Subject


def molecules() -> list[Mol]:
    """The molecules of the checks."""
    return [mol for mol, _ in read_molecules([*DRUGS, *ODD]) if mol is not None]


def reasons_are_words(subject: Subject) -> None:
    """It is documented, and gives a list of texts for every molecule."""
    function = filters.get(subject.name)
    assert function.__doc__, "the function has no docstring"
    for mol in molecules():
        reasons = function(mol)
        is_texts = isinstance(reasons, list) and all(isinstance(reason, str) and reason for reason in reasons)
        assert is_texts, f"{Chem.MolToSmiles(mol)}: {reasons!r} is no list of texts"


def repeated_gives_the_same(subject: Subject) -> None:
    """A molecule is judged the same again, and with its atoms in another order."""
    function = filters.get(subject.name)
    for mol in molecules():
        turned = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::-1])
        first, again, other = (function(each) for each in (mol, mol, turned))
        is_same = first == again and sorted(first) == sorted(other)
        assert is_same, f"{Chem.MolToSmiles(mol)}: {first!r}, then {again!r}, turned {other!r}"


def some_molecule_passes(subject: Subject) -> None:
    """Not every ordinary molecule is spoken against."""
    n_passing = sum(not filters.get(subject.name)(mol) for mol in molecules())
    assert n_passing, f"none of {len(molecules())} ordinary molecules passes"


CHECKS: tuple[Check, ...] = (reasons_are_words, repeated_gives_the_same, some_molecule_passes)
