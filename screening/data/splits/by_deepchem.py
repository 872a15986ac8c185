"""Splits that DeepChem makes."""

import numpy as np

from ...errors import ConfigError
from ..deepchem import import_deepchem, muted
from .contract import Molecules
from .fractions import Fractions, checked_fractions


def split_by_deepchem(
    name: str, molecules: Molecules, fractions: Fractions, limit: int, **options: float
) -> tuple[np.ndarray, list[str]]:
    """DeepChem's split of the structures."""
    checked_fractions(fractions)
    texts = molecules.smiles()
    if len(texts) > limit:
        raise ConfigError(
            f"The split '{name}' compares every pair of molecules: {len(texts):,} are too many (at most "
            f"{limit:,}). Use the split 'scaffold', or make the split elsewhere and give it as split 'file'."
        )
    deepchem = import_deepchem(f"The split '{name}'", "The split 'scaffold' does without it.")
    splitter_class = {"butina": "ButinaSplitter", "fingerprint": "FingerprintSplitter"}[name]
    with muted():
        dataset = deepchem.data.NumpyDataset(X=np.zeros((len(texts), 1)), ids=np.array(texts, dtype=object))
        shares = dict(zip(("frac_train", "frac_valid", "frac_test"), fractions, strict=True))
        parts = getattr(deepchem.splits, splitter_class)(**options).split(dataset, **shares)
    codes = np.empty(len(texts), dtype=np.int64)
    for part, rows in enumerate(parts):
        codes[list(rows)] = part
    return codes[molecules.structure], []
