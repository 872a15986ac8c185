"""How alike molecules are by their counts: MinMax, the Tanimoto similarity of counts, for many at once.

A count is written in strokes (3 = ///): the strokes that two molecules share are the sum of the smaller
counts, and a product of matrices of 0 and 1 finds them. Common strokes go through a dense product, rare ones
through a sparse one: on 2,000 molecules of ChEMBL 5 to 50 times as fast as distances of dense counts.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from ...runtime import ragged

LEVELS = 256  # strokes that a column can have: counts are at most 255
EVEN = np.ones(LEVELS, np.float32)
"""Weight of the first, second ... stroke of a column: counts as they are."""
FALLING = np.log1p(1 / np.arange(1, LEVELS + 1)).astype(np.float32)
"""Log(2), log(3 / 2) ...: k strokes weigh log(k + 1), so that one more of many counts less."""
COMMON = 0.1  # share of the molecules from which a stroke goes through the dense product
AT_ONCE = 2048  # molecules that are made dense together: some 20 MB


class Counts(NamedTuple):
    """Counts of n molecules in one fingerprint, without the zeros."""

    first: np.ndarray
    """[n + 1] int64, where each molecule starts; the last is the end."""
    columns: np.ndarray
    """[all] int16, ascending within a molecule."""
    values: np.ndarray
    """[all] uint8, 1 to 255."""

    @classmethod
    def of(cls, parts: Sequence[np.ndarray]) -> "Counts":
        """Those of dense parts [n, F], one below the other."""
        rows, columns = zip(*(np.nonzero(part) for part in parts), strict=True)
        lengths = [np.bincount(row, minlength=len(part)) for row, part in zip(rows, parts, strict=True)]
        values = [part[row, column] for part, row, column in zip(parts, rows, columns, strict=True)]
        return cls(
            ragged.bounds(np.concatenate(lengths)),
            np.concatenate(columns).astype(np.int16),
            np.concatenate(values).astype(np.uint8),
        )

    def __len__(self) -> int:
        """Molecules, not fields."""
        return len(self.first) - 1

    def take(self, rows: np.ndarray) -> "Counts":
        """Those of some molecules, in that order."""
        lengths = np.diff(self.first)[rows]
        places = ragged.spans(self.first[rows], lengths)
        return Counts(ragged.bounds(lengths), self.columns[places], self.values[places])

    def totals(self, weights: np.ndarray) -> np.ndarray:
        """[n] float32, what each molecule's strokes weigh."""
        weigh = np.cumsum(weights, dtype=np.float64)  # of a count: place 0 is that of 1
        sums = np.concatenate([np.zeros(1), np.cumsum(weigh[self.values.astype(np.int64) - 1])])
        return np.diff(sums[self.first]).astype(np.float32)

    def strokes(self) -> tuple[np.ndarray, np.ndarray]:
        """Molecule, and column times LEVELS plus level, of every stroke; both int64."""
        repeats = self.values.astype(np.int64)
        levels = ragged.spans(np.zeros(len(repeats), np.int64), repeats)
        molecules = np.repeat(ragged.owners(np.diff(self.first)), repeats)
        return molecules, np.repeat(self.columns.astype(np.int64) * LEVELS, repeats) + levels


class MinMax:
    """The similarity to the molecules it was made of: sum of the smaller counts by sum of the larger ones.

    With several fingerprints the mean over them. 1 for equal counts, none at all among them; 0 where nothing
    is shared. It is a kernel: its matrix has no eigenvalue below 0.

    Parameters
    ----------
    fingerprints : the counts of the same n molecules in each fingerprint.
    weights : EVEN or FALLING, float32 [LEVELS]; with the latter counts are their log(1 + count).

    References
    ----------
    Graph kernels for chemical informatics. L. Ralaivola et al., Neural Networks 18, 1093, 2005, section 3.4.
    https://doi.org/10.1016/j.neunet.2005.07.009
    """

    def __init__(self, fingerprints: Sequence[Counts], weights: np.ndarray = EVEN) -> None:
        self._each = [_Strokes(counts, weights) for counts in fingerprints]

    def to(self, fingerprints: Sequence[Counts]) -> np.ndarray:
        """Similarities [m, n] float32 of m molecules to those it was made of."""
        total = self._each[0].to(fingerprints[0])
        for each, counts in zip(self._each[1:], fingerprints[1:], strict=True):
            total += each.to(counts)
        total /= len(self._each)
        return total


class _Strokes:
    """The strokes of n molecules in one fingerprint."""

    def __init__(self, counts: Counts, weights: np.ndarray) -> None:
        molecules, strokes = counts.strokes()
        self._strokes, places, numbers = np.unique(strokes, return_inverse=True, return_counts=True)
        self._weights = weights
        self._is_common = numbers > COMMON * len(counts)
        self._totals = counts.totals(weights)
        weigh = weights[self._strokes % LEVELS]
        self._common, self._rare = self._split(molecules, places, weigh[places], len(counts))

    def to(self, counts: Counts) -> np.ndarray:
        """MinMax [m, n] float32 of m molecules."""
        molecules, strokes = counts.strokes()
        places = np.searchsorted(self._strokes, strokes)
        has_place = np.flatnonzero(np.append(self._strokes, -1)[places] == strokes)
        molecules, places = molecules[has_place], places[has_place]
        common, rare = self._split(molecules, places, np.ones(len(places), np.float32), len(counts))
        shared = (rare @ self._rare.T).toarray()
        for here, mine in _dense(common):
            for there, theirs in _dense(self._common):
                shared[here, there] += mine @ theirs.T
        larger = counts.totals(self._weights)[:, None] + self._totals - shared
        np.divide(shared, larger, out=shared, where=larger > 0)
        shared[larger <= 0] = 1.0
        return shared

    def _split(
        self, molecules: np.ndarray, places: np.ndarray, weigh: np.ndarray, n: int
    ) -> tuple[csr_array, csr_array]:
        """Matrices of the common and of the rare strokes, a row for each of n molecules."""
        is_common = self._is_common[places]
        number = np.where(self._is_common, np.cumsum(self._is_common), np.cumsum(~self._is_common)) - 1
        n_common = int(self._is_common.sum())
        sides = ((is_common, n_common), (~is_common, len(self._strokes) - n_common))
        common, rare = (
            csr_array((weigh[side], (molecules[side], number[places[side]])), (n, width))
            for side, width in sides
        )
        return common, rare


def _dense(rows: csr_array) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows at a time, dense, and where they stand."""
    for start in range(0, rows.shape[0], AT_ONCE):
        here = slice(start, min(start + AT_ONCE, rows.shape[0]))
        yield here, rows[here].toarray()
