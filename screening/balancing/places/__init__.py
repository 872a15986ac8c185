"""Where the gradients of the tasks are taken (`gradients.at`), a file per place; importing it registers all.

A place sees one `Cut` and gives the Gramian or the gradients themselves. Those by parameters are
vector-Jacobian products of several tasks at once over the graph that is already there, so with the same
dropout; tasks without labels in the batch cost nothing.
"""

import pkgutil
from importlib import import_module

from .contract import Cut, Place, Settings, places

__all__ = ["Cut", "Place", "Settings", "places"]

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
