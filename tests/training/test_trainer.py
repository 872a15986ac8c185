"""Training: it learns, it is reproducible, it resumes exactly, it says what went wrong."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import torch
from torch import nn

from screening.config import Config, check_config
from screening.errors import ConfigError, ScreeningError
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import roc_auc
from screening.models.losses import CrossEntropy, losses
from screening.models.network import ScreeningModel
from screening.training.building import trainer_of
from screening.training.run import inputs_of
from screening.training.trainer import Epoch, Examples, History, Trainer


def settings(**train: object) -> Config:
    return check_config(
        {
            "name": "small",
            "data": {"source": "small.csv"},
            "model": {"encoder": {"name": "gine", "depth": 2, "width": 32, "dropout": 0.1}},
            "balancer": train.pop("balancer", "equal"),
            "train": {"epochs": 3, "batch_size": 32, "device": "cpu", **train},
        }
    )


def fit(config: Config, checkpoint: Path | None = None, resume: bool = False, **more: object) -> Trainer:
    table, store = small.table(), small.store()
    labels = torch.from_numpy(table.labels)
    rows = torch.arange(120)
    torch.manual_seed(config.seed)
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    trainer = trainer_of(config, model, labels, table.tasks, rows)
    trainer.fit(
        Examples(store, labels, rows),
        Examples(store, labels, torch.arange(120, 150)),
        checkpoint=checkpoint,
        resume=resume,
        **more,  # type: ignore[arg-type]
    )
    return trainer


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in trainer.model.state_dict().values()])


@pytest.mark.parametrize("encoder", ["gine", "dmpnn", "fingerprint", "hybrid"])
def test_64_molecules_are_memorised(encoder: str) -> None:
    table, store = small.table(64, missing=0.0), small.store()
    labels = torch.from_numpy(table.labels)
    config = check_config(
        {
            "name": "memory",
            "data": {"source": "small.csv"},
            "model": {"encoder": {"name": encoder, "dropout": 0.0, **WIDTHS[encoder]}},
            "train": {"epochs": 200, "batch_size": 32, "lr": 0.003, "patience": None, "weight_decay": 0.0},
        }
    )
    torch.manual_seed(0)
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    rows = torch.arange(64)
    part = Examples(store, labels, rows)
    history = trainer_of(config, model, labels, table.tasks, rows).fit(part, part)
    assert history[-1].loss.max() < 0.05
    assert history[-1].macro > 0.99


WIDTHS: dict[str, dict[str, object]] = {
    "gine": {"width": 64, "depth": 3},
    "dmpnn": {"width": 64, "depth": 3},
    "fingerprint": {"widths": (128,), "count_dropout": 0.0},
    "hybrid": {
        "width": 32,
        "hidden": 64,
        "count_dropout": 0.0,
        "graph_dropout": 0.0,
        "branch_dropout": 0.0,
    },
}


@pytest.mark.parametrize("balancer", ["equal", "slaw", "pcgrad", "famo", ["slaw", "pcgrad"]])
def test_same_seed_gives_the_same_weights(balancer: object) -> None:
    first, second = (fit(settings(balancer=balancer, epochs=2)) for _ in range(2))
    assert torch.equal(weights(first), weights(second))


def test_another_seed_gives_other_weights() -> None:
    config = settings(epochs=1)
    assert not torch.equal(weights(fit(config)), weights(fit(config.model_copy(update={"seed": 1}))))


@pytest.mark.parametrize(
    "more",
    [
        {"average": 0.9},
        {"balancer": "famo"},
        {"balancer": "rlw"},
        {"balancer": ["slaw", "pcgrad"]},
        {"clip": None},
    ],
)
def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path, more: dict) -> None:
    unbroken = fit(settings(epochs=4, **more), tmp_path / "unbroken.pt")

    def stop(epoch: Epoch) -> None:
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings(epochs=4, **more), tmp_path / "broken.pt", on_epoch=stop)
    resumed = fit(settings(epochs=4, **more), tmp_path / "broken.pt", resume=True)
    assert torch.equal(weights(unbroken), weights(resumed))
    assert unbroken.history.per_epoch().equals(resumed.history.per_epoch())
    assert unbroken.history.per_task(unbroken.tasks).equals(resumed.history.per_task(resumed.tasks))


def test_best_weights_are_kept_and_patience_stops(tmp_path: Path) -> None:
    trainer = fit(settings(epochs=40, patience=2, lr=0.02))
    history = trainer.history
    best = max(epoch.macro for epoch in history)
    assert history[history.best_epoch].macro == best
    assert len(history) - 1 - history.best_epoch <= 2
    table, store = small.table(), small.store()

    scores = trainer.model.predict(store, torch.arange(120, 150)).numpy()
    assert np.nanmean(roc_auc(rank(table.labels[120:150], scores))) == pytest.approx(best, abs=1e-6)


def test_without_a_judge_the_last_epoch_is_kept() -> None:
    """No assay of the validation part has both classes: there is nothing to stop on."""
    table, store = small.table(), small.store()
    labels, rows = torch.from_numpy(table.labels), torch.arange(100)
    config = settings(epochs=3, patience=1)
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    trainer = trainer_of(config, model, labels, table.tasks, rows)
    history = trainer.fit(Examples(store, labels, rows), Examples(store, labels, rows[:0]))
    assert [epoch.is_best for epoch in history] == [True] * 3


def test_an_assay_without_labels_trains_to_nothing() -> None:
    table, store = small.table(), small.store()
    labels = torch.from_numpy(table.labels.copy())
    labels[:, 2] = torch.nan
    rows = torch.arange(100)
    for balancer in ("equal", "slaw", "pcgrad"):
        config = settings(epochs=1, balancer=balancer)
        torch.manual_seed(0)
        model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
        before = model.heads.weight[2].clone()
        trainer = trainer_of(config, model, labels, table.tasks, rows)
        (epoch,) = trainer.fit(Examples(store, labels, rows), Examples(store, labels, torch.arange(100, 150)))
        assert epoch.loss[2].isnan()
        assert epoch.weight[2].isnan()
        assert epoch.valid_concordance[2].isnan()
        assert weights(trainer).isfinite().all()
        decayed = trainer.model.heads.weight[2] / before
        assert (decayed > 0.99).all(), "only weight decay may touch it"


@pytest.mark.parametrize("weighting", ["none", "balanced"])
def test_heads_start_at_the_best_constant_of_the_loss(weighting: str) -> None:
    """With balanced classes that is even odds, whatever the base rate."""
    table, store = small.table(), small.store()
    config = check_config({**settings().model_dump(), "loss": {"positive_weight": weighting, "cap": 100}})
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    labels = torch.from_numpy(table.labels)
    bias = trainer_of(config, model, labels, table.tasks, torch.arange(100)).model.heads.bias.detach()
    base = torch.logit(labels[:100].nanmean(0))
    torch.testing.assert_close(bias, base if weighting == "none" else torch.zeros(4), rtol=0.1, atol=0.15)


@pytest.mark.parametrize("balancer", ["equal", ["slaw", "pcgrad"]])
@pytest.mark.parametrize("name", [name for name in losses.names() if "binary" in losses.get(name).kinds])
def test_every_loss_learns(name: str, balancer: object) -> None:
    """The order of molecules that it has seen."""
    config = settings(epochs=30, lr=0.005, patience=None, balancer=balancer)
    table, rows = small.table(), torch.arange(64)
    part = Examples(small.store(), torch.from_numpy(table.labels), rows)
    torch.manual_seed(0)
    model = ScreeningModel(config.model, inputs_of(part.store), len(table.tasks))
    named = check_config({**config.model_dump(), "loss": name})
    history = trainer_of(named, model, part.labels, table.tasks, rows).fit(part, part)
    assert (history[-1].loss < 0.8 * history[0].loss).all()
    assert history[-1].macro > 0.9


class Spread(CrossEntropy):
    """Cross-entropy that also learns a number of each task, best at 3."""

    def __init__(self, labels: torch.Tensor) -> None:
        super().__init__(labels)
        self.level = nn.Parameter(torch.zeros(labels.shape[1]))

    def cell_values(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().cell_values(logits, labels) + (self.level - 3) ** 2


def test_what_a_loss_learns_is_trained_and_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(losses._items, "spread", Spread)
    config = check_config({**settings(epochs=4, lr=0.1).model_dump(), "loss": "spread"})
    level = fit(config).loss.level

    def stop(epoch: Epoch) -> None:
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "broken.pt", on_epoch=stop)
    assert (level > 0.5).all()
    assert torch.equal(fit(config, tmp_path / "broken.pt", resume=True).loss.level, level)


def test_a_loss_that_is_not_finite_names_epoch_step_and_assay() -> None:
    table, store = small.table(), small.store()
    config = settings()
    labels, rows = torch.from_numpy(table.labels), torch.arange(100)
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    trainer = trainer_of(config, model, labels, table.tasks, rows)
    with torch.no_grad():
        model.heads.bias[1] = torch.nan
    with pytest.raises(ScreeningError, match=r"epoch 1, step 1, assays acid\."):
        trainer.fit(Examples(store, labels, rows), Examples(store, labels, rows))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(settings(epochs=1), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="cannot be resumed from"):
        fit(settings(epochs=2), path, resume=True)


@pytest.mark.parametrize("device", ["cdua", "gpu:0"])
def test_unknown_devices_are_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        fit(settings(device=device))


def test_history_tables_have_one_row_per_epoch_and_assay() -> None:
    trainer = fit(settings(epochs=2))
    assert isinstance(trainer.history, History)
    frame = trainer.history.per_task(trainer.tasks)
    assert list(frame.columns) == ["epoch", "assay", "loss", "weight", "valid_concordance"]
    assert len(frame) == 2 * len(trainer.tasks)
    assert (frame["weight"] == 1).all()


def test_a_run_killed_in_mid_epoch_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL, as a cluster does it; then --resume; weights, tables and predictions are the same files."""
    small.write(tmp_path / "small.csv")
    (tmp_path / "small.yaml").write_text(
        "name: NAME\ndata: {source: small.csv}\nsplit: random\n"
        "model: {encoder: {name: gine, depth: 2, width: 32}}\nbalancer: slaw\n"
        "train: {epochs: 6, batch_size: 8, patience: null, device: cpu, workers: 0}\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def start(name: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "screening", "train", "small.yaml", f"name={name}", *more]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    unbroken = start("unbroken")
    assert unbroken.wait() == 0, unbroken.stderr and unbroken.stderr.read()
    broken = start("broken")
    assert broken.stderr is not None
    for line in broken.stderr:
        if line.startswith("epoch   2"):
            broken.send_signal(signal.SIGKILL)
            break
    broken.communicate()
    assert broken.returncode == -signal.SIGKILL
    assert not (tmp_path / "runs" / "broken" / "bundle").exists()
    resumed = start("broken", "--resume")
    assert resumed.wait() == 0
    runs = tmp_path / "runs"
    for file in ("bundle/member-0.safetensors", "history.csv", "epochs.csv", "evaluation.csv", "split.csv"):
        assert (runs / "broken" / file).read_bytes() == (runs / "unbroken" / file).read_bytes(), file
    assert (runs / "broken/predictions.parquet").read_bytes() == (
        runs / "unbroken/predictions.parquet"
    ).read_bytes()


def test_two_processes_train_the_same_model_as_one(tmp_path: Path) -> None:
    """torchrun over halves of every batch, with every kind of dropout and noise, and actives drawn: losses to
    a millionth."""
    small.write(tmp_path / "small.csv")
    (tmp_path / "small.yaml").write_text(
        "name: NAME\ndata: {source: small.csv}\nsplit: random\n"
        "features: {vectors: [ecfp_counts, rdkit_fast]}\n"
        "model: {encoder: {name: hybrid, depth: 2, width: 16, hidden: 32, projection: 16, dropout: 0.3},\n"
        "        heads: {hidden: 4, dropout: 0.2}}\nbalancer: [slaw, pcgrad]\n"
        "train: {epochs: 2, batch_size: 17, device: cpu, workers: 0, lr: 0.003, sampler: actives}\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name, launcher in {
        "one": [],
        "two": ["torch.distributed.run", "--nproc-per-node", "2", "-m"],
    }.items():
        command = [sys.executable, "-m", *launcher, "screening", "train", "small.yaml", f"name={name}"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    one, two = (pd.read_parquet(tmp_path / "runs" / name / "predictions.parquet") for name in ("one", "two"))
    scores = [column for column in one if column.startswith("score:")]
    np.testing.assert_allclose(one[scores], two[scores], rtol=1e-5, atol=2e-6)
    histories = (pd.read_csv(tmp_path / "runs" / name / "history.csv") for name in ("one", "two"))
    first, second = (history[["loss", "weight"]].to_numpy() for history in histories)
    np.testing.assert_allclose(first, second, rtol=5e-6)
