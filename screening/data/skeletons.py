"""The skeleton of a compound: the same for its salts, charges, stereoisomers, isotopes and most tautomers.

By it structures that are tested on are told in other tables that are learned from, where a tautomer would
pass by its parent.
"""

from collections.abc import Sequence
from itertools import chain

from rdkit import Chem, rdBase

from ..runtime.processes import map_in_processes
from .molecules import BLOCK, parents, read_molecules

SECONDS = 1e-3
"""Roughly, to read a parent and find its InChI."""


def skeletons(
    texts: Sequence[str], *, are_canonical: bool = False, workers: int | None = None
) -> list[str | None]:
    """First block (14 letters) of the InChIKey of each structure's parent; None where it cannot be read.

    A parent without an InChI, such as one of more than 1,023 atoms, is its own skeleton.

    Parameters
    ----------
    are_canonical : as in `parents`.

    References
    ----------
    InChI, the IUPAC International Chemical Identifier. S. R. Heller et al., J. Cheminform. 7, 23, 2015.
    https://doi.org/10.1186/s13321-015-0068-4. The first block of the key stands for formula and connections.

    Examples
    --------
    >>> skeletons(["C[C@H]([NH3+])C(=O)O.[Cl-]", "CC(N)C(=O)[O-].[Na+]", "Oc1ccccn1", "O=c1cccc[nH]1"])
    ['QNAYBMKLOCPYGJ', 'QNAYBMKLOCPYGJ', 'UBQKCCHYAOITMY', 'UBQKCCHYAOITMY']
    """
    of_parents = parents(texts, are_canonical=are_canonical, workers=workers)
    different = sorted({text for text in of_parents if text is not None})
    blocks = [different[start : start + BLOCK] for start in range(0, len(different), BLOCK)]
    seconds = len(different) * SECONDS
    results = map_in_processes(_block, blocks, workers=workers, title="finding skeletons", seconds=seconds)
    keys = dict(zip(different, chain.from_iterable(results), strict=True))
    return [None if text is None else keys[text] for text in of_parents]


def _block(texts: Sequence[str]) -> list[str]:
    with rdBase.BlockLogs():
        mols = [mol for mol, _ in read_molecules(texts)]
        keys = ["" if mol is None else Chem.MolToInchiKey(mol)[:14] for mol in mols]
    return [key or text for key, text in zip(keys, texts, strict=True)]
