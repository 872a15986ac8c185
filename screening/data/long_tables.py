"""Recognises long tables: a row per structure and assay, which read as wide would be one assay of all.

Replicates, batches and a few duplicates are no long table. What its columns hold is found in `long_columns`.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import listed
from .assay_columns import RawTable, is_measured, looks_like_a_property
from .label_words import guessed_label
from .labels import Codes, ExplainedColumn, label_key

SEPARATED = 0.9
"""Share of a structure's further rows that an assay column must tell apart; FS-Mol repeats 1.4 %."""

FEW_REPEATS = 0.01
"""Rows that repeat a structure, as a share of all, from which a column named as an assay is believed."""

MANY_REPEATS = 0.1
"""The same for a column whose name says nothing."""

LIKE_REPLICATES = 0.6
"""Agreement of a structure's labels beyond chance (Cohen's kappa) from which they are of one assay."""

ASSAY_WORDS = frozenset(
    ["assay", "assays", "bioassay", "aid", "endpoint", "endpoints", "target", "targets", "task", "assayid"]
)
"""Words in the name of a column that tells assays apart."""

NAMING = frozenset(
    [
        "id",
        "ids",
        "name",
        "chembl",
        "pubchem",
        "accession",
        "code",
        "title",
        "label",
        "pref",
        "no",
        "idx",
        "index",
    ]
)
"""Words beside them in the name of a column that does nothing else."""

_OFTEN = (
    "protein proteins gene genes uniprot receptor kinase enzyme readout variable panel screen strain species"
)
_OFTEN += " organism cell cells cellline tissue property parameter measurement pathway test mode endpunkt"
_OFTEN += " aeid aenm acnm tid"  # of the data bases of ToxCast and ChEMBL
OFTEN_ASSAYS = frozenset(_OFTEN.split())
"""Words that mean so where structures repeat."""

_ABOUT = "type types date format class family confidence version comment description count number"
NOT_THE_ASSAY = frozenset(_ABOUT.split())
"""Words of columns about an assay; but `standard_type` and `activity_type` are what was measured."""

_REPLICATE = (
    "replicate replicates rep reps repeat batch plate well lot run date day time year month sample sid lab"
)
_REPLICATE += (
    " laboratory source reference ref doi pmid paper document doc patent author operator comment comments"
)
_REPLICATE += (
    " note notes salt supplier vendor version fold split set part subset row index record position name"
)
_REPLICATE += (
    " synonym cas inchi inchikey formula unit units relation qualifier stereo isomer form purity passage"
)
_REPLICATE += " concentration conc dose temperature donor"
REPLICATE_WORDS = frozenset(_REPLICATE.split())
"""Words in the name of a column that tells repeated measurements, or forms of a compound, apart."""

SPLIT_WORDS = frozenset(
    ["train", "training", "valid", "validation", "val", "dev", "test", "testing", "holdout"]
)

MOST_COLUMNS = 60
"""Columns looked at, those named as assays first."""


@dataclass(frozen=True)
class _Repeats:
    """The rows of structures that occur more than once."""

    rows: np.ndarray
    """Their places in the table."""
    structure: np.ndarray
    """Number of the structure of each of them."""
    n_structures: int
    n_all: int
    """Rows of the whole table."""

    @property
    def n_further(self) -> int:
        """Rows that repeat a structure."""
        return len(self.rows) - self.n_structures


@dataclass(frozen=True)
class LongKey:
    """What shows that a table has a row per structure and assay."""

    columns: tuple[str, ...]
    """The columns that tell the assays apart."""
    seen: str
    """A sentence on it, for people."""
    is_plain: bool
    """Whether the one column is named as an assay and nothing else."""


def long_key(raw: RawTable, tasks: Sequence[str]) -> LongKey | None:
    """How a table with a row per structure and assay is recognised; None = it has none.

    It is long if structures repeat, one or two columns tell the rows of a structure apart, and these are
    named as assays are; or, named otherwise, if many rows repeat and their labels agree no better than those
    of different assays do. Beside a single column of labels a column of names of assays is enough.

    Parameters
    ----------
    tasks : the columns that hold labels; none where values have no meaning yet.
    """
    names = [name for name, column in raw.columns.items() if _may_tell_assays(name, column)]
    names = sorted(names, key=_rank)[:MOST_COLUMNS]
    tasks = [name for name in tasks if name not in names]
    if not names:
        return None
    repeats = _repeats(raw.smiles)
    for key in _keys(names) if repeats.n_further >= max(2, FEW_REPEATS * repeats.n_all) else ():
        if _separates(raw, key, repeats) and _is_assay_key(raw, key, repeats, tasks):
            return LongKey(key, _seen(raw, key, repeats), len(key) == 1 and _rank(key[0]) == 0)
    are_labels = len(tasks) == 1 and not is_measured(raw.columns[tasks[0]])
    are_labels = are_labels and not looks_like_a_property(tasks[0])
    if are_labels and _rank(names[0]) == 0 and _has_groups(raw, names[0]) and _has_a_few_columns(raw):
        is_plain = not repeats.n_further or _separates(raw, (names[0],), repeats)
        return LongKey((names[0],), _seen(raw, (names[0],), repeats), is_plain)
    return None


def assay_columns(raw: RawTable) -> list[str]:
    """Columns that are named as what tells assays apart, and nothing else."""
    return [name for name in raw.columns if not _rank(name)]


def _has_a_few_columns(raw: RawTable) -> bool:
    """Long tables describe each row; a table of descriptors or of measured values has more columns."""
    return sum(is_measured(column) for column in raw.columns.values()) <= 10


def _has_groups(raw: RawTable, name: str) -> bool:
    """Whether most values of a column are those of several rows, unlike numbers of measurements."""
    return 2 * int((raw.columns[name].counts > 0).sum()) <= len(raw.rows)


def _keys(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Columns, then pairs of columns with one that is named as an assay."""
    assays = [name for name in names if _rank(name) < 2]
    pairs = [pair for pair in itertools.combinations(names[:12], 2) if set(pair) & set(assays[:4])]
    return [*((name,) for name in names), *pairs]


def _repeats(smiles: list[str]) -> _Repeats:
    codes = Codes().of(smiles)
    counts = np.bincount(codes)
    rows = np.flatnonzero(counts[codes] > 1)
    return _Repeats(rows, codes[rows], int((counts > 1).sum()), len(smiles))


def _may_tell_assays(name: str, column: ExplainedColumn) -> bool:
    """Whether a column has several values and hardly an empty cell, and is no measurement, label or split."""
    texts = {text.strip(): n for text, n in zip(column.different, column.counts.tolist(), strict=True) if n}
    n_empty = texts.pop("", 0)
    if n_empty > 0.05 * len(column.codes) or len(texts) < 2:
        return False
    keys = [label_key(text) for text in texts]
    if any(isinstance(key, float) and not key.is_integer() for key in keys):
        return False
    if len(texts) <= 6 and {text.casefold() for text in texts} <= SPLIT_WORDS:
        return False
    n_labels = sum(n for text, n in texts.items() if guessed_label(text) is not None)
    is_numbered = _rank(name) == 0 and all(isinstance(key, float) for key in keys)
    is_numbered = is_numbered and (
        column.n_unknown > 0 or bool(words_in(name) & {"id", "ids", "no", "idx", "index"})
    )
    return is_numbered or n_labels < (len(column.codes) - n_empty) / 2


def _separates(raw: RawTable, key: tuple[str, ...], repeats: _Repeats) -> bool:
    """Whether the rows of a structure differ in the column or columns."""
    number = repeats.structure.astype(np.int64)
    for name in key:
        column = raw.columns[name]
        number = number * len(column.different) + column.codes[repeats.rows]
        _, number = np.unique(number, return_inverse=True)
    n_same = len(number) - (int(number.max()) + 1)
    return n_same <= (1 - SEPARATED) * repeats.n_further


def _is_assay_key(raw: RawTable, key: tuple[str, ...], repeats: _Repeats, tasks: Sequence[str]) -> bool:
    if any(_rank(name) < 2 and _has_groups(raw, name) for name in key):
        return True
    n_different = int((raw.columns[key[0]].counts > 0).sum())
    if (
        len(key) > 1
        or n_different > repeats.n_all / 4
        or _is_named_replicate(key[0])
        or _counts_up(raw.columns[key[0]])
    ):
        return False
    many = repeats.n_further >= MANY_REPEATS * repeats.n_all
    return many and len(tasks) == 1 and _agreement(raw.columns[tasks[0]], repeats) < LIKE_REPLICATES


def _agreement(column: ExplainedColumn, repeats: _Repeats) -> float:
    """Cohen's kappa of two rows of one structure, from all pairs; 1 where no label differs from another."""
    labels = column.labels()[repeats.rows]
    measured = labels >= 0
    _, structure = np.unique(repeats.structure[measured], return_inverse=True)
    if not len(structure):
        return 1.0
    active = np.bincount(structure, labels[measured]).astype(float)
    n = np.bincount(structure).astype(float)
    n_pairs = (n * (n - 1) / 2).sum()
    share = active.sum() / n.sum()
    by_chance = 2 * share * (1 - share)
    if not n_pairs or not by_chance:
        return 1.0
    return float(1 - (active * (n - active)).sum() / n_pairs / by_chance)


def _counts_up(column: ExplainedColumn) -> bool:
    """Whether the values are 1, 2, 3, ... as of replicates."""
    values = {text.strip() for text, n in zip(column.different, column.counts.tolist(), strict=True) if n}
    return values <= {str(number) for number in range(len(values) + 1)}


def words_in(name: str) -> set[str]:
    """The words of a column name: of "AssayName", "assay_name" and "ASSAY NAME" they are assay and name."""
    return _camel_words(name) | set(re.findall(r"[a-z]+", name.casefold()))


def _camel_words(name: str) -> set[str]:
    return {part.casefold() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _rank(name: str) -> int:
    """0 = named as what tells assays apart, 1 = as what may, 2 = neither."""
    words = words_in(name)
    if words & NOT_THE_ASSAY:
        return 1 if "type" in words and words & {"standard", "activity", "measurement"} else 2
    forms = (set(re.findall(r"[a-z]+", name.casefold())), _camel_words(name))
    is_all = any(form <= ASSAY_WORDS | NAMING and form & ASSAY_WORDS for form in forms)
    if is_all and not any(sign.isdigit() for sign in name):
        return 0
    if words & (REPLICATE_WORDS - {"name", "record", "index"}):
        return 2
    return 1 if words & (ASSAY_WORDS | OFTEN_ASSAYS) else 2


def _is_named_replicate(name: str) -> bool:
    return bool(words_in(name) & REPLICATE_WORDS)


def _seen(raw: RawTable, key: tuple[str, ...], repeats: _Repeats) -> str:
    shown = " and ".join(f"'{name}' ({_some_values(raw.columns[name])})" for name in key)
    if not repeats.n_further or not _separates(raw, key, repeats):
        return f"{shown} says of which assay a row is"
    return (
        f"{repeats.n_structures:,} structures occur in {len(repeats.rows):,} of {repeats.n_all:,} rows, and "
        f"{shown} {'tells' if len(key) == 1 else 'tell'} them apart"
    )


def _some_values(column: ExplainedColumn) -> str:
    texts = [text for text, n in zip(column.different, column.counts.tolist(), strict=True) if n]
    return f"{len(texts):,} values: {listed(texts, 3)}"
