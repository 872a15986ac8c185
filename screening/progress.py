"""Progress of long work; silent until the command line puts a display behind it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

Advance = Callable[..., None]
"""`advance(n=1, note=None)`: n more are done; `note` replaces the text behind the bar."""

Display = Callable[[str, int | None], AbstractContextManager[Advance]]
"""`display(title, total)` shows one bar and gives back its `Advance`; total None = unknown."""


@contextmanager
def _silent(title: str, total: int | None) -> Iterator[Advance]:
    yield lambda n=1, note=None: None


_display: ContextVar[Display] = ContextVar("display", default=_silent)


def show_progress_with(display: Display) -> None:
    """From now on, long work in this process reports to `display`."""
    _display.set(display)


def progress(title: str, total: int | None = None) -> AbstractContextManager[Advance]:
    """A bar for work the caller counts itself: `with progress("reading", n) as advance: advance(5)`."""
    return _display.get()(title, total)
