"""How far affinities can be trusted: of one batch or of two, linear at every step or exact at every tenth.

    SCREENING_DATA=FOLDER python tests/benchmarks/affinity_noise.py [CONFIG] [OVERRIDES ...]

One training (by default 10 epochs of a perceptron on Tox21) that collects all of them, the first fifth of
the steps left out. A row per way: matrices; reliability of effects and of cosines (split halves,
Spearman-Brown); mean effect on oneself and on others; rank correlation, over the pairs, with the ways of all
rows, of which the last is that with the whole validation part, found by `exact` at the same steps.
"""

import os
import sys
from types import SimpleNamespace

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from screening.balancing.affinity import Affinity, Batch, Effects, ExactEffects, LinearEffects
from screening.balancing.gradients import Look
from screening.balancing.pair_means import PairMeans, split_half_reliability
from screening.balancing.places import Settings
from screening.config import load_config
from screening.training.members import examples, make_trainer
from screening.training.preparation import prepare_data
from screening.training.trainer import Trainer

USUAL = ["tox21", "model.encoder.name=fingerprint", "features.graph=null", "train.epochs=10"]
EVERY = 10
"""Steps from one look of `exact` to the next."""


class Ways:
    """Stands for `training.affinities.Affinities` in a trainer, and collects in every way at once."""

    def __init__(self, trainer: Trainer, judged: Batch, skip: float) -> None:
        encoder, n_tasks = trainer.model.encoder, len(trainer.tasks)
        self.grouping, self.skip = SimpleNamespace(batch="other"), skip
        self.linear = {
            "linear, one batch, features": LinearEffects(encoder, "features", Settings(), across=False),
            "linear, one batch, last_norm": LinearEffects(encoder, "last_norm", Settings(), across=False),
            "linear, two batches, last_norm": LinearEffects(encoder, "last_norm", Settings(), across=True),
        }
        self.exact, self.valid = ExactEffects(trainer.model, trainer.loss), judged
        names = ("exact, one batch", "exact, two batches", "exact, validation")
        self.found = {name: Affinity(n_tasks) for name in (*self.linear, *names)}

    def is_due(self, step: int, n_steps: int) -> bool:
        return step >= self.skip * n_steps

    def judged(self, rows: Tensor, part: Tensor, step: int, n: int) -> Tensor:
        others = part[~torch.isin(part, rows)]
        return others[torch.randperm(len(others), generator=torch.Generator().manual_seed(step))[:n]]

    def add(self, look: Look, batch: Batch, rate: float, other: Batch) -> None:
        for name, way in self.linear.items():
            self._count(name, way.effects(look, batch, rate))
        if look.step.step % EVERY == 0:
            for name, judged in {"one batch": None, "two batches": other, "validation": self.valid}.items():
                self._count(f"exact, {name}", self.exact.effects(look, batch, rate, judged))

    def end_epoch(self) -> None:
        for name, way in self.linear.items():
            self._count(name, way.end())

    def _count(self, name: str, effects: Effects | None) -> None:
        if effects is not None:
            self.found[name].add(effects)


def reliability(means: PairMeans) -> float:
    return split_half_reliability(*means.halves().numpy())


def described(means: PairMeans) -> str:
    """Reliability, means on and off the diagonal."""
    values = means.mean().numpy()
    own, others = np.nanmean(values.diagonal()), np.nanmean(values[~np.eye(len(values), dtype=bool)])
    return f"{reliability(means):.2f}  {own:9.2e} {others:9.2e}"


def rank_correlation(one: PairMeans, other: PairMeans) -> float:
    """Over the pairs of assays known to both."""
    a, b = one.mean().numpy(), other.mean().numpy()
    off = ~np.eye(len(a), dtype=bool) & np.isfinite(a) & np.isfinite(b)
    return float(spearmanr(a[off], b[off]).statistic)


def main() -> None:
    if "SCREENING_DATA" not in os.environ:
        print("SCREENING_DATA is not set: this benchmark needs the real tables. Skipped.")
        return
    name, *overrides = sys.argv[1:] or USUAL
    config = load_config(name, ["train.patience=null", *overrides])
    prepared = prepare_data(config)
    trainer = make_trainer(config, prepared)
    train, valid = examples(prepared, "train"), examples(prepared, "valid")
    judged = Batch(valid.store.batch(valid.rows), torch.as_tensor(valid.labels[valid.rows]))
    ways = Ways(trainer, judged, config.grouping.skip)
    trainer.affinities = ways  # type: ignore[assignment]
    trainer.fit(train, valid, on_epoch=lambda epoch: print(f"epoch {epoch.number + 1}", flush=True))
    for kind in ("effects", "cosines"):
        means = {way: getattr(found, kind) for way, found in ways.found.items()}
        print(f"\n{kind:<32} matrices  reliability, own, others; rank correlation with each of the ways")
        for way, one in means.items():
            agreement = " ".join(f"{rank_correlation(one, other):5.2f}" for other in means.values())
            print(f"{way:<32} {int(one.added):8d}  {described(one)}  {agreement}")


if __name__ == "__main__":
    main()
