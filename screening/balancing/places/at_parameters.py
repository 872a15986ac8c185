"""Gradients by parameters of the encoder: what the places there have in common."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...runtime.distributed import sum_over_processes, world_size
from ..outer_rows import OuterRows
from .contract import Cut, Settings
from .products import at_once, gram_of
from .tape import Calls, Source, Tape, sources_of


class AtParameters:
    """At parameters of the encoder: the gradients that the papers define.

    Where a linear layer sees fewer rows M than it has inputs (a perceptron on fingerprints), the Gramian of
    its weights comes from the rows instead: with inputs A [M, inputs] and slopes D [M, outputs], D'A has the
    inner products of D'L for any L with LL' = AA', here the transposed R of A' = QR.
    """

    has_rows = True
    sees_across = True

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        if encoder is None:
            raise TypeError("Gradients at parameters of the encoder need the encoder.")
        self.settings = settings
        self.encoder = encoder
        self.tape = Tape(encoder, self._watched())
        self.parameters()  # an encoder that does not name its part is refused here, not in the first step

    def _watched(self) -> Iterable[nn.Module]:
        """The layers of which inputs and outputs are needed."""
        return (layer for layer in self.encoder.modules() if isinstance(layer, nn.Linear))

    def parameters(self) -> list[nn.Parameter]:
        """The trained parameters looked at, in the order of the rows."""
        raise NotImplementedError

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        return self._gram(cut, self.tape.take()) if rows is None else gram_of(rows)

    def rows(self, cut: Cut) -> Tensor:
        return self._all_rows(cut, self.tape.take())

    def _gram(self, cut: Cut, calls: Calls) -> Tensor:
        sources = sources_of(self.parameters(), calls)
        tasks = _labelled(cut)
        total = cut.slopes.new_zeros(cut.heads.n_tasks, cut.heads.n_tasks, dtype=torch.float64)
        for group in self._groups(sources, cut.heads.n_tasks):
            total += gram_of(self._rows(cut, group, tasks, calls))
        return total

    def _all_rows(self, cut: Cut, calls: Calls) -> Tensor:
        sources = [Source(parameter, parameter.numel()) for parameter in self.parameters()]
        size = sum(source.size for source in sources)
        self._check_memory(size, cut.heads.n_tasks)
        return self._rows(cut, sources, _labelled(cut), calls)

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

    def _rows(self, cut: Cut, sources: list[Source], tasks: Tensor, calls: Calls) -> Tensor:
        """[T, P] over all processes; zero where a task has no label here."""
        rows = cut.slopes.new_zeros(cut.heads.n_tasks, sum(source.size for source in sources))
        if not sources or not len(tasks) or not cut.features.requires_grad:
            return sum_over_processes(rows)
        tensors = [tensor for source in sources for tensor in source.tensors]
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            for part in tasks.split(self._chunk(cut, calls)):
                derivatives = iter(_products(cut, slopes[:, part], part, tensors))
                start = 0
                for source in sources:
                    rows[part, start : start + source.size] = source.row(derivatives, len(part), rows)
                    start += source.size
        return sum_over_processes(rows)

    def _chunk(self, cut: Cut, calls: Calls) -> int:
        if self.settings.chunk is not None:
            return self.settings.chunk
        outputs = [output.numel() for passes in calls.values() for _, output in passes]
        return at_once(cut.slopes, max([cut.features.numel(), *outputs]))

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


def _products(cut: Cut, slopes: Tensor, tasks: Tensor, tensors: list[Tensor]) -> Iterable[Tensor]:
    """Derivatives of the losses of some tasks by `tensors`: [n, ...] each."""
    pulled = cut.heads.feature_gradients(slopes, tasks).transpose(0, 1).to(cut.features.dtype)
    derivatives = torch.autograd.grad(
        cut.features,
        tensors,
        pulled if len(tasks) > 1 else pulled[0],
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=len(tasks) > 1,
    )
    for tensor, gradient in zip(tensors, derivatives, strict=True):
        if gradient is None:
            yield tensor.new_zeros(len(tasks), *tensor.shape)
        else:
            yield gradient if len(tasks) > 1 else gradient.unsqueeze(0)


def _labelled(cut: Cut) -> Tensor:
    """The tasks with a slope in the batch of this process."""
    return cut.slopes.any(0).nonzero().squeeze(1)


def _is_in(parameter: nn.Parameter, parameters: list[nn.Parameter]) -> bool:
    return any(parameter is other for other in parameters)


def _gibibytes(size: int, n_tasks: int) -> float:
    return 4 * size * n_tasks / 2**30
