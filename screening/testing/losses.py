"""What must hold for every loss, each checked on labels of the kinds that it is for.

Binary labels: missing ones, tasks of one class and a task without labels. Real ones: exact values, and values
known by bounds: one-sided, intervals, and a task of nothing else.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.losses import Loss, losses, measured
from .subjects import Check, Subject

EXTREME = 80.0
ROWS_OF_CONVEXITY = 12


def example_labels(n: int = 60, n_tasks: int = 7, seed: int = 0) -> Tensor:
    """[n, T] of 0, 1 and NaN: rare actives, a task of each class alone, the last one without labels."""
    generator = torch.Generator().manual_seed(seed)
    rates = torch.linspace(0.05, 0.6, n_tasks)
    labels = (torch.rand(n, n_tasks, generator=generator) < rates).float()
    labels[:, -3], labels[:, -2] = 0, 1
    labels[torch.rand(n, n_tasks, generator=generator) > 0.6] = torch.nan
    labels[:, -1] = torch.nan
    return labels


def example_values(n: int = 60, n_tasks: int = 7, seed: int = 0) -> Tensor:
    """[n, T] of standardised values and NaN: one task of a single value, the last one without labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randn(n, n_tasks, generator=generator)
    labels = (labels - labels.mean(0)) / labels.std(0)
    labels[torch.rand(n, n_tasks, generator=generator) > 0.6] = torch.nan
    labels[:, -2] = 0
    labels[:, -1] = torch.nan
    return labels


def example_bounds(n: int = 60, n_tasks: int = 7, seed: int = 0) -> Tensor:
    """[n, T, 2]: `example_values` as bounds, a part of them open above, open below or intervals.

    In the third task from the end all are open above; the task of a single value stays exact.
    """
    labels = example_values(n, n_tasks, seed)[:, :, None].repeat(1, 1, 2)
    kinds = torch.randint(6, (n, n_tasks), generator=torch.Generator().manual_seed(seed + 1))
    kinds[:, -3], kinds[:, -2] = 0, 5
    missing = labels.isnan()
    labels[..., 0] -= (kinds == 2) * 0.5
    labels[..., 1] += (kinds == 2) * 0.25
    labels[..., 1][kinds == 0], labels[..., 0][kinds == 1] = torch.inf, -torch.inf
    return torch.where(missing, torch.nan, labels)


def example_logits(labels: Tensor, seed: int = 1) -> Tensor:
    """[n, T] float64, most of them moderate, some at the extremes."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(labels.shape[:2], generator=generator, dtype=torch.float64)
    logits[0], logits[1], logits[2] = EXTREME, -EXTREME, 0.0
    return logits


def build(subject: Subject, labels: Tensor) -> Loss:
    """The loss of tasks with these labels, [n, T], in the training part."""
    loss: Loss = losses.build(subject.name, labels, **subject.options)
    return loss


class Example(NamedTuple):
    """A loss and labels that it is for."""

    loss: Loss
    labels: Tensor
    """[n, T], or [n, T, 2] of bounds."""
    is_real: bool

    def ends(self) -> tuple[Tensor, Tensor]:
        """Between which logits an answer is right, [n, T] each: of 0 and 1 only at infinity."""
        if self.is_real:
            low, high = self.labels.unbind(2) if self.labels.ndim == 3 else (self.labels, self.labels)
            return low, high
        far = torch.where(self.labels == 1, torch.inf, -torch.inf)
        return far, far

    def has_best_constant(self) -> Tensor:
        """In which tasks no finite constant is right for every label, or one alone: [T] bool."""
        low, high = self.ends()
        there = measured(self.labels)
        highest = torch.where(there, low, -torch.inf).amax(0)
        lowest = torch.where(there, high, torch.inf).amin(0)
        return (highest > lowest) | ((highest == lowest) & lowest.isfinite())


def _examples(subject: Subject) -> Iterator[Example]:
    """The loss with labels of each kind that it is for."""
    kinds = losses.get(subject.name).kinds
    if "binary" in kinds:
        yield Example(build(subject, example_labels()), example_labels(), is_real=False)
    if "real" in kinds:
        yield Example(build(subject, example_values()), example_values(), is_real=True)
        yield Example(build(subject, example_bounds()), example_bounds(), is_real=True)


def is_declared(subject: Subject) -> None:
    """The class is documented and says for which kinds of assay it is."""
    kind = losses.get(subject.name)
    assert kind.__doc__, "the class has no docstring"
    assert kind.kinds, "kinds is empty: expected some of binary, real"
    assert kind.kinds <= {"binary", "real"}, f"kinds is {set(kind.kinds)}: expected some of binary, real"


def slopes_are_the_derivative(subject: Subject) -> None:
    """Slopes in closed form equal what autograd gives, in float64."""
    for loss, labels, _ in _examples(subject):
        logits = example_logits(labels).requires_grad_()
        (expected,) = torch.autograd.grad(loss.values(logits, labels).sum(), logits)
        _close(loss.slopes(logits, labels), expected, "slopes and autograd of the values differ")


def slopes_are_differences_of_values(subject: Subject) -> None:
    """Slopes equal differences of values, which show what autograd hides, such as a detached part."""
    for loss, labels, _ in _examples(subject):
        assert_slopes_of_values(loss, labels)


def assert_slopes_of_values(loss: Loss, labels: Tensor) -> None:
    """The check itself, also for a loss that is not registered."""
    logits, width = example_logits(labels).clamp(-20, 20), 1e-6
    upper, lower = loss.values(logits + width, labels), loss.values(logits - width, labels)
    expected = (upper - lower) / (2 * width)
    _close(loss.slopes(logits, labels), expected, "slopes are not those of the values", 1e-5)


def what_it_learns_has_the_right_gradient(subject: Subject) -> None:
    """Gradients of what a loss learns itself equal differences of values, those of its task alone."""
    width = 1e-6
    for loss, labels, _ in _examples(subject):
        logits = example_logits(labels).clamp(-20, 20)
        loss = loss.double()
        for name, parameter in loss.named_parameters():
            assert parameter.shape == labels.shape[1:2], f"{name} is {tuple(parameter.shape)}: expected [T]"
            (slopes,) = torch.autograd.grad(loss.values(logits, labels).sum(), parameter)
            with torch.no_grad():
                upper, lower = (loss.values(logits, labels).sum(0) for _ in _moved(parameter, width))
            _close(
                slopes,
                (upper - lower) / (2 * width),
                f"{name} has not the gradient of the values",
                1e-5,
            )


def _moved(parameter: Tensor, width: float) -> Iterator[None]:
    """The parameter up by width, then down by it, then where it was."""
    before = parameter.detach().clone()
    for away in (width, -width):
        parameter.copy_(before + away)
        yield
    parameter.copy_(before)


def spreads_of_molecules_count(subject: Subject) -> None:
    """If it says `takes_spreads`, slopes and gradients are right where molecules differ in theirs."""
    for loss, labels, _ in _examples(subject):
        if not loss.takes_spreads:
            continue
        loss.double()
        logits = example_logits(labels).clamp(-20, 20).requires_grad_()
        same = loss.log_spreads().expand(len(labels), -1)
        _close(
            loss.values(logits, labels, same), loss.values(logits, labels), "the same spreads change values"
        )
        spreads = torch.linspace(-1, 1, len(labels), dtype=torch.float64)[:, None] * torch.ones_like(logits)
        spreads.requires_grad_()
        total = loss.values(logits, labels, spreads)
        by_logit, by_spread = torch.autograd.grad(total.sum(), [logits, spreads])
        _close(loss.slopes(logits, labels, spreads), by_logit, "slopes with spreads are not the derivative")
        up, down = (loss.values(logits, labels, spreads + width) for width in (1e-6, -1e-6))
        _close(by_spread, (up - down) / 2e-6, "gradients by spreads are not the derivative", 1e-5)


def missing_cells_are_zero(subject: Subject) -> None:
    """A cell without a label has no value and no slope, whatever the model says there."""
    for loss, labels, _ in _examples(subject):
        wild = torch.where(measured(labels), example_logits(labels), torch.nan)
        for name, cells in (("value", loss.values(wild, labels)), ("slope", loss.slopes(wild, labels))):
            assert not cells[~measured(labels)].any(), f"a cell without a label has a {name}"
            assert cells.isfinite().all(), f"a {name} is not finite because of what is said where no label is"


def slopes_pull_towards_the_label(subject: Subject) -> None:
    """Values are at least 0; more of the right answer never costs more."""
    for example in _examples(subject):
        loss, labels, _ = example
        logits, (low, high) = example_logits(labels), example.ends()
        assert (loss.values(logits, labels) >= 0).all(), "a value is below 0"
        slopes = loss.slopes(logits, labels)
        points_away = ((logits < low) & (slopes > 0)) | ((logits > high) & (slopes < 0))
        assert not points_away[measured(labels)].any(), "a slope points away from the label"
        assert slopes[measured(labels)].any(), "no slope at all"


def convex_where_claimed(subject: Subject) -> None:
    """If it says `is_convex`, slopes never fall as the logit rises."""
    for loss, labels, _ in _examples(subject):
        if not loss.is_convex:
            return
        grid = torch.linspace(-30, 30, 601, dtype=torch.float64)
        rows = labels[:ROWS_OF_CONVEXITY].repeat_interleave(len(grid), 0)
        logits = grid.repeat(ROWS_OF_CONVEXITY)[:, None].expand(rows.shape[:2])
        slopes = loss.slopes(logits, rows).unflatten(0, (ROWS_OF_CONVEXITY, len(grid)))
        falls = slopes.diff(dim=1) < -1e-9
        assert not falls.any(), (
            f"says it is convex, and its slope falls for label {labels[falls.any(1).nonzero()[0].tolist()]}"
        )


def cells_stand_alone(subject: Subject) -> None:
    """A molecule's cells do not depend on the others of its batch, nor on their order."""
    for loss, labels, _ in _examples(subject):
        logits = example_logits(labels)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))
        for name, function in (("values", loss.values), ("slopes", loss.slopes)):
            whole = function(logits, labels)
            _close(function(logits[order], labels[order]), whole[order], f"{name} depend on the order")
            part = slice(3, 10)
            _close(
                function(logits[part], labels[part]), whole[part], f"{name} depend on the rest of the batch"
            )


def extremes_are_finite(subject: Subject) -> None:
    """Values and slopes are finite in float32 far beyond what models say."""
    for loss, labels, _ in _examples(subject):
        for logit in (EXTREME, -EXTREME, 1e4, -1e4):
            logits = torch.full(labels.shape[:2], logit, requires_grad=True)
            values = loss.values(logits, labels)
            gradients = torch.autograd.grad(values.sum(), [logits, *loss.parameters()])
            for cells in (values, loss.slopes(logits, labels), *gradients):
                assert cells.isfinite().all(), f"not finite at a logit of {logit:.0f}"


def types_are_wide(subject: Subject) -> None:
    """Numbers are float32 from bfloat16 and inside autocast, float64 from float64."""
    for loss, labels, _ in _examples(subject):
        logits = example_logits(labels)
        for function in (loss.values, loss.slopes):
            assert function(logits, labels).dtype == torch.float64, "float64 does not stay"
            narrow = logits.bfloat16()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                cells = function(narrow, labels)
            assert cells.dtype == torch.float32, f"{cells.dtype} from bfloat16"
            assert torch.equal(cells, function(narrow.float(), labels)), "autocast changes the numbers"


def starts_are_best_constants(subject: Subject) -> None:
    """No constant prediction costs less on the training part, but for the weight of two molecules more."""
    for example in _examples(subject):
        many = torch.cat([example.labels] * (200 if example.is_real else 2000))
        loss = build(subject, many)
        start = loss.start(many)
        assert start.shape == many.shape[1:2], f"start is {tuple(start.shape)}, expected a logit per task"
        assert start.isfinite().all(), "a start is not finite"
        has_best = example.has_best_constant()
        least = loss.values(start.expand(len(many), -1), many).sum(0)
        for away in (-1.0, -0.1, 0.1, 1.0):
            others = loss.values((start + away).expand(len(many), -1), many).sum(0)
            assert (others > least)[has_best].all(), f"the constant {away:+} away costs less"


def _close(values: Tensor, expected: Tensor, what: str, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(
        values,
        expected,
        rtol=tolerance,
        atol=tolerance,
        msg=lambda text: f"{what}: {text}",
    )


CHECKS: tuple[Check, ...] = (
    is_declared,
    slopes_are_the_derivative,
    slopes_are_differences_of_values,
    what_it_learns_has_the_right_gradient,
    spreads_of_molecules_count,
    missing_cells_are_zero,
    slopes_pull_towards_the_label,
    convex_where_claimed,
    cells_stand_alone,
    extremes_are_finite,
    types_are_wide,
    starts_are_best_constants,
)
