"""Which molecules a run has seen the labels of: as the same structure, by the parent, or before it began.

Called by `assessment`, which leaves them out, and by `hits`, which says so.
"""

from collections.abc import Sequence
from pathlib import Path

from ..data.molecules import parents
from ..data.skeletons import skeletons
from ..training.run_folder import read_table
from ..training.starting_point import SKELETONS

OF_KNOWN = {
    "train": "in the training part of the run",
    "valid": "in the validation part of the run",
    "parent train": "its parent is in the training part of the run (another salt, charge or stereoisomer)",
    "parent valid": "its parent is in the validation part of the run (another salt, charge or stereoisomer)",
    "start": "labels of its skeleton are in the weights that the run began with (model.encoder.init)",
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
    of_run = [part or of_parents.get(parent, "") for part, parent in zip(exact, their_parents, strict=True)]
    return _with_start(run, of_run, canonical, workers)


def _with_start(run: Path, parts: list[str], canonical: Sequence[str], workers: int | None) -> list[str]:
    """The parts, with "start" for what is new to the run but not to the one that it began with."""
    learned = read_table(run if (run / SKELETONS).is_file() else run.parent, SKELETONS)
    new = [place for place, part in enumerate(parts) if not part] if len(learned) else []
    keys = skeletons([canonical[place] for place in new], are_canonical=True, workers=workers)
    before = set(learned["skeleton"]) if new else set()
    in_start = {place for place, key in zip(new, keys, strict=True) if key in before}
    return ["start" if place in in_start else part for place, part in enumerate(parts)]


def count_known(parts: list[str]) -> list[str]:
    """How many molecules the run knows, and by what; nothing where it knows none."""
    n_parents = sum(part.startswith("parent") for part in parts)
    n_start = parts.count("start")
    n_all = sum(map(bool, parts))
    if not n_all:
        return []
    before = f", {n_start:,} by skeleton to the run that it began with" if n_start else ""
    return [
        f"{n_all:,} molecules are known to the run: {n_all - n_parents - n_start:,} as the same structure, "
        f"{n_parents:,} by their parent (largest fragment, uncharged, without stereo){before}."
    ]
