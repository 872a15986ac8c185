"""What baselines make of values that are known by a bound alone, for people."""

import numpy as np

from ..data.sparse_cells import n_marked, n_measured
from ..errors import listed
from ..models.baselines import Baseline
from ..models.baselines.contract import ENOUGH
from .preparation import Prepared


def bounds_taken(baseline: Baseline, prepared: Prepared) -> list[str]:
    """How many bounds of which assays a baseline that knows none of them takes for values, or leaves out."""
    train = prepared.table.take(prepared.split.rows("train"))
    if baseline.takes_bounds or train.censored is None or not train.is_real.any():
        return []
    n_bounds, n_values = n_marked(train.censored), n_measured(train.labels)
    leaves = (n_values - n_bounds >= ENOUGH) & (baseline.bounds == "left_out")
    ways = (("left out", leaves), ("taken as values measured there", ~leaves))
    names = {
        how: listed(
            (f"'{train.tasks[task]}' {n_bounds[task]:,} of {n_values[task]:,}" for task in tasks), 5, mark=""
        )
        for how, at in ways
        if len(tasks := np.flatnonzero(at & (n_bounds > 0)).tolist())
    }
    return [f"baseline {baseline.kind}: bounds (>, <) {how}: {counts}" for how, counts in names.items()]
