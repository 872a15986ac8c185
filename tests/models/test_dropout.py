"""Shares of a batch draw what the whole batch draws, for every encoder and for heads; alone, as torch."""

import pytest
import small
import torch
from torch import Tensor, nn
from torch.nn import functional

from screening.models.dropout import SATURATED, Dropout, Share, alpha_dropout, drawing_for, dropout
from screening.models.encoders import encoders
from screening.models.heads import TaskHeads
from screening.models.network import inputs_of

OPTIONS: dict[str, dict[str, object]] = {
    "gine": {"depth": 2, "width": 16, "dropout": 0.4, "virtual_node": True},
    "dmpnn": {"depth": 3, "width": 16, "dropout": 0.4},
    "fingerprint": {"widths": (16, 8), "dropout": 0.4},
    "hybrid": {"depth": 2, "width": 8, "projection": 8, "hidden": 16},
    "pyg": {"depth": 3, "width": 8, "dropout": 0.4},
    "snn": {"depth": 3, "width": 8, "dropout": 0.4},
}
"""Every encoder with all the noise it has."""


def shares(n: int, n_processes: int, *lengths: Tensor) -> list[tuple[Tensor, Share]]:
    each = [torch.arange(n)[rank::n_processes] for rank in range(n_processes)]
    return [(mine, Share.of(mine, *lengths)) for mine in each]


@pytest.mark.parametrize("n_processes", [2, 3, 40])
@pytest.mark.parametrize("name", encoders.names())
def test_processes_draw_what_one_draws(name: str, n_processes: int) -> None:
    """Representations in training mode; with 40 processes for 30 molecules some have none."""
    store = small.store(vectors=("ecfp_counts", "rdkit_fast"))
    rows = torch.arange(20, 50)
    torch.manual_seed(0)
    encoder = encoders.build(name, inputs_of(store), **OPTIONS[name]).train()
    encoder.fit(store, rows)
    torch.manual_seed(1)
    whole, after = encoder(store.batch(rows)), torch.rand(1)
    quiet = encoder.eval()(store.batch(rows))
    assert not torch.allclose(whole, quiet, atol=1e-3)
    encoder.train()
    for mine, share in shares(30, n_processes, *store.sizes(rows))[-3:]:
        torch.manual_seed(1)
        with drawing_for(share):
            part = encoder(store.batch(rows[mine]))
        torch.testing.assert_close(part, whole[mine], rtol=1e-5, atol=1e-5)
        assert torch.equal(torch.rand(1), after), "the next step draws the same numbers everywhere"


def test_private_layers_draw_what_one_process_draws() -> None:
    heads, features = TaskHeads(6, 4, hidden=8, dropout=0.5).train(), torch.randn(9, 6)
    torch.manual_seed(1)
    whole = heads(features)
    for mine, share in shares(9, 2, *[torch.ones(9, dtype=torch.int64)] * 3):
        torch.manual_seed(1)
        with drawing_for(share):
            torch.testing.assert_close(heads(features[mine]), whole[mine])


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("training", [False, True])
def test_alone_it_is_that_of_torch(rate: float, training: bool) -> None:
    values = torch.randn(50, 7)
    torch.manual_seed(3)
    expected = functional.dropout(values, rate, training)
    torch.manual_seed(3)
    assert torch.equal(dropout(values, rate, training), expected)
    torch.manual_seed(3)
    assert torch.equal(Dropout(rate, "atoms").train(training)(values), expected)


@pytest.mark.parametrize("name", encoders.names())
def test_no_encoder_draws_otherwise(name: str) -> None:
    """A layer of torch's own would draw for the share alone, and all that come after it other numbers."""
    encoder = encoders.build(name, inputs_of(small.store()), **OPTIONS[name])
    kinds = (nn.Dropout, nn.AlphaDropout, nn.Dropout1d, nn.Dropout2d)
    assert not [module for module in encoder.modules() if isinstance(module, kinds)]


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_alpha_dropout_is_that_of_torch(rate: float) -> None:
    values = torch.randn(50, 7)
    torch.manual_seed(0)
    mine = alpha_dropout(values, rate, True)
    torch.manual_seed(0)
    torch.testing.assert_close(mine, functional.alpha_dropout(values, rate, True))
    assert torch.equal(alpha_dropout(values, rate, False), values)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    assert functional.selu(torch.tensor(-1e9)).item() == pytest.approx(SATURATED)
    torch.manual_seed(0)
    values = alpha_dropout(torch.randn(1000, 1000), 0.3, True)
    assert values.mean().item() == pytest.approx(0, abs=0.01)
    assert values.var().item() == pytest.approx(1, abs=0.01)
