"""The encoders, one file each; importing this folder registers all of them."""

import pkgutil
from importlib import import_module

from .contract import Encoder, Inputs, encoders

__all__ = ["Encoder", "Inputs", "encoders", "names", "register"]

register, names = encoders.register, encoders.names

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
