"""The loss: independent of missing labels, equal to scikit-learn's, additive over parts of a batch."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from screening.errors import DataError
from screening.models.losses import label_counts, logit_gradients, per_task_losses, positive_weights

NAN = float("nan")


def sparse_labels(n: int, n_tasks: int, share: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, n_tasks, generator=generator) < 0.3).float()
    labels[torch.rand(n, n_tasks, generator=generator) > share] = NAN
    return labels


def test_loss_is_that_of_scikit_learn() -> None:
    labels, logits = sparse_labels(60, 5, 0.6), torch.randn(60, 5)
    losses = per_task_losses(logits, labels, label_counts(labels))
    for task in range(5):
        there = ~labels[:, task].isnan()
        expected = log_loss(labels[there, task], torch.sigmoid(logits[there, task].double()), labels=[0, 1])
        assert losses.values[task].item() == pytest.approx(expected, rel=1e-6)


def test_weighted_loss_is_that_of_scikit_learn_over_the_number_of_labels() -> None:
    labels, logits, weight = sparse_labels(60, 1, 0.6), torch.randn(60, 1), torch.tensor([7.0])
    there = ~labels[:, 0].isnan()
    y, p = labels[there, 0], torch.sigmoid(logits[there, 0].double())
    total = log_loss(y, p, labels=[0, 1], sample_weight=np.where(y == 1, 7.0, 1.0), normalize=False)
    losses = per_task_losses(logits, labels, label_counts(labels), weight)
    assert losses.values.item() == pytest.approx(total / int(there.sum()), rel=1e-6)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.1, 1.0, 30.0])])
def test_closed_form_slopes_are_those_of_autograd(weight: Tensor | None) -> None:
    labels = sparse_labels(20, 3, 0.5)
    logits = (5 * torch.randn(20, 3)).requires_grad_()
    counts = label_counts(labels)
    per_task_losses(logits, labels, counts, weight).values.sum().backward()
    torch.testing.assert_close(logit_gradients(logits, labels, counts, weight), logits.grad)


def test_what_the_model_says_of_unmeasured_molecules_does_not_matter() -> None:
    labels = sparse_labels(20, 3, 0.5)
    counts = label_counts(labels)
    logits = torch.randn(20, 3)
    wild = torch.where(labels.isnan(), torch.tensor(NAN), logits)
    assert torch.equal(
        per_task_losses(wild, labels, counts).values, per_task_losses(logits, labels, counts).values
    )
    assert torch.equal(logit_gradients(wild, labels, counts), logit_gradients(logits, labels, counts))


def test_halves_of_a_batch_add_up() -> None:
    labels, logits = sparse_labels(30, 4, 0.4), torch.randn(30, 4)
    counts = label_counts(labels)
    whole = per_task_losses(logits, labels, counts)
    parts = [per_task_losses(logits[rows], labels[rows], counts) for rows in (slice(0, 9), slice(9, 30))]
    torch.testing.assert_close(parts[0].values + parts[1].values, whole.values)
    assert torch.equal(parts[0].present, whole.present)


def test_absent_task_has_loss_zero_and_slope_zero() -> None:
    labels = torch.tensor([[1.0, NAN], [0.0, NAN]])
    logits = torch.randn(2, 2, requires_grad=True)
    losses = per_task_losses(logits, labels, label_counts(labels))
    assert losses.present.tolist() == [True, False]
    assert losses.values[1] == 0
    losses.values.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logit_gradients(logits, labels, label_counts(labels))[:, 1].any()


def test_batch_without_any_label() -> None:
    labels = torch.full((3, 2), NAN)
    losses = per_task_losses(torch.randn(3, 2), labels, label_counts(labels))
    assert losses.values.tolist() == [0, 0]
    assert not losses.present.any()


def test_huge_logits_stay_finite() -> None:
    labels, logits = torch.tensor([[1.0], [0.0]]), torch.tensor([[-1e4], [1e4]])
    assert per_task_losses(logits, labels, label_counts(labels)).values.item() == pytest.approx(1e4)
    assert logit_gradients(logits, labels, label_counts(labels)).flatten().tolist() == [-0.5, 0.5]


def test_loss_is_float32_under_autocast() -> None:
    labels, logits = sparse_labels(30, 4, 0.4), torch.randn(30, 4)
    counts = label_counts(labels)
    expected = per_task_losses(logits.bfloat16().float(), labels, counts).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = per_task_losses(logits.bfloat16(), labels, counts).values
    assert losses.dtype == torch.float32
    assert torch.equal(losses, expected)


def test_float64_stays_float64() -> None:
    labels, logits = sparse_labels(30, 4, 0.4), torch.randn(30, 4, dtype=torch.float64)
    counts = label_counts(labels)
    assert per_task_losses(logits, labels, counts).values.dtype == torch.float64
    assert logit_gradients(logits, labels, counts).dtype == torch.float64


def test_label_that_is_no_class_is_an_error_that_shows_it() -> None:
    labels = torch.tensor([[0.0, 1.0], [NAN, 2.5]])
    with pytest.raises(DataError, match=r"2\.5 of molecule 1 .* task 1"):
        per_task_losses(torch.zeros(2, 2), labels, label_counts(labels))


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
