"""The one number of a table: ROC-AUC of classes alone, concordance where there are values."""

import numpy as np
import pandas as pd
import pytest

from screening.data.assay_kinds import Assay
from screening.evaluation.headline import are_real_rows, common_scale, comparable_means, headline, n_measured

POTENCY = Assay("Ki", "real", "nM", "neg_log10_molar")


def test_a_table_of_classes_is_ranked_by_roc_auc() -> None:
    table = pd.DataFrame({"assay": ["a"], "roc_auc": [0.7], "actives": [3], "inactives": [4]})
    assert headline(table).name == "roc_auc"
    assert are_real_rows(table).tolist() == [False]
    assert n_measured(table).tolist() == [7]


def test_a_table_with_values_is_ranked_by_concordance() -> None:
    table = pd.DataFrame({"kind": ["real", "binary"], "concordance": [0.8, 0.7], "measured": [9, 5]})
    assert headline(table).name == "concordance"
    assert are_real_rows(table).tolist() == [True, False]
    assert n_measured(table).tolist() == [9, 5]


@pytest.mark.parametrize(
    ("assays", "scale"),
    [
        ([], None),
        ([Assay("a")], None),
        ([POTENCY, Assay("a")], "-log10 M"),
        ([POTENCY, Assay("IC50", "real", "uM", "neg_log10_molar")], "-log10 M"),
        ([POTENCY, Assay("CL", "real", "ml/min", "log10")], None),
        ([Assay("x", "real"), Assay("y", "real")], ""),
    ],
)
def test_errors_have_a_mean_on_one_scale_alone(assays: list[Assay], scale: str | None) -> None:
    assert common_scale(assays) == scale
    summary = pd.DataFrame({"metric": ["concordance", "rmse", "mae", "r2"], "mean": np.arange(4.0)})
    metrics = comparable_means(summary, assays)["metric"].tolist()
    has_errors = scale is not None
    assert metrics == (["concordance", "rmse", "mae", "r2"] if has_errors else ["concordance", "r2"])
