"""Which place gradients are taken at where the config leaves it open (`gradients.at: auto`).

At the features molecule b meets molecule b alone, so that assays without a common molecule in a batch have
inner product 0, whatever they want of the encoder. Called by `training.building`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .contract import Balancer
from .places.contract import norms_after_last_layer, shared_part

AUTO = "auto"
ENOUGH = 0.9
"""Least share of the pairs of assays in a batch that have a common molecule, for the features to be asked.
Tox21, ToxCast and MUV have 0.96 to 1 in batches of 256, LIT-PCBA 0.50, merged128 0.23."""
SEEING = ("last_layer", "last_norm")
"""Places that see across molecules and cost little, the one first that agrees better with the encoder."""


class PlaceChoice(NamedTuple):
    """A place and why it is taken."""

    at: str
    reason: str = ""
    """For people; "" where it was given, or where the balancer asks for no gradients."""

    @property
    def described(self) -> str:
        """In a line."""
        return f"gradients at {self.at}" + (f" ({self.reason})" if self.reason else "")


def choose_place(
    at: str, balancer: Balancer, encoder: nn.Module, is_measured: Tensor, batch_size: int
) -> PlaceChoice:
    """`at` itself, or for `auto` a place at which the assays of a batch can be compared.

    That is `features`, for two matrix products, where at least `ENOUGH` of the pairs have a common molecule;
    else the first of `SEEING` that the balancer can work at, if the encoder has it. Of a balancer that cannot
    work at `features`, such as one that follows gradients from step to step, its first that the encoder has.

    Parameters
    ----------
    is_measured : bool [n, T], of molecules of the training part.
    """
    if at != AUTO or balancer.needs == "losses":
        return PlaceChoice("features" if at == AUTO else at)
    if balancer.places is not None and "features" not in balancer.places:
        own = [name for name in balancer.places if _has(encoder, name)] or [*balancer.places, "features"]
        return PlaceChoice(own[0], "a place where the balancer can work")
    met = share_of_pairs_that_meet(is_measured, batch_size)
    text = f"{met:.0%} of the pairs of assays in a batch have a common molecule"
    able = [name for name in SEEING if balancer.places is None or name in balancer.places]
    able = [name for name in able if _has(encoder, name) and _is_cheap(encoder, name)]
    if met >= ENOUGH or not able:
        return PlaceChoice("features", text)
    return PlaceChoice(able[0], f"only {text}")


def share_of_pairs_that_meet(is_measured: Tensor, batch_size: int) -> float:
    """Of the pairs of assays that have labels in a batch, the share with a common molecule there, expected.

    With f[i, j] the share of molecules measured in both, a batch of B has one with probability
    p[i, j] = 1 - (1 - f[i, j])^B, and both assays with about p[i, i] p[j, j]. 1 for fewer than two assays.

    Parameters
    ----------
    is_measured : bool [n, T]

    Examples
    --------
    >>> apart = torch.tensor([[True, False], [False, True]])
    >>> share_of_pairs_that_meet(apart, 256), share_of_pairs_that_meet(torch.ones(2, 2) > 0, 256)
    (0.0, 1.0)
    """
    rows = is_measured.float()
    shares = (rows.T @ rows).double() / max(1, len(rows))
    meet = 1 - (1 - shares.clamp(max=1)) ** batch_size
    present = meet.diagonal()
    both = torch.maximum(present[:, None] * present, meet)
    first, second = torch.triu_indices(len(meet), len(meet), 1, device=meet.device)
    total = both[first, second].sum()
    return float(meet[first, second].sum() / total) if total > 0 else 1.0


def _has(encoder: nn.Module, at: str) -> bool:
    """Whether an encoder has the part that a place is named after."""
    try:
        return at == "encoder" or shared_part(encoder, at) is not None
    except ConfigError:
        return False


def _is_cheap(encoder: nn.Module, at: str) -> bool:
    """Whether labelled cells alone are looked at, or norms alone."""
    return at != "last_layer" or norms_after_last_layer(encoder) is not None
