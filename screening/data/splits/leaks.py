"""How much leaks from the training part into the others."""

from dataclasses import dataclass

import numpy as np

from ..assay_table import AssayTable
from ..part_names import PARTS
from .contract import Split, molecules_of


@dataclass(frozen=True)
class Leakage:
    """How much of the test part the training part has seen; `str()` is the line for the output."""

    shared: int
    """Structures that are in train and in valid or test."""
    related: int
    """Further structures of valid or test whose parent train has: other salts, charges or stereoisomers."""
    n_with_ring: int
    """Test molecules that have a Murcko scaffold at all."""
    n_seen: int
    """Those of them whose scaffold occurs in train."""

    def __str__(self) -> str:
        share = f" ({self.n_seen / self.n_with_ring:.1%})" if self.n_with_ring else ""
        return (
            f"structures of train in valid or test: {self.shared}, and {self.related} more by their parent "
            "(another salt, charge or stereoisomer); test molecules whose scaffold is in "
            f"train: {self.n_seen:,} of {self.n_with_ring:,} with a ring{share}"
        )


def leakage(table: AssayTable, split: Split, *, workers: int | None = None) -> Leakage:
    """How many structures, parents and scaffolds of the test part the training part has too."""
    molecules = molecules_of(table, workers)
    trained, validated, tested = (molecules.structure[split.rows(part)] for part in PARTS)
    scaffolds, parent = molecules.scaffolds(), molecules.parents()
    trained_on = {scaffolds[i] for i in trained.tolist()}
    of_test = [scaffolds[i] for i in tested.tolist() if scaffolds[i]]
    others = np.concatenate([validated, tested])
    shared = np.intersect1d(trained, others)
    of_train = {parent[i] for i in trained.tolist()} - {None}
    related = sum(parent[i] in of_train for i in np.setdiff1d(others, trained).tolist())
    return Leakage(len(shared), related, len(of_test), sum(scaffold in trained_on for scaffold in of_test))
