"""Runs against each other, assay by assay, on the same test molecules: is the difference more than chance?

The statistics are in `metrics.paired`, what belongs together in `run_sets`. The command line calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import DataError, listed
from ..metrics.contract import metrics
from ..metrics.paired import (
    Difference,
    adjust,
    adjustments,
    difference,
    difference_by_seed,
    over_splits,
    significance,
)
from ..metrics.paired_samples import Sample, samplers
from ..metrics.per_assay import FEW
from ..runtime.progress import progress
from ..training.run_folder import write_frame
from .headline import ERRORS
from .run_sets import Bench, RunSet, read_benches, run_sets, training_sizes

SMALL = 0.05
"""Of a baseline this small, a relative difference says little."""

OF_REAL = ("kind", "measured", "censored")
"""Further columns of a comparison with real assays, behind `inactives`."""

ASSAY_COLUMNS = (
    *("run", "against", "assay", "status", "actives", "inactives", "baseline", "value", "difference"),
    *("low", "high", "p", "p_adjusted", "result"),
)
SUMMARY_COLUMNS = (
    *("run", "against", "assays", "baseline", "value", "difference", "low", "high", "p", "p_adjusted"),
    *("wins", "losses", "ties", "higher", "lower", "delta_m", "worst_tenth"),
)


@dataclass(frozen=True)
class Comparison:
    """Every run (or set of runs) against the first."""

    metric: str
    adjustment: str
    """`holm` or `bh`: how p-values were corrected for the number of tests."""
    part: str
    sets: tuple[RunSet, ...]
    """What was compared: all others against the first."""
    assays: pd.DataFrame
    """One row per run and assay with `ASSAY_COLUMNS` (and `OF_REAL` where an assay is real), of each run the
    worst hurt first and those without a test last. `baseline` is the metric of the first run, `difference` =
    `value` - `baseline` with its 95 % interval `low` to `high`. `result` is `win` or `loss` where p_adjusted
    is below the level, else `tie`, and "" without a test; `status` then says why: `one class`, `no labels`,
    or `too few` (one of a class); of real assays `all censored`, `constant values` or `too few` (one exact
    value)."""
    summary: pd.DataFrame
    """One row per run with `SUMMARY_COLUMNS`: macro means over the `assays` that have a test, and their
    difference; assays won, lost, tied; assays where the metric is higher or lower at all; `delta_m` in per
    cent, above 0 where the run is better; `worst_tenth`, the mean difference of the tenth of the assays that
    is hurt most."""
    notes: tuple[str, ...]
    """What the reader should know: how seeds were treated, assays that not all runs have."""
    better: str = "higher"
    """Whether `higher` or `lower` numbers of the metric are wins."""

    def write_csv(self, path: Path) -> None:
        """Write `assays` and, as rows with the assay "", the macro means; a reader sees a whole file."""
        macro = self.summary.assign(assay="", status="macro mean", result="")
        rows = pd.concat([self.assays, macro.reindex(columns=self.assays.columns)])
        counts = [name for name in ("actives", "inactives", "measured", "censored") if name in rows.columns]
        rows = rows.astype(dict.fromkeys(counts, "Int64"))
        write_frame(path, rows.assign(metric=self.metric, part=self.part, adjustment=self.adjustment))


def compare(
    runs: Sequence[str | PathLike[str]] | Sequence[RunSet],
    part: str = "test",
    *,
    metric: str | None = None,
    adjustment: str = "bh",
    level: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """Paired differences of all runs to the first one, per assay and in the macro mean.

    ROC-AUC by DeLong's test for models on the same molecules, average precision by a paired, stratified
    bootstrap, numbers of real assays and concordance by the deviations of their molecules, which DeLong's are
    for classes (`paired_samples.samplers`). Assays that a metric is not for are left out, with a note.

    Sets of runs are named as in `run_sets.run_sets`; of a set the means are compared. On the same test
    molecules the scatter between seeds is part of the variance (`paired.difference_by_seed` where both sets
    have the same seeds, else `paired.difference`); splits with other test molecules are combined by the
    corrected resampled t-test (`paired.over_splits`). All assays of all runs are one family of tests, the
    macro means another.

    Delta-m is the mean over assays of the relative difference in per cent (Maninis, Radosavovic, Kokkinos,
    Attentive Single-Tasking of Multiple Tasks, CVPR 2019). Where baselines are near 0, as the average
    precision of rare actives, it is unstable: then the plain difference says more.

    Parameters
    ----------
    metric : `roc_auc`, `average_precision`, `concordance` (both kinds), or of real assays `rmse`, `mae`,
        `r2`, `spearman`, `kendall`, `within_03`, `within_1`; None = `roc_auc`, with real assays
        `concordance`.
    adjustment : `bh` (Benjamini-Hochberg: a share `level` of the claimed differences may be false) or `holm`
        (not one may). Where nothing differs, either claims something with chance `level`.
    level : of the adjusted tests, for `result`.
    seed : of the bootstrap.

    Raises
    ------
    ConfigError : fewer than two runs, or an unknown metric or adjustment.
    DataError : a run is not finished, or runs have other molecules, other labels or no assay in common.
    """
    if metric is not None:
        samplers.get(metric)
    adjustments.get(adjustment)
    sets = run_sets(runs)
    benches, tasks, notes = read_benches(sets, part=part)
    metric = metric or ("concordance" if benches[0].is_real.any() else "roc_auc")
    benches, tasks, left_out = _suited(benches, tasks, metric)
    better = str(metrics.get(metric).better)
    tables = _tables(sets, benches, tasks, metric, seed)
    assays = pd.concat([table.iloc[:-1] for table in tables], ignore_index=True)
    assays["p_adjusted"] = adjust(assays["p"].to_numpy(), adjustment)
    assays["result"] = _results(assays, level, better)
    summary = pd.DataFrame([_summary(table.iloc[-1], assays, better) for table in tables])
    summary["p_adjusted"] = adjust(summary["p"].to_numpy(), adjustment)
    summary, notes = summary[list(SUMMARY_COLUMNS)], [*notes, *left_out, *_notes(sets, benches, assays)]
    ordered = _worst_first(assays, better)
    return Comparison(metric, adjustment, part, tuple(sets), ordered, summary, tuple(notes), better)


def _tables(
    sets: Sequence[RunSet], benches: list[Bench], tasks: tuple[str, ...], metric: str, seed: int
) -> list[pd.DataFrame]:
    """Of each set but the first a table: one row per assay and, last, one for the macro mean."""
    about, smallest = _about(benches, tasks), np.sum([_smallest(bench) for bench in benches], axis=0)
    ratio = _test_to_training(benches, sets) if len(benches) > 1 else 0.0
    tables = []
    for one, (differences, baselines) in zip(sets[1:], _tested(benches, metric, seed), strict=True):
        numbers = _tests(metric, over_splits(differences, ratio), baselines, smallest)
        tables.append(about.assign(run=one.name, against=sets[0].name, **numbers))
    return tables


def _suited(
    benches: list[Bench], tasks: tuple[str, ...], metric: str
) -> tuple[list[Bench], tuple[str, ...], list[str]]:
    """The assays that the metric is for, and a note on the others and on its direction."""
    kinds, is_real = metrics.get(metric).kinds, benches[0].is_real
    keep = np.where(is_real, "real" in kinds, "binary" in kinds)
    if not keep.any():
        other = "concordance" if is_real.any() else "roc_auc"
        raise DataError(
            f"These runs have no {' or '.join(sorted(kinds))} assay, and '{metric}' is of no others. "
            f"Expected a metric of their {len(tasks)} assays, such as {other}."
        )
    notes = ["Lower is better: a win is a lower number."] if metrics.get(metric).better == "lower" else []
    scales = sorted({scale for scale, kept in zip(benches[0].scales, keep, strict=True) if kept})
    if metric in ERRORS and len(scales) > 1:
        named = listed([scale or "no unit" for scale in scales], 4)
        notes.append(f"The mean over assays mixes {len(scales)} scales ({named}): read the assays.")
    if not keep.all():
        left = [task for task, kept in zip(tasks, keep, strict=True) if not kept]
        notes.append(f"{len(left)} assays are of the other kind and have no {metric}: {listed(left, 5)}.")
        benches = [bench.take(keep) for bench in benches]
        tasks = tuple(task for task, kept in zip(tasks, keep, strict=True) if kept)
    return benches, tasks, notes


def _worst_first(assays: pd.DataFrame, better: str) -> pd.DataFrame:
    """The rows of each run from the most hurt assay on, those without a test last."""
    by_run = assays.assign(untested=assays["p"].isna()).groupby("run", sort=False)
    ascending = [True, better == "higher"]
    tables = [
        rows.sort_values(["untested", "difference"], kind="stable", ascending=ascending) for _, rows in by_run
    ]
    place = ASSAY_COLUMNS.index("inactives") + 1
    of_real = [name for name in OF_REAL if name in assays.columns]
    columns = [*ASSAY_COLUMNS[:place], *of_real, *ASSAY_COLUMNS[place:]]
    return pd.concat(tables, ignore_index=True)[columns]


def _test_to_training(benches: list[Bench], sets: Sequence[RunSet]) -> float:
    """Test molecules for each training molecule, in the mean over splits."""
    return float(np.mean([bench.n_molecules for bench in benches]) / np.mean(training_sizes(sets)))


def _tested(benches: list[Bench], metric: str, seed: int) -> list[tuple[list[Difference], np.ndarray]]:
    """Of each set but the first: its differences to the first per bench, and the first's values [C] there."""
    sampler = samplers.get(metric)
    by_set: list[list[Difference]] = [[] for _ in benches[0].scores[1:]]
    baselines = []
    with progress("comparing", sum(len(runs) for bench in benches for runs in bench.scores)) as advance:
        for bench in benches:
            samples: list[list[Sample]] = []
            for runs in bench.scores:
                samples.append([sampler(bench.outcome(scores), seed) for scores in runs])
                advance(len(runs))
            baselines.append(np.mean([sample.values for sample in samples[0]], axis=0))
            freedom = np.append(np.maximum(_smallest(bench) - 1, 1), bench.n_molecules)
            for place, second in enumerate(samples[1:], start=1):
                differ = difference_by_seed if bench.is_paired(0, place) else difference
                by_set[place - 1].append(differ(samples[0], second, freedom))
    has_value = ~np.isnan(baselines)
    n_values = np.where(has_value.any(axis=0), has_value.sum(axis=0), np.nan)
    mean = np.where(has_value, baselines, 0).sum(axis=0) / n_values
    return [(differences, mean) for differences in by_set]


def _class_counts(labels: np.ndarray) -> np.ndarray:
    """Actives and inactives, int [2, T]."""
    return np.stack([(labels == 1).sum(axis=0), (labels == 0).sum(axis=0)])


def _smallest(bench: Bench) -> np.ndarray:
    """Molecules of the smaller class, of a real assay all that were measured: int [T]."""
    measured = np.isfinite(bench.labels).sum(axis=0)
    return np.where(bench.is_real, measured, _class_counts(bench.labels).min(axis=0))


def _about(benches: list[Bench], tasks: tuple[str, ...]) -> pd.DataFrame:
    """What the assays are and how much of them was measured; the last row is of the macro mean."""
    is_real = benches[0].is_real
    counts = np.sum([_class_counts(bench.labels) for bench in benches], axis=0)
    actives, inactives = np.where(is_real, 0, counts)
    values = _values_of(benches)
    statuses = np.where(is_real, _statuses_of_values(values), _statuses(actives, inactives))
    about = pd.DataFrame(
        {
            "assay": [*tasks, ""],
            "status": [*statuses.tolist(), "ok"],
            "actives": np.append(actives, 0),
            "inactives": np.append(inactives, 0),
        }
    )
    if not is_real.any():
        return about
    return about.assign(
        kind=[*np.where(is_real, "real", "binary").tolist(), ""],
        measured=np.append(np.where(is_real, values.measured, actives + inactives), 0),
        censored=np.append(values.measured - values.exact, 0),
    )


class _Values(NamedTuple):
    """Of T assays, 0 where one is binary."""

    measured: np.ndarray
    exact: np.ndarray
    """Cells that are no bounds."""
    varies: np.ndarray
    """bool, whether exact values differ."""


def _values_of(benches: list[Bench]) -> _Values:
    """Counts of real values over all splits."""
    shape = len(benches[0].is_real)
    measured, exact, varies = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, bool)
    for bench in benches:
        cells, at = bench.outcome(bench.scores[0][0]).cells, bench.is_real
        measured[at] += cells.counts
        exact[at] += cells.exact.counts
        varies[at] |= cells.exact.varies
    return _Values(measured, exact, varies)


def _statuses(actives: np.ndarray, inactives: np.ndarray) -> np.ndarray:
    smaller = np.minimum(actives, inactives)
    few = np.where(actives <= inactives, "few positives", "few negatives")
    cases = [actives + inactives == 0, smaller == 0, smaller == 1, smaller < FEW]
    return np.select(cases, ["no labels", "one class", "too few", few], "ok")


def _statuses_of_values(values: _Values) -> np.ndarray:
    exact = values.exact
    cases = [values.measured == 0, exact == 0, exact == 1, ~values.varies, exact < FEW]
    names = ["no labels", "all censored", "too few", "constant values", "few values"]
    return np.select(cases, names, "ok")


def _tests(
    metric: str, difference: Difference, baselines: np.ndarray, smallest: np.ndarray
) -> dict[str, np.ndarray]:
    """Numbers of the assays and, last, of the macro mean; p-values as they are."""
    least, most = metrics.get(metric).range
    tested = significance(difference, np.append(smallest, 1000), limit=most - least)
    return {
        "baseline": baselines,
        "value": baselines + difference.values,
        "difference": difference.values,
        "low": tested.low,
        "high": tested.high,
        "p": tested.p,
    }


def _results(assays: pd.DataFrame, level: float, better: str) -> np.ndarray:
    is_better = assays["difference"] > 0 if better == "higher" else assays["difference"] < 0
    cases = [assays["p_adjusted"].isna(), assays["p_adjusted"] >= level, is_better]
    return np.select(cases, ["", "tie", "win"], "loss")


def _summary(macro: pd.Series, assays: pd.DataFrame, better: str) -> dict[str, Any]:
    of_run = assays[(assays["run"] == macro["run"]) & assays["p"].notna()]
    sign = 1 if better == "higher" else -1
    differences = sign * np.sort(sign * of_run["difference"].to_numpy())
    counted = of_run["result"].value_counts()
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = sign * 100 * of_run["difference"] / of_run["baseline"]
    columns = ("run", "against", "baseline", "value", "difference", "low", "high", "p")
    return {
        **{name: macro[name] for name in columns},
        "assays": len(of_run),
        "wins": int(counted.get("win", 0)),
        "losses": int(counted.get("loss", 0)),
        "ties": int(counted.get("tie", 0)),
        "higher": int((differences > 0).sum()),
        "lower": int((differences < 0).sum()),
        "delta_m": float(relative[of_run["baseline"] > 0].mean()),
        "worst_tenth": float(differences[: max(1, len(differences) // 10)].mean())
        if len(differences)
        else np.nan,
    }


def _notes(sets: list[RunSet], benches: list[Bench], assays: pd.DataFrame) -> list[str]:
    notes = []
    if len(benches) > 1:
        notes.append(
            f"{len(benches)} splits with different test molecules: intervals by the corrected resampled "
            "t-test (Nadeau and Bengio), which knows that training parts overlap."
        )
    elif max(len(one.folders) for one in sets) > 1:
        by_seed = all(benches[0].is_paired(0, place) for place in range(1, len(sets)))
        notes.append(
            "Intervals cover the choice of test molecules and the chance of training, as far as "
            f"{' and '.join(str(len(one.folders)) for one in sets)} runs show it"
            + (", compared seed by seed." if by_seed else ".")
        )
    else:
        notes.append(
            "One run each: intervals cover the choice of test molecules, not the chance of training. "
            "Train sets with `seeds` to have both."
        )
    untested = assays[assays["p"].isna()]["assay"].nunique()
    if untested:
        why = "fewer than two molecules of a class"
        why = f"{why}, or of different values" if "kind" in assays.columns else why
        notes.append(f"{untested} assays have no test: {why} (column status).")
    small = int((assays["baseline"] < SMALL).sum())
    if small:
        notes.append(
            f"Delta-m divides by baselines below {SMALL} in {small} places and is unstable there: "
            "read the plain difference."
        )
    return notes
