"""Samples for paired tests of real assays, and of concordance, which is of both kinds."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .cells import Cells, molecules_of
from .concordance import concordance_estimate
from .contract import Outcome
from .errors_of_values import mae_estimate, r2_estimate, rmse_estimate, share_estimate
from .estimates import Estimate
from .paired_samples import Sample, samplers
from .rank_correlation import kendall_estimate, spearman_estimate
from .roc_auc import delong_deviations


def sample_of(estimate: Estimate, n: int) -> Sample:
    """The sample of an estimate for a table of n molecules.

    The macro mean is over the assays that have a variance; a molecule that was measured in several counts
    there with the sum of its deviations.
    """
    sure = ~np.isnan(estimate.values) & np.isfinite(estimate.errors) & (estimate.counts > 1)
    counted = np.repeat(sure, estimate.counts)
    shares = estimate.deviations[counted] / max(1, int(sure.sum()))
    macro = np.bincount(estimate.molecule[counted], shares, n)
    mean = estimate.values[sure].mean() if sure.any() else np.nan
    return Sample(
        np.append(estimate.values, mean),
        np.concatenate([estimate.deviations, macro]),
        np.append(estimate.bounds, len(estimate.deviations) + n),
    )


@samplers.register("concordance")
def _of_concordance(outcome: Outcome, seed: int) -> Sample:
    """Deviations of binary assays are DeLong's, as of the ROC-AUC, and those of real ones of their pairs."""
    is_binary = outcome.is_binary
    labels, scores = outcome.exact(is_binary)
    values, deviations, _, bounds = delong_deviations(labels, scores)
    packing = None if outcome.packing is None else outcome.packing.take(is_binary)
    of_classes = Estimate(values, deviations, bounds, molecules_of(labels, packing))
    parts = ((is_binary, of_classes), (~is_binary, concordance_estimate(outcome.cells)))
    return sample_of(_merged(parts), outcome.n_molecules)


def _merged(parts: Sequence[tuple[np.ndarray, Estimate]]) -> Estimate:
    """One estimate of all assays from those of some, each with the places [T] where its assays stand."""
    values = np.full(len(parts[0][0]), np.nan)
    tasks = []
    for of, estimate in parts:
        values[of] = estimate.values
        tasks.append(np.repeat(np.flatnonzero(of), estimate.counts))
    task = np.concatenate(tasks)
    order = np.argsort(task, kind="stable")
    bounds = np.searchsorted(task[order], np.arange(len(values) + 1))
    deviations = np.concatenate([estimate.deviations for _, estimate in parts])[order]
    return Estimate(values, deviations, bounds, np.concatenate([one.molecule for _, one in parts])[order])


def _of_values(estimator: Callable[[Cells], Estimate], outcome: Outcome, seed: int) -> Sample:
    """The sample of real assays alone; the seed plays no part."""
    return sample_of(estimator(outcome.cells), outcome.n_molecules)


ESTIMATORS: dict[str, Callable[[Cells], Estimate]] = {
    "rmse": rmse_estimate,
    "mae": mae_estimate,
    "r2": r2_estimate,
    "spearman": spearman_estimate,
    "kendall": kendall_estimate,
    "within_03": partial(share_estimate, within=0.3),
    "within_1": partial(share_estimate, within=1.0),
}

for _name, _estimator in ESTIMATORS.items():
    samplers.register(_name)(partial(_of_values, _estimator))
