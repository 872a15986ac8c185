"""A trained model on disk, for us and for other programs."""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .bundle import Bundle as Bundle
    from .exporting import export as export

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Bundle": "bundle",
        "export": "exporting",
    },
)
