"""An auxiliary table for `small.table()`: other assays of some of its molecules, their forms, and others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import small
from rdkit import Chem

from screening.config import Config, check_config
from screening.data.assay_table import AssayTable

PATTERNS = {"amine": "[NX3;H2,H1;!$(NC=O)]", "acid": "C(=O)[OH]", "hydroxyl": "[OX2H]"}
"""The assay "acid" is called as one of `small.PATTERNS`."""


def forms(text: str) -> list[str]:
    """A molecule as a salt, with an isotope, and as every stereoisomer that a centre or a double bond has."""
    mol = Chem.MolFromSmiles(text)
    labelled = Chem.Mol(mol)
    labelled.GetAtomWithIdx(0).SetIsotope(14)
    isomers = []
    for place, _ in Chem.FindMolChiralCenters(mol, includeUnassigned=True)[:1]:
        for tag in (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW):
            isomer = Chem.Mol(mol)
            isomer.GetAtomWithIdx(place).SetChiralTag(tag)
            isomers.append(Chem.MolToSmiles(isomer))
    charged = text.replace("C(=O)O", "C(=O)[O-]", 1) if text.startswith("C(=O)O") else text
    return [f"{charged}.Cl", f"[Na+].[Cl-].{text}", Chem.MolToSmiles(labelled), *isomers]


def table(missing: float = 0.3, *, patterns: dict[str, str] = PATTERNS) -> AssayTable:
    """100 molecules, of which 50 are in `small.table()`, and forms of 60 of its others."""
    main = small.smiles(150)
    texts = [*small.smiles(200)[100:], *(form for text in main[:60] for form in forms(text))]
    mols = [Chem.MolFromSmiles(text) for text in texts]
    queries = [Chem.MolFromSmarts(smarts) for smarts in patterns.values()]
    labels = np.array([[mol.HasSubstructMatch(query) for query in queries] for mol in mols], np.float32)
    labels[np.random.default_rng(5).random(labels.shape) < missing] = np.nan
    rows = np.arange(1, len(texts) + 1)
    return AssayTable([f"A{row}" for row in rows], texts, labels, tuple(patterns), {}, rows)


def settings(folder: Path, name: str, auxiliary: Sequence[object] = ("aux.csv",), **more: object) -> Config:
    """A run of `main.csv`, which is `small.table()`, with `aux.csv`, `table()`; both are written."""
    if not (folder / "main.csv").exists():
        small.write(folder / "main.csv")
        table().write_csv(folder / "aux.csv")
    data = {"source": str(folder / "main.csv"), **more.pop("data", {})}  # type: ignore[dict-item]
    named = [str(folder / each) if isinstance(each, str) else each for each in auxiliary]
    return check_config(
        {
            "name": name,
            "runs": str(folder / "runs"),
            "data": {"auxiliary": named, **data},
            "split": {"name": "random", "fractions": [0.6, 0.2, 0.2]},
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "model": {"encoder": {"name": "fingerprint", "widths": [16]}},
            "train": {"epochs": 3, "batch_size": 32, "lr": 0.01, "device": "cpu", "workers": 0},
        }
        | more
    )
