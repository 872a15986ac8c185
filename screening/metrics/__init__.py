"""Labels and scores to numbers with intervals; arrays only.

Examples
--------
>>> import numpy as np
>>> from screening.metrics import per_assay, summarize
>>> labels = np.array([[1, 0], [0, 1], [1, np.nan], [0, 0]], np.float32)
>>> scores = np.array([[0.9, 0.2], [0.1, 0.7], [0.8, 0.4], [0.3, 0.8]], np.float32)
>>> table = per_assay.evaluate(labels, scores, ["A", "B"], part="test")
>>> table["roc_auc"].tolist(), summarize(table).set_index("metric")["mean"]["roc_auc"].item()
([1.0, 0.5], 0.75)
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import paired as paired
    from . import per_assay as per_assay
    from .contract import Bounds as Bounds
    from .contract import Metric as Metric
    from .contract import metrics as metrics
    from .contract import register as register
    from .per_assay import summarize as summarize

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Bounds": "contract",
        "Metric": "contract",
        "metrics": "contract",
        "paired": "",
        "per_assay": "",
        "register": "contract",
        "summarize": "per_assay",
    },
)
