"""Task heads: one tensor operation that equals T separate small networks."""

import pytest
import torch
from torch import nn

from screening.models.heads import TaskHeads
from screening.models.losses import label_counts, per_task_losses

NAN = float("nan")


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


def test_base_rates_are_the_best_constant() -> None:
    labels = torch.zeros(5000, 2)
    labels[:50, 0], labels[:2500, 1] = 1, 1
    heads = TaskHeads(6, 2)
    nn.init.zeros_(heads.weight)
    heads.set_base_rates(labels)
    rates = torch.sigmoid(heads(torch.randn(1, 6)))[0]
    torch.testing.assert_close(rates, torch.tensor([0.01, 0.5]), rtol=0.01, atol=0)


def test_base_rates_with_positive_weights_are_the_best_constant_too() -> None:
    labels = torch.zeros(100000, 1)
    labels[:1000] = 1
    weight = torch.tensor([20.0])
    heads = TaskHeads(6, 1)
    heads.set_base_rates(labels, weight)
    logits = heads.bias.detach().expand(len(labels), 1).clone().requires_grad_()
    per_task_losses(logits, labels, label_counts(labels), weight).values.sum().backward()
    assert logits.grad is not None
    assert abs(logits.grad.sum().item()) < 1e-4


def test_base_rates_of_tasks_without_actives_or_labels_are_finite() -> None:
    labels = torch.tensor([[0.0, 1.0, NAN, 0.0], [0.0, 1.0, NAN, 1.0]])
    heads = TaskHeads(6, 4)
    heads.set_base_rates(labels)
    assert heads.bias.isfinite().all()
    none, all_active, unknown, half = heads.bias.tolist()
    assert none < unknown < all_active
    assert unknown == pytest.approx(half)


def test_heads_of_hundreds_of_tasks_are_one_product() -> None:
    assert TaskHeads(16, 617)(torch.randn(3, 16)).shape == (3, 617)


def test_options_out_of_range_say_the_range() -> None:
    with pytest.raises(ValueError, match="hidden is -1"):
        TaskHeads(6, 4, hidden=-1)
    with pytest.raises(ValueError, match="below 1"):
        TaskHeads(6, 4, hidden=2, dropout=1.0)
    with pytest.raises(ValueError, match="private layer"):
        TaskHeads(6, 4, dropout=0.1)
