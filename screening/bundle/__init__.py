"""A trained model on disk, for us and for other programs.

Examples
--------
>>> import tempfile
>>> import pandas as pd
>>> import screening as sc
>>> frame = pd.DataFrame({"smiles": ["C" * n for n in range(1, 61)], "long": [0] * 30 + [1] * 30})
>>> forest = {"model": {"baseline": {"name": "random_forest", "trees": 10}}, "split": "random"}
>>> forest |= {"features": {"vectors": ["ecfp_counts"]}, "train": {"workers": 0}}
>>> run = sc.train({"name": "example", "runs": tempfile.mkdtemp(), **forest}, frame)
>>> from screening.bundle import Bundle
>>> bundle = Bundle.load(run)
>>> bundle.tasks, bundle.features.vectors, [member.model.kind for member in bundle.members]
(('long',), ('ecfp_counts',), ['random_forest'])
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .bundle import Bundle as Bundle
    from .exporting import export as export

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Bundle": "bundle",
        "export": "exporting",
    },
)
