"""The model: a shared encoder and one head per task; the same for training and for scoring."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from ..config_sections import Model
from ..features.store import GraphBatch, GraphStore
from .encoders import Inputs, encoders
from .heads import TaskHeads


class Predictor(Protocol):
    """What a bundle holds one or more of: a network, or a baseline."""

    kind: str
    """`network`, or the registered name of a baseline."""
    gives_sd: bool
    """Whether it says how far off it may be: `predict_sd`."""
    vectors: tuple[str, ...] | None
    """The vectors of a store that it sees, others are not looked at; None = all."""

    @property
    def network(self) -> "ScreeningModel | None":
        """Itself where it is a network, with an encoder and heads; None of a baseline."""

    def predict(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Logits [n, t], float32 on the CPU, of the molecules `rows` for the predictor's own t tasks."""

    def predict_sd(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Standard deviations [n, t] float32 of standardised values; NaN where it has none."""

    def predict_with_sd(
        self, store: GraphStore, rows: Tensor, *, batch_size: int = 512
    ) -> tuple[Tensor, Tensor]:
        """`predict` and `predict_sd`, out of one pass where both need the same."""

    def describe(self) -> dict[str, Any]:
        """What `state_dict` does not say and restoring needs, as plain values for JSON."""

    def state_dict(self) -> dict[str, Any]:
        """Its numbers, as tensors."""

    def to(self, device: str | torch.device) -> Self:
        """Itself, moved to a device."""


class ScreeningModel(nn.Module):
    """Molecules to one logit per task: `heads(encoder(batch))`, [B, T].

    Parameters
    ----------
    inputs : of a whole store.
    vectors : those of them that it sees; None = all.
    """

    kind = "network"
    gives_sd: bool

    @property
    def network(self) -> "ScreeningModel":
        return self

    def __init__(
        self, settings: Model, inputs: Inputs, n_tasks: int, vectors: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self.vectors = None if vectors is None else tuple(vectors)
        encoder = settings.encoder
        self.encoder = encoders.build(encoder.name, inputs.with_vectors(vectors), **encoder.options)
        heads = settings.heads
        self.heads = TaskHeads(
            self.encoder.width, n_tasks, heads.hidden, heads.dropout, heads.heteroscedastic
        )
        self.gives_sd = heads.heteroscedastic

    def forward(self, batch: GraphBatch) -> Tensor:
        return self.heads(self.encoder(batch))

    def describe(self) -> dict[str, Any]:
        """Nothing: settings, inputs and the number of tasks, which the bundle has, say it all."""
        return {}

    @torch.inference_mode()
    def predict(
        self,
        store: GraphStore,
        rows: Tensor,
        *,
        batch_size: int = 512,
        on_features: Callable[[Tensor], object] = lambda features: None,
    ) -> Tensor:
        """Logits [n, T], float32 on the CPU, of the molecules `rows`; dropout off, mode restored.

        `on_features` is told the representations [b, d] of each batch, in order, where they are computed.
        """
        device = next(self.parameters()).device
        was_training, store = self.training, store.with_vectors(self.vectors)
        self.eval()
        parts = [torch.zeros(0, self.heads.n_tasks)]
        for part in rows.split(batch_size):
            features = self.encoder(store.batch(part).to(device))
            on_features(features)
            parts.append(self.heads(features).float().cpu())
        self.train(was_training)
        return torch.cat(parts)

    def predict_sd(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Standard deviations [n, T] of standardised values, float32 on the CPU; NaN: its heads say none."""
        return self.predict_with_sd(store, rows, batch_size=batch_size)[1]

    def predict_with_sd(
        self,
        store: GraphStore,
        rows: Tensor,
        *,
        batch_size: int = 512,
        on_features: Callable[[Tensor], object] = lambda features: None,
    ) -> tuple[Tensor, Tensor]:
        """`predict` and `predict_sd`, out of one pass."""
        parts = [torch.zeros(0, self.heads.n_tasks)]

        def keep(features: Tensor) -> None:
            on_features(features)
            log_spreads = self.heads.log_spreads(features)
            if log_spreads is not None:
                parts.append(log_spreads.exp().float().cpu())

        logits = self.predict(store, rows, batch_size=batch_size, on_features=keep)
        return logits, torch.cat(parts) if self.gives_sd else torch.full_like(logits, torch.nan)

    def represent(self, store: GraphStore, rows: Tensor) -> Tensor:
        """Representations [n, d], float32 on the CPU, of the molecules `rows`; as in `predict`."""
        parts = [torch.zeros(0, self.encoder.width)]
        self.predict(store, rows, on_features=lambda features: parts.append(features.float().cpu()))
        return torch.cat(parts)


def inputs_of(store: GraphStore) -> Inputs:
    """What the molecules of a store look like to an encoder."""
    return Inputs(tuple(store.atom_sizes), tuple(store.bond_sizes), tuple(store.vector_blocks))
