"""The model: a shared encoder and one head per task; the same for training and for scoring."""

import torch
from torch import Tensor, nn

from .config import Model
from .encoders import Inputs, encoders
from .graphs import GraphBatch, GraphStore
from .heads import TaskHeads


class ScreeningModel(nn.Module):
    """Molecules to one logit per task: `heads(encoder(batch))`, [B, T]."""

    def __init__(self, settings: Model, inputs: Inputs, n_tasks: int) -> None:
        super().__init__()
        encoder = settings.encoder
        self.encoder = encoders.build(encoder.name, inputs, **encoder.options)
        heads = settings.heads
        self.heads = TaskHeads(self.encoder.width, n_tasks, hidden=heads.hidden, dropout=heads.dropout)

    def forward(self, batch: GraphBatch) -> Tensor:
        return self.heads(self.encoder(batch))

    @torch.inference_mode()
    def predict(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Logits [n, T], float32 on the CPU, of the molecules `rows`; dropout off, mode restored."""
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        parts = [self(store.batch(part).to(device)).float().cpu() for part in rows.split(batch_size)]
        self.train(was_training)
        return torch.cat(parts) if parts else torch.zeros(0, self.heads.n_tasks)


def inputs_of(store: GraphStore) -> Inputs:
    """What the molecules of a store look like to an encoder."""
    return Inputs(tuple(store.atom_sizes), tuple(store.bond_sizes), tuple(store.vector_blocks))
