"""What a place is, and what it sees of a step."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...models.heads import TaskHeads
from ...registry import Registry
from ..outer_rows import OuterRows


class Settings(NamedTuple):
    """The options of section `gradients` that places know."""

    chunk: int | None = None
    """Tasks differentiated at once; None = as many as keep arrays within `products.NUMBERS_AT_ONCE`."""
    memory: float = 5.0
    """GiB that the gradients of all tasks may take."""
    sketch: int = 32
    """Random directions of `sketch`."""


@dataclass(frozen=True)
class Cut:
    """One forward pass, cut at the features."""

    features: Tensor
    """[B, d] as they came from the encoder, with its graph."""
    leaf: Tensor
    """[B, d] the same numbers, from which the graph of the heads starts."""
    private: Tensor
    """[B, d] with linear heads, else [B, T, k]: `heads.private(leaf)`."""
    logits: Tensor
    """[B, T]"""
    slopes: Tensor
    """[B, T] at least float32, derivative of each task's mean loss by its logit; 0 where not measured."""
    heads: TaskHeads
    step: int = 0
    """Optimiser steps so far; decides the directions of a sketch."""

    def private_slopes(self) -> Tensor:
        """Derivative of each task's loss by what its head is linear in: [B, T], or [B, T, k]."""
        if self.heads.is_linear:
            return self.slopes
        slopes = self.slopes.to(self.logits.dtype)
        inner = torch.autograd.grad(self.logits, self.private, slopes, retain_graph=True)[0]
        return inner.to(self.slopes.dtype)


class Place(Protocol):
    """Where gradients of the tasks are taken: a row of `gradients.at`."""

    has_rows: bool
    """Whether it has the gradients themselves, beside their Gramian."""
    sees_across: bool
    """Whether tasks without a common molecule can have an inner product other than 0."""

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None: ...

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        """[T, T] float64, inner products of the gradients of the whole batch, over all processes.

        `rows` are those of this cut, where they are known already.
        """

    def rows(self, cut: Cut) -> Tensor:
        """[T, P] the gradients themselves; only the part of this process if P runs over its molecules."""

    def outer(self, cut: Cut) -> OuterRows | None:
        """What stands for `rows` where they are outer products over the molecules; None elsewhere."""

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        """Add a combined row [P] to `.grad` where the place has its gradients.

        Parameters that the place does not look at get what `weighted` [B, d], the derivative of the
        weighted losses by the features, gives them.
        """


places: Registry[type[Place]] = Registry(
    "place of gradients (gradients.at)", members="screening.balancing.places"
)


def shared_part(encoder: nn.Module | None, part: str) -> nn.Module:
    """The property `part` of an encoder (`last_layer`, `last_norm`), which a place of that name works at.

    Raises
    ------
    ConfigError : the encoder does not say which module that is.
    """
    try:
        module: nn.Module = getattr(encoder, part)
    except (AttributeError, NotImplementedError) as problem:
        raise ConfigError(
            f"gradients.at: {part} needs an encoder with the property {part}; {type(encoder).__name__} has "
            "none. Use gradients.at: features, or add the property to the encoder."
        ) from problem
    return module


NORMS = "norms_after_last_layer"


def norms_after_last_layer(encoder: nn.Module | None) -> tuple[nn.LayerNorm, ...] | None:
    """The property of that name of an encoder; None where it does not say what follows its last layer."""
    try:
        norms: tuple[nn.LayerNorm, ...] = getattr(encoder, NORMS)
    except (AttributeError, NotImplementedError):
        return None
    return norms
