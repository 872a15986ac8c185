"""Time and size of the report of a run, by the number of assays.

    OMP_NUM_THREADS=1 python tests/benchmarks/report.py [RUN ...]

Run folders given are reported on as they are; without any, folders of 12 and 617 assays with made-up labels
of 8,576 molecules (ToxCast's shape) are used. Processor time, without the start of Python and the imports;
beside it that of one `roc_auc_score` of scikit-learn per assay and part, for scale. The aim is 20 s and 3 MB
at 617 assays.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import small

from screening.reporting.report import write_report
from screening.training.predictions import read_predictions


def scikit_learn_loop(run: Path) -> None:
    for part in ("valid", "test"):
        found = read_predictions(run, part=part)
        for labels, scores in zip(found.labels.T, found.scores.T, strict=True):
            known = ~np.isnan(labels)
            if len(np.unique(labels[known])) == 2:
                roc_auc_score(labels[known], scores[known])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(text) for text in sys.argv[1:]]
        if not runs:
            runs = [small.run_folder(Path(folder) / f"of-{n}", n=8_576, n_tasks=n) for n in (12, 617)]
        write_report(runs[0], Path(folder) / "first.html")  # imports what is imported late
        print(f"{'run':24s}{'report':>10s}{'size':>10s}{'roc_auc_score loop':>22s}")
        for run in runs:
            start = time.process_time()
            report = write_report(run, Path(folder) / "page.html")
            ours = time.process_time() - start
            start = time.process_time()
            scikit_learn_loop(run)
            loop = time.process_time() - start
            print(f"{run.name:24s}{ours:>8.2f} s{report.size / 1e6:>7.2f} MB{loop:>20.2f} s")


if __name__ == "__main__":
    main()
