"""The page about a run and its pictures.

Examples
--------
>>> import numpy as np
>>> from screening.reporting import pictures
>>> picture = pictures.label_counts(np.array([900, 400]), np.array([90, 8]), np.array(["good", "fair"]))
>>> picture.heading, picture.svg[:4]
('Labels and actives of each assay', '<svg')
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import pictures as pictures
    from .report import write_report as write_report

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "pictures": "",
        "write_report": "report",
    },
)
