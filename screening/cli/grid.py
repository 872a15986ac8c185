"""Tables on a terminal of any width: no text is cut, and no number or interval is broken over two lines.

Where a table is too wide, headers take several lines, then names do, then the columns of highest rank are
left out (a line below says which), and on the narrowest terminals every row becomes a block. Called by
`shown` and the commands.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ..runtime.printable import printable
from .console import cells, open_console, output, wrapped

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"-|-?[\d,.]+")
NAME, LEAST = 24, 14
"""Columns of the terminal that a folded name keeps: while others can be left out, and when none can."""


class Column(NamedTuple):
    """A column of a table."""

    title: str
    rank: int = 0
    """0 = always there; of the others the highest is left out first where the terminal is narrow."""
    folds: int = 0
    """Least room of names and sentences, which go on in the next line; 0 = a number, which does not."""


class _Shape(NamedTuple):
    """How a table is printed: which columns, how wide each is, and what is between two of them."""

    places: list[int]
    widths: list[int]
    gap: int


def print_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal allows; names are shown by `printable`."""
    from rich.text import Text

    console = open_console()
    texts = [[printable(text) for text in row] for row in rows]
    named = [column._replace(title=printable(column.title)) for column in columns]
    with output():
        for line, is_head in table_lines(printable(title), named, texts, console.width):
            console.print(Text(line, "bold" if is_head else ""), soft_wrap=True)


def print_frame(
    frame: "pd.DataFrame", title: str, *, ranks: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Print a frame, numbers with four digits.

    Parameters
    ----------
    ranks : of columns that may be left out, as in `Column`.
    """
    columns = [
        Column(str(name), ranks.get(str(name), 0), 0 if frame[name].dtype.kind in "iufb" else NAME)
        for name in frame.columns
    ]
    rows = frame.itertuples(index=False)
    print_table(
        title,
        columns,
        [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row] for row in rows],
    )


def table_lines(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> list[tuple[str, bool]]:
    """The lines of a table and whether each is a header; none is wider than `width` but for a long number."""
    shape = _shape(columns, rows, width)
    numbers = {place for place in range(len(columns)) if all(NUMBER.fullmatch(row[place]) for row in rows)}
    if shape is None:
        body = [(line, False) for row in rows for line in _block(columns, row, width)]
    else:
        heads = [fold(columns[place].title, wide) for place, wide in zip(*shape[:2], strict=True)]
        body = [(line, True) for line in _joined(heads, shape, numbers, at_bottom=True)]
        for row in rows:
            texts = [
                fold(row[place], wide, indent=2) if columns[place].folds else [row[place]]
                for place, wide in zip(*shape[:2], strict=True)
            ]
            body += [(line, False) for line in _joined(texts, shape, numbers)]
    left_out = [column.title for place, column in enumerate(columns) if shape and place not in shape.places]
    foot = f"(left out in {width} columns: {', '.join(left_out)})" if left_out else ""
    around = [[(line, False) for line in wrapped(text, width).split("\n") if line] for text in (title, foot)]
    return [*around[0], *body, *around[1]]


def fold(text: str, width: int, *, indent: int = 0) -> list[str]:
    """A text in lines of at most `width`, broken after blanks and - _ / , ; : | . or else anywhere.

    >>> fold("NVS_NR_hER_agonist", 10, indent=2), fold("ATG-PPARg, 24 h", 20)
    (['NVS_NR_', '  hER_', '  agonist'], ['ATG-PPARg, 24 h'])
    """
    lines, current = [], ""
    for piece in re.findall(r"[^\s\-_/,;:|.]*[\s\-_/,;:|.]?", text):
        for chunk in _chunks(piece, width - indent):
            if current.strip() and cells((current + chunk).rstrip()) > width:
                lines.append(current.rstrip())
                current = " " * indent
            current += chunk
    return [*lines, current.rstrip()]


def _chunks(piece: str, width: int) -> list[str]:
    """A piece without a place to break, in chunks that fit."""
    chunks = [""]
    for letter in piece:
        if chunks[-1] and cells(chunks[-1] + letter.rstrip()) > max(width, 1):
            chunks.append("")
        chunks[-1] += letter
    return chunks


def _shape(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> _Shape | None:
    """The first shape that fits, from plain to folded to columns left out; None = none does."""
    content = [max((cells(row[place]) for row in rows), default=0) for place in range(len(columns))]
    whole = [max(cells(column.title), wide) for column, wide in zip(columns, content, strict=True)]
    if sum(whole) + 2 * (len(whole) - 1) <= width:
        return _Shape(list(range(len(columns))), whole, 2)
    heads = [max(map(cells, column.title.split()), default=0) for column in columns]
    ranks = sorted({column.rank for column in columns} | {0}, reverse=True)
    for most in (NAME, LEAST):
        for rank in ranks:
            places = [place for place, column in enumerate(columns) if column.rank <= rank]
            wide = [max(heads[place], content[place]) for place in places]
            least = [
                max(heads[place], min(content[place], most, columns[place].folds))
                if columns[place].folds
                else full
                for place, full in zip(places, wide, strict=True)
            ]
            for gap in (2, 1):
                room = width - gap * (len(places) - 1)
                if sum(least) <= room:
                    return _Shape(places, _narrowed(wide, least, room), gap)
    return None


def _narrowed(wide: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit into `room`: the widest of those that can are taken down first."""
    widths = list(wide)
    for _ in range(sum(widths) - room):
        place = max((n for n in range(len(widths)) if widths[n] > least[n]), key=widths.__getitem__)
        widths[place] -= 1
    return widths


def _joined(
    texts: Sequence[Sequence[str]], shape: _Shape, numbers: Container[int], *, at_bottom: bool = False
) -> list[str]:
    """Cells of several lines side by side, as lines; numbers stand right, headers at the bottom."""
    height = max(map(len, texts), default=0)
    columns = []
    for lines, place, wide in zip(texts, shape.places, shape.widths, strict=True):
        blank = [""] * (height - len(lines))
        padding = [" " * (wide - cells(line)) for line in lines]
        set_in = [
            pad + line if place in numbers else line + pad for line, pad in zip(lines, padding, strict=True)
        ]
        full = [*blank, *set_in] if at_bottom else [*set_in, *blank]
        columns.append([line or " " * wide for line in full])
    return [(" " * shape.gap).join(line).rstrip() for line in zip(*columns, strict=True)]


def _block(columns: Sequence[Column], row: Sequence[str], width: int) -> list[str]:
    """A row as lines of its own: the first cell, then "title value" for the others."""
    lines = fold(row[0], width, indent=2)
    current = ""
    for column, text in zip(columns[1:], row[1:], strict=True):
        item = f"  {column.title} {text}" if text else ""
        if column.folds:
            lines += [current] * bool(current) + fold(item, width, indent=4) * bool(item)
            current = ""
        elif current and cells(current + item) > width:
            lines.append(current)
            current = item
        else:
            current += item
    return [*lines, current] if current else lines
