"""Vector featurizers: fingerprints and descriptors of one molecule, one kind per file.

Importing this folder registers all of them. The rates are molecules per second on a core that reads
`READING_RATE` SMILES, without reading them (`tests/benchmarks/featurize.py` measures them).
"""

import pkgutil
from importlib import import_module

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
