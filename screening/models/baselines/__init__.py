"""Baselines: one forest, one boosted forest or one logistic regression per assay; one file each.

Importing this folder registers all of them. How trees become arrays is in `trees`.
"""

import pkgutil
from importlib import import_module

from .contract import Baseline, baselines, restore

__all__ = ["Baseline", "baselines", "names", "register", "restore"]

register, names = baselines.register, baselines.names

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
