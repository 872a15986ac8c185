"""One epoch of Tox21 with D-MPNN 300 x 3, batch 64: ours against chemprop's, in turn, in one run.

    python -m venv chemprop-env && chemprop-env/bin/pip install torch==2.13.0 chemprop==2.3.1
    SCREENING_DATA=FOLDER CHEMPROP_PYTHON=chemprop-env/bin/python python tests/benchmarks/epoch.py

Both train on the same molecules with features made beforehand (chemprop with its cache on), on all
processors. Printed: seconds per epoch of each round, and the ratio of the medians. Without
CHEMPROP_PYTHON only ours is timed.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS, EPOCHS, WIDTH, DEPTH, BATCH = 3, 2, 300, 3, 64


def time_ours() -> list[float]:
    """Seconds of each epoch but the first."""
    from screening.config import check_config
    from screening.training import members as fitting
    from screening.training import preparation

    config = check_config(
        {
            "name": "epoch",
            "data": {"source": "tox21"},
            "split": "random",
            "features": {"graph": "atom_codes"},
            "model": {"encoder": {"name": "dmpnn", "width": WIDTH, "depth": DEPTH}},
            "train": {"epochs": EPOCHS + 1, "batch_size": BATCH, "patience": None, "device": "cpu"},
        }
    )
    prepared = preparation.prepare_data(config)
    trainer = fitting.make_trainer(config, prepared)
    train = fitting.examples(prepared, "train")
    history = trainer.fit(train, train._replace(rows=train.rows[:0]))
    return [epoch.seconds for epoch in history[1:]]


def time_chemprop(table: str) -> list[float]:
    """The same with chemprop 2.3, in its own environment; validation left out."""
    import csv
    import gzip
    import logging
    import warnings

    import numpy as np
    from chemprop import data, featurizers, models, nn
    from lightning import pytorch as lightning

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    with gzip.open(table, "rt") as file:
        rows = list(csv.DictReader(file))
    tasks = [name for name in rows[0] if name not in ("mol_id", "smiles")]
    points = []
    for row in rows:
        labels = np.array([float(row[task]) if row[task] else np.nan for task in tasks])
        try:
            points.append(data.MoleculeDatapoint.from_smi(row["smiles"], labels))
        except (RuntimeError, ValueError):
            continue
    order = np.random.default_rng(0).permutation(len(points))[: round(0.8 * len(points))]
    dataset = data.MoleculeDataset([points[i] for i in order], featurizers.SimpleMoleculeMolGraphFeaturizer())
    dataset.cache = True
    loader = data.build_dataloader(dataset, batch_size=BATCH, num_workers=0, seed=0)
    model = models.MPNN(
        nn.BondMessagePassing(d_h=WIDTH, depth=DEPTH),
        nn.MeanAggregation(),
        nn.BinaryClassificationFFN(n_tasks=len(tasks), input_dim=WIDTH, hidden_dim=WIDTH),
        batch_norm=False,
    )
    seconds: list[float] = []

    class Clock(lightning.Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self, *_: object) -> None:
            seconds.append(time.perf_counter() - self.started)

    lightning.Trainer(
        max_epochs=EPOCHS + 1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock()],
    ).fit(model, loader)
    return seconds[1:]


def run(python: str, which: str, table: str) -> list[float]:
    """Seconds per epoch, timed in a process of its own."""
    answer = subprocess.run(
        [python, __file__, which, table],
        capture_output=True,
        text=True,
        check=False,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
    )
    if answer.returncode:
        raise SystemExit(f"{which} failed:\n{answer.stderr[-2000:]}")
    return [float(word) for word in answer.stdout.split("seconds:")[1].split()]


def main() -> None:
    table = str(Path(os.environ["SCREENING_DATA"]) / "tox21.csv.gz") if "SCREENING_DATA" in os.environ else ""
    if not table:
        print("SCREENING_DATA is not set: this benchmark needs the real Tox21 table. Skipped.")
        return
    peer = os.environ.get("CHEMPROP_PYTHON")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours += run(sys.executable, "ours", table)
        theirs += run(peer, "chemprop", table) if peer else []
    print(f"D-MPNN {WIDTH} x {DEPTH}, batch {BATCH}, training part of Tox21, {os.cpu_count()} processors")
    print("ours      seconds per epoch:", " ".join(f"{value:.1f}" for value in ours))
    if theirs:
        print("chemprop  seconds per epoch:", " ".join(f"{value:.1f}" for value in theirs))
        print(f"ratio of medians, ours / chemprop: {statistics.median(ours) / statistics.median(theirs):.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        timed = time_ours() if sys.argv[1] == "ours" else time_chemprop(sys.argv[2])
        print("seconds:", *timed)
    else:
        main()
