"""What must hold for every loss of binary assays.

The labels are of every kind: missing ones, tasks of one class and a task without labels.
"""

import torch
from torch import Tensor

from ..models.losses import Loss, losses, measured
from .subjects import Check, Subject

EXTREME = 80.0


def example_labels(n: int = 60, n_tasks: int = 7, seed: int = 0) -> Tensor:
    """[n, T] of 0, 1 and NaN: rare actives, a task of each class alone, the last one without labels."""
    generator = torch.Generator().manual_seed(seed)
    rates = torch.linspace(0.05, 0.6, n_tasks)
    labels = (torch.rand(n, n_tasks, generator=generator) < rates).float()
    labels[:, -3], labels[:, -2] = 0, 1
    labels[torch.rand(n, n_tasks, generator=generator) > 0.6] = torch.nan
    labels[:, -1] = torch.nan
    return labels


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


def _example(subject: Subject) -> tuple[Loss, Tensor]:
    labels = example_labels()
    return build(subject, labels), labels


def is_declared(subject: Subject) -> None:
    """The class is documented and says for which kinds of assay it is."""
    kind = losses.get(subject.name)
    assert kind.__doc__, "the class has no docstring"
    assert kind.kinds, "kinds is empty: expected some of binary, real"
    assert kind.kinds <= {"binary", "real"}, f"kinds is {set(kind.kinds)}: expected some of binary, real"


def slopes_are_the_derivative(subject: Subject) -> None:
    """Slopes in closed form equal what autograd gives, in float64."""
    loss, labels = _example(subject)
    logits = example_logits(labels).requires_grad_()
    (expected,) = torch.autograd.grad(loss.values(logits, labels).sum(), logits)
    _close(loss.slopes(logits, labels), expected, "slopes and autograd of the values differ")


def slopes_are_differences_of_values(subject: Subject) -> None:
    """Slopes equal differences of values, which show what autograd hides, such as a detached part."""
    assert_slopes_of_values(*_example(subject))


def assert_slopes_of_values(loss: Loss, labels: Tensor) -> None:
    """The check itself, also for a loss of other than binary labels."""
    logits, width = example_logits(labels).clamp(-20, 20), 1e-6
    upper, lower = loss.values(logits + width, labels), loss.values(logits - width, labels)
    expected = (upper - lower) / (2 * width)
    _close(loss.slopes(logits, labels), expected, "slopes are not those of the values", 1e-5)


def missing_cells_are_zero(subject: Subject) -> None:
    """A cell without a label has no value and no slope, whatever the model says there."""
    loss, labels = _example(subject)
    logits = example_logits(labels)
    wild = torch.where(measured(labels), logits, torch.nan)
    for name, cells in (("value", loss.values(wild, labels)), ("slope", loss.slopes(wild, labels))):
        assert not cells[~measured(labels)].any(), f"a cell without a label has a {name}"
        assert cells.isfinite().all(), f"a {name} is not finite because of what is said where no label is"


def slopes_pull_towards_the_label(subject: Subject) -> None:
    """Values are at least 0; more of the right answer never costs more."""
    loss, labels = _example(subject)
    logits = example_logits(labels)
    assert (loss.values(logits, labels) >= 0).all(), "a value is below 0"
    signed = loss.slopes(logits, labels) * (1 - 2 * labels.nan_to_num())
    assert (signed >= 0).all(), "a slope points away from the label"
    assert (signed[measured(labels)] > 0).any(), "no slope at all"


def convex_where_claimed(subject: Subject) -> None:
    """If it says `is_convex`, slopes never fall as the logit rises."""
    loss, labels = _example(subject)
    if not loss.is_convex:
        return
    grid = torch.linspace(-30, 30, 601, dtype=torch.float64)[:, None]
    for label in (0.0, 1.0):
        answers = torch.full((len(grid), labels.shape[1]), label)
        rises = loss.slopes(grid.expand_as(answers), answers).diff(dim=0)
        assert (rises >= -1e-12).all(), f"says it is convex, and its slope falls for label {label:.0f}"


def cells_stand_alone(subject: Subject) -> None:
    """A molecule's cells do not depend on the others of its batch, nor on their order."""
    loss, labels = _example(subject)
    logits = example_logits(labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))
    for name, function in (("values", loss.values), ("slopes", loss.slopes)):
        whole = function(logits, labels)
        _close(function(logits[order], labels[order]), whole[order], f"{name} depend on the order")
        part = slice(3, 10)
        _close(function(logits[part], labels[part]), whole[part], f"{name} depend on the rest of the batch")


def extremes_are_finite(subject: Subject) -> None:
    """Values and slopes are finite in float32 far beyond what models say."""
    loss, labels = _example(subject)
    for logit in (EXTREME, -EXTREME, 1e4, -1e4):
        logits = torch.full(labels.shape, logit, requires_grad=True)
        values = loss.values(logits, labels)
        (slopes,) = torch.autograd.grad(values.sum(), logits)
        for cells in (values, slopes, loss.slopes(logits, labels)):
            assert cells.isfinite().all(), f"not finite at a logit of {logit:.0f}"


def types_are_wide(subject: Subject) -> None:
    """Numbers are float32 from bfloat16 and inside autocast, float64 from float64."""
    loss, labels = _example(subject)
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
    loss, labels = _example(subject)
    many = labels.repeat(2000, 1)
    start = loss.start(many)
    assert start.shape == labels.shape[1:], f"start is {tuple(start.shape)}, expected a logit per task"
    assert start.isfinite().all(), "a start is not finite"
    both = (many.nansum(0) > 0) & (many.nansum(0) < measured(many).sum(0))
    least = loss.values(start.expand(len(many), -1), many).sum(0)
    for away in (-1.0, -0.1, 0.1, 1.0):
        others = loss.values((start + away).expand(len(many), -1), many).sum(0)
        assert (others > least)[both].all(), f"the constant {away:+} away costs less"


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
    missing_cells_are_zero,
    slopes_pull_towards_the_label,
    convex_where_claimed,
    cells_stand_alone,
    extremes_are_finite,
    types_are_wide,
    starts_are_best_constants,
)
