"""How fast batches of 256 are made, beside PyTorch Geometric's DataLoader on a list of Data.

    python tests/benchmarks/batches.py [--molecules 5000] [--repeats 5]

Both give the same codes of the same molecules, all of them in a random order, in one process and thread.
"""

import argparse
import time
import warnings
from collections.abc import Callable

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from featurize import molecules  # noqa: E402
from torch_geometric.data import Data  # noqa: E402
from torch_geometric.loader import DataLoader  # noqa: E402

from screening.features.store import FeatureSet, GraphStore, featurize  # noqa: E402

BATCH = 256


def data_list(store: GraphStore) -> list[Data]:
    """Every molecule of the store as PyG's Data."""
    singles = [store.batch([row]) for row in range(len(store))]
    return [
        Data(x=one.atoms, edge_index=torch.stack([one.source, one.target]), edge_attr=one.bonds)
        for one in singles
    ]


def gather(store: GraphStore) -> int:
    """Atoms in all batches of the store."""
    return sum(len(store.batch(rows).atoms) for rows in torch.randperm(len(store)).split(BATCH))


def collate(data: list[Data]) -> int:
    """Atoms in all batches of the DataLoader."""
    return sum(len(batch.x) for batch in DataLoader(data, batch_size=BATCH, shuffle=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--molecules", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts = molecules(options.molecules)
    store = featurize(texts, FeatureSet("atom_codes"))
    with_counts = featurize(texts, FeatureSet("atom_codes", ("ecfp_counts",)))
    data = data_list(store)
    assert collate(data) == gather(store)
    named: dict[str, Callable[[], int]] = {
        "PyG DataLoader": lambda: collate(data),
        "GraphStore.batch": lambda: gather(store),
        "GraphStore.batch with ecfp_counts": lambda: gather(with_counts),
    }
    best = dict.fromkeys(named, float("inf"))
    for _ in range(options.repeats):
        for name, function in named.items():
            start = time.process_time()
            function()
            best[name] = min(best[name], time.process_time() - start)
    print(f"{len(texts):,} molecules in batches of {BATCH}, one core")
    print(f"{'':36}{'molecules/s':>12}{'x PyG':>8}")
    for name, seconds in best.items():
        print(f"{name:36}{len(texts) / seconds:12,.0f}{best['PyG DataLoader'] / seconds:8.1f}")
    stored = sum(t.nbytes for t in (store.first_atom, store.first_bond, store.atoms, store.bonds, store.ends))
    print(f"{stored / len(texts):.0f} bytes per molecule in the store")


if __name__ == "__main__":
    main()
