"""Encoders, heads, losses; the baselines.

Examples
--------
>>> import torch
>>> from screening.models import TaskHeads
>>> TaskHeads(64, 12)(torch.zeros(8, 64)).shape
torch.Size([8, 12])
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import baselines as baselines
    from . import encoders as encoders
    from . import losses as losses
    from .encoders.contract import Encoder as Encoder
    from .heads import TaskHeads as TaskHeads

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Encoder": "encoders.contract",
        "TaskHeads": "heads",
        "baselines": "",
        "encoders": "",
        "losses": "",
    },
)
