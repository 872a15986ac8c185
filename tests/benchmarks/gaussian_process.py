"""The Gaussian process on the published split of MoleculeACE: errors, choice of fingerprints, speed.

    python tests/benchmarks/gaussian_process.py errors [--vectors ecfp_counts,torsions]
    python tests/benchmarks/gaussian_process.py choice [--molecules 700]
    python tests/benchmarks/gaussian_process.py speed

`errors` fits one process per target on the published training part and looks at the test part: root mean
square error, of cliff molecules too, and how much its own intervals cover. `choice` compares sets of
fingerprints by leaving molecules out of the training parts alone; no test value is read. `speed` compares
similarities with those of RDKit, one against many at a time. The wheel: pip install --no-deps
moleculeace==3.0.0.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetAtomPairGenerator

from screening.data.moleculeace_table import measurements
from screening.features.store import FeatureSet, GraphStore, featurize
from screening.models.baselines.gaussian_process import GaussianProcess
from screening.models.baselines.min_max_kernel import EVEN, FALLING, Counts, MinMax
from screening.models.baselines.normal_posterior import noise_of, posterior

CHOSEN = ("ecfp6_counts", "fcfp_counts", "atom_pairs", "torsions")
TRIED = {
    "ecfp_counts, plain": (("ecfp_counts",), EVEN),
    "ecfp_counts + atom_pairs + torsions, plain": (("ecfp_counts", "atom_pairs", "torsions"), EVEN),
    "ecfp_counts + atom_pairs + torsions": (("ecfp_counts", "atom_pairs", "torsions"), FALLING),
    "the same + fcfp_counts": (("ecfp_counts", "fcfp_counts", "atom_pairs", "torsions"), FALLING),
    "with ecfp6_counts for ecfp_counts": (CHOSEN, FALLING),
    "the last without torsions": (CHOSEN[:3], FALLING),
}
NORMAL = {0.5: 0.6745, 0.8: 1.2816, 0.9: 1.6449, 0.95: 1.96}  # share within so many standard deviations


class Target(NamedTuple):
    """The measurements of one target; arrays [n]."""

    name: str
    smiles: list[str]
    values: np.ndarray
    """-log10 of nanomolar."""
    is_test: np.ndarray
    is_cliff: np.ndarray


def targets() -> Iterator[Target]:
    """All thirty."""
    every = list(measurements())
    for name in dict.fromkeys(each.assay for each in every):
        here = [each for each in every if each.assay == name]
        yield Target(
            name,
            [each.smiles for each in here],
            -np.log10([float(each.nanomolar) for each in here]),
            np.array([each.part == "test" for each in here]),
            np.array([each.is_cliff for each in here]),
        )


def store_of(smiles: list[str], vectors: tuple[str, ...]) -> GraphStore:
    """Their features; kept in the folder that SCREENING_CACHE names, if it names one."""
    cache = os.environ.get("SCREENING_CACHE")
    return featurize(smiles, FeatureSet(None, vectors), workers=1, cache=Path(cache) if cache else None)


def root_mean_square(off: np.ndarray) -> float:
    return float(np.sqrt((off**2).mean()))


def errors(vectors: tuple[str, ...], counts: str) -> None:
    """Print the errors of each target and their means."""
    rows = []
    for target in targets():
        train = np.flatnonzero(~target.is_test)
        mean, deviation = target.values[train].mean(), target.values[train].std()
        labels = torch.from_numpy((target.values - mean) / deviation).float()[:, None]
        process = GaussianProcess(counts=counts)  # type: ignore[arg-type]
        store = store_of(target.smiles, vectors)
        process.fit(store, labels, torch.from_numpy(train), is_real=torch.tensor([True]), workers=1)
        test = np.flatnonzero(target.is_test)
        means, deviations = process.predict_with_sd(store, torch.from_numpy(test))
        off = mean + deviation * means[:, 0].double().numpy() - target.values[test]
        spread = deviation * deviations[:, 0].double().numpy()
        covered = [float((np.abs(off) < width * spread).mean()) for width in NORMAL.values()]
        rows.append([root_mean_square(off), root_mean_square(off[target.is_cliff[test]]), *covered])
        print(f"{target.name:15} RMSE {rows[-1][0]:.3f}, cliff molecules {rows[-1][1]:.3f}", flush=True)
    both = np.mean(rows, axis=0)
    shares = ", ".join(f"{share:.0%}: {value:.3f}" for share, value in zip(NORMAL, both[2:], strict=True))
    print(f"mean of {len(rows)}: RMSE {both[0]:.4f}, cliff molecules {both[1]:.4f}; covered {shares}")


def choice(n_molecules: int) -> None:
    """Print the error of molecules left out of the training parts, for each set of fingerprints."""
    off: dict[str, list[float]] = {name: [] for name in TRIED}
    for target in targets():
        train = np.random.default_rng(0).permutation(np.flatnonzero(~target.is_test))[:n_molecules]
        smiles, values = [target.smiles[row] for row in train], target.values[train]
        names = sorted({name for vectors, _ in TRIED.values() for name in vectors})
        dense = {name: store_of(smiles, (name,)).batch(range(len(train))).vectors.numpy() for name in names}
        counts = {name: Counts.of([block]) for name, block in dense.items()}
        for name, (vectors, weights) in TRIED.items():
            fingerprints = [counts[each] for each in vectors]
            similarity = MinMax(fingerprints, weights).to(fingerprints)
            process = posterior(similarity, values, noise_of(similarity, values))
            off[name].append(root_mean_square(process.left_out - values))
    for name, each in off.items():
        print(f"{name:45} {np.mean(each):.4f}")


def speed(n_molecules: int = 2000) -> None:
    """Print the pairs per second of RDKit and of the house, on counts of atom pairs."""
    smiles = next(target.smiles for target in targets() if len(target.smiles) >= n_molecules)[:n_molecules]
    generator = GetAtomPairGenerator(fpSize=4096, countSimulation=False)
    theirs = [generator.GetCountFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    counts = [Counts.of([store_of(smiles, ("atom_pairs",)).batch(range(n_molecules)).vectors.numpy()])]
    start = time.perf_counter()
    expected = [DataStructs.BulkTanimotoSimilarity(each, theirs) for each in theirs[:100]]
    of_rdkit = 100 * n_molecules / (time.perf_counter() - start)
    start = time.perf_counter()
    similarity = MinMax(counts).to(counts)
    ours = n_molecules**2 / (time.perf_counter() - start)
    assert np.allclose(similarity[:100], expected, atol=1e-6)
    print(f"pairs per second: RDKit {of_rdkit:,.0f}, MinMax {ours:,.0f}, {ours / of_rdkit:.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["errors", "choice", "speed"])
    parser.add_argument("--vectors", default=",".join(CHOSEN))
    parser.add_argument("--counts", default="log", choices=["log", "plain"])
    parser.add_argument("--molecules", type=int, default=700)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "errors":
        errors(tuple(options.vectors.split(",")), options.counts)
    elif options.what == "choice":
        choice(options.molecules)
    else:
        speed()


if __name__ == "__main__":
    main()
