"""The optimiser of a network: AdamW for parameters however they lie in memory."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class FusedAdamW(torch.optim.AdamW):
    """torch's fused AdamW, for parameters that lie by rows or by columns.

    That one takes gradients and moments to lie in memory as their parameter does, without a check, and is
    slow for a matrix that lies column by column (`VectorLinear`). Here such a matrix is moved as its
    transposed, and gradients are laid out as their parameters are. `state_dict` has the parameters' shapes.

    Parameters
    ----------
    groups : as torch takes them, with parameters on their device, from here on changed in place only.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float) -> None:
        groups = list(groups)
        self.pairs = [(given, _by_rows(given)) for group in groups for given in group["params"]]
        self.grad_scale: Tensor | None = None  # by which torch's fused kernels divide
        moved = iter([each for _, each in self.pairs])
        super().__init__(
            [group | {"params": [next(moved) for _ in group["params"]]} for group in groups],
            lr=lr,
            fused=True,
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for parameter, _ in self.pairs:
            parameter.grad = None

    def clip(self, largest: float) -> None:
        """Let the next step shrink the gradients to this norm, all together, where theirs is larger.

        As `torch.nn.utils.clip_grad_norm_`, without going over them once more.
        """
        norm = torch.nn.utils.get_total_norm([p.grad for p, _ in self.pairs if p.grad is not None])
        self.grad_scale = ((norm + 1e-6) / largest).clamp(min=1)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the parameters against their gradients; those without one stay."""
        for parameter, moved in self.pairs:
            gradient = parameter.grad
            moved.grad = None if gradient is None else _laid_out(gradient, parameter, moved)
        result = super().step(closure)
        self.grad_scale = None
        return result

    def state_dict(self) -> dict[str, Any]:
        """As that of an AdamW of the parameters themselves."""
        state = super().state_dict()
        moments = {
            number: {name: _turned(value, *self.pairs[number]) for name, value in each.items()}
            for number, each in state["state"].items()
        }
        return state | {"state": moments}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back a `state_dict`, also of an AdamW of the parameters themselves."""
        moments = {
            number: {
                name: _laid_out(value, *self.pairs[number]) if value.ndim else value
                for name, value in each.items()
            }
            for number, each in state_dict["state"].items()
        }
        super().load_state_dict(state_dict | {"state": moments})


def _by_rows(parameter: nn.Parameter) -> nn.Parameter:
    """The same memory, transposed where that is row by row."""
    if parameter.ndim != 2 or parameter.is_contiguous():
        return parameter
    return nn.Parameter(parameter.detach().t(), parameter.requires_grad)


def _turned(value: Tensor, parameter: Tensor, moved: Tensor) -> Tensor:
    """From the shape of the one to that of the other, either way."""
    return value.t() if moved is not parameter and value.ndim == 2 else value


def _laid_out(value: Tensor, parameter: Tensor, moved: Tensor) -> Tensor:
    """A gradient or moment of the parameter, in the memory order of the one that is moved."""
    value = _turned(value, parameter, moved)
    return value if value.stride() == moved.stride() else torch.empty_like(moved).copy_(value)
