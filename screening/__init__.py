"""Virtual screening with one model for all assays.

>>> import tempfile
>>> import pandas as pd
>>> import screening as sc
>>> chains = ["C" * n for n in range(1, 41)]
>>> smiles = [*chains, *(f"{chain}O" for chain in chains)]
>>> frame = pd.DataFrame({"smiles": smiles, "alcohol": [0] * 40 + [1] * 40})
>>> forest = {"baseline": {"name": "random_forest", "trees": 20}}
>>> config = {"name": "example", "runs": tempfile.mkdtemp(), "split": "random", "model": forest}
>>> run = sc.train(config, frame, overrides={"features.vectors": ["ecfp_counts"], "train.workers": 0})
>>> run.tasks, run.evaluation["roc_auc"].tolist()
(('alcohol',), [1.0])
>>> run.score(["CCCCO", "not a molecule"])[["status", "alcohol"]].round(1)
     status  alcohol
0        ok      1.0
1  rejected      NaN

A table is read from a file (`read_assays`), found in the catalogue (`load_dataset`) or made of a DataFrame
(`AssayTable.from_frame`). `train` and `load_run` give a `Run`, which a notebook shows as a card, and which
goes wherever a run folder is asked for. Libraries of any size are scored by `score_library`; `choose_hits`
picks compounds from the scores. More is on the faces of the packages, such as `screening.balancing`.

The names below are loaded on first use, so that ``import screening`` and ``screening --help`` stay fast.
"""

from typing import TYPE_CHECKING

from .faces import lazy

if TYPE_CHECKING:
    from .bundle.bundle import Bundle as Bundle
    from .bundle.exporting import export as export
    from .config import Config as Config
    from .config import load_config as load_config
    from .data.assay_table import AssayTable as AssayTable
    from .data.assays import read_assays as read_assays
    from .data.datasets import load_dataset as load_dataset
    from .data.describing import describe as describe
    from .data.tables import Rejected as Rejected
    from .errors import BundleError as BundleError
    from .errors import ConfigError as ConfigError
    from .errors import DataError as DataError
    from .errors import ScreeningError as ScreeningError
    from .evaluation.benchmarks import benchmark as benchmark
    from .evaluation.comparison import compare as compare
    from .evaluation.external import assess as assess
    from .evaluation.learning_curves import learning_curve as learning_curve
    from .grouping.choosing import group as group
    from .plugins import load_plugins as load_plugins
    from .pretraining.run import pretrain as pretrain
    from .reporting.report import write_report as write_report
    from .run import Run as Run
    from .run import load_run as load_run
    from .run import train as train
    from .scoring.choices import Engine as Engine
    from .scoring.choices import Extras as Extras
    from .scoring.choices import Input as Input
    from .scoring.choices import Output as Output
    from .scoring.job import score_library as score_library
    from .scoring.scorer import Scorer as Scorer
    from .training.evaluating import evaluate as evaluate
    from .training.run import plan as plan
    from .triage.explanation import explain as explain
    from .triage.hits import choose_hits as choose_hits
    from .tuning.search import tune as tune

_load, __dir__, __all__ = lazy(
    __name__,
    {
        "AssayTable": "data.assay_table",
        "Bundle": "bundle.bundle",
        "BundleError": "errors",
        "Config": "config",
        "ConfigError": "errors",
        "DataError": "errors",
        "Rejected": "data.tables",
        "Run": "run",
        "Scorer": "scoring.scorer",
        "ScreeningError": "errors",
        "assess": "evaluation.external",
        "benchmark": "evaluation.benchmarks",
        "choose_hits": "triage.hits",
        "compare": "evaluation.comparison",
        "describe": "data.describing",
        "evaluate": "training.evaluating",
        "explain": "triage.explanation",
        "export": "bundle.exporting",
        "group": "grouping.choosing",
        "learning_curve": "evaluation.learning_curves",
        "load_config": "config",
        "load_plugins": "plugins",
        "load_run": "run",
        "plan": "training.run",
        "pretrain": "pretraining.run",
        "load_dataset": "data.datasets",
        "read_assays": "data.assays",
        "Engine": "scoring.choices",
        "Extras": "scoring.choices",
        "Output": "scoring.choices",
        "Input": "scoring.choices",
        "score_library": "scoring.job",
        "train": "run",
        "tune": "tuning.search",
        "write_report": "reporting.report",
    },
)


def __getattr__(name: str) -> object:
    if name != "__version__":
        return _load(name)
    from importlib.metadata import version

    return version("screening")
