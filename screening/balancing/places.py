"""Where the gradients of the tasks are taken (`gradients.at`): features, last layer, encoder, or a sketch.

A place sees one `Cut` and gives the Gramian or the gradients themselves. Those by parameters are
vector-Jacobian products of several tasks at once over the graph that is already there, so with the same
dropout; tasks without labels in the batch cost nothing. Called by gradients.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError
from ..models.heads import TaskHeads
from ..registry import Registry
from ..runtime.distributed import sum_over_processes, world_size
from .outer_rows import OuterRows
from .tape import Calls, Source, Tape, sources_of

NUMBERS_AT_ONCE = {"cpu": 2**21, "cuda": 2**26}
"""Largest intermediate array: 8 MiB in float32 stays in the cache of a CPU, where more is not faster."""


class Settings(NamedTuple):
    """The options of section `gradients` that places know."""

    chunk: int | None = None
    """Tasks differentiated at once; None = as many as keep arrays within `NUMBERS_AT_ONCE`."""
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


places: Registry[type[Place]] = Registry("place of gradients (gradients.at)")


@places.register("features")
class AtFeatures:
    """At the shared representation, of which all the rest of the encoder's gradient is a linear function.

    With linear heads W [T, d] and slopes R [B, T], the gradient of task t at molecule b is R[b, t] W[t],
    hence G = (R'R) * (WW') elementwise: two small matrix products.
    """

    has_rows = True

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        pass

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        slopes, heads = cut.private_slopes(), cut.heads
        with torch.autocast(slopes.device.type, enabled=False):
            if heads.is_linear:
                products = sum_over_processes(_products_of(slopes.T))
                return _symmetric(products * _products_of(heads.weight.detach()))
            total = slopes.new_zeros(heads.n_tasks, heads.n_tasks, dtype=torch.float64)
            for part in slopes.split(_at_once(slopes, heads.n_tasks * heads.width)):
                total += _gram(heads.feature_gradients(part).transpose(0, 1).flatten(1))
            return sum_over_processes(total)

    def rows(self, cut: Cut) -> Tensor:
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            return cut.heads.feature_gradients(slopes).transpose(0, 1).flatten(1)

    def outer(self, cut: Cut) -> OuterRows | None:
        heads = cut.heads
        weight: Tensor = heads.weight if heads.is_linear else heads.private_weight
        return OuterRows(cut.private_slopes(), weight.detach())

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        cut.features.backward(direction.view_as(cut.leaf).to(cut.features.dtype))


class _AtParameters:
    """At parameters of the encoder: the gradients that the papers define.

    Where a linear layer sees fewer rows M than it has inputs (a perceptron on fingerprints), the Gramian of
    its weights comes from the rows instead: with inputs A [M, inputs] and slopes D [M, outputs], D'A has the
    inner products of D'L for any L with LL' = AA', here the transposed R of A' = QR.
    """

    has_rows = True

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        if encoder is None:
            raise TypeError("Gradients at parameters of the encoder need the encoder.")
        self.settings = settings
        self.encoder = encoder
        self.tape = Tape(encoder, self._watched())

    def _watched(self) -> Iterable[nn.Module]:
        """The layers of which inputs and outputs are needed."""
        return (layer for layer in self.encoder.modules() if isinstance(layer, nn.Linear))

    def parameters(self) -> list[nn.Parameter]:
        """The trained parameters looked at, in the order of the rows."""
        raise NotImplementedError

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        if rows is not None:
            return _gram(rows)
        calls = self.tape.take()
        sources = sources_of(self.parameters(), calls)
        tasks = _labelled(cut)
        total = cut.slopes.new_zeros(cut.heads.n_tasks, cut.heads.n_tasks, dtype=torch.float64)
        for group in self._groups(sources, cut.heads.n_tasks):
            total += _gram(self._rows(cut, group, tasks, calls))
        return total

    def rows(self, cut: Cut) -> Tensor:
        sources = [Source(parameter, parameter.numel()) for parameter in self.parameters()]
        size = sum(source.size for source in sources)
        self._check_memory(size, cut.heads.n_tasks)
        return self._rows(cut, sources, _labelled(cut), self.tape.take())

    def outer(self, cut: Cut) -> OuterRows | None:
        return None

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        parameters = self.parameters()
        others = [p for p in self.encoder.parameters() if p.requires_grad and not _is_in(p, parameters)]
        if others:
            torch.autograd.backward(cut.features, weighted.to(cut.features.dtype), inputs=others)
        parts = (direction / world_size()).split([p.numel() for p in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            part = part.view_as(parameter).to(parameter.dtype)
            parameter.grad = part.clone() if parameter.grad is None else parameter.grad + part

    def _rows(self, cut: Cut, sources: list[Source], tasks: Tensor, calls: "Calls") -> Tensor:
        """[T, P] over all processes; zero where a task has no label here."""
        rows = cut.slopes.new_zeros(cut.heads.n_tasks, sum(source.size for source in sources))
        if not sources or not len(tasks) or not cut.features.requires_grad:
            return sum_over_processes(rows)
        wanted = [tensor for source in sources for tensor in source.tensors]
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            for part in tasks.split(self._chunk(cut, calls)):
                found = iter(_products(cut, slopes[:, part], part, wanted))
                start = 0
                for source in sources:
                    rows[part, start : start + source.size] = source.row(found, len(part), rows)
                    start += source.size
        return sum_over_processes(rows)

    def _chunk(self, cut: Cut, calls: "Calls") -> int:
        if self.settings.chunk is not None:
            return self.settings.chunk
        outputs = [output.numel() for found in calls.values() for _, output in found]
        return _at_once(cut.slopes, max([cut.features.numel(), *outputs]))

    def _groups(self, sources: list[Source], n_tasks: int) -> Iterator[list[Source]]:
        """Parts of the parameters whose rows fit into the memory."""
        group: list[Source] = []
        for source in sources:
            self._check_memory(source.size, n_tasks)
            size = source.size + sum(other.size for other in group)
            if group and _gibibytes(size, n_tasks) > self.settings.memory:
                yield group
                group = []
            group.append(source)
        yield group

    def _check_memory(self, size: int, n_tasks: int) -> None:
        needed = _gibibytes(size, n_tasks)
        if needed > self.settings.memory:
            raise ConfigError(
                f"The gradients of {n_tasks} tasks by {size:,} parameters take {needed:.1f} GiB, more than "
                f"gradients.memory: {self.settings.memory:g}. Raise it if the machine has more, or take them "
                "at last_layer or features."
            )


@places.register("encoder")
class AtEncoder(_AtParameters):
    """At all parameters of the encoder."""

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]


@places.register("last_layer")
class AtLastLayer(_AtParameters):
    """At the weights of the last linear layer that all tasks share, as GradNorm defines it."""

    def parameters(self) -> list[nn.Parameter]:
        weight = self.encoder.last_layer.weight  # type: ignore[union-attr]
        return [weight] if weight.requires_grad else []  # type: ignore[list-item]


@places.register("last_norm")
class AtLastNorm(_AtParameters):
    """At gain and bias of the normalisation that ends the encoder: 2 d numbers per task, nearly free.

    What follows it acts on each number alone (ReLU, dropout), with derivatives s [B, d]. With the normalised
    z [B, d], slopes R [B, T] and linear heads W [T, d], the gradients by the gain are R'(s * z) * W, those by
    the bias R's * W, elementwise: two small matrix products.
    """

    def parameters(self) -> list[nn.Parameter]:
        norm = self._norm()
        return [p for p in (norm.weight, norm.bias) if p is not None and p.requires_grad]

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        return _gram(self.rows(cut) if rows is None else rows)

    def rows(self, cut: Cut) -> Tensor:
        norm, wanted, slopes = self._norm(), self.parameters(), cut.private_slopes()
        calls = self.tape.take().get(norm)
        rows = slopes.new_zeros(cut.heads.n_tasks, sum(parameter.numel() for parameter in wanted))
        if calls and wanted and cut.features.requires_grad:
            given, output = calls[-1]
            ones = torch.ones_like(cut.features)
            after = torch.autograd.grad(cut.features, output, ones, retain_graph=True)[0].to(slopes.dtype)
            with torch.autocast(slopes.device.type, enabled=False):
                normal = functional.layer_norm(given.to(slopes.dtype), norm.normalized_shape, eps=norm.eps)
                inner = [after * normal if parameter is norm.weight else after for parameter in wanted]
                rows = torch.cat([_through_heads(cut.heads, slopes, part) for part in inner], 1)
        return sum_over_processes(rows)

    def _watched(self) -> Iterable[nn.Module]:
        return [self._norm()]

    def _norm(self) -> nn.LayerNorm:
        return cast(nn.LayerNorm, self.encoder.last_norm)


@places.register("sketch")
class Sketch:
    r"""At all parameters of the encoder, estimated from K random directions.

    With v_k ~ N(0, I), the K products J v_k [T] (forward-mode, here as the derivative of a vector-Jacobian
    product by its vector, over the graph that is there) give G ~ (1/K) sum_k (J v_k)(J v_k)', unbiased;
    the relative standard deviation of a squared norm is sqrt(2/K), of rank at most K.
    """

    has_rows = False

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        if encoder is None:
            raise TypeError("A sketch of the gradients at the encoder needs the encoder.")
        self.encoder, self.settings = encoder, settings

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        products = self._products(cut)
        return _gram(sum_over_processes(products)) / self.settings.sketch

    def rows(self, cut: Cut) -> Tensor:
        raise ConfigError("gradients.at: sketch has no gradients of single tasks. Use features or encoder.")

    def outer(self, cut: Cut) -> OuterRows | None:
        return None

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        raise ConfigError("gradients.at: sketch has no gradients of single tasks. Use features or encoder.")

    def _products(self, cut: Cut) -> Tensor:
        """[T, K], derivative of each task's loss along each direction; the part of this process."""
        parameters = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        products = cut.slopes.new_zeros(cut.heads.n_tasks, self.settings.sketch)
        if not parameters or not cut.features.requires_grad or not len(cut.features):
            return products
        generator = torch.Generator(cut.slopes.device).manual_seed(cut.step)
        slopes = cut.private_slopes()
        with torch.enable_grad():
            probe = torch.zeros_like(cut.features, requires_grad=True)
            back = torch.autograd.grad(
                cut.features, parameters, probe, create_graph=True, allow_unused=True, materialize_grads=True
            )
        for k in range(self.settings.sketch):
            directions = [
                torch.randn(p.shape, generator=generator, device=p.device, dtype=p.dtype) for p in parameters
            ]
            (moved,) = torch.autograd.grad(back, probe, directions, retain_graph=True)
            products[:, k] = _along(cut.heads, slopes, moved.to(slopes.dtype))
        return products


def _products(cut: Cut, slopes: Tensor, tasks: Tensor, wanted: list[Tensor]) -> Iterable[Tensor]:
    """Derivatives of the losses of some tasks by `wanted`: [n, ...] each."""
    pulled = cut.heads.feature_gradients(slopes, tasks).transpose(0, 1).to(cut.features.dtype)
    found = torch.autograd.grad(
        cut.features,
        wanted,
        pulled if len(tasks) > 1 else pulled[0],
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=len(tasks) > 1,
    )
    for tensor, gradient in zip(wanted, found, strict=True):
        if gradient is None:
            yield tensor.new_zeros(len(tasks), *tensor.shape)
        else:
            yield gradient if len(tasks) > 1 else gradient.unsqueeze(0)


def _along(heads: TaskHeads, slopes: Tensor, moved: Tensor) -> Tensor:
    """Derivative [T] of the losses when the features move by `moved` [B, d]."""
    with torch.autocast(slopes.device.type, enabled=False), torch.no_grad():
        if heads.is_linear:
            return (slopes * (moved @ heads.weight.T)).sum(0)
        return (slopes * torch.einsum("bd,tdk->btk", moved, heads.private_weight)).sum((0, 2))


def _through_heads(heads: TaskHeads, slopes: Tensor, inner: Tensor) -> Tensor:
    """[T, d] sum over the molecules of each task's gradient by the features times `inner` [B, d]."""
    with torch.no_grad():
        if heads.is_linear:
            return (slopes.T @ inner) * heads.weight
        return (torch.einsum("btk,bd->tdk", slopes, inner) * heads.private_weight).sum(2)


def _labelled(cut: Cut) -> Tensor:
    """The tasks with a slope in the batch of this process."""
    return cut.slopes.any(0).nonzero().squeeze(1)


def _is_in(parameter: nn.Parameter, parameters: list[nn.Parameter]) -> bool:
    return any(parameter is other for other in parameters)


def _at_once(like: Tensor, numbers: int) -> int:
    """How many arrays of so many numbers to make at once."""
    return max(1, NUMBERS_AT_ONCE["cuda" if like.is_cuda else "cpu"] // max(1, numbers))


def _gibibytes(size: int, n_tasks: int) -> float:
    return 4 * size * n_tasks / 2**30


def _gram(rows: Tensor) -> Tensor:
    """Inner products [T, T] of rows [T, P] in float64."""
    return _symmetric(_products_of(rows))


def _products_of(rows: Tensor) -> Tensor:
    """Inner products [T, T] of rows [T, P], symmetric but for rounding.

    On a GPU the products themselves are float64, because float32 ones may silently be TF32 (10 bits).
    On a CPU float32 is exact to 1e-7 of the norms and twice as fast.
    """
    if rows.is_cuda:
        parts = [part.double() @ part.double().T for part in rows.split(2**20, dim=1)]
        return torch.stack(parts).sum(0) if parts else rows.new_zeros(len(rows), len(rows)).double()
    return rows @ rows.T


def _symmetric(products: Tensor) -> Tensor:
    """The symmetric part, float64."""
    return (products + products.T).double().mul_(0.5)
