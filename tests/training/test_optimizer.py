"""One optimiser for parameters by rows and by columns: torch's plain AdamW is the oracle."""

import pytest
import torch
from torch import Tensor, nn

from screening.training.optimizer import FusedAdamW
from screening.training.schedule import decay_matrices_only


def by_columns(matrix: Tensor) -> Tensor:
    return matrix.t().contiguous().t()


def parameters(lay: bool) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(size, generator=generator) for size in ((5, 3), (4, 4), (6,), (2, 3, 2), (1, 5))]
    return [nn.Parameter(by_columns(each) if lay and each.ndim == 2 else each) for each in drawn]


def move(optimizer: torch.optim.Optimizer, moved: list[nn.Parameter], steps: range, lay: bool) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(1 + step)
        for number, parameter in enumerate(moved):
            gradient = torch.randn(parameter.shape, generator=generator)
            if number == 2 and step == 1:
                parameter.grad = None
            else:
                parameter.grad = by_columns(gradient) if lay and gradient.ndim == 2 else gradient
        optimizer.step()
        optimizer.zero_grad()
        assert all(parameter.grad is None for parameter in moved)


def plain(moved: list[nn.Parameter]) -> torch.optim.AdamW:
    return torch.optim.AdamW(decay_matrices_only(moved, 0.3), lr=0.01, foreach=False, fused=False)


def ours_of(moved: list[nn.Parameter]) -> FusedAdamW:
    return FusedAdamW(decay_matrices_only(moved, 0.3), lr=0.01)


@pytest.mark.parametrize("lay_gradients", [False, True])
@pytest.mark.parametrize("lay_parameters", [False, True])
def test_moves_as_plain_adamw_in_every_layout(lay_parameters: bool, lay_gradients: bool) -> None:
    ours, theirs = parameters(lay_parameters), parameters(False)
    move(ours_of(ours), ours, range(4), lay_gradients)
    move(plain(theirs), theirs, range(4), False)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lay_then", [False, True])
@pytest.mark.parametrize("lay_now", [False, True])
def test_goes_on_from_a_state_of_either_layout(lay_then: bool, lay_now: bool) -> None:
    """Checkpoints of older versions have moments by rows."""
    first, unbroken = parameters(lay_then), parameters(False)
    before = ours_of(first)
    move(before, first, range(3), lay_then)
    state = before.state_dict()
    for parameter, moments in zip(before.pairs, state["state"].values(), strict=True):
        assert moments["exp_avg"].shape == parameter[0].shape
    again = parameters(lay_now)
    with torch.no_grad():
        for parameter, value in zip(again, first, strict=True):
            parameter.copy_(value)
    after = ours_of(again)
    after.load_state_dict(state)
    move(after, again, range(3, 6), lay_now)
    move(plain(unbroken), unbroken, range(6), False)
    for one, other in zip(again, unbroken, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_takes_the_state_of_plain_adamw() -> None:
    first, unbroken = parameters(False), parameters(False)
    before = plain(first)
    move(before, first, range(3), False)
    again = parameters(True)
    with torch.no_grad():
        for parameter, value in zip(again, first, strict=True):
            parameter.copy_(value)
    after = ours_of(again)
    after.load_state_dict(before.state_dict())
    move(after, again, range(3, 5), True)
    move(plain(unbroken), unbroken, range(5), False)
    for one, other in zip(again, unbroken, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_clips_as_torch_does(largest: float) -> None:
    ours, theirs = parameters(True), parameters(False)
    mine, plain_ = ours_of(ours), plain(theirs)
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        ours[2].grad = theirs[2].grad = None
        if step < 2:  # the last one is not clipped: nothing is left of the clipping before
            mine.clip(largest)
            torch.nn.utils.clip_grad_norm_(theirs, largest)
        mine.step()
        plain_.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
