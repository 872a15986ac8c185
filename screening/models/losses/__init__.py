"""The losses, one file each; importing this folder registers all of them."""

import pkgutil
from importlib import import_module

from .contract import Loss, label_counts, losses, measured
from .cross_entropy import CrossEntropy

__all__ = ["CrossEntropy", "Loss", "label_counts", "losses", "measured", "names", "register"]

register, names = losses.register, losses.names

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
