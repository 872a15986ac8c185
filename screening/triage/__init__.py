"""From scores to compounds one would order, and why they score.

Examples
--------
>>> from rdkit.Chem import MolFromSmiles
>>> from screening.triage import filters
>>> filters.filters.get("lipinski")(MolFromSmiles("CCO"))
[]
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import filters as filters
    from .explanation import explain as explain
    from .explanation import explain_molecules as explain_molecules
    from .hits import choose_hits as choose_hits

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "choose_hits": "hits",
        "explain": "explanation",
        "explain_molecules": "explanation",
        "filters": "",
    },
)
