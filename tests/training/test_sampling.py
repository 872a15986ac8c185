"""Batches of an epoch: every molecule once, and beside that actives of all assays in turn."""

from contextlib import suppress
from pathlib import Path

import mixed
import numpy as np
import pytest
import small
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from screening.config import check_config
from screening.config_sections import Train
from screening.data.sparse_cells import SparseCells, measured_cells
from screening.errors import ConfigError
from screening.models.network import ScreeningModel, inputs_of
from screening.training.building import trainer_of
from screening.training.label_rows import labels_for
from screening.training.sampling import Actives, batches
from screening.training.trainer import Examples, Trainer

NAN = float("nan")


def drawn_labels(n: int, n_tasks: int, seed: int) -> Tensor:
    random = np.random.default_rng(seed)
    labels = (random.random((n, n_tasks)) < random.random(n_tasks) ** 3).astype(np.float32)
    labels[random.random(labels.shape) < 0.4] = NAN
    return torch.from_numpy(labels)


@given(
    st.integers(2, 60), st.integers(1, 9), st.integers(0, 2**31), st.integers(2, 20), st.floats(0.01, 0.99)
)
def test_an_epoch_has_every_molecule_once_and_actives_beside(
    n: int, n_tasks: int, seed: int, size: int, share: float
) -> None:
    labels, rows = drawn_labels(n, n_tasks, seed), torch.randperm(n)[: n // 2 + 1]
    if not (labels[rows] == 1).any():
        return
    actives = Actives.of(labels, rows, np.zeros(n_tasks, bool))
    settings = Train(batch_size=size, sampler="actives", active_share=share)
    torch.manual_seed(seed)
    plain = torch.sort(torch.cat(batches(rows, settings, None))).values
    assert torch.equal(plain, torch.sort(rows).values)
    steps = batches(rows, settings, actives)
    n_drawn = min(max(1, round(share * size)), size - 1)
    once = torch.cat([step[:-n_drawn] for step in steps])
    assert torch.equal(torch.sort(once).values, torch.sort(rows).values)
    more = torch.cat([step[-n_drawn:] for step in steps])
    assert all(len(step) == size for step in steps[:-1])
    assert (labels[more] == 1).any(1).all()
    assert torch.isin(more, rows).all()


def test_assays_take_turns_and_so_do_their_actives() -> None:
    """By hand: assays of 1, 3 and no actives, and one of values; six rounds."""
    labels = torch.tensor([[1, NAN, 0, 1], [0, 1, 0, 1], [NAN, 1, NAN, 1], [0, 1, 0, 1]])
    actives = Actives.of(labels, torch.arange(4), np.array([False, False, False, True]))
    assert actives.n.tolist() == [1, 3]
    assert actives.rows.tolist() == [0, 1, 2, 3]
    torch.manual_seed(0)
    rounds = actives.draw(12).reshape(6, 2)
    assert ((rounds == 0).sum(1) == 1).all(), "the rare assay is there in every round"
    of_other = rounds[rounds != 0].tolist()
    assert sorted(of_other[:3]) == sorted(of_other[3:]) == [1, 2, 3]
    first_of_rounds = actives.draw(100).reshape(50, 2)[:, 0]
    assert 10 < (first_of_rounds == 0).sum() < 40, "the order of the assays is random"
    assert len(actives.draw(5)) == 5


def test_epochs_draw_other_actives() -> None:
    labels = (torch.arange(100) < 50).float().unsqueeze(1)
    actives = Actives.of(labels, torch.arange(100), np.zeros(1, bool))
    first, second = actives.draw(10), actives.draw(10)
    assert len(set(first.tolist())) == len(set(second.tolist())) == 10
    assert first.tolist() != second.tolist()


def test_bounds_and_sparse_labels_have_the_same_actives(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, rows = drawn_labels(50, 6, 0), torch.arange(5, 45)
    monkeypatch.setattr("screening.training.sampling.CHUNK", 7)
    is_real = np.array([False, True, False, False, True, False])
    expected = Actives.of(labels, rows, is_real)
    assert expected.n.sum() == (labels[5:45][:, ~is_real] == 1).sum()
    row, task, value = measured_cells(labels.numpy())
    sparse = labels_for(SparseCells.of(row, task, value, labels.shape, np.nan), None, None)
    for other in (torch.stack([labels, labels], 2), sparse):
        again = Actives.of(other, rows, is_real)
        assert torch.equal(again.rows, expected.rows)
        assert torch.equal(again.n, expected.n)


def fit(folder: Path | None = None, *, epochs: int = 3, resume: bool = False, **more: object) -> Trainer:
    train = {"batch_size": 32, "device": "cpu", "patience": None, "sampler": "actives", **more}
    config = check_config(
        {
            "name": "small",
            "data": {"source": "small.csv"},
            "model": {"encoder": {"name": "fingerprint", "widths": [16]}},
            "train": {"epochs": 3, **train},
        }
    )
    table, store = small.table(), small.store()
    labels, rows = torch.from_numpy(table.labels), torch.arange(120)
    torch.manual_seed(config.seed)
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    trainer = trainer_of(config, model, labels, table.tasks, rows)
    valid = Examples(store, labels, torch.arange(120, 150))

    def stop(epoch: object) -> None:
        if len(trainer.history) == epochs:
            raise KeyboardInterrupt

    checkpoint = None if folder is None else folder / "checkpoint.pt"
    with suppress(KeyboardInterrupt):
        trainer.fit(Examples(store, labels, rows), valid, checkpoint=checkpoint, resume=resume, on_epoch=stop)
    return trainer


def state(trainer: Trainer) -> Tensor:
    return torch.cat([value.flatten().float() for value in trainer.model.state_dict().values()])


def test_resume_takes_the_same_batches(tmp_path: Path) -> None:
    unbroken = fit(epochs=9)
    fit(tmp_path, epochs=1)
    resumed = fit(tmp_path, epochs=9, resume=True)
    assert torch.equal(state(resumed), state(unbroken))
    assert not torch.equal(state(fit(epochs=9, sampler="random")), state(unbroken))


def test_values_alone_have_no_actives(tmp_path: Path) -> None:
    real = mixed.table().select(["Ki", "logP"])
    plain = mixed.settings(tmp_path)["train"]
    with pytest.raises(ConfigError, match=r"no assay of two classes has an active.*train\.sampler=random"):
        mixed.trained(tmp_path, real, train={**plain, "sampler": "actives"})


def test_a_mixed_table_trains(tmp_path: Path) -> None:
    plain = mixed.settings(tmp_path)["train"]
    run = mixed.trained(tmp_path, train={**plain, "epochs": 2, "sampler": "actives"})
    assert np.isfinite(run.evaluation["concordance"]).all()
