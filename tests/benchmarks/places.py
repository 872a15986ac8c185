"""Where gradients are taken: how each place agrees with the encoder on a sparse table, and what a step costs.

    SCREENING_DATA=FOLDER python tests/benchmarks/places.py
    SCREENING_DATA=FOLDER python tests/benchmarks/places.py --cpu-time --threads 1   # beside other work

Molecules of merged128 (128 assays, three labels each), batches of 256, trained with equal weights. At some
steps the cosines of all pairs of assays in the batch are compared with those at all parameters of the
encoder, of the same pass: Spearman correlation, share of pairs with the same sign, share of conflicts. Then
a step with PCGrad / one with equal weights, the median of neighbours. The aims at last_layer: at least 0.65
and 0.74, at most 1.25.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rdkit import rdBase
from scipy.stats import spearmanr
from torch import Tensor

from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients
from screening.balancing.places import Settings, places
from screening.config_sections import Model
from screening.features.store import FeatureSet, featurize
from screening.models.network import ScreeningModel, inputs_of
from screening.training.optimizer import FusedAdamW

BATCH = 256
ENCODERS = {
    "mlp": {"name": "fingerprint", "widths": (512, 512)},
    "gine": {"name": "gine", "depth": 3, "width": 128},
    "gine_default": {"name": "gine"},
    "dmpnn": {"name": "dmpnn"},
}
PLACES = ["features", "last_norm", "last_layer", "encoder"]

Step = Callable[[], None]


class Bench:
    """Some molecules of the table, and models on them."""

    def __init__(self, model: str, n_molecules: int) -> None:
        path = Path(os.environ["SCREENING_DATA"]) / "merged128.csv.gz"
        table = pd.read_csv(path).sample(n_molecules, random_state=0)
        features = FeatureSet(None, ("ecfp_counts",)) if model == "mlp" else FeatureSet("atom_codes")
        with rdBase.BlockLogs():
            self.store = featurize(table["smiles"].tolist(), features, workers=0)
        self.labels = torch.tensor(table.iloc[:, 1:].to_numpy(np.float32))
        self.tasks = list(table.columns[1:])
        self.settings = Model.model_validate({"encoder": ENCODERS[model]})

    def model(self) -> tuple[ScreeningModel, FusedAdamW]:
        torch.manual_seed(0)
        model = ScreeningModel(self.settings, inputs_of(self.store), len(self.tasks)).train()
        model.encoder.fit(self.store, torch.arange(len(self.labels)))
        return model, FusedAdamW([{"params": list(model.parameters())}], lr=1e-3)

    def cosines(self, n_looks: int) -> dict[str, list[Tensor]]:
        """Of the pairs present, at each place, at `n_looks` steps of an epoch with equal weights."""
        model, optimizer = self.model()
        equal = build_balancer("equal", self.tasks)
        gradients = Gradients(model.heads, equal)
        at = {name: places.get(name)(model.encoder, Settings()) for name in PLACES}
        found: dict[str, list[Tensor]] = {name: [] for name in PLACES}
        steps = torch.randperm(len(self.labels)).split(BATCH)
        for number, rows in enumerate(steps, 1):
            look = gradients.look(model.encoder(self.store.batch(rows)), self.labels[rows])
            if number % max(1, len(steps) // n_looks) == 0:
                for name, place in at.items():
                    found[name].append(upper(place.gram(look.cut), look.step.present))
            optimizer.zero_grad(set_to_none=True)
            look.backward(equal.decide(look.step))
            optimizer.step()
        return found

    def step(self, balancer: str, at: str) -> Step:
        """One whole training step, as `training.Trainer` takes it."""
        model, optimizer = self.model()
        method = build_balancer(balancer, self.tasks)
        gradients = Gradients(model.heads, method, at=at, encoder=model.encoder)
        batch, labels = self.store.batch(torch.arange(BATCH)), self.labels[:BATCH]

        def run() -> None:
            look = gradients.look(model.encoder(batch), labels)
            decision = method.decide(look.step)
            optimizer.zero_grad(set_to_none=True)
            look.backward(decision)
            optimizer.step()

        return run


def upper(gram: Tensor, present: Tensor) -> Tensor:
    """Cosines of all pairs of present tasks."""
    gram = gram[present][:, present]
    lengths = gram.diagonal().clamp(min=1e-30).sqrt()
    first, second = torch.triu_indices(len(gram), len(gram), 1)
    return (gram / lengths / lengths[:, None])[first, second]


def timed(step: Step, clock: Callable[[], float]) -> float:
    started = clock()
    step()
    return clock() - started


def ratios(plain: Step, other: Step, rounds: int, clock: Callable[[], float]) -> list[float]:
    """Of `other` to the plain steps before and after it."""
    timed(other, clock)
    before, found = timed(plain, clock), []
    for _ in range(rounds):
        taken, after = timed(other, clock), timed(plain, clock)
        found.append(2 * taken / (before + after))
        before = after
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(ENCODERS), default=["mlp", "gine"])
    parser.add_argument("--molecules", type=int, default=20_000)
    parser.add_argument("--looks", type=int, default=8, help="steps whose cosines are compared; 0 = none")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, help="of torch; all processors if not given")
    parser.add_argument("--cpu-time", action="store_true", help="of the process, instead of wall time")
    arguments = parser.parse_args()
    if "SCREENING_DATA" not in os.environ:
        print("SCREENING_DATA is not set: this benchmark needs the real tables. Skipped.")
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    for name in arguments.models:
        bench = Bench(name, arguments.molecules)
        found = bench.cosines(arguments.looks) if arguments.looks else {}
        for at, cosines in found.items():
            mine, encoder = torch.cat(cosines).numpy(), torch.cat(found["encoder"]).numpy()
            agreement = spearmanr(mine, encoder).statistic
            same, conflicts = (np.sign(mine) == np.sign(encoder)).mean(), (mine < 0).mean()
            print(f"{name:<6}{at:<11} Spearman {agreement:.2f}  sign {same:.2f}  conflicts {conflicts:.2f}")
        plain = bench.step("equal", "features")
        for at in ("features", "last_norm", "last_layer"):
            values = ratios(plain, bench.step("pcgrad", at), arguments.rounds, clock)
            spread = f"{min(values):.2f} to {max(values):.2f}"
            print(f"{name:<6}{at:<11} {statistics.median(values):.2f} of a plain step ({spread})", flush=True)


if __name__ == "__main__":
    main()
