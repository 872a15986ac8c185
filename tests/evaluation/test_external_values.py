"""A model of both kinds of assay on another table: values in its unit, bounds, thresholds, other units."""

from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest

from screening import training
from screening.config import Data
from screening.config_sections import AssaySettings, LongColumns
from screening.data.assay_kinds import Assay
from screening.data.declared import declared_assays
from screening.errors import ConfigError
from screening.evaluation.columns_of_model import layout_of, settings_of
from screening.evaluation.external import Assessment, assess
from screening.metrics.per_assay import evaluate
from screening.training.predictions import read_predictions

IN_UM = {"Ki": {"kind": "real", "unit": "uM", "transform": "neg_log10_molar"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> training.Trained:
    return mixed.trained(tmp_path_factory.mktemp("external"))


def write(path: Path, *, per_nm: float = 1.0) -> str:
    """`mixed.table()` as a laboratory has it: Ki in nM (or a multiple) with its relation, log P, classes."""
    table = mixed.table()
    columns = dict(zip(table.tasks, table.labels.T, strict=True))
    signs = np.where(table.censored[:, 3] == -1, ">", "")  # below in pKi is above in nM
    nm = 10.0 ** (9 - columns["Ki"].astype(np.float64)) * per_nm
    ki = ["" if np.isnan(value) else f"{sign}{value:.9g}" for sign, value in zip(signs, nm, strict=True)]
    log_p = np.where(np.isnan(columns["logP"]), columns["logP>=2"], columns["logP"])
    frame = pd.DataFrame({"smiles": table.smiles, "Ki": ki, "halogen": columns["halogen"]})
    frame.assign(logP=columns["logP"], unused=log_p).to_csv(path, index=False)
    return str(path)


def of_run(run: training.Trained) -> pd.DataFrame:
    """What the run says of its own test part, with the labels that the file has."""
    test = read_predictions(run.folder)
    log_p = test.labels[:, test.tasks.index("logP")]
    labels = test.labels.copy()
    labels[:, test.tasks.index("logP>=2")] = np.where(np.isnan(log_p), np.nan, log_p >= 2)
    table = evaluate(
        labels, test.scores, test.tasks, part="test", is_real=test.is_real, censored=test.censored
    )
    return table.set_index("assay")


@pytest.mark.parametrize(("per_nm", "assays"), [(1.0, {}), (1e-3, IN_UM)], ids=["nM", "uM"])
def test_a_file_with_units_and_bounds_gives_the_numbers_of_the_test_part(
    run: training.Trained, tmp_path: Path, per_nm: float, assays: dict
) -> None:
    path = write(tmp_path / "other.csv", per_nm=per_nm)
    result: Assessment = assess(run.folder, path, assays=assays, workers=0)
    assert set(result.evaluation["assay"]) == {"halogen", "logP", "Ki", "logP>=2"}
    assert result.model_only == ("acid",)
    assert result.table_only == ("unused",)
    assert {kind.name: kind.scale for kind in result.kinds}["Ki"] == "-log10 M"
    expected, table = of_run(run), result.evaluation.set_index("assay")
    for name in table.index:
        row, own = table.loc[name], expected.loc[name]
        assert row["kind"] == own["kind"]
        for column in ("measured", "censored", "concordance", "rmse", "r2", "roc_auc"):
            assert row[column] == pytest.approx(own[column], nan_ok=True, rel=1e-4), (name, column)
    assert table.loc["Ki", "censored"] > 0
    assert "rmse" not in set(result.summary["metric"])  # pKi and log P have no common scale


def test_another_scale_is_refused(run: training.Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "other.csv")
    with pytest.raises(
        ConfigError, match=r"'Ki' is values on the scale 'nM' here.*'-log10 M'.*data\.assays="
    ):
        assess(run.folder, path, assays={"Ki": {"kind": "real", "unit": "nM"}}, workers=0)


def test_patterns_of_the_training_are_used_and_thresholds_share_their_column() -> None:
    model = [
        Assay("Ki_A", "real", "nM", "neg_log10_molar"),
        Assay("Ki_A>=7", unit="nM", transform="neg_log10_molar", threshold=7.0),
        Assay("Ki_A>=8", unit="nM", transform="neg_log10_molar", threshold=8.0),
        Assay("toxic"),
        Assay("logD", "real"),
    ]
    columns = ["Ki_A", "Ki_B", "toxic", "logD", "name"]
    pattern = AssaySettings(kind="real", unit="uM", transform="neg_log10_molar", threshold=7.0)
    settings = settings_of(model, columns, {"Ki_*": pattern})
    declared = {each.assay.name: each for each in declared_assays(columns, settings, among=columns)}
    assert {assay.name for assay in model if assay.name != "toxic"} <= set(declared)
    assert {declared[name].column for name in ("Ki_A", "Ki_A>=7", "Ki_A>=8")} == {"Ki_A"}
    assert {declared[name].assay.unit for name in ("Ki_A", "Ki_A>=7", "Ki_A>=8")} == {"uM"}
    assert declared["Ki_A>=8"].assay.threshold == 8.0


def test_a_long_table_gives_what_a_wide_one_does(run: training.Trained, tmp_path: Path) -> None:
    wide = pd.read_csv(write(tmp_path / "wide.csv"), dtype=str)
    long = wide.drop(columns="unused").melt("smiles", var_name="test", value_name="value").dropna()
    long.sample(frac=1, random_state=0).to_csv(tmp_path / "long.csv", index=False)
    columns = LongColumns(assay=("test",), value="value")
    results = [
        assess(run.folder, str(tmp_path / "wide.csv"), workers=0).evaluation,
        assess(run.folder, str(tmp_path / "long.csv"), format="long", long=columns, workers=0).evaluation,
    ]
    one, other = (table.set_index("assay").drop(columns="part").sort_index() for table in results)
    assert set(one.index) == {"halogen", "logP", "Ki", "logP>=2"}
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


def test_a_run_of_a_long_table_reads_such_a_table_by_its_own_settings() -> None:
    settings = Data(source="t.csv", format="long", long=LongColumns(assay=("test",), value="y"))
    assert layout_of(["test", "y", "z"], settings, "auto", None) == settings.long
    assert layout_of(["test", "y"], settings, "wide", None) is None
    assert layout_of(["Ki", "hERG"], settings, "auto", None) is None, "another table is a wide one"
    other = LongColumns(assay=("a",))
    assert layout_of(["test", "y"], settings, "auto", other) == other
    chembl = ["Smiles", "Standard Type", "Standard Value", "Target ChEMBL ID"]
    assert layout_of(chembl, Data(source="t.csv"), "auto", None) == LongColumns()
