"""Names of columns in written tables: ours keep theirs, those that people bring make way.

One rule for part files, scores.csv, scores.sdf, hits.* and the frames of `Scorer.score`. Where an assay is
the value of a cell (evaluation.csv, top.csv) it keeps its name.
"""

import re
from collections.abc import Collection, Iterable

OURS = ("row", "file", "id", "smiles", "status", "reason")
"""Columns in front of the extra columns and the assays."""
NEIGHBOUR = ("similarity", "distance", "in_domain", "nearest")
"""Columns of the applicability domain."""
SPREAD, SET, LOW, HIGH = ":spread", ":set", ":low", ":high"
"""Endings of the columns that say more of an assay."""
ASSAY, FRONT, INPUT = " (assay)", "assay:", "input:"

ENDINGS = (SPREAD, SET, LOW, HIGH)

_RESERVED = frozenset((*OURS, *NEIGHBOUR))


def assay_column(assay: str) -> str:
    """The column of an assay: its name, or that with " (assay)" behind where it could be a column of ours.

    That is so for the names in `OURS` and `NEIGHBOUR` (in any letter case, with blanks around), and for
    names that end in ":spread", ":set", ":low", ":high" or " (assay)"; those that begin with "input:" or
    "assay:" get "assay:" in front. Different assays have different columns, which do not depend on what else
    is in the table.

    Examples
    --------
    >>> assay_column("NR-AhR"), assay_column("Status"), assay_column("AhR:set")
    ('NR-AhR', 'Status (assay)', 'AhR:set (assay)')
    """
    plain = _plain(assay)
    front = FRONT if plain.startswith((FRONT, INPUT)) else ""
    behind = ASSAY if plain in _RESERVED or plain.endswith((*ENDINGS, ASSAY)) else ""
    return front + assay + behind


def input_columns(names: Iterable[str], results: Collection[str] = ()) -> dict[str, str]:
    """The column of each column of a library: its name, or that behind "input:" where it could be ours.

    Parameters
    ----------
    results : columns of assays in the same table; names equal to one in another letter case make way too.

    Examples
    --------
    >>> input_columns(["Vendor", "Status", "nr-ahr", "input:x"], ["NR-AhR"])
    {'Vendor': 'Vendor', 'Status': 'input:Status', 'nr-ahr': 'input:nr-ahr', 'input:x': 'input:input:x'}
    """
    taken = _RESERVED.union(map(_plain, results))
    return {name: _free(name, taken) for name in names}


def property_names(names: Iterable[str], blank: str = " ") -> list[str]:
    """The names as SDF properties, all different: "<", ">" and blanks become `blank`, then they are numbered.

    Examples
    --------
    >>> property_names(["IC50 > 10", "IC50 < 10", "a"])
    ['IC50 10', 'IC50 10 (2)', 'a']
    """
    numbered: dict[str, None] = {}
    for name in names:
        stem = re.sub(r"[<>\s\x1c-\x1f\x85]+", blank, name).strip() or "unnamed"
        free, n = stem, 1
        while free in numbered:
            n += 1
            free = f"{stem}{blank}({n})"
        numbered[free] = None
    return list(numbered)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _free(name: str, taken: Collection[str]) -> str:
    plain = _plain(name)
    return INPUT + name if plain in taken or plain.startswith(INPUT) else name
