"""A library as a stream of blocks that can be restarted."""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .choices import Engine as Engine
    from .choices import Extras as Extras
    from .choices import Input as Input
    from .choices import Output as Output
    from .job import score_library as score_library
    from .scorer import Scorer as Scorer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Scorer": "scorer",
        "Engine": "choices",
        "Extras": "choices",
        "Output": "choices",
        "Input": "choices",
        "score_library": "job",
    },
)
