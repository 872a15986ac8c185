"""What the command line prints with: results and messages, a console, progress bars; nothing heavy at import.

Nothing else prints, so what comes from files passes through `printable`, and lines break between words.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from ..runtime.numbers import in_digits
from ..runtime.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 140
"""Columns of a table that goes to a file, unless the variable COLUMNS says otherwise."""


_flags: dict[str, str] = {}
"""Options of the commands by the name that they have in Python."""


class OutputError(OSError):
    """Standard output cannot be written."""


@contextmanager
def output() -> Iterator[None]:
    """Where results are written: an error of standard output is known as one."""
    try:
        yield
        sys.stdout.flush()
    except OSError as problem:
        raise OutputError(problem.errno, problem.strerror) from problem


def name_options(flags: Mapping[str, str]) -> None:
    """From now on `with_flags` knows these options, such as keep_known: --keep-known."""
    _flags.update(flags)


def with_flags(text: str) -> str:
    """A message of the library, which names settings as in Python, as the command line says it.

    >>> name_options({"keep_known": "--keep-known"})
    >>> with_flags("nothing is left (`keep_known` keeps them), `train` it again")
    'nothing is left (--keep-known keeps them), `train` it again'
    """
    return re.sub(r"`([a-z_]+)`", lambda name: _flags.get(name[1], name[0]), text)


def say(text: str) -> None:
    """A message for people, on standard error: results alone go to standard output."""
    with suppress(OSError):
        _write(with_flags(text), sys.stderr)


def tell(text: str) -> None:
    """A result, on standard output."""
    with output():
        _write(text, sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    text = printable(text, lines=True)
    print(wrapped(text, terminal_width(stream)) if stream.isatty() else text, file=stream)


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal; where there is none, those of COLUMNS, else WIDE."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return WIDE


def wrapped(text: str, width: int) -> str:
    """The text broken between words, with what follows a break set in; a command stays in one piece.

    >>> print(wrapped("Give the old file, or make a new one: screening group CONFIG --groups 8", 30))
    Give the old file, or make a
      new one:
      screening group CONFIG --groups 8
    """
    return "\n".join(broken for line in text.split("\n") for broken in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    if cells(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    command = re.search(r"(?<=: )(?:python -m )?screening [a-z].*", line)
    words = re.findall(r"\S+\s*", line[: command.start()] if command else line)
    lines, current = [], indent
    for word in words:
        if cells(current + word.rstrip()) > width and current.strip():
            lines.append(current.rstrip())
            current = indent + "  "
        current += word
    return [*lines, current.rstrip(), *([f"{indent}  {command[0]}"] if command else [])]


def cells(text: str) -> int:
    """Columns of the terminal that a text takes: wide letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def open_console(stderr: bool = False) -> "Console":
    """The terminal, or WIDE columns where output goes to a file; "[nH]" of a SMILES is text, not a style."""
    from rich.console import Console

    width = terminal_width(sys.stderr if stderr else sys.stdout)
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def notes_to(console: "Console") -> Callable[[object], None]:
    """A function that prints a note, above the bars where there are some."""

    def note(text: object) -> None:
        plain = printable(with_flags(str(text)), lines=True)
        with suppress(OSError):
            console.print(wrapped(plain, console.width) if console.is_terminal else plain, soft_wrap=True)

    return note


@contextmanager
def progress_shown() -> Iterator["Console"]:
    """Bars on a terminal; where output goes to a file or log, one line per piece of work."""
    from ..runtime.progress import Advance, duration, show_progress_with, time_left

    console = open_console(stderr=True)

    @contextmanager
    def bar(title: str, total: int | None) -> Iterator[Advance]:
        number = bars.add_task(printable(title), total=total, note="")

        def advance(n: int = 1, note: str | None = None) -> None:
            bars.advance(number, n)
            if note is not None:
                bars.update(number, note=printable(note))

        try:
            yield advance
        finally:
            bars.remove_task(number)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn

    class Left(ProgressColumn):
        """Time left at the mean rate; the rate of the last seconds, as rich has it, jumps."""

        def render(self, task: Task) -> str:
            left = time_left(task.completed, task.total, task.elapsed or 0.0)
            return "" if left is None else f"{duration(left)} left"

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Left(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        if console.is_terminal:
            show_progress_with(bar)
        yield console


def p_value(value: float) -> str:
    """A p-value in three digits; one that is smaller says so.

    >>> p_value(0.0004), p_value(0.04), p_value(float("nan"))
    ('< 0.001', '0.040', '-')
    """
    return "< 0.001" if value < 0.001 else in_digits(value)
