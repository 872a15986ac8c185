"""The face of a package: names that are loaded on first use (PEP 562), so that importing it costs nothing."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    Parameters
    ----------
    package : its `__name__`.
    homes : name to the module below the package that has it; "" where the name is that of a module.

    Examples
    --------
    >>> get, names, listed = lazy("screening", {"Rejected": "data.tables"})
    >>> get("Rejected")._fields
    ('row', 'id', 'smiles', 'reason')
    """

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'", name=name)
        home = homes[name]
        module = import_module(f"{package}.{home or name}")
        value = getattr(module, name) if home else module
        vars(sys.modules[package])[name] = value
        return value

    listed = sorted(homes)
    return load, lambda: list(listed), list(listed)
