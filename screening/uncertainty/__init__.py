"""Calibrated probabilities, conformal sets and intervals, applicability domain.

Examples
--------
>>> from screening.uncertainty import calibrations
>>> calibrations.names()
['isotonic', 'none', 'platt', 'temperature']
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .calibration import calibrations as calibrations
    from .conformal import ConformalSets as ConformalSets
    from .intervals import Intervals as Intervals
    from .structure_domain import Domain as Domain

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "ConformalSets": "conformal",
        "Domain": "structure_domain",
        "Intervals": "intervals",
        "calibrations": "calibration",
    },
)
