"""Every balancer trains the real tables: D-MPNN, 3 epochs of Tox21 and 1 epoch of ToxCast (617 assays).

    SCREENING_DATA=FOLDER python tests/benchmarks/train_all.py [tox21|toxcast] [NAME ...]

A line per balancer: loss and validation ROC-AUC of the last epoch. Stops with an error at the first
number that is not finite. How long a step takes is measured in balancers.py.
"""

import os
import sys

from screening.balancing.contract import balancers
from screening.config import Config, check_config
from screening.training import members as fitting
from screening.training import preparation
from screening.training.trainer import Epoch

EPOCHS = {"tox21": 3, "toxcast": 1}
BATCH = {"tox21": 64, "toxcast": 128}


def config_of(table: str, balancer: str) -> Config:
    """D-MPNN 300 x 3; gradients at the features, or at the first place the balancer can work at."""
    places = balancers.build(balancer, ("one", "two")).places
    return check_config(
        {
            "name": "train-all",
            "data": {"source": table},
            "features": {"graph": "atom_codes"},
            "model": {"encoder": {"name": "dmpnn", "width": 300, "depth": 3}},
            "balancer": balancer,
            "gradients": {"at": "features" if places is None or "features" in places else places[0]},
            "train": {"epochs": EPOCHS[table], "batch_size": BATCH[table], "patience": None, "lr": 5e-4},
        }
    )


def run(table: str, balancer: str, prepared: preparation.Prepared) -> Epoch:
    """The last epoch; the weights of the model are checked too."""
    config = config_of(table, balancer)
    trainer = fitting.make_trainer(config, prepared)
    history = trainer.fit(fitting.examples(prepared, "train"), fitting.examples(prepared, "valid"))
    for name, value in [*trainer.model.state_dict().items(), *trainer.balancer.state_dict().items()]:
        if not value.isfinite().all():
            raise SystemExit(f"{balancer} on {table}: {name} is not finite")
    return history[-1]


def main() -> None:
    if "SCREENING_DATA" not in os.environ:
        print("SCREENING_DATA is not set: this benchmark needs the real tables. Skipped.")
        return
    tables = [word for word in sys.argv[1:] if word in EPOCHS] or list(EPOCHS)
    names = [word for word in sys.argv[1:] if word not in EPOCHS] or balancers.names()
    for table in tables:
        prepared = preparation.prepare_data(config_of(table, "equal"))
        print(
            f"{table}: {len(prepared.table.tasks)} assays, {EPOCHS[table]} epochs, D-MPNN 300 x 3", flush=True
        )
        for name in names:
            epoch = run(table, name, prepared)
            place = config_of(table, name).gradients.at
            print(
                f"  {name:12s} at {place:10s} loss {float(epoch.loss.nanmean()):8.4f}  "
                f"valid ROC-AUC {epoch.macro:.4f}  {epoch.seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
