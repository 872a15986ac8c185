"""PubChem's data table of a bioassay: a row per substance, an outcome in words, and lines about its columns.

References
----------
PubChem BioAssay data dictionary. https://pubchem.ncbi.nlm.nih.gov/docs/bioassays
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .assay_table import AssayTable
from .label_words import setting_of
from .labels import label_key

OUTCOME = "PUBCHEM_ACTIVITY_OUTCOME"
"""The column of outcomes; PUBCHEM_ACTIVITY_SCORE is a rank that each depositor makes up, and no assay."""

OUTCOMES: Mapping[str, float | None] = {"Active": 1, "Inactive": 0, "Inconclusive": None, "Unspecified": None}
"""What outcomes are as labels."""

MOLAR = {"MICROMOLAR": "uM", "NANOMOLAR": "nM", "MILLIMOLAR": "mM", "MOLAR": "M"}
"""Units of concentrations in the line RESULT_UNIT."""


def is_data_table(columns: Sequence[str]) -> bool:
    """Whether these are columns of PubChem's data table of a bioassay."""
    return OUTCOME in columns and any(name in columns for name in ("PUBCHEM_RESULT_TAG", "PUBCHEM_SID"))


def with_outcomes(labels: Mapping[str, float | None]) -> dict[str, float | None]:
    """The user's `data.labels`, and PubChem's outcomes where it says nothing of them."""
    given = {label_key(str(text)) for text in labels}
    return {**labels, **{text: label for text, label in OUTCOMES.items() if label_key(text) not in given}}


def _measured(table: AssayTable) -> str:
    """Which columns the lines about the columns call concentrations, as a setting to paste."""
    tags = table.extra.get("PUBCHEM_RESULT_TAG", [])
    at = tags.index("RESULT_UNIT") if "RESULT_UNIT" in tags else len(tags)
    units = {name: texts[at].upper() for name, texts in table.extra.items() if at < len(texts)}
    assays = {
        name: {"kind": "real", "unit": MOLAR[unit], "transform": "neg_log10_molar"}
        for name, unit in units.items()
        if unit in MOLAR
    }
    with_setting = f": {setting_of('data.assays', assays)}" if assays else ""
    return f"Measured columns can be declared in data.assays{with_setting}."


def named_by_assay(table: AssayTable, path: str) -> AssayTable:
    """The table with its assays named by the number of the bioassay, so that files can be joined.

    The number is that behind AID in the name of the file, as PubChem names it: AID 1000 for the outcome,
    AID 1000 Potency for a measured column. Without one the columns' names stay.
    """
    note = (
        f"{path} is a data table of PubChem: the assay is {OUTCOME} (Active = 1, Inactive = 0, others = not "
        f"measured). {_measured(table) if len(table.tasks) == 1 else ''}"
    ).rstrip()
    number = re.search(r"AID[_ -]?(\d+)", Path(path).name, re.IGNORECASE)
    if number is None:
        return replace(table, notes=[note, *table.notes])
    names = [f"AID {number[1]}" if name == OUTCOME else f"AID {number[1]} {name}" for name in table.tasks]
    about = tuple(replace(assay, name=name) for assay, name in zip(table.about, names, strict=False))
    note += f" Its name is AID {number[1]}, from that of the file."
    return replace(table, tasks=tuple(names), about=about, notes=[note, *table.notes])
