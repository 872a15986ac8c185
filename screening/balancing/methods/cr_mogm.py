"""CR-MOGM: any other balancer with its weights averaged over time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import ConfigError
from ..chain import Choice, build_balancer
from ..contract import Balancer, Need, register
from ..step import Decision, PresentStep


@register("cr_mogm")
class CrMogm(Balancer):
    """Smooths the weights of another balancer, so that one batch's noise does not decide.

    lambda_k = alpha * lambda_(k-1) + (1 - alpha) * (weights of the other balancer), which begins at the
    first weights a task gets, and stands still while it is absent. Weights for the heads are smoothed alike.
    With many absences the smoothed weights sum to the other balancer's sum on average only.

    Parameters
    ----------
    of : the other balancer: a name, or a mapping of name and options.
    alpha : in [0, 1), share of the old weights kept. The paper lets it grow towards 1 as the learning rate
        falls; ours is constant, 0.9 as in TorchJD.

    References
    ----------
    Zhou et al.: On the Convergence of Stochastic Multi-Objective Gradient Manipulation and Beyond,
    NeurIPS 2022,
    https://papers.neurips.cc/paper_files/paper/2022/hash/f91bd64a3620aad8e70a27ad9cb3ca57-Abstract-Conference.html
    (correlation-reduced stochastic multi-objective gradient manipulation).
    """

    needs: Need = "gram"  # that of the default; an object has what its inner balancer needs
    smooth: Tensor
    seen: Tensor

    def __init__(self, tasks: Sequence[str], *, of: Choice = "pcgrad", alpha: float = 0.9) -> None:
        super().__init__(tasks)
        if not 0 <= alpha < 1:
            raise ValueError(f"alpha is {alpha}; expected at least 0 and below 1.")
        self.of, self.alpha = build_balancer(of, tasks), alpha
        self.needs, self.places, self.without_gram = self.of.needs, self.of.places, self.of.without_gram
        self.weighs_heads, self.second_look = self.of.weighs_heads, self.of.second_look
        self.register_buffer("smooth", torch.zeros(self.n_tasks, 2, dtype=torch.float64))  # shared, heads
        self.register_buffer("seen", torch.zeros(self.n_tasks, dtype=torch.bool))

    def decide_present(self, step: PresentStep) -> Decision:
        now = self.of.decide_present(step)
        if now.direction is not None:
            raise ConfigError(
                f"'{type(self.of).__name__}' gives a direction and no weights, so cr_mogm has nothing to "
                "smooth. Use it by itself."
            )
        weights = torch.stack([now.weights, now.head_weights], 1)
        before = torch.where(self.seen[step.tasks, None], self.smooth[step.tasks], weights)
        self.smooth[step.tasks] = self.alpha * before + (1 - self.alpha) * weights
        self.seen[step.tasks] = True
        return Decision(*self.smooth[step.tasks].unbind(1))

    def look_again_present(self, step: PresentStep) -> None:
        self.of.look_again_present(step)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        self.of.end_epoch(mean_losses, present)
