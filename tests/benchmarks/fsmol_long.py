"""One network for thousands of assays against a random forest for each: concordance on the test molecules.

    screening train tox21_graph name=fsmol data.source=fsmol_train_long.csv.gz split=random \\
        "features.vectors=[ecfp_counts]" features.graph=null model.encoder=fingerprint train.epochs=10
    python tests/benchmarks/fsmol_long.py runs/fsmol [assays] [forests.csv]

Assays with 100 labels or more, and three or more test molecules of each class; of many, so many drawn. A
forest has 200 trees on the counts of ECFP4 folded to 2,048, and the run's own training part. Forests are
grown once for several runs of one split: what they gave is kept in the file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from screening.data.datasets import load_dataset
from screening.data.sparse_cells import measured_cells
from screening.training.predictions import read_predictions
from screening.training.run_folder import read_config

LEAST, FEWEST = 100, 3
"""Labels of an assay, and test molecules of each class."""


def chosen_assays(run: Path, most: int) -> list[str]:
    """Assays with enough labels, and enough of both classes in the test part, in random order."""
    counts = (
        pd.read_csv(run / "labels.csv").set_index(["assay", "part"])[["measured", "actives"]].unstack("part")
    )
    total = counts["measured"].sum(axis=1)
    actives, measured = counts["actives"]["test"], counts["measured"]["test"]
    names = counts.index[(total >= LEAST) & (actives >= FEWEST) & (measured - actives >= FEWEST)]
    return list(np.random.default_rng(0).permutation(names)[:most])


def features(texts: list[str]) -> np.ndarray:
    """Counts of ECFP4: uint32 [n, 2048]."""
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    return np.stack([generator.GetCountFingerprintAsNumPy(MolFromSmiles(text)) for text in texts])


def training_cells(run: Path, names: list[str]) -> dict[str, pd.DataFrame]:
    """Structures and labels of each assay in the training part of a run; contradicting ones are left out."""
    table = load_dataset(str(read_config(run).data.source)).select(names)
    split = pd.read_csv(run / "split.csv", usecols=["row", "part"]).set_index("row")["part"]
    rows, tasks, labels = measured_cells(table.labels)
    cells = pd.DataFrame({"row": rows, "assay": np.array(table.tasks)[tasks], "label": labels})
    cells = cells[split.reindex(table.rows[rows] - 1).to_numpy() == "train"]
    cells["smiles"] = np.array(table.smiles, object)[cells["row"]]
    return dict(iter(cells.groupby("assay")))


def forest_aucs(run: Path, names: list[str], said: dict[str, pd.DataFrame], kept: Path) -> Iterator[float]:
    """ROC-AUC of a forest for each assay, in their order, from the file or grown now and written there."""
    known = pd.read_csv(kept).set_index("assay")["forest"].to_dict() if kept.exists() else {}
    cells = training_cells(run, names) if set(names) - set(known) else {}
    for name in names:
        if name not in known:
            forest = RandomForestClassifier(200, random_state=0)
            forest.fit(features(cells[name]["smiles"].tolist()), cells[name]["label"])
            scores = forest.predict_proba(features(said[name]["smiles"].tolist()))[:, 1]
            known[name] = roc_auc_score(said[name]["label"], scores)
            pd.DataFrame(list(known.items()), columns=["assay", "forest"]).to_csv(kept, index=False)
        yield known[name]


def main(run: Path, most: int, kept: Path) -> None:
    """Print the means of both and of their difference, with its standard error over assays."""
    names, said = chosen_assays(run, most), dict(iter(read_predictions(run).frame().groupby("assay")))
    network = np.array([roc_auc_score(said[name]["label"], said[name]["score"]) for name in names])
    forests = np.array(list(forest_aucs(run, names, said, kept)))
    difference = network - forests
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"{len(names)} assays with {LEAST} labels or more; mean ROC-AUC (= concordance) on the test part:")
    print(f"network {network.mean():.4f}, forests {forests.mean():.4f}, difference {difference.mean():+.4f}")
    print(
        f"standard error of the difference over assays {error:.4f}; better in {(difference > 0).mean():.0%}"
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    main(
        folder,
        int(sys.argv[2]) if len(sys.argv) > 2 else 10_000,
        Path(sys.argv[3]) if len(sys.argv) > 3 else folder / "forests.csv",
    )
