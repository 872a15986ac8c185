"""Time to explain 200 molecules for one assay, against scoring them and against occlusion.

    SCREENING_DATA=folder python tests/benchmarks/explain.py [RUN]

Without RUN, an untrained network of the default Tox21 config is made (hybrid, ECFP and 217 descriptors). The
aim is 200 molecules in less than 30 seconds on two cores; pictures and tables are included.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.config import load_config
from screening.data import datasets
from screening.features.store import FeatureSet, featurize
from screening.models.network import ScreeningModel, inputs_of
from screening.triage.explanation import explain

N = 200


def untrained(folder: Path, texts: list[str]) -> Path:
    config = load_config("configs/tox21.yaml")
    features = FeatureSet(config.features.graph, config.features.vectors)
    store = featurize(texts, features)
    model = ScreeningModel(config.model, inputs_of(store), 12)
    model.encoder.fit(store, torch.arange(len(texts)))
    tasks = tuple(f"assay {number}" for number in range(12))
    bundle = Bundle(
        (Member(model.eval(), tuple(range(12))),), config.model, inputs_of(store), features, tasks, {}
    )
    bundle.save(folder / "bundle")
    return folder


def main() -> None:
    texts = datasets.load_dataset("alerts").smiles[:N]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "molecules.smi"
        library.write_text("".join(f"{each}\n" for each in texts))
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else untrained(folder, texts)
        bundle = Bundle.load(run)
        start = time.perf_counter()
        store = featurize(texts, bundle.features, workers=0)
        bundle.predict(store, torch.arange(N))
        scoring = time.perf_counter() - start
        print(f"scoring {N} molecules: {scoring:.1f} s; {torch.get_num_threads()} threads")
        for method in ("integrated_gradients", "occlusion"):
            wall, cpu = time.perf_counter(), time.process_time()
            found = explain(run, library, folder / "out", assay=bundle.tasks[0], method=method, limit=N)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            worst = found.molecules["error"].abs().max()
            print(f"{method}: {wall:.1f} s, {cpu:.1f} s of processor time, largest error {worst:.3f}")


if __name__ == "__main__":
    main()
