"""The errors a user can cause; everything else is a fault of ours and keeps its traceback."""

from collections.abc import Iterable, Mapping
from typing import Any


class ScreeningError(Exception):
    """A mistake in what the user gave: says what, where, what was expected and what to do."""


class ConfigError(ScreeningError):
    """A wrong setting: unknown name, value out of range, settings that do not go together."""


class DataError(ScreeningError):
    """A table, label or molecule file that cannot be used as it is."""


class UndeclaredError(DataError):
    """A table of measured values of which no setting says what they are."""

    def __init__(self, message: str, assays: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.assays = {name: dict(each) for name, each in assays.items()}
        """What `data.assays` could be, all of it, as plain values; {} = nothing is suggested."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.assays)


class UnitsError(DataError):
    """Values of an assay of a long table have units that cannot be converted to that of the others."""


class BundleError(ScreeningError):
    """A trained model on disk that is incomplete, damaged, or from another version."""


def listed(texts: Iterable[str], most: int = 20, mark: str = "'") -> str:
    """The first `most` texts, each between marks, and how many more there are: names in a message.

    >>> listed(["a", "b", "c"], 2), listed(["a", "b"], mark=""), listed([])
    ("'a', 'b' and 1 more", 'a, b', '')
    """
    texts = list(texts)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(f"{mark}{text}{mark}" for text in texts[:most]) + more
