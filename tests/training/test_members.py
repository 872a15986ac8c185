"""Ensembles and networks of single assays: exact resume, the right assays in the right columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small

from screening import training
from screening.bundle.bundle import Bundle
from screening.config import Config, check_config
from screening.errors import DataError
from screening.training.run_folder import read_manifest


def config(folder: Path, name: str, **sections: dict) -> Config:
    train = {"epochs": 2, "device": "cpu", "workers": 0, "patience": None, **sections.pop("train", {})}
    model = {"encoder": {"name": "gine", "depth": 1, "width": 8}, **sections.pop("model", {})}
    source = folder / "small.csv"
    if not source.exists():
        small.write(source)
    data, split = {"source": str(source), **sections.pop("data", {})}, {"name": "random"}
    sections |= {"data": data, "train": train, "model": model, "split": split}
    return check_config({"name": name, "runs": str(folder / "runs"), **sections})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def weights(run: training.Trained, member: int) -> dict[str, np.ndarray]:
    state = Bundle.load(run.folder).members[member].model.state_dict()
    return {name: value.numpy() for name, value in state.items()}


def test_an_ensemble_begins_with_the_single_network(tmp_path: Path) -> None:
    both = training.train(config(tmp_path, "both", train={"ensemble": 2}))
    alone = training.train(config(tmp_path, "alone"))
    first, second = weights(both, 0), weights(both, 1)
    np.testing.assert_equal(first, weights(alone, 0))
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    history = pd.read_csv(both.folder / "history.csv")
    mine = history[history["member"] == 0].drop(columns="member")
    pd.testing.assert_frame_equal(mine, pd.read_csv(alone.folder / "history.csv"))


def test_a_single_task_network_is_that_of_its_assay_alone(tmp_path: Path) -> None:
    run = training.train(config(tmp_path, "single", model={"single_task": True}))
    bundle = Bundle.load(run.folder)
    assert [member.columns for member in bundle.members] == [(0,), (1,), (2,), (3,)]
    history = pd.read_csv(run.folder / "history.csv")
    assert history.groupby("member")["assay"].unique().str[0].tolist() == list(bundle.tasks)
    alone = training.train(config(tmp_path, "alone", data={"tasks": [bundle.tasks[1]]}))
    np.testing.assert_equal(weights(run, 1), weights(alone, 0))


def test_a_stopped_ensemble_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    settings = config(tmp_path, "whole", train={"ensemble": 2})
    whole = training.train(settings)
    stopped = config(tmp_path, "stopped", train={"ensemble": 2})

    class StopNow(Exception):  # noqa: N818
        pass

    seen = []

    def stop(epoch: object) -> None:
        seen.append(epoch)
        if len(seen) == 3:
            raise StopNow

    with pytest.raises(StopNow):
        training.train(stopped, on_epoch=stop)
    resumed = training.train(stopped, resume=True)
    for name in ("history.csv", "epochs.csv", "predictions.parquet", "bundle/member-1.safetensors"):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name


def test_an_assay_without_training_labels_cannot_have_its_own_network(tmp_path: Path) -> None:
    names = [*small.PATTERNS, "empty"]
    settings = config(tmp_path, "none", model={"single_task": True}, data={"tasks": names})
    table = pd.read_csv(settings.data.source).assign(empty=np.nan)
    table.to_csv(settings.data.source, index=False)
    with pytest.raises(DataError, match="no labels for the networks of 'empty'"):
        training.train(settings)


def test_every_network_says_why_its_training_ended(tmp_path: Path) -> None:
    """With patience 1 and a high rate both stop early; the notes name the epochs that the manifest has."""
    notes: list[str] = []
    train = {"epochs": 30, "patience": 1, "ensemble": 2, "lr": 0.03}
    run = training.train(config(tmp_path, "short", train=train), on_note=notes.append)
    endings = [note for note in notes if "kept is" in note]
    manifest = read_manifest(run.folder)
    epochs = pd.read_csv(run.folder / "epochs.csv").groupby("member").size()
    assert len(endings) == 2
    for text, n_epochs, best in zip(endings, epochs, manifest["best_epochs"], strict=True):
        assert text.startswith(f"stopped early, after epoch {n_epochs} of 30: ")
        assert f"kept is the best, epoch {best + 1} (" in text
