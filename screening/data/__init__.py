"""Files to assay tables, molecules read, splits.

Examples
--------
>>> import pandas as pd
>>> from screening.data import catalogue
>>> catalogue.catalogue["tox21"].n_tasks
12
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import catalogue as catalogue
    from . import splits as splits
    from .alerts_table import alerts_library as alerts_library
    from .assay_table import AssayTable as AssayTable
    from .assays import read_assays as read_assays
    from .datasets import load_dataset as load_dataset
    from .describing import describe as describe
    from .tables import Rejected as Rejected

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "AssayTable": "assay_table",
        "Rejected": "tables",
        "catalogue": "",
        "describe": "describing",
        "load_dataset": "datasets",
        "alerts_library": "alerts_table",
        "read_assays": "assays",
        "splits": "",
    },
)
