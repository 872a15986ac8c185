"""Whether the applicability domain says anything: scores of the test part inside against outside of it.

    SCREENING_DATA=FOLDER python tests/benchmarks/domain.py [CONFIG] [KEY=VALUE ...] [--seeds 1]
        [--library FILE]

Trains the config (default configs/tox21_graph.yaml, on Tox21's published scaffold split) and divides the test
molecules by similarity alone, by distance alone and by both, with the thresholds of the bundle, and for scale
also the farthest quarter by each. A line has, inside and outside:

molecules and actives   molecules, and the share of actives among their labels
log-loss                mean over labels; its share of what the assay's base rates alone give, so that a part
                        with more actives is not called worse for it
difference              of these shares, outside minus inside, with its 95 % interval: bootstrap of molecules
ROC-AUC                 of all labels in one ranking, and the mean over assays with both classes (how many)

Over several seeds, sums over them. Then: how much of a library is in the domain (default the FDA approved).
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from screening.config import load_config
from screening.scoring.job import Extras, score_library
from screening.scoring.scorer import Scorer
from screening.training.predictions import read_predictions
from screening.training.run import train

DRAWS = 2000
PUBLISHED = ("split.name=file", "split.column=muben_scaffold", "split.path={}/splits/tox21_splits.csv.gz")


class Test(NamedTuple):
    """The test part of one run, n molecules and T assays."""

    labels: np.ndarray
    """[n, T], NaN = not measured."""
    scores: np.ndarray
    """[n, T]"""
    inside: dict[str, np.ndarray]
    """By rule, bool [n]."""


def inside(frame: pd.DataFrame, scorer: Scorer) -> dict[str, np.ndarray]:
    """By rule, bool [n], of the columns that `domain` adds."""
    similarity, distance = frame["similarity"].to_numpy(), frame["distance"].to_numpy()
    similar = scorer.bundle.domain.is_inside(similarity)
    near = scorer.bundle.representation.is_inside(distance)
    return {
        "similarity": similar,
        "distance": near,
        "both": similar & near,
        "three quarters by similarity": similarity >= np.quantile(similarity, 0.25),
        "three quarters by distance": distance <= np.quantile(distance, 0.75),
    }


def tested(run: Path) -> Test:
    """The test part of a run folder."""
    found, scorer = read_predictions(run), Scorer.load(run, domain=True)
    return Test(found.labels, found.scores, inside(scorer.score(found.smiles), scorer))


def of_base(losses: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The share of the log-loss of the base rates; 0 for a bootstrap sample without molecules."""
    return losses / np.maximum(base, 1e-9)


def sums(test: Test, chosen: np.ndarray) -> np.ndarray:
    """[4, n] of the chosen molecules: labels, actives, log-loss, log-loss of the base rates."""
    labels, scores = test.labels, np.clip(test.scores.astype(float), 1e-7, 1 - 1e-7)
    rates = np.broadcast_to(np.nanmean(labels, axis=0), labels.shape)
    losses = [-np.where(labels == 1, np.log(p), np.log1p(-p)) for p in (scores, rates)]
    each = np.stack([np.ones_like(scores), labels == 1, *losses])
    return np.where(np.isnan(labels), 0, each).sum(axis=2) * chosen


def roc_aucs(test: Test, chosen: np.ndarray) -> tuple[float, float, int]:
    """Of all labels, mean over assays, and assays it is the mean of."""
    labels, scores = test.labels[chosen], test.scores[chosen]
    known = ~np.isnan(labels)
    both = [t for t in range(labels.shape[1]) if len(np.unique(labels[known[:, t], t])) == 2]
    each = [roc_auc_score(labels[known[:, t], t], scores[known[:, t], t]) for t in both]
    return roc_auc_score(labels[known], scores[known]), float(np.mean(each)), len(both)


def lines(tests: list[Test], rule: str) -> Iterator[str]:
    """Inside and outside of the runs, which have the same test part."""
    n = len(tests[0].labels)
    parts = [sum(sums(test, test.inside[rule] == side) for test in tests) for side in (True, False)]
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    drawn = [weights @ part.T for part in parts]
    low, high = np.percentile(of_base(*drawn[1].T[2:]) - of_base(*drawn[0].T[2:]), [2.5, 97.5])
    shares = [of_base(*part.sum(axis=1)[2:]) for part in parts]
    for side, part, share in zip(("inside", "outside"), parts, shares, strict=True):
        labels, actives, losses, _ = part.sum(axis=1)
        found = np.array([roc_aucs(test, test.inside[rule] == (side == "inside")) for test in tests])
        molecules = sum((test.inside[rule] == (side == "inside")).sum() for test in tests) / len(tests)
        pooled, macro, assays = found.mean(axis=0)
        difference = f"{shares[1] - shares[0]:+.3f} ({low:+.3f} to {high:+.3f})" if side == "outside" else ""
        yield (
            f"{rule if side == 'inside' else '':30s}{side:9s}{molecules:9.0f}{actives / labels:9.3f}"
            f"{losses / labels:10.4f}{share:9.3f}  {difference:26s}{pooled:8.3f}{macro:8.3f} ({assays:.0f})"
        )


def of_library(run: Path, library: str) -> str:
    """How much of a library is inside."""
    with tempfile.TemporaryDirectory() as folder:
        report = score_library(run, library, Path(folder) / "scores", extras=Extras(domain=True), workers=0)
        parts = [pd.read_parquet(path) for path in sorted((Path(folder) / "scores").glob("*.parquet"))]
    frame = pd.concat(parts)
    frame = frame[frame["status"] == "ok"].astype({"in_domain": bool})
    rules = inside(frame, Scorer.load(run, domain=True))
    assert (rules["both"] == frame["in_domain"]).all()
    shares = ", ".join(f"{rules[rule].sum():,} by {rule}" for rule in ("similarity", "distance", "both"))
    return f"{Path(library).name}: of {report.scored:,} molecules in the domain {shares}"


def main() -> None:
    if "SCREENING_DATA" not in os.environ:
        print("SCREENING_DATA is not set: this benchmark needs the real tables. Skipped.")
        return
    data = os.environ["SCREENING_DATA"]
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*", metavar="CONFIG KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--library", action="append")
    options = parser.parse_args()
    configs = [word for word in options.words if "=" not in word] or ["configs/tox21_graph.yaml"]
    settings = [word.format(data) for word in PUBLISHED] + [word for word in options.words if "=" in word]
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            train(
                load_config(
                    Path(configs[0]), [*settings, f"runs={folder}", f"name=seed-{seed}", f"seed={seed}"]
                )
            ).folder
            for seed in range(options.seeds)
        ]
        tests = [tested(run) for run in runs]
        print(" ".join(["domain:", *configs[:1], *settings[3:]]), f"seeds {options.seeds}")
        print(
            f"{'':39s}{'molecules':>9s}{'actives':>9s}{'log-loss':>10s}{'of base':>9s}  {'difference':26s}"
            f"{'pooled':>8s}{'macro ROC-AUC':>15s}"
        )
        for rule in tests[0].inside:
            for line in lines(tests, rule):
                print(line)
        for library in options.library or [f"{data}/library/fda_approved.csv.gz"]:
            for run in runs:
                print(of_library(run, library))


if __name__ == "__main__":
    main()
