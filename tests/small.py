"""A small table that trains in seconds: molecules of the rdkit wheel, assays that are substructures."""

from functools import cache
from pathlib import Path

import numpy as np
from rdkit import Chem, RDConfig

from screening.assays import AssayTable
from screening.graphs import FeatureSet, GraphStore, featurize

PATTERNS = {"halogen": "[F,Cl,Br,I]", "acid": "C(=O)[OH]", "ring-N": "[n,N;r]", "sulfur": "[#16]"}


@cache
def smiles(n: int = 300) -> tuple[str, ...]:
    """The first `n` readable molecules of the NCI file in the wheel."""
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_200.props.sdf"
    found = [Chem.MolToSmiles(mol) for mol in Chem.SDMolSupplier(str(path)) if mol is not None]
    return tuple(dict.fromkeys(found))[:n]


def table(n: int = 150, missing: float = 0.3, seed: int = 0) -> AssayTable:
    """`n` molecules and four substructure assays, a share of the labels hidden."""
    texts = list(smiles(n))
    patterns = [Chem.MolFromSmarts(smarts) for smarts in PATTERNS.values()]
    mols = [Chem.MolFromSmiles(text) for text in texts]
    labels = np.array([[mol.HasSubstructMatch(pattern) for pattern in patterns] for mol in mols], np.float32)
    hidden = np.random.default_rng(seed).random(labels.shape) < missing
    labels[hidden] = np.nan
    return AssayTable(
        ids=[f"M{row}" for row in range(len(texts))],
        smiles=texts,
        labels=labels,
        tasks=tuple(PATTERNS),
        extra={},
        rows=np.arange(1, len(texts) + 1),
        canonical=texts,
    )


@cache
def store(graph: str | None = "atom_codes", vectors: tuple[str, ...] = ("ecfp_counts",)) -> GraphStore:
    """The features of `table()`."""
    return featurize(list(smiles(150)), FeatureSet(graph, vectors), workers=0)


def write(path: Path, **options: float) -> Path:
    """`table()` as a CSV file."""
    table(**options).write_csv(path)  # type: ignore[arg-type]
    return path
