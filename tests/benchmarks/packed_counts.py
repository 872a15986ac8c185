"""A training step on counts without their zeros, beside the same step on dense matrices.

    SCREENING_DATA=FOLDER python tests/benchmarks/packed_counts.py [RECIPE ...] [--set KEY=VALUE ...]

Each is a recipe. In turn, in one process and thread, whole steps of the trainer (batch, forward, backward,
clipping, AdamW): with batches as they lie in the store; and with dense vectors and weights that lie by rows.
Printed: processor time of the fastest of each, the ratio of the medians, and how far the weights of the two
are apart after the same steps from the same start (where counts are dropped out, each drops others).
"""

import argparse
import statistics
import time
from unittest import mock

import torch
from torch import Tensor, nn

from screening.config import load_config
from screening.features.store import GraphStore
from screening.models.scaled_vectors import VectorLinear
from screening.training import members, preparation
from screening.training.history import EpochSums
from screening.training.trainer import Examples, Trainer

WARM, ROUNDS, STEPS = 3, 5, 4
gathered = GraphStore.batch


class Side:
    """A trainer, and how its batches come."""

    def __init__(self, trainer: Trainer, is_dense: bool) -> None:
        self.trainer, self.is_dense = trainer, is_dense
        self.tally = EpochSums(len(trainer.tasks), trainer.device)
        self.seconds: list[float] = []
        trainer.model.train()
        trainer._set_lr(5, 100)

    def step(self, train: Examples, rows: Tensor, number: int) -> float:
        """Processor time of one step."""
        torch.manual_seed(number)
        start = time.process_time()
        if self.is_dense:
            with mock.patch.object(GraphStore, "batch", dense_batch):
                self.trainer._step(train, train, rows, 0, number, self.tally)
        else:
            self.trainer._step(train, train, rows, 0, number, self.tally)
        return time.process_time() - start


def dense_batch(store: GraphStore, rows: Tensor) -> object:
    batch = gathered(store, rows)
    return batch.with_vectors(batch.vectors)


def make(config: object, prepared: object, is_dense: bool) -> Side:
    """The network of a config; the dense one with its weights by rows."""
    initial = VectorLinear.__init__
    with mock.patch.object(VectorLinear, "__init__", nn.Linear.__init__ if is_dense else initial):
        return Side(members.make_trainer(config, prepared), is_dense)  # type: ignore[arg-type]


def compare(recipe: str, settings: list[str]) -> None:
    config = load_config(recipe, ["train.device=cpu", "train.workers=1", *settings])
    prepared = preparation.prepare_data(config)
    train = members.examples(prepared, "train")
    sides = [make(config, prepared, is_dense) for is_dense in (False, True)]
    order = torch.randperm(len(train.rows), generator=torch.Generator().manual_seed(0))
    batches = train.rows[order].split(config.train.batch_size)
    for number in range(WARM):
        for side in sides:
            side.step(train, batches[number], number)
    packed, whole = (dict(side.trainer.model.named_parameters()) for side in sides)
    apart = max(float((packed[name] - whole[name]).detach().abs().max()) for name in whole)
    for start in range(WARM, WARM + ROUNDS * STEPS, STEPS):
        for side in sides:
            for number in range(start, start + STEPS):
                side.seconds.append(side.step(train, batches[number % len(batches)], number))
    ours, theirs = (statistics.median(side.seconds) for side in sides)
    density = len(train.store.batch(batches[0]).columns.value) / batches[0].numel()  # type: ignore[union-attr]
    columns = sum(len(block.columns) for block in train.store.vector_blocks)
    print(
        f"{recipe:<14} {columns:>6,} columns, {density:.0f} counts a molecule: "
        f"packed {min(sides[0].seconds) * 1e3:.0f} ms, dense {min(sides[1].seconds) * 1e3:.0f} ms a step; "
        f"ratio of medians {ours / theirs:.2f}; weights apart after {WARM} steps {apart:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipes", nargs="*", default=["moleculeace", "tox21"])
    parser.add_argument("--set", nargs="*", default=[], dest="settings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for recipe in options.recipes:
        compare(recipe, options.settings)


if __name__ == "__main__":
    main()
