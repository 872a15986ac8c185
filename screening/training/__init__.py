"""From a config and a table to a run folder.

Examples
--------
>>> import tempfile
>>> import pandas as pd
>>> import screening as sc
>>> frame = pd.DataFrame({"smiles": ["C" * n for n in range(1, 61)], "long": [0] * 30 + [1] * 30})
>>> forest = {"model": {"baseline": {"name": "random_forest", "trees": 10}}, "split": "random"}
>>> forest |= {"features": {"vectors": ["ecfp_counts"]}, "train": {"workers": 0}}
>>> forest |= {"runs": tempfile.mkdtemp(), "data": {"source": "given below"}}
>>> config = sc.load_config({"name": "example", **forest})
>>> from screening.training import train
>>> train(config, data=sc.AssayTable.from_frame(frame)).evaluation["assay"].tolist()
['long']
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .building import trainer_of as trainer_of
    from .evaluating import calibration_effect as calibration_effect
    from .evaluating import evaluate as evaluate
    from .run import Trained as Trained
    from .run import plan as plan
    from .run import train as train
    from .trainer import Trainer as Trainer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Trained": "run",
        "Trainer": "trainer",
        "calibration_effect": "evaluating",
        "evaluate": "evaluating",
        "plan": "run",
        "train": "run",
        "trainer_of": "building",
    },
)
