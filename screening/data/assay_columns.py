"""Which columns of a table are assays, and what to say of those that only look like one.

Text has become labels in `labels`; a table as a whole is read in `assays`, which calls this.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError, UndeclaredError, listed
from .assay_guesses import MOST_LOOKED_AT, Guess, is_named_as_measured, setting_for, suggested
from .label_words import as_setting, guessed_label, guessed_meanings, tasks_setting
from .labels import ExplainedColumn, label_key
from .values import COMMA, is_number_like, likely_decimal, numbers_of

ATTENTION = "Attention: "
"""Begins a note that the user should not miss: a model of the wrong columns is silent."""

MOST_WORDS = 12
"""Different texts of a column that may still be words for labels."""

MOST_ASSAYS_LISTED = 40
"""Assays that a setting to paste names at most."""

_NUMBERED = re.compile(
    r"(.*[\W_])?(rep|repl|replicates?|run|batch|plate|lot|fold|day|series|trial|donor|passage|cluster|group)"
    r"([\W_]*(id|no|nr|num|number|index)\.?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RawTable:
    """What a file holds before it is known which of its columns are assays."""

    path: str
    smiles_name: str
    """Name of the column of structures."""
    ids: list[str]
    smiles: list[str]
    rows: np.ndarray
    """int64 [n], record numbers in the file, from 1."""
    columns: dict[str, ExplainedColumn]
    """All columns but those of structures and identifiers."""
    numbers: frozenset[str] = frozenset()
    """Columns of numbers as such, not of texts of them: of a DataFrame or a Parquet file."""
    mixed: frozenset[str] = frozenset()
    """Columns of a DataFrame with fractional numbers and texts."""

    def without(self, places: np.ndarray) -> "RawTable":
        """The table but for the rows at these places, from 0."""
        if not len(places):
            return self
        kept = np.delete(np.arange(len(self.rows)), places).tolist()
        return replace(
            self,
            ids=[self.ids[place] for place in kept],
            smiles=[self.smiles[place] for place in kept],
            rows=self.rows[kept],
            columns={name: column.without(places) for name, column in self.columns.items()},
        )

    def but_columns(self, names: Collection[str]) -> "RawTable":
        """The table but for these columns."""
        left = {name: column for name, column in self.columns.items() if name not in names}
        return replace(self, columns=left)

    def without_structure(self) -> np.ndarray:
        """Places of the rows that cannot be molecules: no structure at all, or the header line once more."""
        names = {"", self.smiles_name.strip().casefold()}
        return np.flatnonzero([text.strip().casefold() in names for text in self.smiles])

    def others(self, tasks: Sequence[str]) -> list[str]:
        """The columns that are none of these, in their order."""
        taken = set(tasks)
        return [name for name in self.columns if name not in taken]


# --- which columns are assays -------------------------------------------------------------------------


def likely_assays(raw: RawTable) -> list[str]:
    """Columns of labels, at least one of them; one of mostly labels is kept too, to be refused later on."""
    return [
        name
        for name, column in raw.columns.items()
        if column.n_labels
        and column.n_labels >= column.n_unknown
        and not (_is_index(name) or _is_numbering(name, column))
    ]


def no_assay(raw: RawTable, labels: Mapping[str, float | None], assays: Mapping[str, Guess]) -> DataError:
    """That no column is an assay, what the columns hold, and the settings that would make one of them one."""
    if not raw.columns:
        return DataError(
            f"{raw.path}: no column is an assay (values 1, 0 and empty only). There is no further column: a "
            "list of structures has no labels. Where actives and inactives are two lists, join them: "
            "screening data join --actives actives.smi --inactives inactives.smi --out table.csv"
        )
    seen = []
    for name, column in list(raw.columns.items())[:20]:
        values = [text for text, _ in column.unknown().most_common(5)]
        seen.append(f"'{name}' ({listed(values) or 'empty'}{', ...' if len(column.different) > 6 else ''})")
    advice = _advice(raw, [], list(raw.columns), labels, assays)
    message = (
        f"{raw.path}: no column is an assay (values 1, 0 and empty only). Columns and values: "
        f"{'; '.join(seen)}. {advice}"
    )
    measured = _to_declare(raw, raw.columns)
    chosen = _best_guess(raw, list(raw.columns), labels)[0]
    return DataError(message) if chosen or not measured else _undeclared(message, raw, measured, assays)


def check_labels(
    raw: RawTable,
    tasks: Sequence[str],
    labels: Mapping[str, float | None],
    assays: Mapping[str, Guess],
    *,
    are_given: bool,
) -> None:
    """Raise DataError if an assay has a value that is no label, naming all such values at once."""
    bad = [name for name in tasks if raw.columns[name].n_unknown]
    if not bad:
        return
    first = raw.columns[bad[0]]
    place = first.first_unknown()
    values = sum((raw.columns[name].unknown() for name in bad), Counter[str]())
    texts = listed((f"{text!r} ({n})" for text, n in values.most_common()), 50, mark="")
    also = f"; such values are also in {listed(bad[1:])}" if bad[1:] else ""
    advice = _advice(raw, bad, tasks if are_given else list(raw.columns), labels, assays)
    message = (
        f"{raw.path}, record {raw.rows[place]}, column '{bad[0]}': label "
        f"{first.different[first.codes[place]]!r} is neither 1, 0 nor empty{also}. "
        f"All such values, with counts: {texts}. {advice}"
    )
    is_measurement = are_given and _to_declare(raw, bad) == bad
    raise _undeclared(message, raw, bad, assays) if is_measurement else DataError(message)


def _is_index(name: str) -> bool:
    """Whether the column is one that a spreadsheet or pandas has numbered the rows in."""
    return name.casefold().startswith(("unnamed", "__index_level")) or name == "index"


def _is_numbering(name: str, column: ExplainedColumn) -> bool:
    """Whether the column counts 1, 2, ... replicates, plates and the like, and does not end at 1."""
    if not column.n_unknown or _NUMBERED.fullmatch(name.strip()) is None:
        return False
    keys = [label_key(text) for text, n in zip(column.different, column.counts.tolist(), strict=True) if n]
    numbers = {key for key in keys if key != ""}
    return numbers <= set(map(float, range(len(numbers) + 1)))


def _advice(
    raw: RawTable,
    bad: Sequence[str],
    among: Sequence[str],
    labels: Mapping[str, float | None],
    assays: Mapping[str, Guess],
) -> str:
    """What to do about columns that are refused: the settings to paste.

    Parameters
    ----------
    bad : assays with values that are no labels.
    among : columns that may be assays.
    labels, assays : the settings so far.
    """
    chosen, meanings = _best_guess(raw, among, labels)
    properties = [name for name in bad if looks_like_a_property(name)]
    measured = _to_declare(raw, bad if chosen else among)
    others = {*measured, *properties, *chosen}
    texts = [name for name in bad or among if name not in others]
    sentences = []
    if chosen and len(chosen) <= MOST_ASSAYS_LISTED:
        settings = [tasks_setting(chosen), *([as_setting(meanings)] if meanings != dict(labels) else [])]
        what = "setting" if len(settings) == 1 else "settings"
        sentences.append(f"To take {listed(chosen)}, give the {what} {' '.join(settings)}.")
    if properties:
        sentences.append(f"{listed(properties, 5)}: named like properties of the structure, no assays.")
    if measured:
        sentences.append(
            f"Measured values or counts ({listed(measured, 5)}) are no labels. Take them as real values, "
            f"with the unit and transform that they have: {setting_for(raw.columns, measured, assays)}; as "
            "classes with a threshold there, on the transformed scale, such as threshold: 6."
        )
    if (bad and texts) or not sentences:
        sentences.append(_explain_texts(raw, texts, labels))
    if bad:
        sentences.append("Or correct the file, or leave a column out by naming the assays in data.tasks.")
    return " ".join(sentences)


def _to_declare(raw: RawTable, among: Iterable[str]) -> list[str]:
    """Columns of measured values that could be declared as real; those named as measurements, if any are."""
    measured = [name for name in among if is_measured(raw.columns[name]) and not looks_like_a_property(name)]
    measured = [name for name in measured if not (_is_index(name) or _is_numbering(name, raw.columns[name]))]
    named = [name for name in measured if is_named_as_measured(name)]
    return (named or measured)[:MOST_ASSAYS_LISTED]


def _undeclared(
    message: str, raw: RawTable, measured: Sequence[str], assays: Mapping[str, Guess]
) -> UndeclaredError:
    return UndeclaredError(message, suggested(raw.columns, measured, assays))


def _best_guess(
    raw: RawTable, among: Sequence[str], labels: Mapping[str, float | None]
) -> tuple[list[str], dict[str, float | None]]:
    """Columns that could be taken at once, and the mapping for them; of PubChem's tables the outcome."""
    words = {name: meanings for name in among if (meanings := words_of(raw.columns[name]))}
    clean = {name for name in likely_assays(raw) if not raw.columns[name].n_unknown}
    clean = {name for name in clean if not looks_like_a_property(name)}
    outcomes = [name for name in words if "outcome" in name.casefold()]
    chosen = outcomes or [name for name in among if name in clean or name in words]
    return chosen, joined(labels, [words[name] for name in chosen if name in words])


def _explain_texts(raw: RawTable, texts: Sequence[str], labels: Mapping[str, float | None]) -> str:
    """How to say what these columns' texts mean, with the texts themselves as the example."""
    few = [name for name in texts if 0 < len(raw.columns[name].unknown()) <= MOST_WORDS]
    unknown = list(dict.fromkeys(text.strip() for name in few for text in raw.columns[name].unknown()))
    codes = {text: label_key(text) for text in unknown}
    if unknown and set(codes.values()) <= {2.0, 3.0, 4.0, 5.0} and 2.0 in codes.values():
        outcomes = {"1": 0} | {text: 1 if key == 2 else None for text, key in codes.items()}
        return f"Say what the codes mean with data.labels; as PubChem's outcomes: {as_setting(outcomes)}."
    guesses = {text: guessed_label(text) for text in unknown[:8]}
    unclear = [text for text, label in guesses.items() if label is None]
    example = {text: None if label != label else label for text, label in guesses.items()}
    example |= dict(zip(unclear, (0, 1), strict=False)) if len(unclear) == 2 else dict.fromkeys(unclear)
    if not example:
        example = {"active": 1, "inactive": 0, "inconclusive": None}
    return (
        f"Say what they mean with data.labels, such as {as_setting({**labels, **example})} (1 = active, 0 = "
        "inactive, null = not measured); of measured values say what they are with data.assays."
    )


def joined(
    labels: Mapping[str, float | None], more: Sequence[Mapping[str, int | None]]
) -> dict[str, float | None]:
    """The user's mapping, and texts that it does not have."""
    joined = dict(labels)
    explained = {label_key(str(text)) for text in labels}
    for text, value in (pair for meanings in more for pair in meanings.items()):
        if label_key(text) not in explained:
            explained.add(label_key(text))
            joined[text] = value
    return joined


def words_of(column: ExplainedColumn) -> dict[str, int | None]:
    """What the texts of a column would mean in English, empty unless all are words for labels."""
    texts = [text for text, n in zip(column.different, column.counts.tolist(), strict=True) if n]
    return guessed_meanings(texts) if len(texts) <= MOST_WORDS else {}


def is_measured(column: ExplainedColumn) -> bool:
    """Whether most values that are no labels are numbers other than small codes such as 2 and 3.

    Numbers with a qualifier, a unit or a comma count; of very many different ones the first are looked at.
    """
    unknown = column.unknown()
    texts = list(unknown)[:MOST_LOOKED_AT]
    if not texts:
        return False
    numbers = numbers_of(texts)
    commas = [text for text, problem in zip(texts, numbers.problems, strict=True) if problem == COMMA]
    if commas:
        numbers = numbers_of(texts, decimal=likely_decimal(commas))
    is_number = ~np.isnan(numbers.values)
    is_number |= np.array([bool(problem) and is_number_like(problem) for problem in numbers.problems])
    counts = np.array([unknown[text] for text in texts])
    different = set(numbers.values[~np.isnan(numbers.values)].tolist())
    is_code = different <= {-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0} and 0 < len(different) <= 3
    return bool(counts @ is_number > counts.sum() / 2) and not is_code


# --- columns named as properties -----------------------------------------------------------------------

_PROPERTY_START = re.compile(
    r"(fr_|num[_A-Z]|n[A-Z][a-z]|nr_|n_|#|maccs|morgan|[ef]cfp|rdkfp|fp_?\d|bit_?\d)"
)
_PROPERTIES = (
    "violation violations lipinski ro5 ro3 veber ghose pains brenk alert alerts hbd hba donor donors"
)
_PROPERTIES += (
    " acceptor acceptors ring rings rotatable aromatic aliphatic chiral chirality stereo charge charged"
)
_PROPERTIES += (
    " stereocenters stereocentres count counts logp clogp xlogp tpsa psa mw molwt heavy heteroatoms"
)
_PROPERTIES += " druglike leadlike qed maccs morgan ecfp flag inorganic prodrug salt mixture bit fingerprint"
_PROPERTY_WORDS = frozenset(_PROPERTIES.split())


def looks_like_a_property(name: str) -> bool:
    """Whether a column is named as a property or descriptor of the structure, and not as a measurement.

    Examples
    --------
    >>> names = ["#RO5 Violations", "fr_azide", "NumRings", "HBD_count", "NR-AhR", "p_np", "Nrf2"]
    >>> [looks_like_a_property(name) for name in names]
    [True, True, True, True, False, False, False]
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    whole = re.split(r"[^A-Za-z0-9]+", name.casefold())
    return bool(_PROPERTY_START.match(name)) or bool(_PROPERTY_WORDS & {*map(str.casefold, words), *whole})
