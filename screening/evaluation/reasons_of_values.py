"""Why an assay with real values may be weak, as far as a run folder shows.

Rules of thumb, like those of classes in `verdicts`.
"""

import numpy as np
import pandas as pd

FEW_TO_TEST, FEW_TO_LEARN, MANY_BOUNDS = 10, 30, 0.5
HARDER = 0.15
"""A concordance lower by this in the test part than in the validation part is no accident."""

NEEDED = (
    *("measured", "censored", "concordance", "concordance_high", "r2", "r2_high", "valid_concordance"),
    *("is_sure", "train_measured", "weight"),
)
"""Columns of the table that `reasons_of_values` reads."""


def reasons_of_values(table: pd.DataFrame) -> list[str]:
    """What stands out of each real assay of a table with the columns `NEEDED`, at most three reasons.

    Checked in this order: too few to test, many bounds, too few to learn from, values worse than their mean,
    other test molecules than validation molecules, little weight. A number that is not known is NaN and says
    nothing.
    """
    rows = zip(*(table[name].tolist() for name in NEEDED), strict=True)
    return ["; ".join(_reasons(*row)[:3]) for row in rows]


def _reasons(
    measured: int,
    censored: int,
    tested: float,
    high: float,
    r2: float,
    r2_high: float,
    validated: float,
    is_sure: bool,
    to_learn: float,
    weight: float,
) -> list[str]:
    reasons, exact = [], measured - censored
    if measured == 0:
        reasons.append("no label in the test part")
    elif exact < FEW_TO_TEST:
        values = "1 exact value" if exact == 1 else f"{exact} exact values"
        reasons.append(f"only {values} in the test part: the interval is wide")
    if measured and censored / measured > MANY_BOUNDS:
        reasons.append(f"{censored / measured:.0%} of the test values are bounds")
    if to_learn < FEW_TO_LEARN:
        reasons.append(f"only {to_learn:.0f} values to learn from")
    if r2_high < 0:
        reasons.append(f"further off than the mean of the test values for all: R2 is {r2:.2f}")
    if validated - tested > HARDER and validated > high and is_sure:
        reasons.append(f"concordance was {validated:.2f} in the validation part: test molecules are harder")
    if weight < 0.3:
        reasons.append(f"the balancer gave it {weight:.2f} of the mean weight")
    return reasons


def are_real(table: pd.DataFrame) -> np.ndarray:
    """Which rows of a table of results are of real assays: bool [n]."""
    return np.asarray(table["kind"] == "real") if "kind" in table.columns else np.zeros(len(table), bool)
