"""One network for thousands of assays against a random forest for each: concordance on the test molecules.

    screening train tox21_fast name=fsmol data.source=fsmol_train_long.csv.gz split=random \\
        "features.vectors=[ecfp_counts]" features.graph=null model.encoder=fingerprint train.epochs=10
    python tests/benchmarks/fsmol_long.py runs/fsmol [assays]

Assays with 100 labels or more, and three or more test molecules of each class; of many, so many drawn ones. A
forest has 200 trees on the counts of ECFP4 folded to 2,048, and the run's own training part.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from screening.data.assays import read_assays
from screening.data.sparse_cells import take_rows
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


def main(run: Path, most: int) -> None:
    """Print the means of both and of their difference, with its standard error over assays."""
    names = chosen_assays(run, most)
    table = read_assays(str(read_config(run).data.source)).select(names)
    split = pd.read_csv(run / "split.csv", usecols=["row", "part"]).set_index("row")["part"]
    parts = split.reindex(table.rows - 1).to_numpy()
    train = np.flatnonzero(parts == "train")
    labels = take_rows(table.labels, train)
    said = dict(iter(read_predictions(run).frame().groupby("assay")))
    aucs = []
    for place, name in enumerate(names):
        test = said[name]
        of_train = labels[:, place]
        known = np.flatnonzero(np.isfinite(of_train))
        forest = RandomForestClassifier(200, random_state=0).fit(
            features([table.smiles[train[row]] for row in known]), of_train[known]
        )
        scores = (test["score"], forest.predict_proba(features(test["smiles"].tolist()))[:, 1])
        aucs.append([roc_auc_score(test["label"], each) for each in scores])
    network, forests = np.array(aucs).T
    difference = network - forests
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"{len(names)} assays with {LEAST} labels or more; mean ROC-AUC (= concordance) on the test part:")
    print(f"network {network.mean():.4f}, forests {forests.mean():.4f}, difference {difference.mean():+.4f}")
    print(
        f"standard error of the difference over assays {error:.4f}; better in {(difference > 0).mean():.0%}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
