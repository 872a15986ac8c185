"""One molecule at a time: SMILES to RDKit molecule, standardisation, canonical SMILES, Murcko scaffold.

A structure that cannot be used is data: a reason in words, never an exception. Tables and labels
are in `tables` and `assays`, features in `featurizers`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import Mol
from rdkit.Chem.Scaffolds import MurckoScaffold

from ..errors import ConfigError
from ..registry import did_you_mean
from ..runtime.processes import map_in_processes
from ..sizes import LARGEST, MOST_ATOMS, too_large, too_large_molecule

STANDARDIZATIONS = ("none", "cleanup", "fragment", "neutral")
PARENT_SECONDS = 2e-3  # roughly, to find a parent; measured in `parents`
BLOCK = 1000  # molecules handed to a process at a time
SECONDS = 2e-4  # roughly, to read a molecule and write its canonical SMILES or scaffold
RDKIT_SCAFFOLD = 350  # atoms up to which RDKit finds the scaffold (0.05 s): its time grows as their cube

# Hydrogens written as atoms are taken into their neighbours by a full reading alone; an extension
# ("|...|" behind the SMILES) may change atoms. "[H" also matches [Hg] and [Ho], which costs nothing.
_NEEDS_FULL_READING = re.compile(r"\[\d*H|\|")
_LIGHT = (
    Chem.SanitizeFlags.SANITIZE_ALL
    ^ Chem.SanitizeFlags.SANITIZE_CLEANUPCHIRALITY
    ^ Chem.SanitizeFlags.SANITIZE_CLEANUPATROPISOMERS
    ^ Chem.SanitizeFlags.SANITIZE_SETCONJUGATION
    ^ Chem.SanitizeFlags.SANITIZE_SETHYBRIDIZATION
)
_NAME = re.compile("[ \t]")  # what ends a structure; every other blank within the text makes it unreadable
_SANE = Chem.SanitizeFlags.SANITIZE_NONE

# Cleaning up changes nitrogen, halogens and phosphorus of a high valence and bonds to metals. Without it, the
# check of valences refuses nitrogen, chlorine and bromine (and a full reading follows); the others are here.
_NEEDS_CLEANUP = re.compile(r"[PpI]|\[\d*(?!(?:[BCNOSFHcnos]|Cl|Br)(?![a-z]))")
_LIGHTEST = _LIGHT ^ Chem.SanitizeFlags.SANITIZE_CLEANUP ^ Chem.SanitizeFlags.SANITIZE_CLEANUP_ORGANOMETALLICS

# A canonical SMILES that is its own parent: one fragment, no charge, no stereo, and no sulfur of a high
# valence but sulfones, which standardising would write in another way.
_OWN_PARENT = re.compile(
    r"(?:Cl|Br|O=S[\d%]*\(=O\)|S[\d%]*\(=O\)\(=O\)|[CNOFIcnos]|(?<!=)S(?![\d%]*[(=#])|\[nH\]|[-=#()\d%])+"
)
_STEREO = re.compile(r"\[C@@?H?\]")


def check_standardization(how: str) -> None:
    """Raise ConfigError unless `how` is one of `STANDARDIZATIONS`."""
    if how not in STANDARDIZATIONS:
        raise ConfigError(f"There is no standardisation '{how}'. {did_you_mean(how, STANDARDIZATIONS)}")


def check_max_atoms(most: int) -> None:
    """Raise ConfigError unless `most` is a limit that can be kept."""
    if not 1 <= most <= LARGEST:
        raise ConfigError(f"max_atoms is {most}: expected 1 to {LARGEST:,} atoms besides hydrogen.")


def read_molecule(
    smiles: str, *, standardize: str = "none", max_atoms: int = MOST_ATOMS
) -> tuple[Mol | None, str]:
    """The molecule of a SMILES and "", or None and the reason why it cannot be used.

    Text behind the first space or tab is a name (or a CXSMILES extension), as in RDKit; blanks of any kind
    around the text do not matter, but no other blank ends a structure: CC, U+00A0, O is not ethane. Unlike
    RDKit, an empty SMILES and characters outside ASCII are refused: RDKit reads a carbon and a Cyrillic
    look-alike as one carbon. RDKit's own messages become the reason and are not logged. A molecule of more
    than `max_atoms` atoms besides hydrogen is refused unread (see `sizes`).

    Raises
    ------
    ConfigError : unknown standardisation.
    """
    return read_molecules([smiles], standardize=standardize, max_atoms=max_atoms)[0]


def read_molecules(
    texts: Iterable[str], *, standardize: str = "none", stereo: bool = True, max_atoms: int = MOST_ATOMS
) -> list[tuple[Mol | None, str]]:
    """`read_molecule` of every text.

    Parameters
    ----------
    stereo : False leaves out chirality, bond stereo, conjugation and hybridisation where that is
        possible, and takes two thirds of the time. The same SMILES are refused for the same reasons.
    """
    check_standardization(standardize)
    with rdBase.BlockLogs():
        if stereo or standardize != "none":
            return [_read(text, standardize, max_atoms) for text in texts]
        return _read_lightly(list(texts), max_atoms)


def smiles_of(mol: Mol, *, max_atoms: int = LARGEST) -> tuple[str, str]:
    """The canonical SMILES of a molecule object and "", or "" and why there is none."""
    reason = too_large_molecule(mol, max_atoms)
    if reason:
        return "", reason
    try:
        with rdBase.BlockLogs():
            smiles = Chem.MolToSmiles(mol)
    except (ValueError, RuntimeError) as problem:
        return "", f"RDKit cannot write its SMILES: {_first_line(str(problem))}"
    return smiles, "" if smiles else "the structure has no atoms"


def standardized(mol: Mol, how: str) -> Mol:
    """`mol` in the standard form `how`: none, cleanup, fragment (cleanup, then the largest fragment) or
    neutral (fragment, then uncharged where hydrogens allow it).

    Raises
    ------
    ConfigError : `how` is not known.
    ValueError, RuntimeError : RDKit cannot standardise this molecule.
    """
    check_standardization(how)
    steps = _standardizers()[: STANDARDIZATIONS.index(how)]
    with rdBase.BlockLogs():
        for step in steps:
            mol = step(mol)
    return mol


def canonical_smiles(
    texts: Sequence[str],
    *,
    standardize: str = "none",
    max_atoms: int = MOST_ATOMS,
    workers: int | None = None,
) -> tuple[list[str | None], list[str]]:
    """Canonical SMILES (None where unusable) and reasons ("" where usable), in the order of `texts`.

    Many molecules are read in `workers` processes (None: one per processor).
    """
    check_standardization(standardize)
    function = partial(_canonical_block, standardize=standardize, max_atoms=max_atoms)
    pairs = [pair for block in _in_blocks(function, texts, workers, "reading molecules") for pair in block]
    return [canonical for canonical, _ in pairs], [reason for _, reason in pairs]


def parents(
    texts: Sequence[str], *, are_canonical: bool = False, workers: int | None = None
) -> list[str | None]:
    """The parent of each structure: canonical SMILES of its largest fragment, uncharged, without stereo.

    Salts, forms of charge and stereoisomers of a compound have the same; tautomers have not. None where a
    text cannot be read.

    Parameters
    ----------
    are_canonical : the texts are canonical SMILES. Those without charge, stereo and a second fragment are
        then taken as they are, and those that have stereo alone are read lightly: 0.3 to 0.8 ms a molecule
        where standardising all takes 1.6 to 2.0 (means of samples of five public tables, one busy processor).

    Examples
    --------
    >>> parents(["C[C@H]([NH3+])C(=O)O.[Cl-]", "CC(N)C(=O)[O-].[Na+]"], workers=0)
    ['CC(N)C(=O)O', 'CC(N)C(=O)O']
    """
    result = [text if are_canonical and _OWN_PARENT.fullmatch(text) else None for text in texts]
    places = [place for place, parent in enumerate(result) if parent is None]
    blocks = [[texts[place] for place in places[i : i + BLOCK]] for i in range(0, len(places), BLOCK)]
    seconds = len(places) * PARENT_SECONDS
    function = partial(_parent_block, are_canonical=are_canonical)
    each_block = map_in_processes(function, blocks, workers=workers, title="finding parents", seconds=seconds)
    for place, parent in zip(places, chain.from_iterable(each_block), strict=True):
        result[place] = parent
    return result


def _parent_block(texts: Sequence[str], are_canonical: bool) -> list[str | None]:
    flat = [_flat(text) if are_canonical else "" for text in texts]
    others = [text for text, is_flat in zip(texts, flat, strict=True) if not is_flat]
    light = iter(read_molecules(filter(None, flat), stereo=False, max_atoms=LARGEST))
    full = iter(read_molecules(others, standardize="neutral", max_atoms=LARGEST))
    mols = [next(light if is_flat else full)[0] for is_flat in flat]
    return [None if mol is None else Chem.MolToSmiles(mol, isomericSmiles=False) for mol in mols]


def _flat(canonical: str) -> str:
    """The text without marks of stereo where that is its parent, else ""."""
    text = _STEREO.sub("C", canonical).replace("/", "").replace("\\", "")
    return text if _OWN_PARENT.fullmatch(text) else ""


def murcko_scaffold(smiles: str) -> str:
    """Canonical SMILES of the Bemis-Murcko scaffold, without stereo; "" without a ring or a molecule.

    Large molecules are stripped of their side chains first, which RDKit would take a long time for.

    References
    ----------
    The properties of known drugs. 1. Molecular frameworks. G. W. Bemis, M. A. Murcko, J. Med. Chem.
    39, 2887, 1996. https://doi.org/10.1021/jm9602928

    Examples
    --------
    >>> murcko_scaffold("CC(=O)Oc1ccccc1C(=O)O")
    'c1ccccc1'
    """
    mol, _ = read_molecule(smiles, max_atoms=LARGEST)
    if mol is None or mol.GetRingInfo().NumRings() == 0:
        return ""
    with rdBase.BlockLogs():
        if mol.GetNumAtoms() <= RDKIT_SCAFFOLD:
            return MurckoScaffold.MurckoScaffoldSmiles(mol=mol)
        return Chem.MolToSmiles(framework(mol), isomericSmiles=False)


def framework(mol: Mol) -> Mol:
    """The scaffold of a molecule in a time that grows as its size: what RDKit's `MurckoDecompose` gives.

    It finds the linkers as what is left when ends that are in no ring are taken off, one after the other, in
    place of the shortest paths between all pairs of atoms.
    """
    kept = _rings_and_linkers(mol)
    work = Chem.RWMol(mol)
    work.BeginBatchEdit()
    for atom in work.GetAtoms():
        if atom.GetIdx() not in kept and not _is_held(atom, kept):
            work.RemoveAtom(atom.GetIdx())
    work.CommitBatchEdit()
    work.ClearComputedProps()
    Chem.SanitizeMol(work)
    return work


def _rings_and_linkers(mol: Mol) -> set[int]:
    rings = mol.GetRingInfo()
    degree = {atom.GetIdx(): atom.GetDegree() for atom in mol.GetAtoms()}
    ends = [atom for atom, n in degree.items() if n <= 1 and not rings.NumAtomRings(atom)]
    while ends:
        end = ends.pop()
        del degree[end]
        for near in mol.GetAtomWithIdx(end).GetNeighbors():
            other = near.GetIdx()
            if other in degree:
                degree[other] -= 1
                if degree[other] == 1 and not rings.NumAtomRings(other):
                    ends.append(other)
    return set(degree)


def _is_held(atom: Chem.Atom, kept: set[int]) -> bool:
    """Whether a double bond holds a side atom to the scaffold; where not, its neighbour gets hydrogen."""
    for bond in atom.GetBonds():
        near = bond.GetOtherAtom(atom)
        if near.GetIdx() not in kept:
            continue
        if bond.GetBondType() == Chem.BondType.DOUBLE:
            return True
        if near.GetIsAromatic() and near.GetAtomicNum() != 6:
            near.SetNumExplicitHs(1)
        elif near.GetNoImplicit() or near.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED:
            near.SetNoImplicit(False)
            near.SetNumExplicitHs(0)
            near.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return False


def scaffolds(texts: Sequence[str], *, workers: int | None = None) -> list[str]:
    """`murcko_scaffold` of every text, in `workers` processes where there are many."""
    blocks = _in_blocks(_scaffold_block, texts, workers, "finding scaffolds")
    return [scaffold for block in blocks for scaffold in block]


def _in_blocks(function: Callable[..., Any], texts: Sequence[str], workers: int | None, title: str) -> Any:
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    seconds = len(texts) * SECONDS
    return map_in_processes(function, blocks, workers=workers, title=title, seconds=seconds)


def _canonical_block(texts: Sequence[str], standardize: str, max_atoms: int) -> list[tuple[str | None, str]]:
    return [
        (None if mol is None else Chem.MolToSmiles(mol), reason)
        for mol, reason in read_molecules(texts, standardize=standardize, max_atoms=max_atoms)
    ]


def _scaffold_block(texts: Sequence[str]) -> list[str]:
    return [murcko_scaffold(text) for text in texts]


def _read(smiles: str, standardize: str, max_atoms: int) -> tuple[Mol | None, str]:
    text, reason = "", too_large(smiles, max_atoms)
    if not reason:
        text, reason = _checked(smiles)
    if reason:
        return None, reason
    mol = Chem.MolFromSmiles(text)
    if mol is None:
        return None, _why_unreadable(text)
    if mol.GetNumAtoms() == 0:
        return None, "the structure has no atoms"
    if standardize == "none":
        return mol, ""
    try:
        return standardized(mol, standardize), ""
    except (ValueError, RuntimeError) as problem:
        return None, f"standardisation '{standardize}' failed: {_first_line(str(problem))}"


def _read_lightly(texts: Sequence[str], max_atoms: int) -> list[tuple[Mol | None, str]]:
    """First all are parsed, then all sanitised: the processor then has the code of either in its cache."""
    params = _unsanitized()
    parsed = [
        Chem.MolFromSmiles(text, params) if _is_simple(text) and not too_large(text, max_atoms) else None
        for text in texts
    ]
    steps = [_LIGHT if _NEEDS_CLEANUP.search(text) else _LIGHTEST for text in texts]
    sane = [
        mol is not None and Chem.SanitizeMol(mol, of_mol, True) == _SANE
        for mol, of_mol in zip(parsed, steps, strict=True)
    ]
    return [
        (mol, "") if is_sane else _read(text, "none", max_atoms)
        for text, mol, is_sane in zip(texts, parsed, sane, strict=True)
    ]


def _is_simple(text: str) -> bool:
    """Whether a light reading gives what a full one does."""
    return bool(text) and text.isascii() and text.isprintable() and not _NEEDS_FULL_READING.search(text)


@cache
def _unsanitized() -> Chem.SmilesParserParams:
    params = Chem.SmilesParserParams()
    params.sanitize = False  # type: ignore[assignment]
    params.removeHs = False  # type: ignore[assignment]
    return params


@cache
def _standardizers() -> list[Callable[[Mol], Mol]]:
    from rdkit.Chem.MolStandardize import rdMolStandardize  # 20 ms that most runs do not need

    return [
        rdMolStandardize.Cleanup,
        rdMolStandardize.LargestFragmentChooser().choose,
        rdMolStandardize.Uncharger().uncharge,
    ]


def _checked(smiles: str) -> tuple[str, str]:
    """The text to read and "", or "" and the reason to refuse it before RDKit sees it."""
    text = smiles.strip()
    if not text:
        return "", "the SMILES is empty"
    if smiles.isascii() and smiles.isprintable():
        return smiles, ""
    if "\n" in text or "\r" in text:
        return "", "line break in the structure"
    structure = _NAME.split(text, maxsplit=1)[0]
    for position, character in enumerate(structure, 1):
        if not (character.isascii() and character.isprintable()):
            name = unicodedata.name(character, f"code {ord(character)}")
            return "", f"not a SMILES: character {position} is {character!a} ({name})"
    return structure, ""  # the odd character is in the name behind the blank


def _why_unreadable(text: str) -> str:
    with rdBase.CaptureErrorLog() as log:
        Chem.MolFromSmiles(text)
    message = _first_line(log.messages)
    if not message:
        return "RDKit cannot read it and does not say why"
    position = re.search(r"around position (\d+)", log.messages)
    where = f" (near character {position[1]})" if position else ""
    syntax = re.fullmatch(r"SMILES Parse Error: (.*?)(?: while parsing| for input)?:.*", message)
    return f"not a SMILES: {syntax[1]}{where}" if syntax else message


def _first_line(message: str) -> str:
    """The first line without RDKit's time of day."""
    lines = [line for line in message.splitlines() if line.strip()]
    return re.sub(r"^\[\d\d:\d\d:\d\d\] ", "", lines[0]).strip() if lines else ""
