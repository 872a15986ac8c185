"""Which molecule of an assay table trains, validates or tests; and how much leaks from one part to another.

A split is a function registered in `splits`. Copies of one structure always fall into the same part.
"""

import functools
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from ..errors import ConfigError, DataError
from ..registry import Registry
from .assay_table import AssayTable
from .deepchem import import_deepchem, muted
from .molecules import canonical_smiles, parents, scaffolds
from .part_names import LEFT_OUT, PARTS, Words, part_codes, read_parts

Fractions = tuple[float, float, float]
"""Shares of train, valid and test: each above 0, together 1."""

EIGHT_TO_ONE = (0.8, 0.1, 0.1)
"""As in MoleculeNet, OGB and MUBen."""

INACTIVE_WORTH = 0.1
"""Of an inactive beside an active in the stratified split. On ToxCast, four seeds: with 1, three assays
without an active in valid or test; with 0.1 none."""

BUTINA_LIMIT = 8_000
"""DeepChem's Butina keeps every pair's distance as a Python number: 90 bytes a pair measured, 3 GB here."""

FINGERPRINT_LIMIT = 30_000
"""DeepChem's fingerprint split compares every pair: 4 s at 4,000 molecules, minutes here."""


@dataclass(frozen=True)
class Molecules:
    """What a split function works on."""

    table: AssayTable
    """The whole table."""
    structure: np.ndarray
    """int64 [n]: number of the row's structure; copies of one structure share it. Numbered by first row."""
    first: np.ndarray
    """int64 [structures]: the first row of each structure."""
    workers: int | None
    """Processes to read molecules in; None = one per processor."""

    def smiles(self) -> list[str]:
        """One SMILES per structure: the canonical one where the table has it."""
        texts = self.table.canonical or self.table.smiles
        return [texts[row] for row in self.first]

    def scaffolds(self) -> list[str]:
        """Murcko scaffold of each structure, "" where there is no ring."""
        return _scaffolds(tuple(self.smiles()), self.workers)

    def parents(self) -> list[str | None]:
        """Parent of each structure (see `molecules.parents`); None where it cannot be read."""
        return _parents(tuple(self.smiles()), self.table.canonical is not None, self.workers)


@dataclass(frozen=True)
class Split:
    """The part of each row of a table."""

    parts: list[str]
    """n of "train", "valid", "test", or "" (left out)."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, for the user."""

    def rows(self, part: str) -> np.ndarray:
        """Rows of a part, int64, ascending."""
        return np.flatnonzero(np.array(self.parts, dtype=object) == part)


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


SplitFunction = Callable[..., tuple[np.ndarray, list[str]]]
"""`function(molecules, generator, *, options)` -> (part codes int [n], LEFT_OUT = -1; notes)."""

splits: Registry[SplitFunction] = Registry("split")


def split_table(
    table: AssayTable, name: str, *, seed: int, workers: int | None = None, **options: Any
) -> Split:
    """The split `name` of a table; same seed, same table, same split.

    Raises
    ------
    ConfigError : unknown split or option, or a value out of range.
    DataError : nothing to split, nothing to train on, or a column or file that does not fit the table.
    """
    splits.check(name, options)
    if not len(table):
        raise DataError("The table has no usable molecule, so there is nothing to split.")
    molecules = _molecules(table, workers)
    codes, notes = splits.build(name, molecules, np.random.default_rng(seed), **options)
    counts = [int((codes == code).sum()) for code in range(len(PARTS))]
    if not counts[0]:
        raise DataError(
            f"The split '{name}' leaves no molecule to train on (valid {counts[1]}, test {counts[2]}). "
            "Choose another split, or give train a larger share."
        )
    empty = [part for part, count in zip(PARTS, counts, strict=True) if not count]
    notes += [f"The split '{name}' leaves {part} empty{_what_is_lost(part, name)}" for part in empty]
    names = np.array([*PARTS, ""], dtype=object)
    return Split(names[codes].tolist(), tuple(notes))


def _what_is_lost(part: str, name: str) -> str:
    if part == "test":
        return ": there is nothing to say how good the model is."
    advice = (
        " A share of train can validate: split.valid_from_train=0.1."
        if "valid_from_train" in splits.options(name)
        else ""
    )
    return (
        ": no early stopping and no choice of the best epoch, no calibrated probabilities, no limit of the "
        f"domain.{advice}"
    )


def leakage(table: AssayTable, split: Split, *, workers: int | None = None) -> Leakage:
    """How many structures, parents and scaffolds of the test part the training part has too."""
    molecules = _molecules(table, workers)
    trained, validated, tested = (molecules.structure[split.rows(part)] for part in PARTS)
    found, parent = molecules.scaffolds(), molecules.parents()
    known = {found[i] for i in trained.tolist()}
    of_test = [found[i] for i in tested.tolist() if found[i]]
    others = np.concatenate([validated, tested])
    shared = np.intersect1d(trained, others)
    of_train = {parent[i] for i in trained.tolist()} - {None}
    related = sum(parent[i] in of_train for i in np.setdiff1d(others, trained).tolist())
    return Leakage(len(shared), related, len(of_test), sum(scaffold in known for scaffold in of_test))


@splits.register("random")
def random_split(
    molecules: Molecules, generator: np.random.Generator, *, fractions: Fractions = EIGHT_TO_ONE
) -> tuple[np.ndarray, list[str]]:
    """Structures in a random order, cut at the fractions."""
    n = len(molecules.first)
    codes = np.repeat(np.arange(len(PARTS)), _part_sizes(n, fractions))
    return generator.permutation(codes)[molecules.structure], []


@splits.register("stratified")
def stratified_split(
    molecules: Molecules, generator: np.random.Generator, *, fractions: Fractions = EIGHT_TO_ONE
) -> tuple[np.ndarray, list[str]]:
    """Random, but each assay's actives and inactives are shared out at the fractions.

    For sparse tables, where a random split can leave an assay without an active in a part. Structures
    with the rarest labels come first; each goes to the part that lacks most of its labels (the shares still
    lacking, added up over its labels), at random order among equals.

    References
    ----------
    Sechidis, Tsoumakas, Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011, algorithm 1,
    which looks at the rarest label only: on ToxCast (617 assays) the actives of valid and test were then
    off by 1.8 on average, 0.8 here (random 3.3).
    """
    has = _label_matrix(molecules)
    totals = has.sum(axis=0)
    room = _part_sizes(len(has), fractions)
    lacking = np.outer(room / len(has), totals)
    worth = 1 / np.maximum(lacking, 1e-12)
    worth[:, len(totals) // 2 :] *= INACTIVE_WORTH
    shuffled = generator.permutation(len(has))
    rarest = has[:, np.argsort(totals, kind="stable")].argmax(axis=1)
    rarest[~has.any(axis=1)] = has.shape[1]
    codes = np.empty(len(has), dtype=np.int64)
    for structure in shuffled[np.argsort(rarest[shuffled], kind="stable")]:
        labels = np.flatnonzero(has[structure])
        wish = (lacking[:, labels] * worth[:, labels]).sum(axis=1)
        part = np.lexsort((room, np.where(room > 0, wish, -np.inf)))[-1]
        codes[structure] = part
        lacking[part, labels] -= 1
        room[part] -= 1
    return codes[molecules.structure], []


@splits.register("scaffold")
def scaffold_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fractions: Fractions = EIGHT_TO_ONE,
    balanced: bool = False,
) -> tuple[np.ndarray, list[str]]:
    """No Murcko scaffold in two parts; molecules without a ring count as one scaffold.

    Largest scaffolds first, so the test part has the rare ones; the seed plays no part. It equals DeepChem
    2.8's ScaffoldSplitter on the same molecules. With `balanced` the order is random, but scaffolds that
    would fill half of valid or test go first, as in chemprop's `scaffold_balanced`.

    References
    ----------
    Bemis, Murcko, J. Med. Chem. 39 (1996) 2887; DeepChem `deepchem/splits/splitters.py` (MIT); chemprop
    `chemprop/data/scaffold.py` of version 1 (MIT).
    """
    shares = _checked(fractions)
    n = len(molecules.structure)
    groups = _groups(molecules.scaffolds(), molecules)
    valid_limit = (fractions[0] + fractions[1]) * n
    if balanced:
        large = np.array([len(group) > n * min(shares[1:]) / 2 for group in groups])
        shuffled = generator.permutation(len(groups))
        order = shuffled[np.argsort(~large[shuffled], kind="stable")].tolist()
    else:
        order = sorted(range(len(groups)), key=lambda i: (len(groups[i]), groups[i][0]), reverse=True)
    codes = np.empty(n, dtype=np.int64)
    filled = np.zeros(len(PARTS), dtype=np.int64)
    for group in (groups[i] for i in order):
        if filled[0] + len(group) <= fractions[0] * n:
            part = 0
        elif filled[0] + filled[1] + len(group) <= valid_limit:
            part = 1
        else:
            part = 2
        codes[group] = part
        filled[part] += len(group)
    return codes, []


@splits.register("butina")
def butina_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fractions: Fractions = EIGHT_TO_ONE,
    cutoff: float = 0.6,
) -> tuple[np.ndarray, list[str]]:
    """No Butina cluster in two parts, the largest clusters in train; DeepChem's ButinaSplitter.

    Two molecules are neighbours if their Tanimoto distance (ECFP4, 1,024 bits) is at most `cutoff`. Time and
    memory grow with the square of the number of molecules: at most BUTINA_LIMIT. The seed plays no part.
    """
    if not 0 < cutoff < 1:
        raise ValueError(f"option 'cutoff' is {cutoff}; a Tanimoto distance between 0 and 1 was expected.")
    return _split_by_deepchem("butina", molecules, fractions, BUTINA_LIMIT, cutoff=cutoff)


@splits.register("fingerprint")
def fingerprint_split(
    molecules: Molecules, generator: np.random.Generator, *, fractions: Fractions = EIGHT_TO_ONE
) -> tuple[np.ndarray, list[str]]:
    """Parts as unlike each other as can be in ECFP4; DeepChem's FingerprintSplitter, a hard test.

    Time grows with the square of the number of molecules: at most FINGERPRINT_LIMIT. The seed plays no part.
    """
    return _split_by_deepchem("fingerprint", molecules, fractions, FINGERPRINT_LIMIT)


@splits.register("folds")
def folds_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    fold: int = 0,
    folds: int = 5,
    by: Literal["scaffold", "random"] = "scaffold",
) -> tuple[np.ndarray, list[str]]:
    """One of `folds` folds tests, the next one validates: over all folds every molecule is tested once.

    The folds depend on the seed, not on `fold`. With `scaffold` no Murcko scaffold is in two folds; a
    molecule without a ring has none and is a group of its own, since together they would fill a fold (23 %
    of Tox21). Groups go into the smallest fold, largest groups first.
    """
    if folds < 3:
        raise ValueError(f"option 'folds' is {folds}; at least 3 were expected, to train, validate and test.")
    if not 0 <= fold < folds:
        raise ValueError(f"option 'fold' is {fold}; 0 to {folds - 1} was expected, of {folds} folds.")
    scaffolds = molecules.scaffolds() if by == "scaffold" else [""] * len(molecules.first)
    keys = [scaffold or f"structure {number}" for number, scaffold in enumerate(scaffolds)]
    groups = _groups(keys, molecules)
    shuffled = generator.permutation(len(groups))
    sizes = np.array([len(group) for group in groups])[shuffled]
    smallest = [(0, number) for number in range(folds)]
    found = np.empty(len(molecules.structure), dtype=np.int64)
    for place in shuffled[np.argsort(-sizes, kind="stable")].tolist():
        filled, number = heapq.heappop(smallest)
        found[groups[place]] = number
        heapq.heappush(smallest, (filled + len(groups[place]), number))
    counts = np.bincount(found, minlength=folds)
    notes = []
    if counts.max() > 1.5 * len(found) / folds:
        notes.append(f"The folds differ in size: {', '.join(f'{n:,}' for n in counts)} molecules.")
    codes = np.zeros(len(found), dtype=np.int64)
    codes[found == (fold + 1) % folds] = PARTS.index("valid")
    codes[found == fold] = PARTS.index("test")
    return codes, notes


@splits.register("column")
def column_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    column: str,
    words: Words = MappingProxyType({}),
    valid_from_train: float = 0.0,
) -> tuple[np.ndarray, list[str]]:
    """The parts that a column of the table names: train, valid, test, or empty (left out).

    `words` says what other texts mean, such as {holdout: test}. Where there are train and test only,
    `valid_from_train` is the share of train that validates.
    """
    table = molecules.table
    if column not in table.extra:
        known = ", ".join(table.extra) or "none"
        raise DataError(
            f"The table has no column '{column}' to split by. Columns that are no assay: {known}."
        )
    codes = part_codes(table.extra[column], table.rows.tolist(), words, f"column '{column}'")
    return _given(codes, valid_from_train, molecules, generator)


@splits.register("file")
def file_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    path: Path,
    column: str = "part",
    words: Words = MappingProxyType({}),
    valid_from_train: float = 0.0,
) -> tuple[np.ndarray, list[str]]:
    """The parts that a CSV file names: column `row` counts the records of the table's file from 0.

    An empty part leaves the row out. Where copies of a structure were merged, the first record counts.
    The `split.csv` of a run has this form, with the column "part". `words` and `valid_from_train` as in
    `column`.
    """
    parts = read_parts(path, column)
    table = molecules.table
    missing = [row for row in table.rows.tolist() if row - 1 not in parts]
    if missing:
        raise DataError(
            f"{path} has no line for {len(missing):,} of the table's {len(table):,} molecules, the first "
            f"being record {missing[0]} of the table (row {missing[0] - 1} there, counted from 0). "
            "Is it the split of another table?"
        )
    rows = (table.rows - 1).tolist()
    codes = part_codes([parts[row] for row in rows], rows, words, f"{path}, column '{column}'")
    return _given(codes, valid_from_train, molecules, generator)


def _given(
    codes: np.ndarray, share: float, molecules: Molecules, generator: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    together, moved = _copies_follow_the_first(codes, molecules)
    codes, taken = _with_valid(together, share, molecules, generator)
    return codes, [*moved, *taken]


def _molecules(table: AssayTable, workers: int | None) -> Molecules:
    texts = table.canonical
    if texts is None:
        found, _ = canonical_smiles(table.smiles, workers=workers)
        texts = [text or smiles for text, smiles in zip(found, table.smiles, strict=True)]
    numbers: dict[str, int] = {}
    structure = np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
    _, first = np.unique(structure, return_index=True)
    return Molecules(table, structure, first, workers)


@functools.lru_cache(maxsize=1)
def _scaffolds(texts: tuple[str, ...], workers: int | None) -> list[str]:
    """Murcko scaffolds, kept for the next call: a scaffold split and its leakage look at the same ones."""
    return scaffolds(texts, workers=workers)


@functools.lru_cache(maxsize=1)
def _parents(texts: tuple[str, ...], are_canonical: bool, workers: int | None) -> list[str | None]:
    """Parents, kept for the next call: seeds and folds split the same molecules."""
    return parents(texts, are_canonical=are_canonical, workers=workers)


def _checked(fractions: Sequence[float]) -> np.ndarray:
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"option 'fractions' is {list(fractions)}; three shares above 0 that add up to 1 were expected "
            "(train, valid, test)."
        )
    return np.array(fractions, dtype=float)


def _part_sizes(n: int, fractions: Sequence[float]) -> np.ndarray:
    """Whole numbers that add up to n, nearest to the fractions, none 0 if n allows."""
    wanted = _checked(fractions) * n
    sizes = np.floor(wanted + 1e-9).astype(int)
    sizes[np.argsort(sizes - wanted, kind="stable")[: n - sizes.sum()]] += 1
    while n >= len(sizes) and sizes.min() == 0:
        sizes[sizes.argmin()] += 1
        sizes[sizes.argmax()] -= 1
    return sizes


def _label_matrix(molecules: Molecules) -> np.ndarray:
    """Which structure has which label, bool [structures, 2 T]: active in assay t, inactive in assay t."""
    labels = molecules.table.labels
    has = np.concatenate([labels == 1, labels == 0], axis=1)
    if len(molecules.first) < len(labels):
        order = np.argsort(molecules.structure, kind="stable")
        starts = np.searchsorted(molecules.structure[order], np.arange(len(molecules.first)))
        has = np.logical_or.reduceat(has[order], starts, axis=0)
    return has


def _groups(keys: Sequence[str], molecules: Molecules) -> list[np.ndarray]:
    """Rows of the table with the same key, each ascending; `keys` has one per structure."""
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys])[molecules.structure]
    order = np.argsort(group, kind="stable")
    return np.split(order, np.searchsorted(group[order], np.arange(1, len(numbers))))


def _split_by_deepchem(
    name: str, molecules: Molecules, fractions: Fractions, limit: int, **options: float
) -> tuple[np.ndarray, list[str]]:
    """DeepChem's split of the structures."""
    _checked(fractions)
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


def _with_valid(
    codes: np.ndarray, share: float, molecules: Molecules, generator: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """A random share of the training structures as the validation part, where there is none."""
    if not 0 <= share < 1:
        raise ValueError(
            f"option 'valid_from_train' is {share}; a share of 0 or more and below 1 was expected."
        )
    if not share:
        return codes, []
    if (codes == PARTS.index("valid")).any():
        raise ValueError("option 'valid_from_train' is given, and there is a validation part. Leave it out.")
    trained = np.unique(molecules.structure[codes == 0])
    n_valid = round(share * len(trained))
    chosen = np.zeros(len(molecules.first), dtype=bool)
    chosen[generator.permutation(trained)[:n_valid]] = True
    taken = np.where((codes == 0) & chosen[molecules.structure], PARTS.index("valid"), codes)
    return taken, [f"{n_valid:,} structures of train, drawn at random, are the validation part."]


def _copies_follow_the_first(codes: np.ndarray, molecules: Molecules) -> tuple[np.ndarray, list[str]]:
    """Put all copies of a structure that are in some part into the part of the first such copy."""
    inside = np.flatnonzero(codes != LEFT_OUT)
    structures, first = np.unique(molecules.structure[inside], return_index=True)
    part = np.full(len(molecules.first), LEFT_OUT)
    part[structures] = codes[inside[first]]
    together = np.where(codes == LEFT_OUT, LEFT_OUT, part[molecules.structure])
    moved = int((together != codes).sum())
    if not moved:
        return codes, []
    return together, [
        f"{moved:,} copies of structures in another part were moved to the part of the first copy."
    ]
