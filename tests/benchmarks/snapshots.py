"""What snapshots of a network bring: chosen by one half of the validation part, judged on the other.

    screening train tox21 name=snap train.snapshots=5 train.patience=null features.graph=null \\
        model.encoder=fingerprint
    python tests/benchmarks/snapshots.py runs/snap

Of a run with snapshots. Both halves take both parts, over many random halves of its validation part; the
test part is not looked at.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from screening.config import Config, load_config
from screening.metrics.concordance import concordance
from screening.training.members import examples, make_trainer
from screening.training.preparation import prepare_data

WAYS = ("best snapshot", "best two", "each assay its best", "each assay its best two", "all")


def validation(config: Config, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels [n, T], logits of the snapshots [s, n, T] and logits of the best epoch [n, T]."""
    trainer = make_trainer(config, prepared := prepare_data(config))
    part = examples(prepared, "valid")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    logits = []
    for weights in (*(state["snapshots"][epoch] for epoch in sorted(state["snapshots"])), state["best"]):
        trainer.model.load_state_dict(weights)
        logits.append(trainer.model.predict(part.store, part.rows).numpy())
    return part.labels[part.rows].numpy(), np.stack(logits[:-1]), logits[-1]


def scores(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """ROC-AUC [T]."""
    return np.asarray(concordance(labels, logits, is_real=np.zeros(labels.shape[1], bool), censored=None))


def choices(labels: np.ndarray, snapshots: np.ndarray) -> list[np.ndarray]:
    """For each of `WAYS` which snapshots [k, T] score which assay, chosen by these labels."""
    each = np.nan_to_num(np.stack([scores(labels, logits) for logits in snapshots]), nan=0.5)
    of_all = np.broadcast_to(each.mean(axis=1, keepdims=True), each.shape)
    by_assay, by_mean = (np.argsort(-values, axis=0) for values in (each, of_all))
    return [by_mean[:1], by_mean[:2], by_assay[:1], by_assay[:2], by_mean]


def judged(labels: np.ndarray, snapshots: np.ndarray, n_halves: int) -> np.ndarray:
    """Macro ROC-AUC [halves, ways] on the half that was not chosen by."""
    random, rows = np.random.default_rng(0), []
    for _ in range(n_halves):
        order = random.permutation(len(labels))
        ones, others = order[: len(order) // 2], order[len(order) // 2 :]
        for by, on in ((ones, others), (others, ones)):
            taken = choices(labels[by], snapshots[:, by])
            means = [np.take_along_axis(snapshots[:, on], at[:, None], axis=0).mean(axis=0) for at in taken]
            rows.append([np.nanmean(scores(labels[on], logits)) for logits in means])
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--halves", type=int, default=40)
    options = parser.parse_args()
    for folder in options.runs:
        config = load_config(folder / "config.yaml")
        settings = config.train.model_copy(update={"workers": 0})
        labels, snapshots, best = validation(config.model_copy(update={"train": settings}), folder)
        print(f"{folder.name}: best epoch on all {np.nanmean(scores(labels, best)):.4f}")
        found = judged(labels, snapshots, options.halves)
        for way, mean, more in zip(
            WAYS, found.mean(axis=0), (found - found[:, :1]).mean(axis=0), strict=True
        ):
            print(f"{way:28}{mean:.4f}  {more:+.4f}")


if __name__ == "__main__":
    main()
