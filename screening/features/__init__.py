"""Molecules to numbers, packed and cached.

Examples
--------
>>> from screening.features import FeatureSet, featurize
>>> store = featurize(["CCO", "c1ccccc1O", "C1CC"], FeatureSet("atom_codes", ("ecfp_counts",)), workers=0)
>>> store.usable.tolist()
[True, True, False]
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import featurizers as featurizers
    from .store import FeatureSet as FeatureSet
    from .store import GraphStore as GraphStore
    from .store import featurize as featurize

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "FeatureSet": "store",
        "GraphStore": "store",
        "featurize": "store",
        "featurizers": "",
    },
)
