"""Task heads: one tensor operation that equals T separate small networks."""

import pytest
import torch
from torch import nn

from screening.models.heads import TaskHeads


def test_linear_heads_are_separate_linear_layers() -> None:
    heads, features = TaskHeads(6, 4), torch.randn(5, 6)
    assert heads.is_linear
    assert heads.weight.shape == (4, 6)
    for task in range(4):
        torch.testing.assert_close(heads(features)[:, task], features @ heads.weight[task] + heads.bias[task])


def test_private_layers_are_separate_networks() -> None:
    heads, features = TaskHeads(6, 4, hidden=3), torch.randn(5, 6)
    nn.init.normal_(heads.private_bias)
    assert not heads.is_linear
    for task in range(4):
        units = nn.functional.silu(features @ heads.private_weight[task] + heads.private_bias[task])
        torch.testing.assert_close(heads(features)[:, task], units @ heads.weight[task] + heads.bias[task])


def test_dropout_acts_in_training_only() -> None:
    heads, features = TaskHeads(6, 4, hidden=8, dropout=0.5), torch.randn(5, 6)
    assert not torch.equal(heads(features), heads(features))
    heads.eval()
    assert torch.equal(heads(features), heads(features))


@pytest.mark.parametrize("hidden", [0, 3])
def test_feature_gradients_are_those_of_autograd(hidden: int) -> None:
    heads, features = TaskHeads(6, 4, hidden=hidden), torch.randn(5, 6, requires_grad=True)
    slopes = torch.randn(5, 4)
    private = heads.private(features)
    logits = heads.readout(private)
    inner = slopes
    if hidden:
        (inner,) = torch.autograd.grad(logits, private, slopes, retain_graph=True)
    rows = heads.feature_gradients(inner)
    for task in range(4):
        (expected,) = torch.autograd.grad(logits[:, task], features, slopes[:, task], retain_graph=True)
        torch.testing.assert_close(rows[:, task], expected)


def test_untrained_heads_predict_where_they_start() -> None:
    heads = TaskHeads(6, 3)
    nn.init.zeros_(heads.weight)
    heads.start_at(torch.tensor([-4.0, 0.0, 2.5], dtype=torch.float64))
    assert heads(torch.randn(1, 6)).tolist() == [[-4.0, 0.0, 2.5]]


def test_heads_of_hundreds_of_tasks_are_one_product() -> None:
    assert TaskHeads(16, 617)(torch.randn(3, 16)).shape == (3, 617)


def test_options_out_of_range_say_the_range() -> None:
    with pytest.raises(ValueError, match="hidden is -1"):
        TaskHeads(6, 4, hidden=-1)
    with pytest.raises(ValueError, match="below 1"):
        TaskHeads(6, 4, hidden=2, dropout=1.0)
    with pytest.raises(ValueError, match="private layer"):
        TaskHeads(6, 4, dropout=0.1)


def test_heteroscedastic_heads_say_a_spread_that_does_not_move_the_features() -> None:
    heads, features = TaskHeads(6, 4, heteroscedastic=True), torch.randn(5, 6, requires_grad=True)
    heads.start_spreads_at(torch.tensor([-1.0, 0.0, 0.5, 9.0]))
    spreads = heads.log_spreads(features)
    assert spreads is not None
    assert torch.equal(spreads, spreads[:1].expand(5, 4))
    assert spreads[0].tolist() == pytest.approx([-0.98, 0, 0.497, 3.91], abs=0.01)
    (spreads.sum() + 0 * features.sum()).backward()
    assert features.grad is not None
    assert not features.grad.any()
    assert heads.spread_weight.grad is not None
    assert heads.spread_weight.grad.any()
    taken = heads.take([2, 0]).log_spreads(features)
    assert taken is not None
    assert torch.equal(taken, spreads[:, [2, 0]])
    assert TaskHeads(6, 4).log_spreads(features) is None
