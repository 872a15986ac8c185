"""The page about a run and its pictures."""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from . import pictures as pictures
    from .report import write_report as write_report

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "pictures": "",
        "write_report": "report",
    },
)
