"""From a config and a table to a run folder."""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .run import evaluate as evaluate
    from .run import plan as plan
    from .run import train as train
    from .trainer import Trainer as Trainer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Trainer": "trainer",
        "evaluate": "run",
        "plan": "run",
        "train": "run",
    },
)
