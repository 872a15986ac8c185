"""Which molecule of an assay table trains, validates or tests, a file per split; importing it registers all.

And how much leaks from one part to another.
"""

import pkgutil
from importlib import import_module

from ..part_names import PARTS
from .contract import Molecules, Split, SplitFunction, register, splits
from .leaks import Leakage, leakage
from .table_split import split_table

__all__ = [
    "PARTS",
    "Leakage",
    "Molecules",
    "Split",
    "SplitFunction",
    "leakage",
    "register",
    "split_table",
    "splits",
]

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
