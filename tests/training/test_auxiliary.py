"""Training with auxiliary tables: what is tested stays out of them, and nothing else of a run is of them."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import auxiliary_tables
import mixed
import numpy as np
import pandas as pd
import pytest
import small
import torch
from auxiliary_tables import settings
from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

from screening import training
from screening.bundle.bundle import Bundle
from screening.config import Config, load_config, to_yaml
from screening.data import sparse_cells
from screening.data.file_merging import merge_files
from screening.data.splits import Split
from screening.errors import ConfigError, DataError
from screening.evaluation.replicates import fold_configs
from screening.reporting.report import write_report
from screening.training import fitting
from screening.training.main_assays import priorities_of
from screening.training.members import make_trainer
from screening.training.origins import check_finished
from screening.training.predictions import read_predictions
from screening.training.preparation import Prepared, prepare_data


def train(config: Config, **more: object) -> Path:
    return training.train(config, **more).folder  # type: ignore[arg-type]


def skeleton(text: str) -> str:
    """By RDKit's own standardiser: another way than that of the house."""
    mol = rdMolStandardize.FragmentParent(Chem.MolFromSmiles(text))
    mol = rdMolStandardize.Uncharger().uncharge(mol)
    return str(Chem.MolToInchiKey(mol)).split("-")[0]


def scores(run: Path, part: str = "test") -> np.ndarray:
    return read_predictions(run, part=part).scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auxiliary")
    train(settings(folder, "joint"))
    return folder


def manifest(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


# --- exclusion ----------------------------------------------------------------------------------------


def check_exclusion(config: Config, prepared: Prepared) -> None:
    """No form of a compound that validates or tests is trained on, and all others of the table are."""
    joint, n_main = prepared.trained, len(prepared.table)
    assert joint.table.smiles[:n_main] == prepared.table.smiles
    assert joint.split.parts[:n_main] == prepared.split.parts
    assert set(joint.split.parts[n_main:]) == {"train"}
    tested = {
        skeleton(text)
        for text, part in zip(prepared.table.smiles, prepared.split.parts, strict=True)
        if part in ("valid", "test")
    }
    kept = [text for text in auxiliary_tables.table().smiles if skeleton(text) not in tested]
    names = [name for name in joint.table.tasks if name not in prepared.table.tasks]
    of_auxiliary = joint.table.take(~np.isnan(joint.table.select(names).labels).all(1))
    assert {skeleton(text) for text in of_auxiliary.smiles} & tested == set()
    (about,) = [one.about() for one in prepared.auxiliary]
    assert about["molecules"] == len(kept) - about["merged"]
    assert about["excluded"] + len(kept) == len(auxiliary_tables.table()) > len(kept)
    assert about["shared"] + len(joint.table) - n_main == about["molecules"]
    assert about["shared"] > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("split", ["random", "scaffold"])
def test_no_form_of_a_tested_compound_is_trained_on(tmp_path: Path, split: str, seed: int) -> None:
    config = settings(tmp_path, "x", split=split, seed=seed)
    check_exclusion(config, prepare_data(config))


def test_each_fold_takes_out_its_own_compounds(tmp_path: Path) -> None:
    excluded = set()
    for config in fold_configs(settings(tmp_path, "x", split="random"), 3):
        prepared = prepare_data(config)
        check_exclusion(config, prepared)
        excluded.add(frozenset(prepared.joint.table.smiles if prepared.joint else ()))
    assert len(excluded) == 3


def test_compounds_that_a_fold_leaves_out_are_left_out_of_auxiliary_tables(
    tmp_path: Path,
) -> None:
    prepared = prepare_data(settings(tmp_path, "x"))
    left_out = prepared.split.rows("train")[::3]
    parts = ["" if row in left_out else part for row, part in enumerate(prepared.split.parts)]
    inner = prepared._replace(split=Split(parts)).trained
    keys = {skeleton(prepared.table.smiles[row]) for row in left_out}
    fewer, rows = 0, range(len(prepared.table), len(inner.table))
    assert inner.split.parts[: len(prepared.table)] == parts
    for row in rows:
        is_gone = skeleton(inner.table.smiles[row]) in keys
        assert inner.split.parts[row] == ("" if is_gone else "train")
        fewer += is_gone
    assert 0 < fewer < len(rows)
    assert prepared.trained.split.parts == prepared.joint.split.parts  # type: ignore[union-attr]


def test_another_table_cannot_take_the_place_of_the_one_that_was_joined(tmp_path: Path) -> None:
    prepared = prepare_data(settings(tmp_path, "x"))
    parts = Split(prepared.split.parts[:100])
    fewer = prepared._replace(table=prepared.table.take(np.arange(100)), split=parts)
    thinned = prepared._replace(table=replace(prepared.table, labels=prepared.table.labels.copy()))
    for other in (fewer, thinned):
        with pytest.raises(ConfigError, match=r"data\.auxiliary=\[\]"):
            _ = other.trained


def test_the_run_says_what_was_taken_out_and_where_every_molecule_is_from(folder: Path) -> None:
    run = folder / "runs" / "joint"
    about = manifest(run)["auxiliary"]
    assert about == Bundle.load(run).about["auxiliary"]
    (table,) = about
    split = pd.read_csv(run / "split.csv")
    assert split["table"].value_counts().to_dict() == {
        "main": 150,
        "aux": table["molecules"] - table["shared"],
    }
    assert (split.loc[split["table"] == "aux", "part"] == "train").all()
    assert any(f"{table['excluded']:,} of" in note and "aux" in note for note in manifest(run)["notes"])


def test_a_dry_run_says_what_training_would(folder: Path) -> None:
    run = folder / "runs" / "joint"
    told = training.plan(settings(folder, "joint"))
    assert [note for note in manifest(run)["notes"] if note in told][-2:] == told[-3:-1]
    assert "trained jointly" in told[-2]
    n_weights = sum(value.numel() for value in Bundle.load(run).networks[0].encoder.parameters())
    assert f"{n_weights + 7 * 17:,} weights" in told[-1]


def test_the_split_of_such_a_run_can_be_used_again(folder: Path, tmp_path: Path) -> None:
    run = folder / "runs" / "joint"
    again = settings(tmp_path, "again", split={"name": "file", "path": str(run / "split.csv")})
    first, second = (pd.read_csv(path / "split.csv") for path in (run, train(again)))
    pd.testing.assert_frame_equal(first, second)
    np.testing.assert_array_equal(scores(run), scores(again.folder))


# --- what a run is of ---------------------------------------------------------------------------------


def test_all_but_the_training_is_of_the_main_assays(folder: Path) -> None:
    run = folder / "runs" / "joint"
    bundle = Bundle.load(run)
    assert bundle.tasks == tuple(small.PATTERNS)
    (network,) = bundle.networks.values()
    assert network.heads.n_tasks == 4
    for name in ("evaluation.csv", "labels.csv", "history.csv", "calibration.csv"):
        assert list(dict.fromkeys(pd.read_csv(run / name)["assay"])) == list(small.PATTERNS), name
    assert read_predictions(run).tasks == tuple(small.PATTERNS)
    counts = pd.read_csv(run / "labels.csv").groupby("assay", sort=False)["measured"].sum()
    assert counts.tolist() == (~np.isnan(small.table().labels)).sum(0).tolist()
    assert bundle.about["molecules"] == {"train": 90, "valid": 30, "test": 30}


def test_auxiliary_tables_change_what_is_learned(folder: Path) -> None:
    alone = train(settings(folder, "alone", auxiliary=()))
    assert not np.allclose(scores(alone), scores(folder / "runs" / "joint"), atol=1e-3)


def test_a_joint_table_made_by_hand_gives_the_same_scores(folder: Path, tmp_path: Path) -> None:
    """The same molecules and labels in one file, of which the split says what trains."""
    joint = train(settings(folder, "weight1", data={"auxiliary_weight": 1}))
    split = pd.read_csv(joint / "split.csv")
    trained = set(split.loc[split["part"] == "train", "structure"])
    auxiliary = auxiliary_tables.table()
    keys = {skeleton(text) for text in split.loc[split["part"] != "train", "structure"]}
    kept = auxiliary.take(np.array([skeleton(text) not in keys for text in auxiliary.smiles]))
    named = replace(kept, tasks=("amine", "aux: acid", "hydroxyl"))
    small.table().write_csv(tmp_path / "main.csv")
    named.write_csv(tmp_path / "aux.csv")
    merge_files([str(tmp_path / "main.csv"), str(tmp_path / "aux.csv")], tmp_path / "merged.csv")
    merged = pd.read_csv(tmp_path / "merged.csv")
    structures = [Chem.CanonSmiles(text) for text in merged["smiles"]]
    parts = dict(zip(split["structure"], split["part"], strict=True))
    assert trained <= set(structures)
    frame = pd.DataFrame({"row": range(len(merged)), "part": [parts[text] for text in structures]})
    frame.to_csv(tmp_path / "parts.csv", index=False)
    by_file = {"name": "file", "path": str(tmp_path / "parts.csv")}
    by_hand = settings(folder, "by-hand", auxiliary=(), split=by_file)
    values = by_hand.model_dump() | {"data": {"source": str(tmp_path / "merged.csv")}}
    run = train(load_config(values))
    one, other = Bundle.load(joint), Bundle.load(run)
    assert other.tasks == (*small.PATTERNS, "amine", "aux: acid", "hydroxyl")
    (first,), (second,) = one.networks.values(), other.networks.values()
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name
    for part in ("valid", "test"):
        np.testing.assert_allclose(scores(joint, part), scores(run, part)[:, :4], rtol=2e-6)


def test_kept_auxiliary_assays_are_in_the_bundle_and_change_no_other(folder: Path) -> None:
    run = train(settings(folder, "kept", data={"keep_auxiliary": True}))
    bundle = Bundle.load(run)
    assert bundle.tasks == (*small.PATTERNS, "amine", "aux: acid", "hydroxyl")
    for part in ("valid", "test"):
        np.testing.assert_allclose(
            scores(run, part)[:, :4], scores(folder / "runs" / "joint", part), rtol=2e-6
        )
    evaluation = pd.read_csv(run / "evaluation.csv").set_index(["part", "assay"])
    untested = evaluation.loc[("test", "amine")]
    assert (untested["actives"], untested["inactives"]) == (0, 0)
    assert np.isnan(untested["roc_auc"])
    learned = pd.read_csv(run / "labels.csv").set_index(["assay", "part"])["measured"]
    assert learned["hydroxyl"].to_dict()["train"] > 50
    assert learned["hydroxyl"].to_dict()["test"] == 0


def test_tables_kept_as_cells_train_as_arrays_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_cells, "DENSE_BYTES", 0)
    monkeypatch.setattr(sparse_cells, "DENSE_SHARE", 2.0)
    np.testing.assert_allclose(
        scores(train(settings(tmp_path, "cells"))), scores(folder / "runs" / "joint"), rtol=1e-6
    )


# --- kinds, names, settings ---------------------------------------------------------------------------


@pytest.mark.parametrize("main", ["real", "binary"])
def test_real_and_binary_assays_mix(tmp_path: Path, main: str) -> None:
    small.write(tmp_path / "classes.csv")
    values = mixed.table()
    values.write_csv(tmp_path / "values.csv")
    declared = {
        "logP": {"kind": "real"},
        "Ki": {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"},
    }
    real = {"source": str(tmp_path / "values.csv"), "assays": declared, "tasks": ["halogen", "logP", "Ki"]}
    binary = {"source": str(tmp_path / "classes.csv")}
    own, other = (real, binary) if main == "real" else (binary, real)
    config = settings(tmp_path, "x", auxiliary=[other], data=own)
    prepared, run = prepare_data(config), train(config)
    alone = prepare_data(settings(tmp_path, "y", auxiliary=(), data=own))
    assert prepared.trained.targets is not None
    assert (prepared.targets is None) == (main == "binary")
    if prepared.targets is not None and alone.targets is not None:
        np.testing.assert_array_equal(prepared.targets.mean, alone.targets.mean)
        np.testing.assert_array_equal(prepared.targets.deviation, alone.targets.deviation)
    bundle = Bundle.load(run)
    assert bundle.tasks == prepared.table.tasks
    kept = train(settings(tmp_path, "kept", auxiliary=[other], data=own | {"keep_auxiliary": True}))
    assert Bundle.load(kept).tasks == prepared.trained.table.tasks
    assert write_report(kept).page.exists()
    assert sum(assay.is_real for assay in bundle.assays) == (2 if main == "real" else 0)
    assert np.isfinite(scores(run)).all()


def test_a_table_can_have_its_own_columns_assays_and_words(tmp_path: Path) -> None:
    frame = pd.DataFrame({"structure": small.smiles(40), "toxic": ["yes", "no"] * 20, "other": [1, 0] * 20})
    frame.to_csv(tmp_path / "odd.csv", index=False)
    odd = {
        "source": str(tmp_path / "odd.csv"),
        "smiles": "structure",
        "tasks": ["toxic"],
        "labels": {"yes": 1, "no": 0},
    }
    prepared = prepare_data(settings(tmp_path, "x", auxiliary=["aux.csv", odd]))
    assert prepared.trained.table.tasks[4:] == ("amine", "aux: acid", "hydroxyl", "toxic")
    assert [one.name for one in prepared.auxiliary] == ["aux", "odd"]


def test_assays_called_alike_in_three_tables_have_the_names_of_their_tables(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    auxiliary_tables.table().write_csv(tmp_path / "more" / "aux.csv")
    prepared = prepare_data(settings(tmp_path, "x", auxiliary=["aux.csv", "more/aux.csv"]))
    names = prepared.trained.table.tasks
    assert names[:4] == tuple(small.PATTERNS)
    assert len(set(names)) == 10
    assert all(re.fullmatch(r".*aux\.csv: (amine|acid|hydroxyl)", name) for name in names[4:])


def test_a_table_of_which_nothing_can_be_used_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"smiles": ["C1CC", "CC("], "a": [1, 0]}).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(DataError, match=r"data\.auxiliary, bad: no molecule"):
        prepare_data(settings(tmp_path, "x", auxiliary=["bad.csv"]))


def test_rows_that_cannot_be_used_are_listed_with_their_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"smiles": [*small.smiles(60), "C1CC"], "a": [1, 0] * 30 + [1]})
    frame.to_csv(tmp_path / "bad.csv", index=False)
    run = train(settings(tmp_path, "x", auxiliary=["bad.csv"]))
    (rejected,) = pd.read_csv(run / "rejected.csv").to_dict("records")
    assert (rejected["row"], rejected["smiles"]) == (61, "C1CC")
    assert rejected["reason"].startswith("bad: ")
    assert manifest(run)["auxiliary"][0]["rejected"] == 1


@pytest.mark.parametrize(
    "more",
    [
        {"model": {"encoder": "fingerprint", "single_task": True}},
        {"grouping": {"affinity": "linear"}},
        {"grouping": {"file": "groups.yaml"}},
    ],
)
def test_networks_of_single_assays_and_of_groups_are_refused(tmp_path: Path, more: dict) -> None:
    with pytest.raises(ConfigError, match=r"data\.auxiliary is for one network of all assays"):
        train(settings(tmp_path, "x", **more))


# --- weight -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("balancer", ["equal", "slaw", "pcgrad", ["slaw", "pcgrad"]])
def test_the_weight_multiplies_what_the_balancer_gives(folder: Path, balancer: object) -> None:
    """In the first step, before anything was learned."""
    weights = {}
    for weight in (1, 5):
        config = settings(folder, "x", balancer=balancer, data={"auxiliary_weight": weight})
        prepared = prepare_data(config)
        trainer = make_trainer(config, prepared.trained)
        rows = torch.from_numpy(prepared.trained.split.rows("train"))[:80]
        batch = prepared.trained.store.batch(rows)
        labels = torch.from_numpy(prepared.trained.table.labels)[rows]
        trainer.model.eval()
        look = trainer.gradients.look(trainer.model.encoder(batch), labels)
        weights[weight] = trainer.balancer.decide(look.step)
    assert weights[1].weights.shape == (7,)
    for one, other in zip(weights[1][:2], weights[5][:2], strict=True):
        expected = one * torch.tensor([5.0] * 4 + [1.0] * 3) * 7 / 23
        torch.testing.assert_close(other, expected)


def test_by_default_all_main_assays_weigh_as_much_as_all_others_and_none_weighs_less(tmp_path: Path) -> None:
    fewer = settings(tmp_path, "fewer", data={"tasks": ["halogen"]})
    run = train(fewer)
    assert manifest(run)["auxiliary_weight"] == Bundle.load(run).about["auxiliary_weight"] == 3
    prepared = prepare_data(fewer)
    expected = torch.tensor([3.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(priorities_of(fewer, prepared.trained, range(4)), expected)
    more = settings(tmp_path, "more")
    assert priorities_of(more, prepare_data(more).trained, range(7)) is None


def test_balancers_that_give_a_direction_need_the_weight_1(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"graddrop.*data\.auxiliary_weight=1"):
        train(settings(folder, "direction", balancer="graddrop", data={"auxiliary_weight": 3}))
    assert train(settings(folder, "direction", balancer="graddrop", data={"auxiliary_weight": 1})).exists()


def test_the_weight_changes_what_is_learned(folder: Path) -> None:
    heavy = train(settings(folder, "heavy", data={"auxiliary_weight": 30}))
    assert not np.allclose(scores(heavy), scores(folder / "runs" / "joint"), atol=1e-3)


# --- baselines ----------------------------------------------------------------------------------------

FOREST = {"name": "random_forest", "trees": 5}


def test_a_baseline_alone_reads_no_auxiliary_table_and_says_so(folder: Path) -> None:
    told: list[str] = []
    run = train(settings(folder, "forest", model={"baseline": FOREST}), on_note=told.append)
    plain = train(settings(folder, "plain-forest", auxiliary=(), model={"baseline": FOREST}))
    assert (run / "predictions.parquet").read_bytes() == (plain / "predictions.parquet").read_bytes()
    assert any("aux" in note and "not read" in note for note in told)
    assert "auxiliary" not in manifest(run)


@pytest.mark.parametrize("keep", [False, True])
def test_baselines_of_a_blend_see_main_assays_alone(folder: Path, keep: bool) -> None:
    blend = {"encoder": {"name": "fingerprint", "widths": [16]}, "blend": ["network", FOREST]}
    run = train(settings(folder, f"blend-{keep}", model=blend, data={"keep_auxiliary": keep}))
    plain = train(settings(folder, f"plain-forest-{keep}", auxiliary=(), model={"baseline": FOREST}))
    network, forest = Bundle.load(run).members
    assert forest.columns == (0, 1, 2, 3)
    assert network.columns == tuple(range(7 if keep else 4))
    (alone,) = Bundle.load(plain).members
    for name, value in alone.model.state_dict().items():
        assert torch.equal(forest.model.state_dict()[name], value), name


def test_folds_of_a_blend_leave_forms_of_their_compounds_out_of_auxiliary_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Prepared] = []
    fit_part = fitting.fit_part

    def watched(config: Config, prepared: Prepared, *more: object, **options: object) -> object:
        if prepared.n_main is not None:
            seen.append(prepared)
        return fit_part(config, prepared, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(fitting, "fit_part", watched)
    encoder = {"name": "fingerprint", "widths": [16]}
    weighed = {
        "encoder": encoder,
        "blend": ["network", FOREST],
        "blending": {"weights": "fitted", "folds": 3},
    }
    config = settings(tmp_path, "weighed", model=weighed)
    run, prepared = train(config), prepare_data(config)
    assert len(seen) == 4
    n_main = len(prepared.table)
    for view in seen:
        gone = {
            skeleton(prepared.table.smiles[row])
            for row in prepared.split.rows("train")
            if view.split.parts[row] == ""
        }
        trained = {skeleton(view.table.smiles[row]) for row in view.split.rows("train") if row >= n_main}
        assert gone & trained == set()
    assert sum("" in view.split.parts for view in seen) == 3
    assert Bundle.load(run).tasks == tuple(small.PATTERNS)
    with pytest.raises(ConfigError, match=r"data\.keep_auxiliary is set, and model\.blending\.weights"):
        train(settings(tmp_path, "kept", model=weighed, data={"keep_auxiliary": True}))


# --- resuming -----------------------------------------------------------------------------------------


def stopped(config: Config) -> None:
    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(config, on_epoch=stop)


FILES = (
    "bundle/member-0.safetensors",
    "history.csv",
    "split.csv",
    "predictions.parquet",
    "bundle/bundle.json",
)


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    config = settings(tmp_path, "joint")
    unbroken = {name: (folder / name).read_bytes() for folder in [train(config)] for name in FILES}
    config.folder.rename(tmp_path / "unbroken")
    stopped(config)
    run = train(config, resume=True)
    for name in FILES:
        assert (run / name).read_bytes() == unbroken[name], name


@pytest.mark.parametrize("change", ["a label", "a molecule"])
def test_a_changed_auxiliary_table_is_refused_on_resumption(tmp_path: Path, change: str) -> None:
    config = settings(tmp_path, "joint")
    stopped(config)
    frame = pd.read_csv(tmp_path / "aux.csv")
    if change == "a label":
        frame.loc[60:90, "amine"] = 1 - frame.loc[60:90, "amine"]
    else:
        frame = frame.drop(index=range(60, 70))
    frame.to_csv(tmp_path / "aux.csv", index=False)
    with pytest.raises(ConfigError, match=r"data\.auxiliary.*`overwrite`"):
        training.train(config, resume=True)


def test_a_finished_run_with_another_auxiliary_table_is_not_taken_for_done(tmp_path: Path) -> None:
    config = settings(tmp_path, "joint")
    train(config)
    check_finished(config, None)
    replace(auxiliary_tables.table(missing=0.6)).write_csv(tmp_path / "aux.csv")
    with pytest.raises(ConfigError, match=r"data\.auxiliary"):
        check_finished(config, None)


# --- several processes --------------------------------------------------------------------------------


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """With halves of every batch, and the balancer and the weight on sums of both."""
    config = settings(tmp_path, "one", balancer="slaw", runs=str(tmp_path / "runs"))
    (tmp_path / "aux.yaml").write_text(to_yaml(config))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [*launcher, "screening", "train", "aux.yaml", "name=two"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    one, two = train(config), tmp_path / "runs" / "two"
    np.testing.assert_allclose(scores(one), scores(two), rtol=1e-5, atol=2e-6)
    assert (one / "split.csv").read_bytes() == (two / "split.csv").read_bytes()
