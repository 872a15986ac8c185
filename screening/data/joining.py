"""Two lists of structures, actives and inactives, as one assay table; LIT-PCBA and DUD-E come so.

Reading is in `tables`, the table in `assays`; called by `screening data join`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError
from .assay_table import AssayTable
from .tables import open_table


@dataclass(frozen=True)
class Joined:
    """What was written; `str()` is the text for the terminal."""

    path: Path
    assay: str
    n_actives: int
    n_inactives: int
    n_skipped: int
    """Records that could not be read as rows."""
    n_both: int
    """Structures, as written, that are in both lists."""

    def __str__(self) -> str:
        lines = [
            f"{self.path}: assay '{self.assay}', {self.n_actives:,} actives, {self.n_inactives:,} inactives"
        ]
        if self.n_skipped:
            lines.append(f"{self.n_skipped:,} records could not be read and were left out")
        if self.n_both:
            lines.append(
                f"{self.n_both:,} structures are in both lists: their labels contradict each other and are "
                "taken as missing in training"
            )
        return "\n".join(lines)


def join_lists(
    actives: Sequence[Path],
    inactives: Sequence[Path],
    out: Path,
    *,
    assay: str = "active",
    overwrite: bool = False,
) -> Joined:
    """Write the CSV table of an assay in which the structures of some files are active, of others inactive.

    Parameters
    ----------
    actives, inactives : files of any format that `open_table` reads; identifiers are kept.
    assay : its name.

    Raises
    ------
    ConfigError : no file on a side, `out` is there already or no .csv, or the name cannot be a column.
    DataError : a file cannot be read, or has no record.
    """
    if not actives or not inactives:
        raise ConfigError("actives and inactives: at least one file of each was expected.")
    if not str(out).endswith((".csv", ".csv.gz")):
        raise ConfigError(f"out is '{out}': expected a file that ends in .csv or .csv.gz.")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} is there already. Choose another file, or set overwrite.")
    if assay.strip().casefold() in ("", "id", "smiles"):
        raise ConfigError(f"assay is '{assay}': a name other than id and smiles was expected.")
    active_ids, active, n_bad = _read(actives)
    inactive_ids, inactive, n_more = _read(inactives)
    labels = np.ones((len(active) + len(inactive), 1), dtype=np.float32)
    labels[len(active) :] = 0
    rows = np.arange(1, len(labels) + 1)
    AssayTable(active_ids + inactive_ids, active + inactive, labels, (assay,), {}, rows).write_csv(out)
    n_both = len(set(active) & set(inactive))
    return Joined(out, assay, len(active), len(inactive), n_bad + n_more, n_both)


def _read(paths: Sequence[Path]) -> tuple[list[str], list[str], int]:
    """Identifiers and structures of all files, and how many records could not be read."""
    ids: list[str] = []
    smiles: list[str] = []
    n_skipped = 0
    for path in paths:
        reader, before = open_table(path), len(smiles)
        for block in reader:
            good = [place for place, problem in enumerate(block.problems) if not problem]
            n_skipped += len(block) - len(good)
            structures, names = block.columns[reader.smiles], block.columns.get(reader.id or "")
            smiles += [structures[place] for place in good]
            ids += [names[place] if names else "" for place in good]
        if len(smiles) == before:
            raise DataError(f"{path} has no record that can be read. A list of structures was expected.")
    return ids, smiles, n_skipped
