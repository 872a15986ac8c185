"""Virtual screening with one model for all assays.

The names below are the Python interface; they are loaded on first use so that
``import screening`` and ``screening --help`` stay fast.
"""

from importlib import import_module

_HOMES = {
    "AssayTable": "data.assays",
    "Rejected": "data.tables",
    "read_assays": "data.assays",
    "Scorer": "scoring.job",
    "Bundle": "bundle.bundle",
    "ScreeningError": "errors",
    "load_plugins": "plugins",
    "train": "training.run",
    "evaluate": "training.run",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("screening")
    if name in _HOMES:
        return getattr(import_module(f"screening.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'screening' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
