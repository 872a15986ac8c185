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


def time_left(done: float, total: float | None, elapsed: float) -> float | None:
    """Seconds that the rest will take at the mean rate so far; None as long as nobody can know.

    The mean over all that is done moves slowly: blocks of unlike cost, and results that come in bursts, would
    throw a rate of the last seconds up and down.
    """
    if total is None or done <= 0 or elapsed <= 0:
        return None
    return elapsed * max(total - done, 0.0) / done


def duration(seconds: float) -> str:
    """A time for people, in one or two units.

    Examples
    --------
    >>> duration(0.4), duration(42), duration(184), duration(8000), duration(200_000)
    ('1 s', '42 s', '3 min', '2 h 13 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
