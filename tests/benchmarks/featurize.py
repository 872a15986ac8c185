"""How fast SMILES become features, beside PyTorch Geometric and RDKit's reading alone.

    python tests/benchmarks/featurize.py [--molecules 2000] [--repeats 5]

One process, one thread; the best of several rounds in which all take turns, so that a busy machine
disturbs the ratios little. Then the vectors alone, of molecules that were read before: their `rate`. Tox21
where SCREENING_DATA names its folder, else molecules that RDKit ships.
"""

import argparse
import csv
import gzip
import os
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from rdkit import Chem, RDConfig, RDLogger  # noqa: E402
from rdkit.Chem import FilterCatalog  # noqa: E402
from torch_geometric.utils import from_smiles  # noqa: E402

from screening.data.molecules import read_molecules  # noqa: E402
from screening.features.featurizers import READING_RATE, GraphFeaturizer, VectorFeaturizer  # noqa: E402
from screening.features.graphs.atom_codes import AtomCodes  # noqa: E402
from screening.features.packing import vector_featurizer  # noqa: E402
from screening.features.store import FeatureSet, featurize, featurizers  # noqa: E402
from screening.features.vectors.deepchem import DeepChemVector  # noqa: E402


def molecules(n: int) -> list[str]:
    """The first n SMILES, without those that RDKit cannot read."""
    folder = os.environ.get("SCREENING_DATA")
    if folder:
        with gzip.open(Path(folder) / "tox21.csv.gz", "rt") as file:
            texts = [row["smiles"] for row in csv.DictReader(file)]
    else:
        lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
        texts = [line.split("\t")[0] for line in lines]
    return [text for text in texts if Chem.MolFromSmiles(text) is not None][:n]


def contestants() -> dict[str, Callable[[list[str]], object]]:
    """Name to a function that turns all SMILES into features; the reference of each ratio first."""

    def one_by_one(function: Callable[[str], object]) -> Callable[[list[str]], object]:
        return lambda texts: [function(text) for text in texts]

    loop = AtomCodes()
    named: dict[str, Callable[[list[str]], object]] = {
        "PyG from_smiles": one_by_one(from_smiles),
        "RDKit reading alone": one_by_one(Chem.MolFromSmiles),
        "reading without stereo": partial(read_molecules, stereo=False),
        "atom_codes, loop over atoms": lambda texts: [
            loop(mol) for mol, _ in read_molecules(texts, stereo=False)
        ],
    }
    for name in featurizers.names():
        item = featurizers.get(name)
        if issubclass(item, DeepChemVector):
            continue
        features = FeatureSet(name) if issubclass(item, GraphFeaturizer) else FeatureSet(None, (name,))
        named[name] = partial(featurize, features=features, workers=1)
    named["atom_codes + ecfp_counts"] = partial(
        featurize, features=FeatureSet("atom_codes", ("ecfp_counts",)), workers=1
    )
    return named


def alone(texts: list[str], repeats: int) -> dict[str, float]:
    """Seconds of each vector featurizer for molecules that were read just before; of `FilterCatalog` too."""
    kinds = [featurizers.get(name) for name in featurizers.names()]
    named = {
        kind.name: vector_featurizer(kind.name)
        for kind in kinds
        if issubclass(kind, VectorFeaturizer) and not issubclass(kind, DeepChemVector)
    }
    parameters = FilterCatalog.FilterCatalogParams()
    parameters.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.ALL)
    matches = FilterCatalog.FilterCatalog(parameters).GetMatches
    best = dict.fromkeys(["RDKit reading", *named, "FilterCatalog"], float("inf"))
    for _ in range(repeats):
        best["RDKit reading"] = min(best["RDKit reading"], seconds(Chem.MolFromSmiles, texts))
        for name, featurizer in named.items():
            mols = [mol for mol, _ in read_molecules(texts, stereo=featurizer.reads_stereo)]
            work = featurizer if featurizer.kind == "real" else featurizer.nonzero
            best[name] = min(best[name], seconds(work, mols))
        tenth = [Chem.MolFromSmiles(text) for text in texts[::10]]
        best["FilterCatalog"] = min(best["FilterCatalog"], 10 * seconds(matches, tenth))
    return best


def seconds(function: Callable[..., object], items: Sequence[object]) -> float:
    """Of the processor, for all items one by one."""
    start = time.process_time()
    for item in items:
        function(item)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--molecules", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    RDLogger.DisableLog("rdApp.*")
    texts = molecules(options.molecules)
    named = contestants()
    best = dict.fromkeys(named, float("inf"))
    for _ in range(options.repeats):
        for name, function in named.items():
            best[name] = min(best[name], seconds(function, [texts]))
    print(f"{len(texts):,} molecules, one core, reading the SMILES included")
    print(f"{'':30}{'molecules/s':>12}{'x PyG':>8}{'x reading':>11}")
    pyg, reading = best["PyG from_smiles"], best["RDKit reading alone"]
    for name, each in best.items():
        print(f"{name:30}{len(texts) / each:12,.0f}{pyg / each:8.2f}{reading / each:11.2f}")
    best = alone(texts, options.repeats)
    print(f"\nvectors alone: time in readings of RDKit, and molecules / s where it reads {READING_RATE:,}")
    for name, each in best.items():
        times = each / best["RDKit reading"]
        print(f"{name:30}{times:8.2f}{READING_RATE / times:12,.0f}")


if __name__ == "__main__":
    main()
