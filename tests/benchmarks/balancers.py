"""What balancing costs: a whole training step with every balancer against one with `equal`, in one run.

    python tests/benchmarks/balancers.py                                    # the table, about ten minutes
    python tests/benchmarks/balancers.py --models mlp --tasks 617 --methods pcgrad nash_mtl --rounds 20
    python tests/benchmarks/balancers.py --cpu-time --threads 1             # on a machine with other work
    python tests/benchmarks/balancers.py --models mlp --methods moco modo --at last_layer
    python tests/benchmarks/balancers.py --encoder --models mlp --tasks 12 128 617

GINE 5 x 300 and the perceptron of the SLAW paper (2048 -> 2000 -> 100), batches of 256 real molecules (Tox21
if SCREENING_DATA is set, else NCI molecules of the rdkit wheel), random labels, 25 % missing.
Steps alternate, equal, method, equal, method; printed is the median of the ratios of neighbours, and the
ratio of the highest memory of the process. Second looks (FAMO) are part of the step. Methods run at
`features`; the few that need gradients by parameters, at `last_norm`. --at runs those that can elsewhere.

--encoder takes the gradients at all parameters of the encoder, with Aligned-MTL, and does the same with
TorchJD (torchjd==0.18.0, autojac.mtl_backward), which differentiates all tasks at once by default; with
`parallel_chunk_size=1`, a loop over the tasks, it is often faster, and so that is timed as well.
"""

import argparse
import copy
import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from featurize import molecules
from rdkit import rdBase

from screening.balancing.chain import build_balancer
from screening.balancing.contract import balancers
from screening.balancing.gradients import Gradients
from screening.balancing.places import places
from screening.config_sections import Model
from screening.features.store import FeatureSet, GraphBatch, featurize
from screening.models.losses import CrossEntropy, label_counts
from screening.models.network import ScreeningModel, inputs_of
from screening.training.optimizer import FusedAdamW

BATCH, MISSING = 256, 0.25
ENCODERS = {
    "gine": {"name": "gine", "depth": 5, "width": 300},
    "mlp": {"name": "fingerprint", "widths": (2000, 100)},
}
REQUIRED = {"wpcgrad": {"priority": "slaw"}}
"""Options without a default."""

Step = Callable[[], None]


class Bench:
    """A model, a batch and the steps one can take with them."""

    def __init__(self, model: str, n_tasks: int, texts: list[str]) -> None:
        torch.manual_seed(0)
        features = FeatureSet(None, ("ecfp_counts",)) if model == "mlp" else FeatureSet("atom_codes")
        store = featurize(texts, features, workers=0)
        batch: GraphBatch = store.batch(range(len(texts)))
        self.batch = batch.with_vectors(batch.vectors)  # all columns, as in the paper: `equal` costs most so
        settings = Model.model_validate({"encoder": ENCODERS[model]})
        self.model = ScreeningModel(settings, inputs_of(store), n_tasks)
        self.labels = (torch.rand(BATCH, n_tasks) < 0.2).float()
        self.labels[torch.rand(BATCH, n_tasks) < MISSING] = torch.nan
        self.tasks = [f"assay {task}" for task in range(n_tasks)]
        self.optimizer = FusedAdamW([{"params": list(self.model.parameters())}], lr=1e-5)

    def step(self, method: str, at: str | None = None) -> Step:
        """One whole training step with a balancer, as `training.Trainer` takes it."""
        options = REQUIRED.get(method, {}) if "priority" in balancers.options(method) else {}
        balancer = build_balancer({"name": method, **options}, self.tasks)
        at = place_of(method) if at is None else at
        model, optimizer = self.model, self.optimizer
        if at != "features":  # which leaves hooks in the encoder
            model = copy.deepcopy(model)
            optimizer = FusedAdamW([{"params": list(model.parameters())}], lr=1e-5)
        gradients = Gradients(model.heads, balancer, at=at, encoder=model.encoder)
        taken = 0

        def run() -> None:
            nonlocal taken
            look = gradients.look(model.encoder(self.batch), self.labels, step=taken)
            decision = balancer.decide(look.step)
            optimizer.zero_grad(set_to_none=True)
            look.backward(decision)
            optimizer.step()
            if balancer.second_look:
                with torch.no_grad():
                    balancer.look_again(gradients.look(model.encoder(self.batch), self.labels).step)
            taken += 1

        return run

    def torchjd_step(self, chunk: int | None) -> Step:
        """The same with TorchJD's Aligned-MTL at the parameters of the encoder."""
        from torchjd.aggregation import AlignedMTL
        from torchjd.autojac import jac_to_grad, mtl_backward

        model = copy.deepcopy(self.model)
        optimizer = FusedAdamW([{"params": list(model.parameters())}], lr=1e-5)
        shared, heads = list(model.encoder.parameters()), list(model.heads.parameters())
        aggregator = AlignedMTL()

        def run() -> None:
            features = model.encoder(self.batch)
            cells = CrossEntropy().values(model.heads(features), self.labels)
            losses = cells.sum(0) / label_counts(self.labels).clamp(min=1)
            optimizer.zero_grad(set_to_none=True)
            mtl_backward(
                list(losses),
                features=features,
                shared_params=shared,
                tasks_params=[heads] * len(losses),
                retain_graph=True,
                parallel_chunk_size=chunk,
            )
            jac_to_grad(shared, aggregator)
            optimizer.step()

        return run


def place_of(method: str) -> str:
    """Where a method takes its gradients unless told otherwise."""
    known = balancers.get(method).places or ("features",)
    return "features" if "features" in known else known[0]


def timed(step: Step, clock: Callable[[], float]) -> float:
    started = clock()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started


def ratio(plain: Step, other: Step, rounds: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Median ratio of `other` to the plain steps before it and after it, and its seconds."""
    before, ratios, seconds = timed(plain, clock), [], []
    for _ in range(rounds):
        seconds.append(timed(other, clock))
        after = timed(plain, clock)
        ratios.append(2 * seconds[-1] / (before + after))
        before = after
    return statistics.median(ratios), statistics.median(seconds)


def peak(step: Step) -> float:
    """Highest memory of the process during a step, GiB; NaN where the system does not say (not Linux)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        step()
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    except (OSError, AttributeError, StopIteration):
        return float("nan")


def table(arguments: argparse.Namespace, texts: list[str], clock: Callable[[], float]) -> None:
    names = arguments.methods or [name for name in balancers.names() if name != "equal"]
    for model in arguments.models:
        print(f"\n{model}, batch {BATCH}: step with the balancer / step with equal (memory / memory)")
        print(f"{'':<14}" + "".join(f"{f'T = {n}':>16}" for n in arguments.tasks), flush=True)
        cells: dict[str, list[str]] = {name: [] for name in names}
        for n_tasks in arguments.tasks:
            bench = Bench(model, n_tasks, texts)
            plain = bench.step("equal")
            timed(plain, clock)
            memory = peak(plain)
            for name in names:
                step = bench.step(name, arguments.at)
                share = peak(step) / memory
                times, _ = ratio(plain, step, arguments.rounds, clock)
                cells[name].append(f"{times:.2f} ({share:.2f})")
                if len(arguments.tasks) == len(cells[name]):
                    print(f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells[name]), flush=True)


def encoder_table(arguments: argparse.Namespace, texts: list[str], clock: Callable[[], float]) -> None:
    for model in arguments.models:
        print(f"\n{model}, batch {BATCH}, aligned_mtl at the encoder: step / step with equal, memory in GiB")
        print(f"{'T':>5}{'ours':>16}{'TorchJD':>16}{'TorchJD, chunk 1':>20}", flush=True)
        for n_tasks in arguments.tasks:
            bench = Bench(model, n_tasks, texts)
            plain, steps = bench.step("equal"), [bench.step("aligned_mtl", at="encoder")]
            timed(plain, clock)
            if n_tasks <= arguments.most_torchjd:
                steps += [bench.torchjd_step(None), bench.torchjd_step(1)]
            line = f"{n_tasks:>5}"
            for step, width in zip(steps, (16, 16, 20), strict=False):
                memory = peak(step)
                times, _ = ratio(plain, step, min(arguments.rounds, 3), clock)
                line += f"{f'{times:.1f} ({memory:.1f})':>{width}}"
            print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(ENCODERS), default=list(ENCODERS))
    parser.add_argument("--tasks", nargs="+", type=int, default=[12, 128, 617])
    parser.add_argument("--methods", nargs="+", choices=balancers.names())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch; all processors if not given")
    parser.add_argument("--cpu-time", action="store_true", help="of the process, instead of wall time")
    parser.add_argument("--encoder", action="store_true", help="gradients at the encoder, against TorchJD")
    parser.add_argument("--most-torchjd", type=int, default=128, help="largest T for TorchJD")
    parser.add_argument("--at", choices=places.names(), help="where to take gradients; else see above")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.rounds} rounds")
    with rdBase.BlockLogs():
        texts = molecules(BATCH)
    (encoder_table if arguments.encoder else table)(arguments, texts, clock)


if __name__ == "__main__":
    main()
