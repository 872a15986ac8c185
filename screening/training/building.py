"""From a config to its trainer: the loss of its assays, its balancer, its settings."""

import torch
from torch import Tensor

from ..balancing.chain import Chain, build_balancer
from ..balancing.contract import Balancer, balancers
from ..balancing.place_choice import PlaceChoice, choose_place
from ..balancing.priorities import Priorities
from ..config import Config
from ..errors import ConfigError
from ..models.losses import Loss, losses
from ..models.losses import measured as measured_in
from ..models.losses.mixed import loss_for
from ..models.network import ScreeningModel
from .label_rows import Labels, measured_labels
from .trainer import Trainer

LOOKED_AT = 10_000
"""Molecules whose labels say how much assays overlap."""


def trainer_of(
    config: Config,
    model: ScreeningModel,
    labels: Labels,
    tasks: tuple[str, ...],
    train_rows: Tensor,
    is_real: Tensor | None = None,
    priorities: Tensor | None = None,
) -> Trainer:
    """The trainer that a config asks for.

    Parameters
    ----------
    labels : [n, T], or bounds [n, T, 2], of all molecules, NaN = not measured; real ones standardised.
    train_rows : the molecules whose base rates the heads start at, and whose counts the loss knows.
    is_real : bool [T], which assays have real values; None = all are of two classes.
    priorities : [T], above 0, what the balancer's weights are multiplied with; None = they stay.
    """
    measured = measured_labels(labels, train_rows)
    is_real = torch.zeros(len(tasks), dtype=torch.bool) if is_real is None else is_real
    balancer = _balancer(config, tasks, priorities)
    return Trainer(
        model,
        _loss(config, measured, is_real),
        balancer,
        measured,
        tasks,
        is_real=is_real,
        settings=config.train,
        gradients=config.gradients,
        place=_place(config, balancer, model, labels, train_rows),
        grouping=config.grouping,
        seed=config.seed,
    )


def _place(
    config: Config, balancer: Balancer, model: ScreeningModel, labels: Labels, rows: Tensor
) -> PlaceChoice:
    """Where gradients are taken; the overlap of the assays is that of at most so many molecules."""
    there = measured_in(labels[rows[:: -(-len(rows) // LOOKED_AT) or 1]])
    return choose_place(config.gradients.at, balancer, model.encoder, there, config.train.batch_size)


def _loss(config: Config, labels: Tensor, is_real: Tensor) -> Loss:
    """The loss of a config's binary assays, that of its real ones, or both."""
    classes = labels[:, ~is_real]
    classes = classes if classes.ndim == 2 else classes[..., 0]
    binary: Loss = losses.build(config.loss.name, classes, **config.loss.options)
    if not bool(is_real.any()):
        return binary
    real: Loss = losses.build(config.real_loss.name, labels[:, is_real], **config.real_loss.options)
    return loss_for(is_real, binary, real)


def _balancer(config: Config, tasks: tuple[str, ...], priorities: Tensor | None) -> Balancer:
    """The balancer of a config; one that draws random numbers gets the seed of the run."""
    chain = []
    for part in config.balancer:
        options = {"name": part.name, **part.options}
        if "seed" in balancers.options(part.name):
            options.setdefault("seed", config.seed)
        chain.append(options)
    built = build_balancer(chain, tasks)
    if priorities is None:
        return built
    if built.gives_direction:
        names = " + ".join(part.name for part in config.balancer)
        raise ConfigError(
            f"balancer {names} gives a direction and no weights, so data.auxiliary_weight has nothing to "
            "multiply. Set data.auxiliary_weight=1, or take another balancer."
        )
    return Chain(built, Priorities(tasks, priorities))
