"""Registries and imports as they were, after a test that loads plug-ins."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from screening import plugins, registry


def _forget(name: str) -> None:
    if name.partition(".")[0] != "screening":
        del sys.modules[name]


@contextmanager
def restored() -> Iterator[None]:
    """What is registered and imported inside is forgotten afterwards."""
    families = registry.registries()
    for family in families:
        family.names()
    items = [(family, dict(family._items), dict(family._registrations)) for family in families]
    modules, path = set(sys.modules), list(sys.path)
    loaded, expected, installed = dict(plugins._loaded), dict(plugins._expected), plugins._installed
    try:
        yield
    finally:
        for family, before, places in items:
            family._items, family._registrations = before, places
        for name in set(sys.modules) - modules:
            if "/lib/python" not in (getattr(sys.modules[name], "__file__", None) or "/lib/python"):
                _forget(name)
        sys.path[:] = path
        plugins._loaded, plugins._expected, plugins._installed = loaded, expected, installed
