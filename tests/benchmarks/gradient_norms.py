"""What SLAW, SLW and slaw_unbiased see of the length of gradients on a sparse table.

    screening train toxcast name=equal features.graph=null "features.vectors=[ecfp_counts]" \
        model.encoder.name=fingerprint train.epochs=5 gradients.at=last_norm
    SCREENING_DATA=FOLDER python tests/benchmarks/gradient_norms.py runs/equal

The network of a run is held still and sees three epochs of batches. Printed per method is the Spearman
correlation, over assays, of its estimate with the length of the gradient over the whole training part and
with the number of labels, and the median of the half of the assays with fewer labels over that of the other
half. Lengths are at the last normalisation. Nothing moves the losses of `slaw` but the choice of molecules.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from screening.balancing import Gradients, SlawUnbiased, Step
from screening.bundle import Bundle
from screening.config import load_config
from screening.training.preparation import Prepared, prepare_data

BATCH, EPOCHS = 128, 3


class Looks:
    """Steps of the network of a run, which is not trained."""

    def __init__(self, run: Path, prepared: Prepared) -> None:
        (self.network,) = Bundle.load(run).networks.values()
        self.network.eval()
        self.prepared = prepared
        self.labels = torch.as_tensor(np.asarray(prepared.table.labels), dtype=torch.float32)
        self.balancer = SlawUnbiased(prepared.table.tasks)
        encoder, heads = self.network.encoder, self.network.heads
        self.gradients = Gradients(heads, self.balancer, at="last_norm", encoder=encoder)

    def step(self, rows: Tensor) -> Step:
        """What a balancer sees of these molecules."""
        features = self.network.encoder(self.prepared.store.batch(rows))
        return self.gradients.look(features, self.labels[rows]).step


def estimates(looks: Looks, train: Tensor) -> dict[str, Tensor]:
    """Length [T] of the gradient by each method, after all batches."""
    squares, moments = torch.zeros(looks.balancer.n_tasks), torch.zeros(3, looks.balancer.n_tasks).double()
    for rows in torch.cat([train[torch.randperm(len(train))] for _ in range(EPOCHS)]).split(BATCH):
        step = looks.step(rows)
        looks.balancer.decide(step)
        squares += step.rows.square().sum(1)
        moments += torch.stack([step.present.double(), step.losses, step.losses**2])
    n, total, total_squares = moments
    spread = (total_squares / n - (total / n) ** 2).sqrt()
    norms = looks.balancer.norms(torch.arange(looks.balancer.n_tasks))
    return {"slaw": spread, "slw": (squares / n).sqrt(), "slaw_unbiased": norms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    torch.manual_seed(0)
    prepared = prepare_data(load_config(run / "config.yaml"))
    looks, train = Looks(run, prepared), torch.as_tensor(prepared.split.rows("train"))
    whole = looks.step(train)
    truth, is_sparse = whole.rows.norm(dim=1), whole.counts < whole.counts.median()

    def told(name: str, lengths: Tensor) -> None:
        ratio = lengths[is_sparse].median() / lengths[~is_sparse].median()
        numbers = [spearmanr(lengths, other).statistic for other in (truth, whole.counts)]
        print(
            f"{name:14} with the whole {numbers[0]:.2f}, with labels {numbers[1]:.2f}, few / many {ratio:.1f}"
        )

    told("whole", truth)
    for name, lengths in estimates(looks, train).items():
        told(name, lengths)


if __name__ == "__main__":
    main()
