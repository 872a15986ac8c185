"""Losses: what must hold of all, and values of those of binary assays; real ones: test_real_losses.py."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from plain_losses import per_task_losses
from sklearn.metrics import log_loss
from torch import Tensor

from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients
from screening.errors import ConfigError, DataError
from screening.models.base_rates import base_logits
from screening.models.heads import TaskHeads
from screening.models.losses import CrossEntropy, label_counts, losses, measured
from screening.models.losses.class_weights import positive_weights
from screening.testing.losses import CHECKS, example_bounds
from screening.testing.subjects import Check, Subject, statement

NAN = float("nan")
CASES: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {}),
    ("cross_entropy", {"positive_weight": "balanced", "cap": 5}),
    ("focal", {}),
    ("focal", {"gamma": 0.5, "positive_weight": "balanced"}),
    ("focal", {"gamma": 0}),
    ("asymmetric", {}),
    ("asymmetric", {"gamma_pos": 0.5, "gamma_neg": 0.5, "shift": 0}),
    ("asymmetric", {"gamma_pos": 0, "gamma_neg": 0, "shift": 0.2}),
    ("asymmetric", {"gamma_pos": 3, "gamma_neg": 1, "shift": 0.05}),
    ("squared", {}),
    ("huber", {}),
    ("huber", {"delta": 0.2}),
    ("gaussian", {}),
    ("gaussian", {"smallest_spread": 0.5}),
    ("censored_gaussian", {}),
    ("censored_gaussian", {"smallest_spread": 0.01}),
]


def sparse_labels(n: int, n_tasks: int, share: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, n_tasks, generator=generator) < 0.3).float()
    labels[torch.rand(n, n_tasks, generator=generator) > share] = NAN
    return labels


def test_every_loss_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(losses.names())


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(check: Check, name: str, options: dict[str, Any]) -> None:
    check(Subject(name, options))


def test_cross_entropy_is_that_of_scikit_learn() -> None:
    labels, logits = sparse_labels(60, 5, 0.6), torch.randn(60, 5)
    means = CrossEntropy().values(logits, labels).sum(0) / label_counts(labels)
    for task in range(5):
        there = ~labels[:, task].isnan()
        expected = log_loss(labels[there, task], torch.sigmoid(logits[there, task].double()), labels=[0, 1])
        assert means[task].item() == pytest.approx(expected, rel=1e-6)


def test_weighted_cross_entropy_is_that_of_scikit_learn() -> None:
    labels, logits = sparse_labels(60, 1, 0.6), torch.randn(60, 1)
    loss = CrossEntropy(labels, positive_weight="balanced")
    there = ~labels[:, 0].isnan()
    y, p = labels[there, 0], torch.sigmoid(logits[there, 0].double())
    weight = int((y == 0).sum()) / int((y == 1).sum())
    total = log_loss(y, p, labels=[0, 1], sample_weight=np.where(y == 1, weight, 1.0), normalize=False)
    assert loss.values(logits, labels).sum().item() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("weighting", ["none", "balanced"])
def test_cross_entropy_is_torchs_to_the_last_bit(weighting: str) -> None:
    labels, logits = sparse_labels(200, 6, 0.5), 3 * torch.randn(200, 6)
    weight = positive_weights(labels, how=weighting, cap=20.0)  # type: ignore[arg-type]
    loss = CrossEntropy(labels, positive_weight=weighting)  # type: ignore[arg-type]
    counts = label_counts(labels)
    expected = per_task_losses(logits, labels, counts, weight).values
    assert torch.equal(loss.values(logits, labels).sum(0) / counts.clamp(min=1), expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [("focal", {"gamma": 0}), ("asymmetric", {"gamma_pos": 0, "gamma_neg": 0, "shift": 0})],
)
def test_without_focusing_they_are_cross_entropy(name: str, options: dict[str, Any]) -> None:
    labels, logits = sparse_labels(40, 3, 0.6), 5 * torch.randn(40, 3, dtype=torch.float64)
    plain, other = CrossEntropy(), losses.build(name, labels, **options)
    torch.testing.assert_close(other.values(logits, labels), plain.values(logits, labels))
    torch.testing.assert_close(other.slopes(logits, labels), plain.slopes(logits, labels))


def test_focal_by_hand() -> None:
    """p = 0.9: an active costs (0.1)^2 * -log 0.9, an inactive (0.9)^2 * -log 0.1, with gamma = 2."""
    logits = torch.full((2, 1), math.log(9.0))
    values = losses.build("focal", None, gamma=2).values(logits, torch.tensor([[1.0], [0.0]]))
    expected = [0.01 * -math.log(0.9), 0.81 * -math.log(0.1)]
    assert values.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_asymmetric_by_hand() -> None:
    """p = 0.8 and shift 0.05: an inactive costs 0.75^4 * -log 0.25; at p = 0.04 nothing, without a slope."""
    loss = losses.build("asymmetric", None)
    logits = torch.tensor([[math.log(4.0)], [math.log(0.04 / 0.96)], [math.log(4.0)]])
    labels = torch.tensor([[0.0], [0.0], [1.0]])
    expected = [0.75**4 * -math.log(0.25), 0.0, 0.2 * -math.log(0.8)]
    assert loss.values(logits, labels).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert loss.slopes(logits, labels)[1] == 0


def test_huge_logits_cost_what_they_should() -> None:
    labels, logits = torch.tensor([[1.0], [0.0]]), torch.tensor([[-1e4], [1e4]])
    assert CrossEntropy().values(logits, labels).flatten().tolist() == [1e4, 1e4]
    assert CrossEntropy().slopes(logits, labels).flatten().tolist() == [-1, 1]


def test_batch_without_any_label() -> None:
    labels = torch.full((3, 2), NAN)
    assert not CrossEntropy().values(torch.randn(3, 2), labels).any()
    assert label_counts(labels).tolist() == [0, 0]


def test_label_that_is_no_class_is_an_error_that_shows_it() -> None:
    labels = torch.tensor([[0.0, 1.0], [NAN, 2.5]])
    with pytest.raises(DataError, match=r"2\.5 of molecule 1 .* task 1"):
        CrossEntropy().values(torch.zeros(2, 2), labels)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("focall", {}, "Did you mean 'focal'"),
        ("focal", {"gama": 1}, "Did you mean 'gamma'"),
        ("focal", {"gamma": -1}, "greater than or equal to 0"),
        ("asymmetric", {"shift": 1}, "less than 1"),
        ("cross_entropy", {"positive_weight": "equal"}, "'none' or 'balanced'"),
        ("cross_entropy", {"cap": 0.5}, "greater than or equal to 1"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        losses.build(name, torch.zeros(3, 2), **options)


def test_weights_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels of the training part"):
        CrossEntropy(positive_weight="balanced")


def test_balanced_weights_give_both_classes_the_same_total() -> None:
    labels = sparse_labels(2000, 3, 0.5)
    weights = positive_weights(labels, how="balanced", cap=1000.0)
    assert weights is not None
    positives, negatives = (labels == 1).sum(0), (labels == 0).sum(0)
    torch.testing.assert_close(weights * positives, negatives.float())


def test_balanced_weights_are_capped_and_1_where_a_class_is_missing() -> None:
    labels = torch.full((101, 5), NAN)
    labels[:, 0], labels[0, 0] = 0, 1  # 100 negatives per positive
    labels[:, 1], labels[0, 1] = 1, 0  # the reverse
    labels[:50, 2] = 0
    labels[:50, 3] = 1
    weights = positive_weights(labels, how="balanced", cap=20.0)
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([20, 1 / 20, 1, 1, 1]))


def test_no_weights_by_name() -> None:
    assert positive_weights(torch.zeros(3, 2), how="none", cap=10.0) is None
    with pytest.raises(ValueError, match="'none' or 'balanced'"):
        positive_weights(torch.zeros(3, 2), how="equal", cap=10.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        positive_weights(torch.zeros(3, 2), how="balanced", cap=0.5)


def test_base_rates_are_those_of_the_labels() -> None:
    labels = torch.zeros(5000, 2)
    labels[:50, 0], labels[:2500, 1] = 1, 1
    rates = torch.sigmoid(base_logits(labels))
    torch.testing.assert_close(rates, torch.tensor([0.01, 0.5]).double(), rtol=0.01, atol=0)


def test_base_rates_of_tasks_without_actives_or_labels_are_finite() -> None:
    labels = torch.tensor([[0.0, 1.0, NAN, 0.0], [0.0, 1.0, NAN, 1.0]])
    logits = base_logits(labels)
    assert logits.isfinite().all()
    none, all_active, unknown, half = logits.tolist()
    assert none < unknown < all_active
    assert unknown == pytest.approx(half)


@pytest.mark.parametrize("name", ["equal", "pcgrad"])
def test_what_a_loss_learns_itself_gets_its_gradient(name: str) -> None:
    """The same as autograd of the weighted mean, in heads, features and the loss."""
    labels, heads = example_bounds(30, 3), TaskHeads(4, 3)
    loss, features = losses.build("censored_gaussian", labels), torch.randn(30, 4, requires_grad=True)
    balancer = build_balancer(name, ["a", "b", "c"])
    look = Gradients(heads, balancer, loss=loss).look(features, labels)
    assert not look.step.losses.requires_grad
    decision = balancer.decide(look.step)
    look.backward(decision)
    learned = (*loss.parameters(), heads.weight)
    ours = [p.grad.clone() for p in learned if p.grad is not None]
    loss.zero_grad()
    heads.zero_grad()
    means = loss.values(heads(features.detach()), labels).sum(0) / label_counts(labels).clamp(min=1)
    ((decision.head_weights * means).sum() / int(measured(labels).any(0).sum())).backward()
    for gradient, parameter in zip(ours, learned, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)
