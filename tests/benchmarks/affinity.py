"""What collecting affinities costs: training with it against plain training, in one run.

    SCREENING_DATA=FOLDER python tests/benchmarks/affinity.py
    SCREENING_DATA=FOLDER python tests/benchmarks/affinity.py --cpu-time --threads 1   # beside other work

The two configs as they are, 40 steps each way in turn, without validation: Tox21 (12 assays) exact at every
10th step and linear at every one, ToxCast (617) linear. Printed is the median of the ratios of neighbours.
The aims are at most 3 times plain training for exact on Tox21, at most 1.10 for linear on ToxCast.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from screening.config import load_config
from screening.training.members import examples, make_trainer
from screening.training.preparation import Prepared, prepare_data

STEPS = 40
CONFIGS = Path(__file__).parents[2] / "configs"
CASES = {
    "tox21": ["grouping.affinity=exact", "grouping.affinity=linear"],
    "toxcast": ["grouping.affinity=linear", "grouping.affinity=linear grouping.batch=train"],
}


def seconds(prepared: Prepared, name: str, more: str, clock: Callable[[], float], steps: int) -> float:
    """Of so many steps of a config."""
    config = load_config(CONFIGS / f"{name}.yaml", ["train.epochs=1", "grouping.skip=0", *more.split()])
    trainer = make_trainer(config, prepared)
    part = examples(prepared, "train")
    train = part._replace(rows=part.rows[: steps * config.train.batch_size])
    started = clock()
    trainer.fit(train, part._replace(rows=part.rows[:0]))
    return clock() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, help="of torch; all processors if not given")
    parser.add_argument("--cpu-time", action="store_true", help="of the process, instead of wall time")
    arguments = parser.parse_args()
    if "SCREENING_DATA" not in os.environ:
        print("SCREENING_DATA is not set: this benchmark needs the real tables. Skipped.")
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    for name in arguments.names:
        prepared = prepare_data(load_config(CONFIGS / f"{name}.yaml", []))
        seconds(prepared, name, "", clock, arguments.steps)
        for more in CASES[name]:
            ratios = []
            before = seconds(prepared, name, "", clock, arguments.steps)
            for _ in range(arguments.rounds):
                taken = seconds(prepared, name, more, clock, arguments.steps)
                after = seconds(prepared, name, "", clock, arguments.steps)
                ratios.append(2 * taken / (before + after))
                before = after
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{name:<8} {more:<48} {statistics.median(ratios):.2f} of plain ({spread})", flush=True)


if __name__ == "__main__":
    main()
