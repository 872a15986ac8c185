"""What forests and boosted trees share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import BundleError
from ...features.store import GraphStore, VectorBlock
from .contract import ROWS_AT_ONCE, Baseline, taken
from .trees import Tree, Trees


class TreeBaseline(Baseline):
    """Trees on the raw numbers of the vectors, kept as `Trees`."""

    medians: Tensor
    """[F] float32, what a NaN becomes."""
    grown: Trees

    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        real = torch.tensor([block.kind == "real" for block in blocks for _ in block.columns])
        self.medians = torch.zeros(len(real))
        if real.any():
            values = [store.batch(part).vectors[:, real] for part in rows.split(ROWS_AT_ONCE)]
            self.medians[real] = torch.cat(values).nanmedian(0).values.nan_to_num(0.0)

    def _prepared(self, vectors: Tensor) -> Tensor:
        return torch.where(vectors.isnan(), self.medians, vectors)

    def _keep(self, fitted: dict[int, list[Tree]], n_tasks: int) -> None:
        self.grown = Trees.of([fitted.get(task, []) for task in range(n_tasks)])

    def _logits(self, inputs: Tensor) -> Tensor:
        totals = torch.from_numpy(self.grown.totals(inputs.numpy()))
        return torch.where(self._grown_tasks(), self._logits_of(totals).float(), self.base)

    def _grown_tasks(self) -> Tensor:
        return torch.from_numpy(self.grown.n_trees > 0)

    def _logits_of(self, totals: Tensor) -> Tensor:
        """Logits, or values, [B, T] of the sums over all trees, float64."""
        return totals

    def _arrays(self) -> dict[str, Tensor]:
        arrays = {name: torch.from_numpy(array) for name, array in self.grown._asdict().items()}
        return {"medians": self.medians, **arrays}

    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        n_columns = sum(len(block.columns) for block in blocks)
        self.medians = taken(state, "medians", (n_columns,), torch.float32)
        try:
            arrays = {name: state[name].numpy() for name in Trees._fields}
        except KeyError as problem:
            raise BundleError(f"a baseline's array {problem} is missing. Copy the bundle again.") from problem
        self.grown = Trees(**arrays)
        self.grown.check(n_columns, n_tasks)
