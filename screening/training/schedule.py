"""The learning rate of every step, for the encoder and for the rest of a model."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from ..config_sections import Train


class Rates(NamedTuple):
    """Learning rates of a step."""

    heads: float
    """Of all that is not the encoder."""
    encoder: float


def rates_at(step: int, total: int, settings: Train) -> Rates:
    """Those of a step (from 0) of `total`: linear warm-up, then half a cosine to 0.

    The encoder of `heads_first` stands still for that share of the steps; its own warm-up follows.
    """
    heads = settings.lr * cycled(step, total, settings)
    if not is_in_stages(settings):
        return Rates(heads, heads)
    first = round(settings.heads_first * total)
    if step < first:
        return Rates(heads, 0.0)
    share = cycled(step - first, total - first, settings)
    return Rates(heads, settings.lr * settings.encoder_rate * share)


def is_in_stages(settings: Train) -> bool:
    """Whether the encoder has rates of its own."""
    return settings.heads_first > 0 or settings.encoder_rate != 1


def cycled(step: int, total: int, settings: Train) -> float:
    """Share of the highest rate at a step (from 0) of `total`, which are `settings.cycles` equal cycles.

    References
    ----------
    Snapshot ensembles: train 1, get M for free. G. Huang et al., ICLR 2017. https://arxiv.org/abs/1704.00109
    """
    n_cycles = min(settings.cycles, total)
    cycle = min(step * n_cycles // total, n_cycles - 1)
    first, end = (-(-total * number // n_cycles) for number in (cycle, cycle + 1))
    return share_at(step - first, end - first, settings.warmup)


def share_at(step: int, total: int, warmup: float) -> float:
    """Share of the highest rate at a step (from 0) of `total`; `warmup` is a share of all steps."""
    warm = max(1, round(warmup * total))
    if step < warm:
        return (step + 1) / warm
    progress = (step + 1 - warm) / max(1, total - warm)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def decay_matrices_only(
    parameters: Iterable[nn.Parameter], decay: float, **more: Any
) -> list[dict[str, Any]]:
    """Parameter groups: weight decay on matrices, none on biases, scales and base rates; `more` in each."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay, **more},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0, **more},
    ]
