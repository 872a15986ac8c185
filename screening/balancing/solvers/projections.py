"""Projections in turn: each gradient against the others, one after the other, without a loop over pairs."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

BLOCK = 32
"""Projections in turn that are done together."""
SETTLED = 100
"""Rounding errors by which a step may still change when a block of them counts as done."""

Columns = Literal["all", "others", "before", "after"]


def sweep(
    cosines: Tensor,
    moves: Tensor,
    take: Callable[[Tensor, Tensor, slice, slice], Tensor],
    columns: Columns = "all",
    settle: Callable[[Tensor, Tensor, slice, slice], None] | None = None,
) -> None:
    """Let the unit gradients j, in order, take their parts out of combinations of all of them, in place.

    Combination i is u_i + sum_k moves[k, i] u_k. For j = 0, 1, ..., with the inner products p of u_j and the
    combinations: moves[j] -= take(p). Done for BLOCK tasks j at a time: within a block, a step acts on later
    ones through the small matrix of their cosines, so all steps of the block are guessed at once, and
    guessed again with what the earlier ones do to the later, until nothing changes (in the worst case BLOCK
    times, by when the last is right; usually five times).

    Parameters
    ----------
    cosines : [n, n] inner products of the unit gradients.
    moves : [n, n].
    take : the steps [k, m] from the products [k, m] of tasks j with combinations i, the steps as guessed
        before, and the slices of j and i. A step may depend on those guessed for the same i and earlier j.
    columns : which combinations i task j acts on: all, the others, those with i < j ("before"), or with i > j
        ("after"). A sweep "before" has to be the first, with `moves` 0.
    settle : called after each block with the products and the steps, both 0 where j does not act, and the
        slices.
    """
    n = len(cosines)
    close = SETTLED * torch.finfo(cosines.dtype).eps
    for start in range(0, n, BLOCK):
        tasks = slice(start, min(start + BLOCK, n))
        acted = slice(start if columns == "after" else 0, tasks.stop if columns == "before" else n)
        n_moved = start if columns == "before" else n
        first = start - acted.start
        fixed = torch.addmm(cosines[tasks, acted], cosines[tasks, :n_moved], moves[:n_moved, acted])
        inner = cosines[tasks, tasks].tril(-1)
        products, before = fixed, torch.zeros_like(fixed)
        steps = _acting(take(products, before, tasks, acted), first, columns)
        for guess in range(tasks.start, tasks.stop):
            if guess - start > 1 and float((steps - before).abs_().max()) <= close:
                break
            products, before = torch.addmm(fixed, inner, steps, alpha=-1), steps
            steps = _acting(take(products, before, tasks, acted), first, columns)
        moves[tasks, acted] -= steps
        if settle is not None:
            settle(_acting(products, first, columns), steps, tasks, acted)


def _acting(steps: Tensor, first: int, columns: Columns) -> Tensor:
    """`steps` [k, m] with 0 where task j does not act; combination `first` is that of the first task."""
    own = steps[:, first : first + len(steps)]
    if columns == "others":
        own.fill_diagonal_(0)
    elif columns == "before":
        own.tril_(-1)
    elif columns == "after":
        own.triu_(1)
    return steps
