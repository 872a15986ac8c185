"""Networks that begin with the encoder of another run: its weights and scales, and what it has seen."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import runs
import torch

from screening import training
from screening.bundle.bundle import SUMS, Bundle
from screening.config import load_config, to_yaml
from screening.config_sections import Train
from screening.data.skeletons import skeletons
from screening.errors import BundleError, ConfigError
from screening.runtime.files import file_sha256
from screening.training.history import Epoch
from screening.training.members import make_trainer
from screening.training.preparation import prepare_data
from screening.training.run_folder import read_manifest
from screening.training.schedule import rates_at
from screening.training.starting_point import learned_skeletons


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> training.Trained:
    return runs.trained(tmp_path_factory.mktemp("origin"))


def again(origin: training.Trained, *settings: str, name: str = "again") -> object:
    """The config of the origin under another name, beginning with its encoder."""
    return load_config(origin.config, [f"name={name}", f"model.encoder.init={origin.folder}", *settings])


def encoder_of(run: training.Trained | Path) -> dict[str, torch.Tensor]:
    folder = run if isinstance(run, Path) else run.folder
    return Bundle.load(folder).networks[0].encoder.state_dict()


def test_a_network_begins_with_encoder_and_scales_of_the_run_and_with_heads_of_its_own(origin) -> None:
    config = again(origin, "seed=5")
    model = make_trainer(config, prepare_data(config)).model
    for name, value in encoder_of(origin).items():
        torch.testing.assert_close(model.encoder.state_dict()[name], value, rtol=0, atol=0)
    assert not torch.equal(model.heads.weight, Bundle.load(origin.folder).networks[0].heads.weight)


def test_scales_of_vectors_are_those_of_the_run(tmp_path: Path) -> None:
    vectors = {"graph": None, "vectors": ["rdkit_fast"]}
    model = {"encoder": {"name": "fingerprint", "widths": [8]}}
    first = runs.trained(tmp_path, features=vectors, model=model)
    config = again(first, "seed=3")
    trainer = make_trainer(config, prepare_data(config))
    mine, theirs = trainer.model.encoder.state_dict(), encoder_of(first)
    assert "scale.median" in theirs
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_heads_learn_first_and_then_the_encoder_too(origin) -> None:
    """Half of two epochs for the heads: the encoder moves in the second."""
    states = []
    config = again(origin, "train.heads_first=0.5", "train.epochs=2", name="stages")

    def keep(epoch: Epoch) -> None:
        states.append(torch.load(config.folder / "checkpoint.pt", weights_only=True)["model"])

    training.train(config, on_epoch=keep)
    before = {f"encoder.{name}": value for name, value in encoder_of(origin).items()}
    assert all(torch.equal(states[0][name], value) for name, value in before.items())
    assert not any(torch.equal(states[1][name], value) for name, value in before.items() if value.ndim > 1)
    assert not torch.equal(states[0]["heads.weight"], states[1]["heads.weight"])


def test_rates_of_the_stages() -> None:
    plain, staged = Train(lr=0.1, warmup=0.1), Train(lr=0.1, warmup=0.1, heads_first=0.25, encoder_rate=0.2)
    rates = [rates_at(step, 40, staged) for step in range(40)]
    assert [rate.heads for rate in rates] == [rates_at(step, 40, plain).heads for step in range(40)]
    assert [rate.encoder for rate in rates[:10]] == [0.0] * 10
    alone = [rates_at(step, 30, plain).heads for step in range(30)]
    np.testing.assert_allclose([rate.encoder for rate in rates[10:]], 0.2 * np.array(alone))
    assert max(rate.encoder for rate in rates) == pytest.approx(0.02)
    assert all(rates_at(step, 40, plain).encoder == rates_at(step, 40, plain).heads for step in range(40))


def test_without_stages_and_init_nothing_is_written_of_them(origin) -> None:
    description = json.loads((origin.folder / "bundle" / "bundle.json").read_text())
    assert description["model"]["encoder"] == {"name": "gine", "depth": 2, "width": 16}
    assert "init" not in description["about"]
    assert "init:" not in to_yaml(origin.config)


def test_manifest_and_bundle_say_what_it_began_with_and_no_path(origin) -> None:
    run = training.train(again(origin, name="recorded"))
    about, bundle = read_manifest(run.folder)["init"], Bundle.load(run.folder)
    assert about == bundle.about["init"]
    assert about["name"] == "small"
    assert about["bundle_sha256"] == file_sha256(origin.folder / "bundle" / SUMS)
    assert str(origin.folder) not in (run.folder / "bundle" / "bundle.json").read_text()
    assert bundle.settings.encoder.init is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.encoder.depth=3"], "model.encoder.depth is 2 there and 3 here"),
        (["model.encoder.pooling=sum"], "model.encoder.pooling is mean_sum there and sum here"),
        (["features.vectors=[]"], r"features.vectors is \['ecfp_counts'\] there and \[\] here"),
        (["features.graph=atom_codes_stereo"], "features.graph is atom_codes there and atom_codes_stereo"),
    ],
)
def test_another_encoder_is_refused_with_what_differs(origin, settings: list[str], message: str) -> None:
    config = again(origin, *settings, name="refused")
    with pytest.raises(ConfigError, match=message):
        make_trainer(config, prepare_data(config))


def test_another_kind_of_encoder_is_refused(origin) -> None:
    encoder = {"name": "dmpnn", "width": 16, "init": str(origin.folder)}
    config = load_config(origin.config, {"name": "other", "model.encoder": encoder})
    with pytest.raises(ConfigError, match="the encoder is gine there and dmpnn here"):
        make_trainer(config, prepare_data(config))


def test_a_config_that_names_no_encoder_begins_with_the_usual_one_too(tmp_path: Path) -> None:
    config = load_config({"name": "a", "data": {"source": "x"}}, [f"model.encoder.init={tmp_path}"])
    assert (config.model.encoder.name, config.model.encoder.init) == ("gine", str(tmp_path))
    assert load_config(config, ["model.encoder.depth=4"]).model.encoder.options == {"depth": 4}


def test_dropout_may_be_another(origin) -> None:
    config = again(origin, "model.encoder.dropout=0.3")
    make_trainer(config, prepare_data(config))


def test_what_is_no_run_of_a_network_is_refused(origin, tmp_path: Path) -> None:
    nothing = load_config(origin.config, ["name=none", f"model.encoder.init={tmp_path}"])
    with pytest.raises(BundleError, match="no trained model"):
        training.train(nothing)
    forest = runs.trained(tmp_path, model={"baseline": {"name": "random_forest", "trees": 3}})
    with pytest.raises(ConfigError, match="has no network, but baselines"):
        training.train(load_config(origin.config, ["name=trees", f"model.encoder.init={forest.folder}"]))
    with pytest.raises(ConfigError, match="no network is trained"):
        load_config(forest.config, [f"model.encoder.init={origin.folder}"])


def test_labels_that_were_learned_from_before_are_told_where_they_are_tested(origin) -> None:
    """The same table in another split, counted by hand."""
    notes: list[str] = []
    run = training.train(again(origin, "seed=1", name="leaking"), on_note=notes.append)
    then, now = (pd.read_csv(folder / "split.csv") for folder in (origin.folder, run.folder))
    learned = set(skeletons(then.loc[then["part"] == "train", "structure"].tolist()))
    for part in ("valid", "test"):
        tested = skeletons(now.loc[now["part"] == part, "structure"].tolist())
        n_leaks = sum(key in learned for key in tested)
        assert n_leaks > 3
        text = f"learned from labels of {n_leaks} of the {len(tested)} structures of the {part} part"
        assert any(text in note and "pretrain.exclude=[" in note for note in notes), notes
        assert read_manifest(run.folder)["init"]["leaks"][part] == n_leaks
    both = set(skeletons(now.loc[now["part"] == "train", "structure"].tolist())) | learned
    assert learned_skeletons(run.folder) == learned_skeletons(run.folder / "bundle") == both


def test_the_same_split_leaks_nothing_and_a_bundle_alone_does_not_know(origin, tmp_path: Path) -> None:
    notes: list[str] = []
    training.train(again(origin, name="clean"), on_note=notes.append)
    assert not any("learned from labels" in note for note in notes)
    (origin.folder / "bundle").rename(tmp_path / "alone")
    try:
        settings = ["name=unknown", f"model.encoder.init={tmp_path / 'alone'}"]
        training.train(load_config(origin.config, settings), on_note=notes.append)
    finally:
        (tmp_path / "alone").rename(origin.folder / "bundle")
    assert any("does not say whose labels" in note for note in notes)


def test_networks_of_an_ensemble_begin_with_those_of_the_run_in_turn(tmp_path: Path) -> None:
    train = {"epochs": 1, "ensemble": 2, "workers": 0, "device": "cpu"}
    first = runs.trained(tmp_path, train=train)
    networks = Bundle.load(first.folder).networks
    config = load_config(
        first.config, ["name=more", f"model.encoder.init={first.folder}", "train.ensemble=3"]
    )
    prepared = prepare_data(config)
    plans = training.members.plans_of(config, prepared.table.tasks)
    for number, plan in enumerate(plans):
        mine = make_trainer(config, prepared, plan).model.encoder.state_dict()
        theirs = networks[number % 2].encoder.state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_stopped_run_in_stages_goes_on_to_the_same_bytes_and_another_start_is_refused(
    origin, tmp_path: Path
) -> None:
    stages = ["train.heads_first=0.3", "train.encoder_rate=0.5", "train.average=0.9"]
    whole = training.train(again(origin, *stages, name="whole"))

    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    stopped = again(origin, *stages, name="stopped")
    with pytest.raises(KeyboardInterrupt):
        training.train(stopped, on_epoch=stop)
    other = runs.trained(tmp_path, seed=1)
    changed = load_config(stopped, [f"model.encoder.init={other.folder}"])
    with pytest.raises(ConfigError, match="the model of model"):
        training.train(changed, resume=True)
    resumed = training.train(stopped, resume=True)
    for name in ("history.csv", "predictions.parquet", "bundle/member-0.safetensors", "skeletons.csv"):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name
