"""Which assays should train together, and whether it helps.

Examples
--------
>>> import numpy as np
>>> from screening.grouping import select_groups
>>> affinity = np.array([[1, 0.5, -0.5], [0.5, 1, -0.5], [-0.5, -0.5, 1]])
>>> select_groups(affinity, 2, singletons=True).groups
((0, 1), (2,))
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .choosing import Choice as Choice
    from .choosing import group as group
    from .choosing import with_affinity as with_affinity
    from .selection import select_groups as select_groups
    from .trial import try_groups as try_groups

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Choice": "choosing",
        "group": "choosing",
        "select_groups": "selection",
        "try_groups": "trial",
        "with_affinity": "choosing",
    },
)
