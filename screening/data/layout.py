"""2D coordinates of molecules for files and pictures, within bounds of size and time."""

from rdkit.Chem import Conformer, Mol, RemoveStereochemistry, rdDepictor

MOST_DRAWN = 250
"""Atoms of a molecule that is laid out and drawn: it takes 0.5 s at most (chains of small rings), and a
tenfold time for every threefold size. The largest molecule of the public tables but PCBA has 136."""


def too_large_to_draw(mol: Mol) -> str:
    """Why there is no picture of a molecule, "" where there is."""
    n_atoms = mol.GetNumAtoms()
    return f"{n_atoms:,} atoms, more than {MOST_DRAWN}: not drawn" if n_atoms > MOST_DRAWN else ""


def lay_out(mol: Mol) -> None:
    """Give a molecule 2D coordinates for a MOL block; a large one gets zeros, and a comment that says so.

    Without any, RDKit would make some itself. Stereo, which needs them, is taken off.
    """
    reason = too_large_to_draw(mol)
    if not reason:
        rdDepictor.Compute2DCoords(mol)
        return
    RemoveStereochemistry(mol)
    mol.RemoveAllConformers()
    mol.AddConformer(Conformer(mol.GetNumAtoms()))
    mol.SetProp("MolFileComments", reason, computed=True)  # computed: for the block alone, not as a property
