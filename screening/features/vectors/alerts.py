"""Structural alerts as bits."""

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from rdkit.Chem import FilterCatalog, Mol

from ..featurizers import VectorFeaturizer, featurizers
from ..pattern_screen import PatternScreen
from ..smarts_conditions import NOTHING, Condition, condition


@featurizers.register("alerts")
class Alerts(VectorFeaturizer):
    """Which of RDKit's structural alerts (PAINS, Brenk, NIH, ZINC, ChEMBL; 1,585) a molecule has.

    The bits of `FilterCatalog`, with all catalogues; alerts that stand in several are matched once, and only
    those are matched whose atoms and bonds the molecule has (`pattern_screen`): some 15 times as fast.

    References
    ----------
    J. Baell, G. Holloway, J. Med. Chem. 53, 2719, 2010, https://doi.org/10.1021/jm901137j (PAINS); the
    others are named in `screening list filters`.
    """

    name = "alerts"
    version = 1
    rate = 1_900
    kind = "bits"
    reads_stereo = False

    def __init__(self) -> None:
        parameters = FilterCatalog.FilterCatalogParams()
        parameters.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.ALL)
        catalogue = FilterCatalog.FilterCatalog(parameters)
        entries = [catalogue.GetEntryWithIdx(number) for number in range(catalogue.GetNumEntries())]
        self.columns = _names(entries)
        columns_of: dict[Pattern | int, list[int]] = {}
        for column, entry in enumerate(entries):
            columns_of.setdefault(_pattern(entry) or column, []).append(column)
        self._columns = list(columns_of.values())
        self._matches = [entries[columns[0]].HasFilterMatch for columns in self._columns]
        self._screen = PatternScreen([_condition(each) for each in columns_of])

    def __call__(self, mol: Mol) -> np.ndarray:
        vector = np.zeros(len(self.columns), np.uint8)
        vector[list(self.nonzero(mol)[0])] = 1
        return vector

    def nonzero(self, mol: Mol) -> tuple[Sequence[int], Sequence[int]]:
        candidates = self._screen.candidates(mol).tolist()
        columns = [
            column for each in candidates if self._matches[each](mol) for column in self._columns[each]
        ]
        return sorted(columns), [1] * len(columns)


class Pattern(NamedTuple):
    """What an entry looks for."""

    query: bytes
    """As RDKit writes molecules."""
    least: int
    """Matches from which on it counts."""
    most: int


_WRITTEN = re.compile(rb"(\d+) (?=\xef\xbe\xad\xde)")
"""Length of a molecule in the text of an entry, and how RDKit's molecules begin."""
_LIMITS = re.compile(rb" (\d+) (\d+) ")


def _pattern(entry: FilterCatalog.FilterCatalogEntry) -> Pattern | None:
    """The pattern of an entry, from the text that RDKit writes it as; None if that is not a single one.

    RDKit gives no other way to it; without it an entry is matched with every molecule.
    """
    text = bytes(entry.Serialize())
    molecules = list(_WRITTEN.finditer(text))
    if len(molecules) != 1:
        return None
    end = molecules[0].end() + int(molecules[0][1])
    limits = _LIMITS.match(text, end)
    return Pattern(text[molecules[0].end() : end], int(limits[1]), int(limits[2])) if limits else None


def _condition(pattern: Pattern | int) -> Condition:
    if isinstance(pattern, int):
        return NOTHING
    return condition(Mol(cast(str, pattern.query)), pattern.least)  # RDKit's own types ask for a text


def _names(entries: Sequence[FilterCatalog.FilterCatalogEntry]) -> tuple[str, ...]:
    """Catalogue and description of each entry, and a number where another has the same."""
    names: list[str] = []
    times: dict[str, int] = {}
    for entry in entries:
        name = f"{entry.GetProp('FilterSet')}:{entry.GetDescription()}"
        times[name] = times.get(name, 0) + 1
        names.append(name if times[name] == 1 else f"{name} ({times[name]})")
    return tuple(names)
