"""What must hold for every balancer."""

import io
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..balancing.chain import build_balancer
from ..balancing.contract import NEEDS, Balancer, balancers
from ..balancing.gradients import Gradients
from ..balancing.step import Step
from ..models.heads import TaskHeads
from ..models.losses import CrossEntropy, Loss, losses
from ..models.losses.mixed import loss_for
from .subjects import Check, Subject

T = 5
DRAWS = 400
"""Draws of a random balancer that are compared in the mean."""


def build(subject: Subject, n_tasks: int = T) -> Balancer:
    """The balancer for so many tasks."""
    names = [f"assay {task}" for task in range(n_tasks)]
    return build_balancer({"name": subject.name, **subject.options}, names)


def step_of(
    losses: Tensor,
    rows: Tensor | None = None,
    *,
    counts: Tensor | None = None,
    variances: Tensor | None = None,
    number: int = 0,
) -> Step:
    """A step as training makes it: NaN in `losses` = absent."""
    present = ~losses.isnan()
    rows = torch.zeros(len(losses), 2) if rows is None else torch.where(present[:, None], rows, 0.0)
    counts = torch.full_like(losses, 10.0) if counts is None else counts
    return Step(
        losses=losses.nan_to_num().float(),
        present=present,
        counts=torch.where(present, counts, 0.0),
        gram=rows.double() @ rows.double().T,
        rows=rows,
        variances=torch.zeros_like(losses) if variances is None else variances,
        step=number,
    )


def steps_of(n_steps: int = 4, n_tasks: int = T, *, seed: int = 0, scale: float = 1.0) -> list[Step]:
    """Steps with falling losses, and gradients of which some conflict."""
    generator = torch.Generator().manual_seed(seed)
    steps = []
    for number in range(n_steps):
        losses = scale * (0.1 + torch.rand(n_tasks, generator=generator)) / (1 + number)
        rows = scale * torch.randn(n_tasks, n_tasks + 3, generator=generator)
        counts = torch.randint(1, 50, (n_tasks,), generator=generator).float()
        variances = (scale * 0.1) ** 2 * torch.rand(n_tasks, generator=generator)
        steps.append(step_of(losses, rows, counts=counts, variances=variances, number=number))
    return steps


def without(step: Step, absent: Sequence[int]) -> Step:
    """The same step had these tasks no label in the batch; the rest of their numbers is rubbish."""
    losses, counts = step.losses.clone(), step.counts.clone()
    losses[list(absent)], counts[list(absent)] = torch.nan, 0
    return step_of(losses, step.rows, counts=counts, variances=step.variances, number=step.step)


def only(step: Step, kept: Sequence[int]) -> Step:
    """The step of a table that has these tasks alone, in this order."""
    tasks = list(kept)
    losses = torch.where(step.present, step.losses, torch.nan)[tasks]
    rows, variances = (None if values is None else values[tasks] for values in (step.rows, step.variances))
    return step_of(losses, rows, counts=step.counts[tasks], variances=variances, number=step.step)


def weights_of(balancer: Balancer, steps: Sequence[Step]) -> Tensor:
    """Weights [steps, T], with an end of epoch after every second step."""
    weights = []
    for step in steps:
        weights.append(balancer.weigh(step))
        if balancer.second_look:
            balancer.look_again(step)
        if step.step % 2:
            balancer.end_epoch(step.losses, step.present)
    return torch.stack(weights)


def is_declared(subject: Subject) -> None:
    """Class and options are documented, `needs` is losses, gram or rows."""
    kind = balancers.get(subject.name)
    assert kind.needs in NEEDS, f"needs is {kind.needs!r}: expected one of {', '.join(NEEDS)}"
    assert kind.__doc__, "the class has no docstring"
    for option in balancers.options(subject.name):
        is_told = option == "seed" or f"{option} :" in kind.__doc__
        assert is_told, f"the docstring does not tell the option: expected a line '{option} : ...'"


def weights_are_finite(subject: Subject) -> None:
    """Weights are finite float32 [T] without a gradient; an absent task has 0."""
    weights = weights_of(build(subject), [without(step, [1]) for step in steps_of()])
    assert weights.shape == (4, T), f"weights of {T} tasks have the shape {tuple(weights.shape[1:])}"
    assert weights.dtype == torch.float32, f"weights are {weights.dtype}"
    assert not weights.requires_grad, "weights carry a gradient: detach them"
    assert weights.isfinite().all(), f"weights are {weights.tolist()}"
    assert not weights[:, 1].any(), f"the absent task has the weights {weights[:, 1].tolist()}"


def agreeing_tasks_are_descended(subject: Subject) -> None:
    """Where all gradients agree, the update goes along them and not against them."""
    balancer = build(subject)
    for step in steps_of(4):
        rows = 0.1 + torch.rand(T, 8, generator=torch.Generator().manual_seed(step.step))
        decision = balancer.decide(step_of(step.losses, rows, counts=step.counts, number=step.step))
        update = decision.weights @ rows if decision.direction is None else decision.direction
        along = float(update @ rows.sum(0))
        assert along > 0, f"update . sum of gradients is {along:.3g} in step {step.step}: the losses rise"


def _seeded(subject: Subject, seed: int) -> Balancer:
    """The balancer with another seed, also of those inside it."""
    balancer = build(subject)
    for inner in balancer.modules():
        if isinstance(inner, Balancer):
            inner.seed = seed
    return balancer


def is_random(subject: Subject) -> bool:
    """Whether the weights depend on the seed."""
    step = steps_of()[0]
    draws = [_seeded(subject, seed).weigh(step) for seed in range(8)]
    return not all(torch.equal(draw, draws[0]) for draw in draws)


def order_of_the_tasks_does_not_matter(subject: Subject) -> None:
    """Tasks in another order get the same weights in that order, random ones in the mean."""
    order = [3, 0, 4, 1, 2]
    steps = [without(step, [1]) for step in steps_of()]
    shuffled = [only(step, order) for step in steps]
    if not is_random(subject):
        expected = weights_of(build(subject), steps)[:, order]
        torch.testing.assert_close(weights_of(build(subject), shuffled), expected)
        return
    many = torch.stack([_seeded(subject, seed).weigh(steps[0]) for seed in range(DRAWS)])
    others = [_seeded(subject, seed).weigh(shuffled[0]) for seed in range(DRAWS, 2 * DRAWS)]
    difference = (many.mean(0)[order] - torch.stack(others).mean(0)).abs()
    error = (many.var(0)[order] * 2 / DRAWS).sqrt()
    assert (difference <= 5 * error + 1e-5).all(), f"mean weights differ by {difference.tolist()}"


def absent_task_is_as_if_it_were_not_in_the_table(subject: Subject) -> None:
    """Without the absent tasks in the table the others get the same weights."""
    kept, steps = [0, 2, 4], steps_of()
    weights = weights_of(build(subject), [without(step, [1, 3]) for step in steps])
    alone = weights_of(build(subject, len(kept)), [only(step, kept) for step in steps])
    torch.testing.assert_close(weights[:, kept], alone)


def _state_at(balancer: Balancer, tasks: Sequence[int]) -> Iterator[tuple[str, Tensor]]:
    for key, value in balancer.state_dict().items():
        if value.dim():
            yield key, value[list(tasks)].clone()


def absent_task_leaves_no_trace(subject: Subject) -> None:
    """What is remembered of a task stays as it is while the task is absent."""
    balancer, steps = build(subject), steps_of(6)
    weights_of(balancer, steps[:3])
    before = dict(_state_at(balancer, [1, 3]))
    weights_of(balancer, [without(step, [1, 3]) for step in steps[3:]])
    for key, value in _state_at(balancer, [1, 3]):
        assert torch.equal(value, before[key]), f"{key} was {before[key].tolist()}, is {value.tolist()}"


def batch_without_labels_changes_nothing(subject: Subject) -> None:
    """A batch without any label gets weights 0 and changes no state."""
    balancer, steps = build(subject), steps_of()
    weights_of(balancer, steps[:1])
    before = {key: value.clone() for key, value in balancer.state_dict().items()}
    weights = balancer.weigh(without(steps[2], range(T)))
    assert not weights.any(), f"weights are {weights.tolist()}"
    changed = [key for key, value in balancer.state_dict().items() if not torch.equal(value, before[key])]
    assert not changed, f"{', '.join(changed)} changed"


def loss_that_is_not_finite_does_not_spoil_the_others(subject: Subject) -> None:
    """A loss that is NaN or infinite counts as absent."""
    for poison in (torch.nan, torch.inf):
        healthy, hit = build(subject), build(subject)
        for step in steps_of():
            losses = step.losses.clone()
            losses[2] = poison
            weights = hit.weigh(Step(**{**vars(step), "losses": losses}))
            torch.testing.assert_close(weights, healthy.weigh(without(step, [2])))


def scale_of_the_losses_breaks_nothing(subject: Subject) -> None:
    """Weights are finite for losses and gradients of 1e-8 to 1e8, alike or apart."""
    for scale in (1e-8, 1e8):
        weights = weights_of(build(subject), steps_of(scale=scale))
        assert weights.isfinite().all(), f"weights at the scale {scale:g}: {weights.tolist()}"
    factors = torch.logspace(-8, 8, T)
    for step in steps_of():
        rows = None if step.rows is None else factors[:, None] * step.rows
        weights = build(subject).weigh(step_of(factors * step.losses, rows))
        assert weights.isfinite().all(), f"weights of losses from 1e-8 to 1e8: {weights.tolist()}"


def one_task_and_hundreds(subject: Subject) -> None:
    """Weights are finite for one task and for 300."""
    for n_tasks in (1, 300):
        weights = weights_of(build(subject, n_tasks), steps_of(2, n_tasks))
        n_broken = int((~weights.isfinite()).sum())
        assert not n_broken, f"{n_broken} weights of {n_tasks} tasks are not finite"


def task_without_slope_or_loss_breaks_nothing(subject: Subject) -> None:
    """Weights are finite where losses or gradients are 0, parallel or opposite."""
    balancer = build(subject)
    flat = torch.arange(T)[:, None] < 2
    for step in steps_of():
        losses, rows = step.losses.clone(), torch.zeros(T, 3) if step.rows is None else step.rows
        losses[0] = 0
        weights = balancer.weigh(step_of(losses, torch.where(flat, 0.0, rows)))
        assert weights.isfinite().all(), f"weights with loss and gradient 0: {weights.tolist()}"
    weights = balancer.weigh(step_of(torch.zeros(T), torch.zeros(T, T + 3)))
    assert weights.isfinite().all(), f"weights where all is 0: {weights.tolist()}"
    rows = torch.tensor([1.0, 1.0, -1.0, -1.0, 2.0])[:, None] * torch.ones(1, 3)
    weights = build(subject).weigh(step_of(torch.ones(T), rows))
    assert weights.isfinite().all(), f"weights of parallel gradients: {weights.tolist()}"


def saved_and_loaded_goes_on(subject: Subject) -> None:
    """Saved and loaded in the middle, it goes on as if nothing happened."""
    steps = steps_of(6)
    unbroken = weights_of(build(subject), steps)
    first, second, file = build(subject), build(subject), io.BytesIO()
    weights_of(first, steps[:3])
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(weights_of(second, steps[3:]), unbroken[3:], rtol=0, atol=0)


def step_is_not_changed(subject: Subject) -> None:
    """The numbers of a step stay as they are."""
    steps, copies = steps_of(), steps_of()
    weights_of(build(subject), steps)
    for step, other in zip(steps, copies, strict=True):
        for key, value in vars(step).items():
            is_same = value is None or torch.equal(torch.as_tensor(value), torch.as_tensor(vars(other)[key]))
            assert is_same, f"{key} of the step was changed in place"


class _Encoder(nn.Module):
    """Six numbers to eight features."""

    def __init__(self) -> None:
        super().__init__()
        self.last_layer, self.last_norm = nn.Linear(6, 8), nn.LayerNorm(8)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last_norm(self.last_layer(inputs)).tanh()


def model_learns_from_sparse_labels(subject: Subject) -> None:
    """A small network trained with it on labels with gaps has losses that fall."""
    torch.manual_seed(0)
    inputs = torch.randn(64, 6)
    labels = (inputs @ torch.randn(6, T) > 0.5).float()
    labels[torch.rand(64, T) < 0.25] = torch.nan
    _assert_fall("the mean loss", _trained_losses(subject, inputs, labels, CrossEntropy()).mean(1))


def model_learns_from_classes_and_values(subject: Subject) -> None:
    """The same on a table of classes, exact values and values known by bounds: losses of each kind fall."""
    torch.manual_seed(0)
    inputs, is_real = torch.randn(64, 6), torch.arange(T) >= 2
    values = inputs @ torch.randn(6, T) / 6**0.5
    labels = torch.where(is_real, values, (values > 0.2).float())[:, :, None].repeat(1, 1, 2)
    labels[:, 4, 1][values[:, 4] > 0] = torch.inf
    labels[:, 4, 0][values[:, 4] > 0] = 0
    labels[torch.rand(64, T) < 0.25] = torch.nan
    real = losses.build("censored_gaussian", labels[:, is_real])
    of_both = _trained_losses(subject, inputs, labels, loss_for(is_real, CrossEntropy(), real))
    _assert_fall("the mean loss of classes", of_both[:, ~is_real].mean(1))
    _assert_fall("the mean loss of values", of_both[:, is_real].mean(1))


def _assert_fall(what: str, losses: Tensor) -> None:
    first, last = float(losses[:4].mean()), float(losses[-4:].mean())
    assert last < first, f"{what} was {first:.3f} in the first steps and is {last:.3f} in the last"


def _trained_losses(subject: Subject, inputs: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """Losses [steps, T] of a small network while it is trained; its weights are finite in the end."""
    encoder, heads, balancer = _Encoder(), TaskHeads(8, T), build(subject)
    place = "features" if balancer.places is None else balancer.places[0]
    gradients = Gradients(heads, balancer, at=place, encoder=encoder, loss=loss)
    trained = [*encoder.parameters(), *heads.parameters(), *loss.parameters()]
    optimiser = torch.optim.Adam(trained, lr=0.02)
    means = []
    for number in range(24):
        batch = torch.randperm(64)[:32]
        labels[batch[:8], number % T] = torch.nan
        look = gradients.look(encoder(inputs[batch]), labels[batch], step=number)
        optimiser.zero_grad()
        look.backward(balancer.decide(look.step))
        optimiser.step()
        if balancer.second_look:
            with torch.no_grad():
                balancer.look_again(gradients.look(encoder(inputs[batch]), labels[batch]).step)
        means.append(look.step.losses)
        if number % 8 == 7:
            balancer.end_epoch(look.step.losses, look.step.present)
    assert all(parameter.isfinite().all() for parameter in trained), "weights are not finite"
    return torch.stack(means)


CHECKS: tuple[Check, ...] = (
    is_declared,
    weights_are_finite,
    agreeing_tasks_are_descended,
    order_of_the_tasks_does_not_matter,
    absent_task_is_as_if_it_were_not_in_the_table,
    absent_task_leaves_no_trace,
    batch_without_labels_changes_nothing,
    loss_that_is_not_finite_does_not_spoil_the_others,
    scale_of_the_losses_breaks_nothing,
    one_task_and_hundreds,
    task_without_slope_or_loss_breaks_nothing,
    saved_and_loaded_goes_on,
    step_is_not_changed,
    model_learns_from_sparse_labels,
    model_learns_from_classes_and_values,
)
