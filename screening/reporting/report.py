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
from ..evaluation.pooled import read_pooled_material
from ..evaluation.results import Material, read_material
from ..evaluation.run_sets import is_set
from ..evaluation.verdicts import (
    GOOD,
    SHADES,
    VERDICTS,
    Likeness,
    count_verdicts,
    in_words,
    likeness,
    macro_interval,
)
from ..metrics.average_precision import pooled_average_precision
from ..metrics.per_assay import further_metrics, metrics_in, summarize
from ..runtime.files import write_atomically
from ..runtime.folders import explained
from ..training.run_folder import claimed_run, not_finished, read_table
from ..uncertainty.calibration import effect
from . import pictures
from .best_scored import Hit, best_hits, find_scores
from .curves import make_curves
from .explorer import explore
from .pages import render, render_markdown, script

PREDICTIONS = "predictions.parquet"
WEAKEST, REJECTS, PAIRS = 15, 50, 12
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
    context = _context(material, best_hits(library, material.evaluation))
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
    evaluation = material.evaluation
    summary = summarize(evaluation).set_index("metric")
    test = material.test_predictions
    curves = make_curves(test, evaluation)
    alike = likeness(material.labels, material.scores)
    sure = evaluation.assign(sure=evaluation["status"] == "ok")
    ranked = sure.sort_values(["sure", "roc_auc_low"], ascending=False, kind="stable", na_position="last")
    n_verdicts = count_verdicts(evaluation["verdict"].to_numpy())
    weak = evaluation[evaluation["verdict"] != "good"].sort_values("roc_auc_high", kind="stable")
    return {
        "name": material.config.name,
        "runs": [folder.name for folder in material.folders],
        "pooled_note": material.note,
        "within": _within_runs(evaluation),
        "model": model_in_words(material.config),
        "config": material.config,
        "config_text": to_yaml(material.config),
        "manifest": material.manifest,
        "catalogued": material.data,
        "computed": material.data is not None and material.data.address is None,
        "n_assays": len(evaluation),
        "name_width": min(30, int(evaluation["assay"].str.len().max())),
        "macro": macro_interval(test.labels, test.scores),
        "macro_valid": _macro_of(material.valid),
        "calibrated": _calibrated(material),
        "pooled_precision": pooled_average_precision(test.labels, test.scores),
        "summary": summary,
        "metrics": [m for m in metrics_in(evaluation) if "page" in m.shown and m.name != "roc_auc"],
        "further": further_metrics(evaluation),
        "base_rate": evaluation["base_rate"].mean(),
        "verdicts": VERDICTS,
        "shades": SHADES,
        "n_verdicts": n_verdicts,
        "verdict_words": in_words(n_verdicts),
        "statuses": evaluation.loc[evaluation["status"] != "ok", "status"].value_counts(sort=False).to_dict(),
        "good": GOOD,
        "assays": list(ranked.itertuples(name="Assay")),
        "weak": list(weak.head(WEAKEST).itertuples(name="Assay")),
        "parts": _parts(material),
        "curves": pictures.curve_pictures(curves),
        "n_averaged": curves.n_averaged,
        "drawn": len(curves.tasks),
        "curveless": evaluation.loc[evaluation["roc_auc"].isna(), ["assay", "reason"]].values.tolist(),
        "data": explore(material),
        "pictures": _pictures(material),
        "weights": _weights_story(material.history),
        "likeness": pictures.likeness_map(alike, test.tasks) if len(test.tasks) > 1 else None,
        "clusters": _clusters(alike, test.tasks),
        "pairs": _pairs(alike, test.tasks),
        "alike": alike.alike,
        "shared": _shared(alike),
        "n_compared": len(material.labels),
        "hits": hits,
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


def _macro_of(valid: pd.DataFrame) -> float:
    return float(valid["roc_auc"].mean()) if len(valid) else float("nan")


def _calibrated(material: Material) -> list[Any]:
    """Log-loss, Brier score and calibration error before and after calibration; empty without one."""
    table = read_table(material.folder, "calibration.csv")
    if material.folders or material.config.calibration.name == "none" or not len(table):
        return []
    changes = effect(table)
    return list(changes[changes["metric"] != "roc_auc"].itertuples(index=False))


def model_in_words(config: Config) -> str:
    """What was trained, for the heading."""
    if config.model.baseline is not None:
        return f"a {config.model.baseline.name.replace('_', ' ')} for each"
    one = "one network for all"
    if config.grouping.file is not None:
        one = "a network for each group"
    elif config.model.single_task:
        one = "a network for each"
    times = f", {config.train.ensemble} times" if config.train.ensemble > 1 else ""
    return f"{one} ({config.model.encoder.name}{times})"


class Part(NamedTuple):
    """A split part in numbers; None = not known."""

    name: str
    molecules: int
    labels: int | None
    actives: int | None
    measured: float | None
    """Share of all (molecule, assay) pairs with a label."""
    judged: int | None
    """Assays with at least 10 actives and 10 inactives."""


def _parts(material: Material) -> list[Part]:
    counts, rows = material.counts, []
    for name, molecules in material.manifest.get("molecules", {}).items():
        part = counts[counts["part"] == name] if len(counts) else counts
        if not len(part):
            rows.append(Part(name, molecules, None, None, None, None))
            continue
        measured, actives = part["measured"], part["actives"]
        enough = int((np.minimum(actives, measured - actives) >= 10).sum())
        share = measured.sum() / max(1, molecules * len(part))
        rows.append(Part(name, molecules, int(measured.sum()), int(actives.sum()), float(share), enough))
    return rows


def _pictures(material: Material) -> dict[str, Any]:
    """Pictures of assays and of training, by name; None without data."""
    evaluation, history = material.evaluation, material.history
    verdicts = evaluation["verdict"].to_numpy()
    by_name: dict[str, Any] = dict.fromkeys(("ranked", "counts", "amount", "training", "maps"))
    if evaluation["roc_auc"].notna().any():
        by_name["ranked"] = [
            pictures.ranked_assays(evaluation, verdicts, narrow=narrow) for narrow in (False, True)
        ]
    if len(material.counts):
        total = material.counts.groupby("assay", sort=False)[["measured", "actives"]].sum()
        total = total.reindex(evaluation["assay"], fill_value=0)
        by_name["counts"] = pictures.label_counts(
            total["measured"].to_numpy(), total["actives"].to_numpy(), verdicts
        )
        if evaluation["roc_auc"].notna().any():
            actives = evaluation["train_actives"].to_numpy(float)
            by_name["amount"] = pictures.amount_and_quality(actives, evaluation, verdicts)
    if len(history):
        by_name["training"] = pictures.training_pictures(history)
        by_name["maps"] = [*filter(None, [pictures.weight_map(history)]), pictures.validation_map(history)]
    return by_name


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


# --- likeness -----------------------------------------------------------------------------------------------


class Cluster(NamedTuple):
    """Assays whose predictions go together."""

    number: int
    assays: list[str]
    correlation: float
    """Mean over its pairs, of the predictions."""


def _clusters(alike: Likeness, tasks: tuple[str, ...]) -> list[Cluster]:
    """Clusters of two and more assays, largest first."""
    clusters = []
    for number in np.unique(alike.clusters).tolist():
        members = alike.order[alike.clusters[alike.order] == number]
        if len(members) > 1:
            block = alike.scores[np.ix_(members, members)]
            mean = float((block.sum() - len(members)) / (len(members) * (len(members) - 1)))
            clusters.append(Cluster(number, [tasks[task] for task in members], mean))
    return sorted(clusters, key=lambda cluster: -len(cluster.assays))


class Pair(NamedTuple):
    """Two assays and how their labels and predictions go together."""

    first: str
    second: str
    labels: float
    scores: float
    shared: int


def _pairs(alike: Likeness, tasks: tuple[str, ...]) -> list[Pair]:
    """The pairs whose labels are most alike."""
    above = np.triu(np.nan_to_num(alike.labels, nan=-2), 1) + np.tril(np.full(alike.labels.shape, -2.0))
    best = np.argsort(-above, axis=None, kind="stable")[:PAIRS]
    places = [divmod(place, len(tasks)) for place in best.tolist() if above.flat[place] > -2]
    return [
        Pair(tasks[a], tasks[b], alike.labels[a, b], alike.scores[a, b], int(alike.shared[a, b]))
        for a, b in places
    ]


class Shared(NamedTuple):
    """How many molecules two assays have in common."""

    median: float
    few: float
    """Share of the pairs with fewer than 30."""
    correlation: float
    """Mean over pairs, of the predictions."""


def _shared(alike: Likeness) -> Shared | None:
    above = np.triu_indices(len(alike.shared), 1)
    pairs = alike.shared[above]
    if not len(pairs):
        return None
    return Shared(float(np.median(pairs)), float((pairs < 30).mean()), float(alike.scores[above].mean()))


# --- rendering ----------------------------------------------------------------------------------------------


def render_page(context: Mapping[str, Any]) -> str:
    """The HTML page; the only script it may run is its own, and it forbids itself every connection."""
    text, digest = script("table.js", "report.js")
    style = Markup(render("report.css"))
    page = render("report.html", **context, script=text, script_hash=digest, style=style)
    return page + "\n"
