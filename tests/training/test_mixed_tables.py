"""Classes, values and censored values in one model: from the table to the run folder and back."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import torch
from bundles import resign

from screening.balancing.contract import balancers
from screening.bundle.bundle import Bundle
from screening.config import check_config
from screening.errors import BundleError, ConfigError
from screening.training import evaluate, train
from screening.training.predictions import read_predictions
from screening.training.preparation import prepare_sample


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed.trained(tmp_path_factory.mktemp("mixed"), train=_long()).folder


def _long() -> dict[str, object]:
    plain = mixed.settings(Path())["train"]
    return {**plain, "epochs": 40}


def test_both_kinds_are_learned(run: Path) -> None:
    table = evaluate(run)[0].set_index("assay")
    assert (table.loc[["logP", "Ki", "logP>=2"], "concordance"] > 0.8).all(), table["concordance"]
    assert (table["concordance"] > 0.5).all(), table["concordance"]
    assert table.loc["logP", "rmse"] < np.nanstd(mixed.table().labels[:, 1])
    assert table["kind"].tolist() == [assay.kind for assay in mixed.ASSAYS]


def test_predictions_keep_values_and_bounds(run: Path) -> None:
    kept, table = read_predictions(run, part="test"), mixed.table()
    assert kept.assays == mixed.ASSAYS
    np.testing.assert_array_equal(kept.labels, table.labels[kept.rows - 1])
    assert table.censored is not None
    np.testing.assert_array_equal(kept.censored, table.censored[kept.rows - 1])
    assert (kept.scores[:, [0, 2, 4]] <= 1).all()
    assert np.ptp(kept.scores[:, 3]) > 0.5  # pKi, not standard deviations
    assert abs(np.median(kept.scores[:, 3]) - np.nanmedian(table.labels[:, 3])) < 2


def test_bundles_say_what_their_assays_are(run: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(run)
    assert bundle.assays == mixed.ASSAYS
    bundle.save(tmp_path / "again")
    assert (tmp_path / "again" / "bundle.json").read_bytes() == (run / "bundle/bundle.json").read_bytes()
    described = (tmp_path / "again" / "bundle.json").read_text()
    (tmp_path / "again" / "bundle.json").write_text(described.replace('"kind": "real"', '"kind": "odd"'))
    resign(tmp_path / "again")
    with pytest.raises(BundleError, match="odd"):
        Bundle.load(tmp_path / "again")


def test_a_killed_training_ends_with_the_same_bytes(run: Path, tmp_path: Path) -> None:
    config = check_config(mixed.settings(tmp_path, train=_long()))

    def stop(epoch: object) -> None:
        if epoch.number == 7:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, data=mixed.table(), on_epoch=stop)
    again = train(config, data=mixed.table(), resume=True).folder
    for name in ("predictions.parquet", "evaluation.csv", "bundle/member-0.safetensors"):
        assert (again / name).read_bytes() == (run / name).read_bytes()


def test_a_resumed_training_needs_the_same_bounds(tmp_path: Path) -> None:
    config = check_config(mixed.settings(tmp_path))

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, data=mixed.table(), on_epoch=stop)
    with pytest.raises(ConfigError, match="Ki"):
        train(config, data=replace(mixed.table(), censored=None), resume=True)


@pytest.mark.parametrize("name", balancers.names())
def test_every_balancer_trains_a_mixed_table(name: str, tmp_path: Path) -> None:
    plain = mixed.settings(tmp_path)["train"]
    at = (balancers.get(name).places or ("features",))[0]
    run = mixed.trained(tmp_path, balancer=name, train={**plain, "epochs": 2}, gradients={"at": at})
    assert np.isfinite(run.evaluation["concordance"]).all()


@pytest.mark.parametrize("name", balancers.names())
def test_every_balancer_trains_without_layer_norm(name: str, tmp_path: Path) -> None:
    """`snn` has no `last_norm`: each balancer has another place to work at."""
    places = balancers.get(name).places or ("features",)
    run = mixed.trained(
        tmp_path,
        model={"encoder": {"name": "snn", "depth": 2, "width": 8}},
        features={"graph": None, "vectors": ["ecfp_counts"]},
        balancer=name,
        train={**mixed.settings(tmp_path)["train"], "epochs": 1},
        gradients={"at": next(place for place in places if place != "last_norm")},
    )
    assert np.isfinite(run.evaluation["concordance"]).all()


@pytest.mark.parametrize("affinity", ["linear", "exact"])
def test_affinities_of_both_kinds_are_collected(affinity: str, tmp_path: Path) -> None:
    run = mixed.trained(tmp_path, grouping={"affinity": affinity, "every": 1})
    effects = pd.read_parquet(run.folder / "affinity.parquet")
    assert len(effects) == len(mixed.ASSAYS) ** 2
    assert np.isfinite(effects.select_dtypes(float).to_numpy()).any()


def test_a_table_of_values_alone(tmp_path: Path) -> None:
    real = mixed.table().select(["Ki", "logP"])
    run = mixed.trained(tmp_path, real)
    assert run.evaluation["kind"].tolist() == ["real", "real"]
    assert Bundle.load(run.folder).targets is not None


def test_another_unit_of_an_assay_changes_nothing_but_its_column(tmp_path: Path) -> None:
    table = mixed.table(censored=False)
    other = replace(table, labels=table.labels * np.array([1, 1000, 1, 1, 1], np.float32))
    one, two = (
        read_predictions(mixed.trained(tmp_path / name, data).folder)
        for name, data in (("one", table), ("two", other))
    )
    np.testing.assert_allclose(two.scores[:, [0, 2, 3, 4]], one.scores[:, [0, 2, 3, 4]], atol=2e-3)
    np.testing.assert_allclose(two.scores[:, 1] / 1000, one.scores[:, 1], atol=5e-3)


def test_a_network_per_assay_and_groups(tmp_path: Path) -> None:
    model = {**mixed.settings(tmp_path)["model"], "single_task": True}
    run = mixed.trained(tmp_path, model=model)
    bundle = Bundle.load(run.folder)
    assert len(bundle.members) == len(mixed.ASSAYS)
    assert torch.isfinite(torch.tensor(run.evaluation["concordance"].to_numpy())).all()


def test_the_losses_must_be_for_their_kind(tmp_path: Path) -> None:
    for section in ({"loss": "squared"}, {"real_loss": "focal"}):
        with pytest.raises(ConfigError, match="not for"):
            mixed.trained(tmp_path, **section)


def test_a_real_assay_that_train_has_no_values_of_is_named(tmp_path: Path) -> None:
    table = mixed.table(missing=0.0, censored=False)
    parts = ["train"] * 100 + ["test"] * (len(table) - 100)
    labels = table.labels.copy()
    labels[1:100, table.tasks.index("Ki")] = np.nan
    table = replace(table, labels=labels, extra={**table.extra, "part": parts})
    config = check_config(mixed.settings(tmp_path, split={"name": "column", "column": "part"}))
    notes = prepare_sample(config, table).notes
    assert any("no or one value of 'Ki': they cannot be learned" in note for note in notes)
    assert not any("logP'" in note for note in notes)
