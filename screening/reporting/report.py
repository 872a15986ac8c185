"""One page about a run, and its model card: what was trained, which assays work, how sure that is, and why.

Everything comes from the run folder; the page is one file that opens offline. Words about numbers are made
in `findings`, pictures in `pictures`, the page itself is `templates/report.html`.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..config import Config, to_yaml
from ..errors import DataError
from ..evaluation.headline import (
    HEADLINES,
    are_real_rows,
    comparable_means,
    headline,
    n_measured,
    title_of,
)
from ..evaluation.pooled import read_pooled_material
from ..evaluation.results import Material, read_material
from ..evaluation.run_sets import is_set
from ..evaluation.verdicts import (
    GOOD,
    SHADES,
    Macro,
    count_verdicts,
    in_words,
    likeness,
    macro_interval,
    meanings,
)
from ..metrics.average_precision import pooled_average_precision
from ..metrics.per_assay import FEW, further_metrics, metrics_in, summarize
from ..runtime.files import write_atomically
from ..runtime.folders import explained
from ..training.run_folder import claimed_run, not_finished, read_table
from ..uncertainty.calibration import effect
from . import pictures
from .best_scored import Hit, best_hits, find_scores
from .curves import make_curves
from .explorer import explore
from .likeness_tables import best_pairs, clusters, in_common
from .models_told import blend_section, model_in_words
from .pages import render, render_markdown, script
from .svg import Picture
from .value_section import kept_intervals, value_section

PREDICTIONS = "predictions.parquet"
WEAKEST, REJECTS = 15, 50
"""Rows of the lists on the page."""


@dataclass(frozen=True)
class Report:
    """Where a report was written."""

    page: Path
    card: Path | None
    """None of a set of runs: it is no model."""
    size: int
    """Bytes of the page."""


def write_report(
    run: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    scores: str | PathLike[str] | None = None,
) -> Report:
    """Write the page of a finished run, and MODEL_CARD.md beside it; the same run gives the same bytes.

    Parameters
    ----------
    run : the run folder; or `runs/a` for the runs `runs/a-seed0`, ... or `runs/a-fold0`, ... together, whose
        page has no model card.
    out : the page; None = report.html in the run folder, or `runs/a-report.html`.
    scores : folder of `screening score`, for the best molecules; None = what `find_scores` finds.

    Raises
    ------
    DataError : no finished run there, no scores in `scores` or those of another model, or the page cannot
        be written.
    """
    folder = Path(run)
    pools = is_set(folder)
    page = Path(out) if out is not None else _usual_page(folder, pools)
    if page.is_dir() or ((pools or out is not None) and not page.parent.is_dir()):
        raise DataError(f"The report cannot be written to {page}: expected a file in a folder that exists.")
    if not pools and not (folder / PREDICTIONS).is_file():
        raise DataError(not_finished(folder, PREDICTIONS))  # before the folder is made and claimed
    with claimed_run(folder) if page.parent.resolve() == folder.resolve() else nullcontext():
        return _write_report(folder, page, None if scores is None else Path(scores), pools=pools)


def _write_report(folder: Path, page: Path, scores: Path | None, *, pools: bool) -> Report:
    material = read_pooled_material(folder) if pools else read_material(folder)
    library = find_scores(material.folders or (folder,), scores)
    context = _context(material, best_hits(library, material.evaluation, material.assays))
    context["library"] = None if library is None else library.name
    texts = {page: render_page(context)}
    card = None if pools else page.with_name("MODEL_CARD.md")
    if card is not None:
        texts[card] = render_markdown("model_card.md", **context) + "\n"
    for path, text in texts.items():
        _write(path, text)
    return Report(page, card, len(texts[page].encode()))


def _usual_page(run: Path, pools: bool) -> Path:
    return run.with_name(f"{run.name}-report.html") if pools else run / "report.html"


def _write(path: Path, text: str) -> None:
    again = "Make room and write the report again: nothing was lost."
    with explained(path, room=again, instead="give another place with `out`"):
        write_atomically(path, text)


# --- what is on the page ------------------------------------------------------------------------------------


def _context(material: Material, hits: dict[str, list[Hit]]) -> dict[str, Any]:
    """Everything that the templates show, by the names they use."""
    evaluation, metric = material.evaluation, headline(material.evaluation)
    classes = evaluation[~are_real_rows(evaluation)]
    summary = comparable_means(summarize(evaluation), material.assays).set_index("metric")
    test = material.test_predictions
    curves = make_curves(test, evaluation)
    shown = evaluation.assign(
        sure=evaluation["status"] == "ok",
        is_real=are_real_rows(evaluation),
        labels=n_measured(evaluation),
        scale=[assay.scale for assay in material.assays],
        wanted=[assay.wanted for assay in material.assays],
        **kept_intervals(material),
        **dict(zip(("value", "low", "high"), (evaluation[name] for name in metric.columns), strict=True)),
    )
    ranked = shown.sort_values(["sure", "low"], ascending=False, kind="stable", na_position="last")
    n_verdicts = count_verdicts(evaluation["verdict"].to_numpy())
    weak = shown[shown["verdict"] != "good"].sort_values("high", kind="stable")
    return {
        **_about_run(material),
        "within": _within_runs(evaluation),
        "n_assays": len(evaluation),
        "n_classes": len(classes),
        "headline": metric,
        "headline_title": title_of(metric),
        "values": value_section(material, ranked.index[ranked["is_real"]].tolist(), summary),
        "name_width": min(30, max(8, int(evaluation["assay"].str.len().max()))),
        "macro": macro_of(material),
        "macro_valid": _valid_mean(material.valid, metric.name),
        "valid_chose": _validation_chose(material.config),
        "calibrated": _calibrated(material),
        "pooled_precision": pooled_average_precision(
            test.outcome.labels, test.outcome.scores, material.is_real
        ),
        "summary": summary,
        "metrics": [m for m in metrics_in(evaluation) if "page" in m.shown and m.name not in HEADLINES],
        "further": further_metrics(evaluation),
        "base_rate": classes["base_rate"].mean(),
        "verdicts": meanings(evaluation),
        "shades": SHADES,
        "n_verdicts": n_verdicts,
        "verdict_words": in_words(n_verdicts),
        "statuses": evaluation.loc[evaluation["status"] != "ok", "status"].value_counts(sort=False).to_dict(),
        "good": GOOD,
        "assays": list(ranked.itertuples(name="Assay")),
        "weak": list(weak.head(WEAKEST).itertuples(name="Assay")),
        "parts": _parts(material),
        "has_bounds": any(part.bounds for part in _parts(material)),
        "curves": pictures.curve_pictures(curves),
        "n_averaged": curves.n_averaged,
        "drawn": len(curves.tasks),
        "curveless": classes.loc[classes["roc_auc"].isna(), ["assay", "reason"]].values.tolist(),
        "data": explore(material),
        "pictures": _pictures(material),
        "weights": _weights_story(material.history),
        "blend": blend_section(material),
        **_about_likeness(material),
        "hits": hits,
    }


def _about_likeness(material: Material) -> dict[str, Any]:
    """Which assays are alike, in their labels and in their predictions; not of few measured cells."""
    if material.labels is None or material.scores is None:
        return {"likeness": None, "is_sparse": True}
    alike = likeness(material.labels, material.scores, material.is_real)
    tasks = material.test_predictions.tasks
    return {
        "likeness": pictures.likeness_map(alike, tasks) if len(tasks) > 1 else None,
        "clusters": clusters(alike, tasks),
        "pairs": best_pairs(alike, tasks),
        "alike": alike.alike,
        "shared": in_common(alike),
        "n_compared": len(material.labels),
        "is_sparse": False,
    }


def _about_run(material: Material) -> dict[str, Any]:
    """What was trained on what, and what of it was not used."""
    return {
        "name": material.config.name,
        "runs": [folder.name for folder in material.folders],
        "pooled_note": material.note,
        "model": model_in_words(material.config),
        "config": material.config,
        "config_text": to_yaml(material.config),
        "manifest": material.manifest,
        "catalogued": material.data,
        "computed": material.data is not None and material.data.is_computed,
        "rejected": list(material.rejected.head(REJECTS).itertuples(index=False)),
        "n_rejected": len(material.rejected),
        "reasons": _counted_reasons(material.rejected),
    }


class Within(NamedTuple):
    """Mean over assays of the mean ROC-AUC within the runs of a set."""

    value: float
    assays: int


def _within_runs(evaluation: pd.DataFrame) -> Within | None:
    if "runs_mean" not in evaluation:
        return None
    return Within(float(evaluation["runs_mean"].mean()), int(evaluation["runs_mean"].notna().sum()))


def macro_of(material: Material) -> Macro:
    """Mean ROC-AUC, or concordance, over the assays of the test part, with its interval."""
    test = material.test_predictions
    out = test.outcome
    return macro_interval(out.labels, out.scores, test.is_real, out.censored, out.packing)


def _validation_chose(config: Config) -> str:
    """What the validation part has chosen of the networks; "" = nothing."""
    if not config.model.has_network:
        return ""
    if config.train.snapshots == 1:
        return "the epoch"
    return "the snapshots" if config.train.snapshots_used else ""


def _valid_mean(valid: pd.DataFrame, value: str) -> float:
    return float(valid[value].mean()) if len(valid) and value in valid else float("nan")


def _calibrated(material: Material) -> list[Any]:
    """Log-loss, Brier score and calibration error before and after calibration; empty without one."""
    table = read_table(material.folder, "calibration.csv")
    if material.folders or material.config.calibration.name == "none" or not len(table):
        return []
    changes = effect(table)
    return list(changes[changes["metric"] != "roc_auc"].itertuples(index=False))


class Part(NamedTuple):
    """A split part in numbers; None = not known."""

    name: str
    molecules: int
    labels: int | None = None
    """Of all assays, values among them."""
    values: int | None = None
    """Labels of assays with real values."""
    bounds: int | None = None
    """Those of `values` that are censored."""
    actives: int | None = None
    measured: float | None = None
    """Share of all (molecule, assay) pairs with a label."""
    judged: int | None = None
    """Assays with at least 10 actives and 10 inactives, or 10 values."""

    @property
    def classes(self) -> int | None:
        """Labels of assays of two classes."""
        return None if self.labels is None or self.values is None else self.labels - self.values


def _parts(material: Material) -> list[Part]:
    counts, rows = material.counts, []
    real = {assay.name for assay in material.assays if assay.is_real}
    for name, molecules in material.manifest.get("molecules", {}).items():
        part = counts[counts["part"] == name] if len(counts) else counts
        if not len(part):
            rows.append(Part(name, molecules))
            continue
        measured, actives = part["measured"], part["actives"]
        is_real = part["assay"].isin(real)
        enough = np.where(is_real, measured, np.minimum(actives, measured - actives)) >= FEW
        share = measured.sum() / max(1, molecules * len(part))
        bounds = int(part["censored"].sum()) if "censored" in part else 0
        labels, values = int(measured.sum()), int(measured[is_real].sum())
        judged = int(enough.sum())
        rows.append(Part(name, molecules, labels, values, bounds, int(actives.sum()), float(share), judged))
    return rows


def _pictures(material: Material) -> dict[str, Any]:
    """Pictures of assays and of training, by name; None without data."""
    evaluation, history = material.evaluation, material.history
    metric, is_real = headline(evaluation), are_real_rows(evaluation)
    verdicts = evaluation["verdict"].to_numpy()
    by_name: dict[str, Any] = dict.fromkeys(("ranked", "counts", "amount", "training", "maps"))
    has_number, ranked = evaluation[metric.name].notna().any(), pictures.ranked_assays
    if has_number:
        by_name["ranked"] = [ranked(evaluation, verdicts, narrow=narrow) for narrow in (False, True)]
    if len(material.counts):
        if not is_real.all():
            by_name["counts"] = label_counts_of(material)
        if has_number:
            by_name["amount"] = pictures.amount_and_quality(learned_from(evaluation), evaluation, verdicts)
    if len(history):
        by_name["training"] = pictures.training_pictures(history, title_of(metric))
        by_name["maps"] = [
            *filter(None, [pictures.weight_map(history)]),
            pictures.validation_map(history, title_of(metric)),
        ]
    return by_name


def label_counts_of(material: Material) -> Picture:
    """Labels and actives of the assays of two classes, over all parts."""
    classes = material.evaluation[~are_real_rows(material.evaluation)]
    total = material.counts.groupby("assay", sort=False)[["measured", "actives"]].sum()
    total = total.reindex(classes["assay"], fill_value=0)
    measured, actives = total["measured"].to_numpy(), total["actives"].to_numpy()
    return pictures.label_counts(measured, actives, classes["verdict"].to_numpy(), classes.index.to_numpy())


def learned_from(evaluation: pd.DataFrame) -> np.ndarray:
    """float64 [T], actives in training; where assays have real values, labels."""
    amount = "train_measured" if are_real_rows(evaluation).any() else "train_actives"
    return evaluation[amount].to_numpy(float)


class Weights(NamedTuple):
    """How unequally a balancer weighed, as multiples of the mean weight over training."""

    equal: bool
    most: list[tuple[str, float]]
    least: list[tuple[str, float]]


def _weights_story(history: pd.DataFrame) -> Weights | None:
    if not len(history):
        return None
    weight = history.groupby("assay", sort=False)["weight"].mean().dropna()
    weight = (weight / weight.mean()).sort_values(ascending=False, kind="stable")
    shown = min(5, len(weight) // 2)
    equal = bool(len(weight) < 2 or weight.iloc[0] - weight.iloc[-1] < 0.01)
    return Weights(equal, list(weight.head(shown).items()), list(weight.tail(shown).items())[::-1])


def _counted_reasons(rejected: pd.DataFrame) -> list[tuple[str, int]]:
    if not len(rejected):
        return []
    return [(str(reason), int(n)) for reason, n in rejected["reason"].value_counts().head(20).items()]


# --- rendering ----------------------------------------------------------------------------------------------


def render_page(context: Mapping[str, Any]) -> str:
    """The HTML page; the only script it may run is its own, and it forbids itself every connection."""
    text, digest = script("table.js", "values.js", "report.js")
    style = Markup(render("report.css"))
    page = render("report.html", **context, script=text, script_hash=digest, style=style)
    return page + "\n"
