"""Balancers side by side: the table is that of the runs, and what is finished is not trained again."""

from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import small

from screening import training
from screening.config import Config, check_config
from screening.errors import ConfigError
from screening.evaluation.benchmarks import benchmark, chain_names
from screening.evaluation.comparison import compare
from screening.evaluation.replicates import tabulate


def config(folder: Path, **more: object) -> Config:
    return check_config(
        {
            "name": "small",
            "runs": str(folder / "runs"),
            "data": {"source": str(small.write(folder / "small.csv", n=150))},
            "split": "random",
            "model": {"encoder": {"name": "fingerprint", "widths": [8]}},
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "train": {"epochs": 1, "batch_size": 64, "device": "cpu", "workers": 0},
            "benchmark": {
                "balancers": ["equal", {"name": "slaw", "max_ratio": 10}, ["slaw", "pcgrad"]],
                "seeds": 2,
            },
        }
        | more
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_is_that_of_the_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    train = training.train

    def counted(settings: Config, **options: object) -> training.Trained:
        order.append(settings.name)
        return train(settings, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("screening.evaluation.replicates.train", counted)
    found = benchmark(config(folder).model_dump())  # as a file or a dictionary gives it
    names = ["equal", "slaw-max_ratio-10", "slaw-pcgrad"]
    assert order == [f"small-{name}-seed{seed}" for seed in (0, 1) for name in names]
    table = found.table.set_index("balancer")
    assert table.index.tolist() == names
    assert (table["runs"] == 2).all()
    for name in names:
        values = [
            training.evaluate(folder / "runs" / f"small-{name}-seed{seed}")[1].set_index("metric")["mean"]
            for seed in (0, 1)
        ]
        assert table["roc_auc"][name] == pytest.approx((values[0]["roc_auc"] + values[1]["roc_auc"]) / 2)
    assert table["cost"]["equal"] == 1
    assert (table["cost"] > 0).all()
    assert table["roc_auc_difference"].isna().tolist() == [True, False, False]
    sets = [folder / "runs" / f"small-{name}" for name in names]
    expected = compare(sets, metric="average_precision").summary
    assert table["average_precision_low"].tolist()[1:] == expected["low"].tolist()
    assert table["average_precision_p"].tolist()[1:] == expected["p_adjusted"].tolist()
    assert table["roc_auc_won"].isna().tolist() == [True, False, False]
    assert pd.read_csv(found.path)["balancer"].tolist() == names
    again = benchmark(config(folder)).table
    assert len(order) == 6
    pd.testing.assert_frame_equal(again, found.table)


def test_chains_have_names_that_can_be_folders(folder: Path) -> None:
    balancers = check_config(
        {
            "name": "x",
            "data": {"source": "x"},
            "benchmark": {"balancers": ["equal", {"name": "slaw", "a": "b/c d"}]},
        }
    ).benchmark
    assert balancers is not None
    assert chain_names(balancers.balancers) == ["equal", "slaw-a-b-c-d"]


def test_what_is_no_benchmark_is_explained(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no section 'benchmark'"):
        benchmark(config(folder, benchmark=None))
    with pytest.raises(ConfigError, match="'slaw' twice"):
        benchmark(config(folder, benchmark={"balancers": ["slaw", "equal", "slaw"]}))
    with pytest.raises(ConfigError, match=r"benchmark\.balancers"):
        config(folder, benchmark={"balancers": ["slaw"]})


def test_balancers_are_compared_on_both_kinds(folder: Path) -> None:
    settings = mixed.settings(folder, benchmark={"balancers": ["equal", "slaw"], "seeds": 1})
    settings["train"] |= {"epochs": 1}
    found = benchmark(settings, data=mixed.table())
    assert [comparison.metric for comparison in found.comparisons] == [
        *("concordance", "roc_auc", "average_precision"),
    ]
    table = found.table.set_index("balancer")
    evaluation = training.evaluate(folder / "runs" / "mixed-slaw-seed0")[0]
    assert table["concordance"]["slaw"] == pytest.approx(evaluation["concordance"].mean())
    difference = found.comparisons[0].summary.iloc[0]["difference"]
    assert table["concordance_difference"]["slaw"] == pytest.approx(difference)
    of_set = tabulate([folder / "runs" / "mixed-equal-seed0"]).set_index(["assay", "metric"])["mean"]
    assert np.isnan(of_set["", "rmse"])  # logP, and Ki of another scale
    expected = training.evaluate(folder / "runs" / "mixed-equal-seed0")[0].set_index("assay")["rmse"]
    assert of_set["Ki", "rmse"] == pytest.approx(expected["Ki"])


def test_assays_of_one_scale_have_a_mean_error(folder: Path) -> None:
    table = mixed.table(censored=False).select(["Ki"])
    settings = mixed.settings(folder, benchmark={"balancers": ["equal", "slaw"], "seeds": 1})
    settings["train"] |= {"epochs": 1}
    found = benchmark(settings, data=table)
    assert [comparison.metric for comparison in found.comparisons] == ["concordance", "rmse"]
    evaluation = training.evaluate(folder / "runs" / "mixed-equal-seed0")[0]
    assert found.table["rmse"][0] == pytest.approx(evaluation["rmse"][0])
    assert found.comparisons[1].better == "lower"
