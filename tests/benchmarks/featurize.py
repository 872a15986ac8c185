"""How fast SMILES become features, beside PyTorch Geometric and RDKit's reading alone.

    python tests/benchmarks/featurize.py [--molecules 2000] [--repeats 5]

One process, one thread; the best of several rounds in which all take turns, so that a busy machine
disturbs the ratios little. Tox21 where SCREENING_DATA names its folder, else molecules that RDKit ships.
"""

import argparse
import csv
import gzip
import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from rdkit import Chem, RDConfig, RDLogger  # noqa: E402
from torch_geometric.utils import from_smiles  # noqa: E402

from screening.data.molecules import read_molecules  # noqa: E402
from screening.features.featurizers import GraphFeaturizer  # noqa: E402
from screening.features.graphs.atom_codes import AtomCodes  # noqa: E402
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
            start = time.process_time()
            function(texts)
            best[name] = min(best[name], time.process_time() - start)
    print(f"{len(texts):,} molecules, one core, reading the SMILES included")
    print(f"{'':30}{'molecules/s':>12}{'x PyG':>8}{'x reading':>11}")
    pyg, reading = best["PyG from_smiles"], best["RDKit reading alone"]
    for name, seconds in best.items():
        print(f"{name:30}{len(texts) / seconds:12,.0f}{pyg / seconds:8.2f}{reading / seconds:11.2f}")


if __name__ == "__main__":
    main()
