"""The page of `screening explain`, and the pictures on it: a card for each molecule, its atoms coloured."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from rdkit.Chem import Mol

from ..reporting.pages import render
from ..reporting.structures import draw_contributions, gradient, on_page
from ..reporting.svg import plain
from .hits_page import significant

if TYPE_CHECKING:
    from .explanation import Explanation

SOURCES = {
    "graph": "atoms through the graph",
    "fingerprint": "atoms through circular fingerprints",
    "described": "atoms through descriptors that are sums over atoms",
    "absent": "environments of atoms that the molecules lack",
    "descriptors": "other descriptors",
}
"""Where contributions come from."""

NO_REFERENCE = (
    "Told against a molecule without inputs: the bundle knows no mean training molecule (it is older than "
    "version 0.4.0 and keeps no structures). Train again for one."
)
TOP = 6  # descriptors named for each molecule
NAMED = 44  # letters of a name that fit on a picture


def pictures_of(result: "Explanation", atoms: pd.DataFrame, mols: list[Mol]) -> list[str]:
    """An SVG of each molecule, its atoms coloured by what they contribute.

    One scale for all: nine of ten molecules have no atom beyond it.
    """
    about = result.about
    of = "logit" if not about.is_real else plain(f"value, {about.scale}" if about.scale else "value", NAMED)
    values = [group.to_numpy() for _, group in atoms.groupby("molecule")["contribution"]]
    scale = max(float(np.quantile([np.abs(each).max() for each in values], 0.9)), 1e-6)
    rows = result.molecules.itertuples(index=False)
    return [
        draw_contributions(
            mol,
            each,
            scale=scale,
            of=of,
            title=f"{plain(row.id, NAMED)}\n{plain(result.assay, NAMED)}: {score_text(result, row)}",
        )
        for mol, each, row in zip(mols, values, rows, strict=True)
    ]


def score_text(result: "Explanation", row: Any) -> str:
    """The probability of a molecule, or its value and the unit."""
    if not result.about.is_real:
        return f"{row.probability:.3f}"
    return f"{significant(row.value)} {result.about.unit}".rstrip()


def _order(result: "Explanation") -> list[int]:
    """The molecules, the best first."""
    if not result.about.is_real:
        return np.argsort(-result.molecules["probability"].to_numpy(), kind="stable").tolist()
    goodness = result.molecules["value"].to_numpy() * (1 if result.about.is_high_good else -1)
    return np.argsort(-goodness, kind="stable").tolist()


def explanation_page(result: "Explanation", pictures: list[str]) -> str:
    """The page with a card for each molecule, the most probable or best first."""
    molecules = result.molecules
    rows: list[Any] = list(molecules.itertuples(index=False))
    top = result.descriptors.groupby("molecule").head(TOP)
    named = {number: list(group.itertuples(index=False)) for number, group in top.groupby("molecule")}
    cards = [(rows[i], Markup(on_page(pictures[i])), named.get(i + 1, [])) for i in _order(result)]
    return render(
        "explain.html",
        result=result,
        score_text=partial(score_text, result),
        total=[getattr(row, result.sum_of) for row, _, _ in cards],
        cards=cards,  # pictures are ours, their texts escaped
        colours=Markup(", ".join(f"var(--scale-{step},{colour})" for step, colour in enumerate(gradient()))),
        is_complete=result.method == "integrated_gradients",
        is_against_mean=NO_REFERENCE not in result.notes,
        checked=bool(molecules["agreement"].notna().any()),
        agreement=molecules["agreement"].mean(),
        worst=molecules["error"].abs().max(),
        shares=_shares(molecules),
        strongest=_strongest(result.descriptors),
    )


def explanation_card(result: "Explanation", pictures: list[str]) -> str:
    """The molecules side by side for a notebook, the best first; on white, as their colours need."""
    rows = [result.molecules.iloc[place] for place in _order(result)]
    cards = [(row, score_text(result, row), Markup(pictures[row.molecule - 1])) for row in rows]
    return render("explain_card.html", assay=result.assay, cards=cards, rejected=result.rejected)


def _shares(molecules: pd.DataFrame) -> list[tuple[str, float]]:
    """What each source is called, and its share, of those that contribute at all."""
    return [(words, share(molecules, source)) for source, words in SOURCES.items() if molecules[source].any()]


def _strongest(descriptors: pd.DataFrame) -> list[str]:
    """The descriptors that contribute most over all molecules, by absolute sums."""
    sums = descriptors["contribution"].abs().groupby(descriptors["descriptor"], sort=False).sum()
    return sums[sums > 0].nlargest(2 * TOP).index.tolist()


def share(molecules: pd.DataFrame, name: str) -> float:
    """How much of what is told apart comes from there: absolute sums per molecule, 0 to 1."""
    total = sum(molecules[source].abs().sum() for source in SOURCES)
    return float(molecules[name].abs().sum() / total) if total else 0.0
