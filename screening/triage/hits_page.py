"""The page of hits: what the model is worth for the assay, then the molecules to sort, filter, tick and save.

What a browser saves are the lines of hits.csv and the records of hits.sdf, word for word: they lie in the
page, which works without a network. Called by `hits`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from rdkit.Chem import Mol

from ..data.assay_kinds import Assay
from ..data.molecules import read_molecule
from ..metrics.per_assay import read_evaluation
from ..reporting.pages import render, script
from ..reporting.structures import draw_structure
from ..runtime.numbers import short
from ..training.run_folder import read_table

SORTS = {
    "probability": "probability",
    "value": "value",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "similarity": "similarity to the nearest active",
    "training_similarity": "similarity to training",
    "weight": "molecular weight (MW)",
    "logp": "logP",
    "donors": "hydrogen bond donors (HBD)",
    "acceptors": "hydrogen bond acceptors (HBA)",
    "polar_surface": "polar surface (TPSA)",
    "flags": "flags",
    "id": "name",
    "rank": "rank in the library",
}
"""Columns that the page sorts by, in words."""
SAME = 1e-3  # difference of scores of one model, float16 in the parts included; of values as a share


def score_column(assay: Assay) -> str:
    """The column of scores in tables of one assay."""
    return "value" if assay.is_real else "probability"


class Quality(NamedTuple):
    """What a run says of one assay: of its test part, and of the labels it was trained on."""

    row: dict[str, Any]
    """A row of evaluation.csv: actives, inactives, roc_auc, roc_auc_low, roc_auc_high, ef_1pct, reason ..."""
    base_rate: float
    """Actives among the molecules of the training part that were measured; NaN where the run does not say."""

    @classmethod
    def of(cls, run: Path, assay: str) -> "Quality | None":
        """Of a run folder, or of the run folder around a bundle; None where there is no evaluation."""
        for folder in (run, run.parent) if run.name == "bundle" else (run,):
            path = folder / "evaluation.csv"
            if path.is_file() and (folder / "bundle").is_dir():
                table = read_evaluation(path)
                rows = table[(table["assay"] == assay) & (table["part"] == "test")].to_dict("records")
                return cls(rows[0], _base_rate(folder, assay)) if rows else None
        return None


def _base_rate(run: Path, assay: str) -> float:
    counts = read_table(run, "labels.csv")
    if not {"assay", "part", "measured", "actives"} <= set(counts.columns):
        return float("nan")
    row = counts[(counts["assay"] == assay) & (counts["part"] == "train")]
    return float(row["actives"].sum() / row["measured"].sum()) if row["measured"].sum() else float("nan")


class Records(NamedTuple):
    """The files of hits in pieces."""

    head: str
    """First line of hits.csv."""
    lines: list[str]
    """Its other lines, one per hit, each with its line break."""
    molecules: list[str]
    """Records of hits.sdf, one per hit."""

    def as_json(self) -> Markup:
        """For a script element: nothing in it can end the element."""
        text = json.dumps({"head": self.head, "csv": self.lines, "sdf": self.molecules})
        return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def hits_page(
    table: pd.DataFrame,
    mols: Sequence[Mol],
    records: Records,
    *,
    quality: Quality | None,
    links: Sequence[str],
    **values: Any,
) -> str:
    """The page as HTML.

    Parameters
    ----------
    table, mols : the hits (`hits.Hits.table`) and their structures.
    quality : of the assay, None where nothing says.
    links : where each hit is explained, "" where nowhere.
    values : `hits`, `model` (in words) and `is_calibrated`, for the template.
    """
    rows: list[dict[str, Any]] = table.to_dict("records")
    extra = [name for name in table.columns if str(name).startswith("library:")]
    for row, mol, link in zip(rows, mols, links, strict=True):
        active, _ = read_molecule(row.get("nearest_active_smiles", ""))
        row["picture"] = _drawn(mol, f"Structure of {row['id']}", 160)
        row["active_picture"] = None if active is None else _drawn(active, "Nearest active", 110)
        row["explained"] = link
        row["extra"] = [(name.removeprefix("library:"), row[name]) for name in extra if _is_said(row[name])]
    text, digest = script("hits.js")
    return render(
        "hits.html",
        rows=rows,
        shown=significant,
        score="probability" if "probability" in table else "value",
        quality=quality,
        expected=float(table["probability"].sum()) if "probability" in table else np.nan,
        columns=set(table.columns),
        sorts={name: words for name, words in SORTS.items() if name in table.columns},
        records=records.as_json(),
        is_explained=any(links),
        script=text,
        script_hash=digest,
        **values,
    )


def links_to(folder: Path, name: str, assay: str, table: pd.DataFrame) -> list[str]:
    """For the molecules of a table (smiles, probability or value) where `folder`/`name` explains them.

    Relative to `folder`; "" for a molecule that is not there with the assay and the same score (it is then
    another model's).
    """
    score = "probability" if "probability" in table else "value"
    texts = dict.fromkeys(("id", "smiles", "assay"), str)
    try:
        told = pd.read_csv(folder / name / "molecules.csv", dtype=texts, keep_default_na=False)
        told = told[told["assay"] == assay].astype({score: float, "molecule": int})
    except (FileNotFoundError, ValueError, KeyError):  # none, or not what `explain` writes
        return [""] * len(table)
    places = dict(zip(told["smiles"], zip(told[score], told["molecule"], strict=True), strict=True))
    explained = [places.get(smiles, (np.nan, 0)) for smiles in table["smiles"]]
    return [
        f"{name}/index.html#molecule-{number:04d}" if _is_same(there, here, score) else ""
        for (there, number), here in zip(explained, table[score].tolist(), strict=True)
    ]


def _is_same(one: float, other: float, score: str) -> bool:
    return abs(one - other) < SAME * (1 if score == "probability" else abs(other) + 1e-30)


def significant(value: float) -> str:
    """A value as `short` has it, "∞" where it has no limit.

    Examples
    --------
    >>> significant(12345.6), significant(0.012345), significant(float("inf"))
    ('12,346', '0.0123', '∞')
    """
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return short(value)


def _is_said(value: Any) -> bool:
    return value is not None and value == value and value != ""


def _drawn(mol: Mol, title: str, height: int) -> Markup:
    return Markup(draw_structure(mol, title=title, width=250, height=height))
