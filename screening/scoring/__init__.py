"""A library as a stream of blocks that can be restarted."""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .job import score_library as score_library
    from .scorer import Scorer as Scorer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Scorer": "scorer",
        "score_library": "job",
    },
)
