"""Which settings to train with: a search that looks at the validation part alone.

Examples
--------
>>> import screening as sc
>>> from screening.tuning import default_space
>>> config = sc.load_config({"name": "a", "data": {"source": "assays.csv"}, "model": {"encoder": "dmpnn"}})
>>> default_space(config)["train.lr"].log
True
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .search import Tuned as Tuned
    from .search import tune as tune
    from .space import default_space as default_space

__getattr__, __dir__, __all__ = lazy(
    __name__, {"Tuned": "search", "default_space": "space", "tune": "search"}
)
