"""`gradients.at: auto` looks at what assays have in common and at what encoder and balancer can do."""

import json
from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from screening.balancing.chain import build_balancer
from screening.balancing.place_choice import ENOUGH, choose_place, share_of_pairs_that_meet
from screening.models.encoders import Encoder

TASKS = ["a", "b", "c"]
TOGETHER = torch.ones(300, 3, dtype=torch.bool)
APART = torch.arange(300)[:, None] % 3 == torch.arange(3)


class Full(Encoder):
    """Names everything."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(2, 2), nn.LayerNorm(2)

    @property
    def last_layer(self) -> nn.Linear:
        return self.layer

    @property
    def last_norm(self) -> nn.LayerNorm:
        return self.norm

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return (self.norm,)


class Silent(Full):
    """Does not say what follows the last layer, so that looking there is a backward pass per assay."""

    norms_after_last_layer = Encoder.norms_after_last_layer


@pytest.mark.parametrize(
    ("balancer", "encoder", "is_measured", "at"),
    [
        ("pcgrad", Full(), TOGETHER, "features"),
        ("pcgrad", Full(), APART, "last_layer"),
        ("pcgrad", Silent(), APART, "last_norm"),
        ("pcgrad", Encoder(), APART, "features"),
        ("pcgrad", nn.Linear(2, 2), APART, "features"),
        ("graddrop", Full(), APART, "last_layer"),
        ("moco", Full(), TOGETHER, "last_norm"),
        ("moco", Encoder(), TOGETHER, "encoder"),
        (["slaw", "pcgrad"], Full(), APART, "last_layer"),
    ],
)
def test_the_place_follows_from_overlap_encoder_and_balancer(
    balancer: object, encoder: nn.Module, is_measured: Tensor, at: str
) -> None:
    chosen = choose_place("auto", build_balancer(balancer, TASKS), encoder, is_measured, 64)  # type: ignore[arg-type]
    assert chosen.at == at
    assert chosen.reason


def test_a_place_that_is_given_stays_and_losses_need_none() -> None:
    assert choose_place("sketch", build_balancer("pcgrad", TASKS), Full(), APART, 64) == ("sketch", "")
    assert choose_place("auto", build_balancer("slaw", TASKS), Full(), APART, 64) == ("features", "")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_share_of_pairs_that_meet_is_that_of_drawn_batches(share: float) -> None:
    torch.manual_seed(0)
    is_measured = torch.rand(4000, 8) < share * torch.linspace(0.2, 2, 8)
    meet = pairs = 0.0
    for _ in range(200):
        batch = is_measured[torch.randint(4000, (64,))].float()
        present = batch.sum(0) > 0
        both = (present[:, None] & present).float().triu(1)
        meet += float((((batch.T @ batch) > 0).float() * both).sum())
        pairs += float(both.sum())
    assert share_of_pairs_that_meet(is_measured, 64) == pytest.approx(meet / pairs, abs=0.02)


@pytest.mark.parametrize("is_measured", [torch.zeros(0, 3) > 0, torch.zeros(5, 3) > 0, torch.ones(5, 1) > 0])
def test_without_pairs_nothing_is_blind(is_measured: Tensor) -> None:
    assert share_of_pairs_that_meet(is_measured, 64) == 1 > ENOUGH


def test_a_run_says_where_it_looked_and_why(tmp_path: Path) -> None:
    """In its notes and in the manifest; the config keeps what was asked for."""
    table = mixed.table()
    apart = np.arange(len(table))[:, None] % len(table.tasks) == np.arange(len(table.tasks))
    train = {**mixed.settings(tmp_path)["train"], "epochs": 1}
    run = mixed.trained(
        tmp_path,
        replace(table, labels=np.where(apart, table.labels, np.nan), censored=None),
        balancer="pcgrad",
        train=train,
    )
    manifest = json.loads((run.folder / "manifest.json").read_text())
    reason = "only 0% of the pairs of assays in a batch have a common molecule"
    assert manifest["gradients"] == {"at": "last_layer", "reason": reason}
    assert run.config.gradients.at == "auto"
