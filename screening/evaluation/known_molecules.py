"""Which molecules a run has seen the labels of: as the same structure, or by the parent.

Called by `assessment`, which leaves them out, and by `hits`, which says so.
"""

from collections.abc import Sequence
from pathlib import Path

from ..data.molecules import parents
from ..training.run_folder import read_table

OF_KNOWN = {
    "train": "in the training part of the run",
    "valid": "in the validation part of the run",
    "parent train": "its parent is in the training part of the run (another salt, charge or stereoisomer)",
    "parent valid": "its parent is in the validation part of the run (another salt, charge or stereoisomer)",
}
"""Why a molecule is known, in words."""


def known_parts(run: Path, canonical: Sequence[str], *, workers: int | None = None) -> list[str] | None:
    """A key of `OF_KNOWN` for each molecule, "" if it is new to the run; None = not known.

    The structure itself counts before its parent. The run's split.csv has the structures.

    Parameters
    ----------
    run : run folder, or its bundle.
    canonical : canonical SMILES, standardised as the run does.
    """
    split = read_table(run if (run / "split.csv").is_file() else run.parent, "split.csv")
    if "structure" not in split:
        return None
    seen = split[split["part"].isin(("train", "valid"))]
    parts = dict(zip(seen["structure"], seen["part"], strict=True))
    exact = [parts.get(text, "") for text in canonical]
    of_parents: dict[str | None, str] = {}
    for parent, part in zip(
        parents(list(parts), are_canonical=True, workers=workers), parts.values(), strict=True
    ):
        of_parents.setdefault(parent, f"parent {part}")
    of_parents.pop(None, None)
    their_parents = parents(canonical, are_canonical=True, workers=workers)
    return [part or of_parents.get(parent, "") for part, parent in zip(exact, their_parents, strict=True)]


def count_known(parts: list[str]) -> list[str]:
    """How many molecules the run knows, and by what; nothing where it knows none."""
    n_parents = sum(part.startswith("parent") for part in parts)
    n_exact = sum(map(bool, parts)) - n_parents
    if not n_exact + n_parents:
        return []
    return [
        f"{n_exact + n_parents:,} molecules are known to the run: {n_exact:,} as the same structure, "
        f"{n_parents:,} by their parent (largest fragment, uncharged, without stereo)."
    ]
