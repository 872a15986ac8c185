"""The loop of pre-training against a plain one, written for one block, one set and no dropout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch

from screening.config import Config, check_config
from screening.errors import ConfigError, ScreeningError
from screening.features.store import FeatureSet
from screening.models.network import ScreeningModel, inputs_of
from screening.pretraining import distiller as distiller_module
from screening.pretraining.blocks import Blocks, view
from screening.pretraining.distiller import Distiller
from screening.pretraining.targets import TargetScales, sets_of

INPUTS = FeatureSet("atom_codes")


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    return Blocks(list(small.smiles(100)), FeatureSet("atom_codes", ("rdkit_fast",)), tmp_path, 0)


def config(**pretraining: Any) -> Config:
    values = {"targets": ["rdkit_fast"], "epochs": 3, "batch_size": 20, "lr": 0.01, "share": 1.0}
    return check_config(
        {
            "name": "loop",
            "data": {"source": "not read"},
            "model": {"encoder": {"name": "gine", "depth": 2, "width": 8, "dropout": 0}},
            "train": {"device": "cpu", "clip": None, "warmup": 0.2, "weight_decay": 0.03},
            "pretrain": values | pretraining,
        }
    )


def distiller_of(settings: Config, blocks: Blocks, answers: Any = None) -> Distiller:
    computed = view(blocks.stores[0], FeatureSet("atom_codes", ("rdkit_fast",)))
    answers = answers or (lambda number, rows: computed.batch(rows).vectors)
    scales = TargetScales(sets_of(["rdkit_fast"]), answers(0, torch.arange(100)), 6.0)
    torch.manual_seed(0)
    model = ScreeningModel(settings.model, inputs_of(view(blocks.stores[0], INPUTS)), len(scales.mean))
    return Distiller(settings, model, INPUTS, blocks, scales, answers)


def fit(distiller: Distiller, folder: Path, resume: bool = False) -> None:
    distiller.fit(folder / "checkpoint.pt", {"a": 1}, lambda report: None, resume=resume)


def test_it_takes_the_steps_of_a_plain_loop(blocks: Blocks, tmp_path: Path) -> None:
    """AdamW by hand on the mean over all defined targets; the rate rises for 3 of 15 steps, then falls."""
    mine, other = distiller_of(config(), blocks), distiller_of(config(), blocks)
    model, targets = other.model, other.targets.of(other.answers(0, torch.arange(100)))
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == matrix], "weight_decay": 0.03 * matrix}
        for matrix in (True, False)
    ]
    optimizer, losses = torch.optim.AdamW(groups, lr=0.01), []
    store = view(blocks.stores[0], INPUTS)
    for step in range(15):
        epoch, place = divmod(step, 5)
        torch.manual_seed(distiller_module.mixed(0, epoch))
        order = torch.arange(95)[torch.randperm(95)]
        rows = order[20 * place : 20 * place + 20]
        share = (step + 1) / 3 if step < 3 else 0.5 * (1 + np.cos(np.pi * (step - 2) / 12))
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * share
        off = model(store.batch(rows)) - targets[rows]
        loss = off[~off.isnan()].square().mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fit(mine, tmp_path)
    expected = np.array(losses).reshape(3, 5).mean(1)
    np.testing.assert_allclose([each.loss for each in mine.reports], expected, rtol=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(mine.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_last_molecules_are_held_out_and_never_learned(blocks: Blocks, tmp_path: Path) -> None:
    asked: list[int] = []
    computed = view(blocks.stores[0], FeatureSet("atom_codes", ("rdkit_fast",)))

    def answers(number: int, rows: torch.Tensor) -> torch.Tensor:
        asked.extend(rows.tolist())
        return computed.batch(rows).vectors

    distiller = distiller_of(config(epochs=1), blocks, answers)
    assert distiller.held_out[0].tolist() == list(range(95, 100))
    asked.clear()
    for _ in distiller._learn(0):
        pass
    assert sorted(asked) == list(range(95))


def test_explained_is_one_minus_errors_by_squares(blocks: Blocks) -> None:
    distiller = distiller_of(config(), blocks)
    rows = torch.arange(95, 100)
    targets = distiller.targets.of(distiller.answers(0, rows)).double().numpy()
    with torch.inference_mode():
        outputs = distiller.model.eval()(distiller.stores[0].batch(rows)).double().numpy()
    expected = 1 - np.nansum((outputs - targets) ** 2) / np.nansum(targets**2)
    assert distiller.explained()["rdkit_fast"] == pytest.approx(expected, rel=1e-5)


def test_the_masks_of_a_share_differ_and_learn_all_the_same(blocks: Blocks, tmp_path: Path) -> None:
    whole, part = distiller_of(config(epochs=15), blocks), distiller_of(config(epochs=15, share=0.15), blocks)
    for number, distiller in enumerate((whole, part)):
        (tmp_path / str(number)).mkdir()
        fit(distiller, tmp_path / str(number))
        assert distiller.reports[-1].loss < 0.8 * distiller.reports[0].loss
    assert whole.reports[0].loss != part.reports[0].loss


def test_a_loss_that_is_not_finite_is_an_error(blocks: Blocks, tmp_path: Path) -> None:
    distiller = distiller_of(config(), blocks)
    with torch.no_grad():
        distiller.model.heads.bias.fill_(torch.inf)
    with pytest.raises(ScreeningError, match="not finite in block 1"):
        fit(distiller, tmp_path)


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_a_damaged_checkpoint_is_refused(blocks: Blocks, tmp_path: Path, content: bytes | None) -> None:
    fit(distiller_of(config(epochs=1), blocks), tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(ConfigError, match="cannot be resumed from"):
        fit(distiller_of(config(epochs=1), blocks), tmp_path, resume=True)


def test_a_finished_one_that_is_resumed_takes_no_step(blocks: Blocks, tmp_path: Path) -> None:
    first = distiller_of(config(epochs=2), blocks)
    fit(first, tmp_path)
    again = distiller_of(config(epochs=2), blocks)
    fit(again, tmp_path, resume=True)
    assert [each.loss for each in again.reports] == [each.loss for each in first.reports]
    for name, value in first.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
