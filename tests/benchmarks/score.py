"""How fast libraries are scored, beside RDKit's reading alone, and in how much memory.

    python tests/benchmarks/score.py [rates] [stages] [memory] [top] [--library FILE] [--molecules 50000]
        [--chemprop PYTHON] [--engine pool] [--rounds 5] [--workers 2]

rates   screening score with each descriptor set against RDKit reading the same SMILES, both on all processors
stages  microseconds of processor time per molecule of each stage, in one process
memory  largest resident memory of all processes together, for the library once and ten times over
top     what --top 1000 over 617 assays adds to scoring
peer    with --chemprop: chemprop's predict, D-MPNN 300 x 3, processor time per molecule against ours

The models are untrained: that changes no speed. The library is zinc250k.smi.gz where SCREENING_DATA names
its folder, else molecules that RDKit ships, repeated. Rates are of processor time where they say so: they
stand on a busy machine too.
"""

import argparse
import gzip
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from rdkit import Chem, RDConfig, RDLogger

if __name__ != "__mp_main__":  # processes that only read need none of these
    import torch

    from screening.bundle.bundle import Bundle
    from screening.bundle.member import Member
    from screening.config_sections import Model
    from screening.data.tables import open_table
    from screening.features.store import FeatureSet, GraphStore, featurize, pack
    from screening.models.network import ScreeningModel, inputs_of
    from screening.runtime.processes import default_workers, map_in_processes
    from screening.scoring.job import score_library

FAST = {"name": "gine", "width": 64, "depth": 3}
HYBRID = {"name": "hybrid", "width": 64, "depth": 3, "hidden": 256}
SETS: dict[str, tuple[dict, tuple[str, ...]]] = {
    "graph (configs/tox21_graph.yaml)": (FAST, ()),
    "graph + ecfp_bits": (HYBRID, ("ecfp_bits",)),
    "graph + ecfp_counts": (HYBRID, ("ecfp_counts",)),
    "graph + rdkit_fast": (HYBRID, ("rdkit_fast",)),
    "graph + rdkit_descriptors": (HYBRID, ("rdkit_descriptors",)),
}
SLOWER = {"rdkit_fast": 10, "rdkit_descriptors": 50}
"""How much slower, roughly: so many times fewer molecules are scored."""
DMPNN = {"name": "dmpnn", "width": 300, "depth": 3}
BLOCK = 500


def library(path: str | None, n: int) -> list[str]:
    """The first n SMILES."""
    folder = os.environ.get("SCREENING_DATA")
    if path is None and folder:
        path = str(Path(folder) / "library" / "zinc250k.smi.gz")
    if path is None:
        path = str(Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi")
    reader = open_table(path)
    texts = [text for block in reader for text in block.columns[reader.smiles]]
    return list(islice(chain.from_iterable(repeat(texts)), n))


def written(texts: list[str], folder: Path, name: str = "library.smi") -> Path:
    """As a SMILES file with names."""
    path = folder / name
    with path.open("w") as file:
        file.writelines(f"{text}\tM{n:09d}\n" for n, text in enumerate(texts))
    return path


def bundle(folder: Path, encoder: dict, vectors: tuple[str, ...], n_tasks: int = 12) -> Path:
    """An untrained model on disk."""
    features = FeatureSet("atom_codes", vectors)
    store = featurize(["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"], features, workers=0)
    settings = Model.model_validate({"encoder": encoder})
    torch.manual_seed(0)
    model = ScreeningModel(settings, inputs_of(store), n_tasks).eval()
    tasks = tuple(f"assay-{t}" for t in range(n_tasks))
    member = Member(model, tuple(range(n_tasks)))
    Bundle((member,), settings, inputs_of(store), features, tasks, {}).save(folder)
    return folder


def read_block(texts: list[str]) -> int:
    """RDKit's plain reading."""
    RDLogger.DisableLog("rdApp.*")
    return sum(Chem.MolFromSmiles(text) is not None for text in texts)


def processor_time() -> float:
    """Of this process and of those that it started and that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of all processors."""
    clock, cpu = time.perf_counter(), processor_time()
    work()
    return time.perf_counter() - clock, processor_time() - cpu


def read_all(texts: list[str], workers: int) -> None:
    blocks = (texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK))
    sum(map_in_processes(read_block, blocks, workers=workers))


def rates(texts: list[str], folder: Path, engine: str, rounds: int, first: int, workers: int) -> None:
    """Each set in turn with plain reading, the start of processes included; medians of all rounds.

    Rates are compared within a round: the machine's own speed may drift from round to round.
    """
    print(f"engine {engine}, {workers or 1} processes that read, {rounds} rounds")
    print(f"{'':34}{'molecules':>10}{'a second':>10}{'us of processor':>17}", end="")
    print(f"{'rate by clock (range)':>26}{'by processor':>14}")
    for name, (encoder, vectors) in list(SETS.items())[:first]:
        part = texts[: len(texts) // next((k for key, k in SLOWER.items() if key in vectors), 1)]
        run, path = bundle(folder / "model", encoder, vectors), written(part, folder)
        size = min(4096, max(len(part) // 15, 1)) if workers else 4096
        options = {"overwrite": True, "engine": engine, "workers": workers, "block_size": size}
        score = partial(score_library, run, path, folder / "out", **options)
        read = partial(read_all, part, workers)
        costs = np.array([(timed(read), timed(score)) for _ in range(rounds)]) / len(part)
        ratios = costs[:, 0] / costs[:, 1]
        (clock, cpu), (by_clock, by_cpu) = np.median(costs[:, 1], axis=0), np.median(ratios, axis=0)
        span = f"{by_clock:.2f} ({ratios[:, 0].min():.2f} to {ratios[:, 0].max():.2f})"
        print(
            f"{name:34}{len(part):10,}{1 / clock:10,.0f}{cpu * 1e6:17.1f}{span:>26}{by_cpu:14.2f}", flush=True
        )


def stages(texts: list[str], folder: Path) -> None:
    """In one process, the best of four rounds."""
    torch.set_num_threads(1)
    texts = texts[:4096]
    path = written(texts, folder)

    def cost(name: str, work: Callable[[], object]) -> object:
        best, result = float("inf"), None
        for _ in range(4):
            start = time.process_time()
            result = work()
            best = min(best, time.process_time() - start)
        print(f"{name:44}{best / len(texts) * 1e6:8.1f}", flush=True)
        return result

    print(f"{'stage':44}{'us per molecule':>8}")
    cost("reading the file", lambda: list(open_table(path)))
    passed_over = open_table(path, block_size=64)  # of which the first is always parsed
    cost("passing over blocks of the file", lambda: list(passed_over.blocks(lambda number: False)))
    cost("RDKit reading alone", partial(read_block, texts))
    for name, (encoder, vectors) in SETS.items():
        features = FeatureSet("atom_codes", vectors)
        small = texts[:512] if "rdkit_descriptors" in vectors else texts
        if small is not texts:
            continue
        packed = cost(f"{name}: reading and features", partial(pack, small, features))
        store = GraphStore.of(features, [packed])  # type: ignore[list-item]
        model = Bundle.load(bundle(folder / "model", encoder, vectors))
        rows = torch.arange(len(small))
        cost(f"{name}: model", partial(model.predict, store, rows, batch_size=4096))


@contextmanager
def watched_memory() -> Iterator[list[int]]:
    """Largest resident memory of this process and all below it, in bytes, as the only element."""
    largest, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            largest[0] = max(largest[0], sum(resident(pid) for pid in family(os.getpid())))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield largest
    finally:
        done.set()
        thread.join()


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [Path(f"/proc/{pid}/task/{t}/children") for t in os.listdir(f"/proc/{pid}/task")]
        children = [child for path in threads for child in path.read_text().split()]
    except OSError:
        return []
    return [pid, *chain.from_iterable(family(int(child)) for child in children)]


def resident(pid: int) -> int:
    """Bytes; pages shared with others are counted by their share where the system says so."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def memory(texts: list[str], folder: Path) -> None:
    """In a process of its own for each length."""
    path = written(texts, folder)
    long = folder / "long.smi.gz"
    with gzip.open(long, "wt", compresslevel=1) as file:
        for _ in range(10):
            file.write(path.read_text())
    run = bundle(folder / "model", FAST, ())
    for name, source in (("library", path), ("ten times", long)):
        answer = subprocess.run(
            [sys.executable, __file__, "peak", "--library", str(source), "--run", str(run)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        print(f"{name:12}{answer.stdout.strip()}", flush=True)


def peak(run: str, source: str) -> None:
    with watched_memory() as largest, tempfile.TemporaryDirectory() as folder:
        report = score_library(run, source, folder, top=1000)
    print(f"{report.read:,} molecules, largest memory of all processes {largest[0] / 2**20:,.0f} MiB")


def top(texts: list[str], folder: Path) -> None:
    """Processor time with and without, in turn, for all molecules and a third of them.

    The start (the first parts are all leaders) and the writing of 617,000 rows cost the same for any length.
    """
    run = bundle(folder / "model", FAST, (), 617)
    lengths = len(texts) // 3, len(texts)
    least = {(n, k): float("inf") for n in lengths for k in (0, 1000)}
    for _ in range(2):
        for n, k in least:
            path = written(texts[:n], folder)
            job = partial(score_library, run, path, folder / "out", top=k, overwrite=True, workers=0)
            least[n, k] = min(least[n, k], timed(job)[1])
    (short, long), span = lengths, lengths[1] - lengths[0]
    per = {k: (least[long, k] - least[short, k]) / span for k in (0, 1000)}
    fixed = least[long, 1000] - least[long, 0] - (per[1000] - per[0]) * long
    print(f"617 assays, {per[0] * 1e6:.0f} us per molecule; --top 1000 adds {per[1000] / per[0] - 1:+.1%}")
    print(f"and {fixed:.1f} s once; for 250,000: {(per[1000] - per[0] + fixed / 250_000) / per[0]:+.1%}")


def peer(texts: list[str], folder: Path, python: str) -> None:
    """Both predict the same molecules twice; the difference of two lengths takes out the start."""
    run = bundle(folder / "model", DMPNN, ())
    script = folder / "chemprop_model.py"
    script.write_text(CHEMPROP)
    subprocess.run([python, str(script), str(folder / "chemprop.pt")], check=True, capture_output=True)
    costs: dict[str, list[float]] = {"ours": [], "chemprop": []}
    for n in (len(texts) // 5, len(texts)):
        written(texts[:n], folder)
        (folder / "library.csv").write_text("smiles\n" + "\n".join(texts[:n]) + "\n")
        for name in costs:
            costs[name].append(timed(partial(_predict, name, python, run, folder))[1])
    span = len(texts) - len(texts) // 5
    per = {name: (long - short) / span * 1e6 for name, (short, long) in costs.items()}
    print(f"D-MPNN 300 x 3, {len(texts):,} molecules, microseconds of processor time per molecule:")
    print(", ".join(f"{name} {value:,.0f}" for name, value in per.items()))
    print(f"ours is {per['chemprop'] / per['ours']:.1f} times as fast")


def _predict(name: str, python: str, run: Path, folder: Path) -> None:
    ours = [sys.executable, "-m", "screening", "score", str(run), str(folder / "library.smi")]
    ours += ["--out", str(folder / "out"), "--overwrite", "--workers", "0"]
    theirs = [str(Path(python).parent / "chemprop"), "predict", "-i", str(folder / "library.csv")]
    theirs += ["--model-paths", str(folder / "chemprop.pt"), "-s", "smiles", "-o", str(folder / "p.csv")]
    theirs += ["--accelerator", "cpu", "-n", "0"]
    command = ours if name == "ours" else theirs
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode or not ((folder / "p.csv").exists() or name == "ours"):
        raise SystemExit(f"{name} failed:\n{answer.stderr[-2000:]}")


CHEMPROP = """
import sys
from chemprop import models, nn
from chemprop.models.utils import save_model
torch_model = models.MPNN(
    nn.BondMessagePassing(d_h=300, depth=3), nn.MeanAggregation(),
    nn.BinaryClassificationFFN(n_tasks=12, input_dim=300, hidden_dim=300), batch_norm=False,
)
save_model(sys.argv[1], torch_model)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["rates", "stages", "top"])
    parser.add_argument("--library")
    parser.add_argument("--molecules", type=int, default=50_000)
    parser.add_argument("--chemprop")
    parser.add_argument("--workers", type=int, default=default_workers(), help="0 = one process in all")
    parser.add_argument("--sets", type=int, default=len(SETS), help="so many of the descriptor sets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", default="pool")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == ["peak"]:
        return peak(options.run, options.library)
    texts = library(options.library, options.molecules)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "rates" in options.what:
            rates(texts, folder, options.engine, options.rounds, options.sets, options.workers)
        if "stages" in options.what:
            stages(texts, folder)
        if "memory" in options.what:
            memory(texts, folder)
        if "top" in options.what:
            top(texts, folder)
        if options.chemprop:
            peer(texts, folder, options.chemprop)


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
