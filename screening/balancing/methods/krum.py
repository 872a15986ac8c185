"""Krum: the mean of the gradients that have others near them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("krum")
class Krum(Balancer):
    r"""Multi-Krum: of n gradients, those with the least sum of squared distances to their neighbours.

    With f tasks that may be led astray, the score of task i is the sum of |g_i - g_j|^2 over the n - f - 2
    gradients nearest to it. The tasks with the lowest scores have the weight n / (their number), the others
    0; tasks whose scores tie for the last place share it. A control rather than a cure: made against workers
    that send wrong gradients of one loss, it takes an assay unlike the others for such a worker, and a
    gradient longer than the others too (SLAW before it takes that out: `[slaw, krum]`).

    f is `faulty` * n rounded down, at most what the paper allows, 2 f + 2 < n; with fewer than 3 present
    tasks all have weight 1. Distances are squared as in the paper; TorchJD sums them without the square.

    Parameters
    ----------
    faulty : from 0 to below 0.5, share of the present tasks; 0.2 is ours.
    selected : at least 1 or None, tasks that are kept, at most the present ones. None is n - f, ours; 1 is
        the paper's Krum and TorchJD's default.

    References
    ----------
    Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NeurIPS 2017,
    https://proceedings.neurips.cc/paper/2017/hash/f4b9ec30ad9f68f89b29639786cb62ef-Abstract.html, section 4.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, faulty: float = 0.2, selected: int | None = None) -> None:
        super().__init__(tasks)
        if not 0 <= faulty < 0.5:
            raise ValueError(f"faulty is {faulty}; expected at least 0 and below 0.5.")
        if selected is not None and not selected >= 1:
            raise ValueError(f"selected is {selected}; expected at least 1, or none.")
        self.faulty, self.selected = faulty, selected

    def weigh_present(self, step: PresentStep) -> Tensor:
        n = len(step.losses)
        if n < 3:
            return torch.ones_like(step.losses)
        n_faulty = min(int(self.faulty * n), (n - 3) // 2)
        n_selected = min(self.selected or n - n_faulty, n)
        return n * _shares_of_lowest(_scores(step.gram, n - n_faulty - 2), n_selected)


def _scores(gram: Tensor, n_nearest: int) -> Tensor:
    """[n] sum of the squared distances of each gradient to the nearest others."""
    squares = gram.diagonal()
    distances = squares[:, None] + squares - (gram + gram.T)
    nearest = distances.clamp(min=0).fill_diagonal_(torch.inf).sort(1).values
    return nearest[:, :n_nearest].sum(1)


def _shares_of_lowest(scores: Tensor, n_selected: int) -> Tensor:
    """[n] shares of the sum 1, equal for the lowest scores; those that tie for the last place divide it."""
    last = scores.sort().values[n_selected - 1]
    is_below, is_last = (scores < last).to(scores.dtype), (scores == last).to(scores.dtype)
    left = n_selected - is_below.sum()
    return (is_below + is_last * left / is_last.sum()) / n_selected
