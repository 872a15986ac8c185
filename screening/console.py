"""What the command line prints with: a console, progress bars, tables; nothing heavy at import."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table


def say(text: str) -> None:
    """A line for people, on standard error: results alone go to standard output."""
    print(text, file=sys.stderr)


def open_console(stderr: bool = False) -> "Console":
    """The terminal, or 140 columns where output goes to a file; "[nH]" of a SMILES is text, not a style."""
    from rich.console import Console

    console = Console(stderr=stderr, markup=False)
    return console if console.is_terminal else Console(stderr=stderr, width=140, markup=False)


@contextmanager
def progress_shown() -> Iterator["Console"]:
    """Bars on a terminal; where output goes to a file or log, one line per piece of work."""
    from .progress import Advance, show_progress_with

    console = open_console(stderr=True)

    @contextmanager
    def bar(title: str, total: int | None) -> Iterator[Advance]:
        number = bars.add_task(title, total=total, note="")

        def advance(n: int = 1, note: str | None = None) -> None:
            bars.advance(number, n)
            if note is not None:
                bars.update(number, note=note)

        try:
            yield advance
        finally:
            bars.remove_task(number)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        if console.is_terminal:
            show_progress_with(bar)
        yield console


def new_table(title: str, columns: list[str]) -> "Table":
    """An empty table without borders."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def print_frame(frame: "pd.DataFrame", title: str) -> None:
    """Print a frame, numbers with four digits."""
    table = new_table(title, [str(name) for name in frame.columns])
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row))
    open_console().print(table)


def in_digits(value: float, digits: int = 3) -> str:
    """A number as text; "-" if there is none (NaN)."""
    return "-" if value != value else f"{value:.{digits}f}"
