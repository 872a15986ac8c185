"""How a figure of matplotlib becomes SVG inside a page or notebook, with the colours and fonts of the page.

Colours are CSS variables, so that pictures follow dark mode. matplotlib is imported when something is drawn.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from ..runtime.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Colours(NamedTuple):
    """What is drawn in which colour."""

    ink: str = "#1f2933"
    soft: str = "#616e7c"
    grid: str = "#d3d9df"
    accent: str = "#1f5a94"
    pale: str = "#9db8d2"
    warm: str = "#b4470f"
    good: str = "#1f5a94"
    fair: str = "#5b8fbf"
    chance: str = "#a3801f"
    worse: str = "#b4470f"
    few: str = "#8a919b"
    card: str = "#ffffff"


PAPER = Colours()
PAGE = Colours(*(f"#0000{number:02x}" for number in range(1, len(Colours._fields) + 1)))
"""Colours that stand for the CSS variables of the same name until the picture is put into a page."""

Size = tuple[float, float]
"""Width and height in inches of 72 CSS pixels."""


@contextmanager
def drawing(size: Size, colours: Colours = PAGE) -> Iterator["Figure"]:
    """An empty figure in our style; texts are never read as formulas, whatever an assay is called."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "font.size": 9,
        "text.parse_math": False,
        "svg.fonttype": "none" if colours is PAGE else "path",
        "svg.hashsalt": "screening",
        "text.color": colours.ink,
        "axes.labelcolor": colours.soft,
        "axes.edgecolor": colours.grid,
        "xtick.color": colours.soft,
        "ytick.color": colours.soft,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none" if colours is PAGE else "white",
        "axes.facecolor": "none",
        "savefig.facecolor": "auto",
    }
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield Figure(figsize=size, layout="constrained")


def plain(text: str, longest: int = 60) -> str:
    """A name as one line of characters that XML can hold, shortened in the middle."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


class Picture(Markup):
    """SVG for a page, which defines the CSS variables; notebooks show it on paper."""

    heading: str
    note: str
    """What is drawn, in words: the description for screen readers."""

    @property
    def svg(self) -> str:
        """The text of an SVG file: the picture with colours, font and background of its own."""
        variables = "".join(f"--{name}: {value}; " for name, value in PAPER._asdict().items())
        style = f"<style>svg {{ {variables}--font: sans-serif; background: #fff; }}</style>"
        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return str(self).replace("<svg", f"<svg {names}", 1).replace("<title", f"{style}<title", 1)

    def save(self, path: Path | str) -> None:
        """Write `svg` to a file, whose name ends in .svg.

        Raises
        ------
        ValueError : the name ends in something else.
        """
        if Path(path).suffix.lower() != ".svg":
            raise ValueError(f"{path}: a picture is saved as SVG; give a name that ends in .svg.")
        write_atomically(path, self.svg)

    def _repr_svg_(self) -> str:
        """What notebooks show."""
        return self.svg

    def __repr__(self) -> str:
        return f"Picture: {self.heading}"


class Marks(NamedTuple):
    """Where assays stand in a picture, for the page to name what a pointer is at."""

    axes: "Axes"
    assays: Sequence[int]
    """Places in the table of the assays."""
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    """In the units of the axes."""


def inline(
    figure: "Figure",
    name: str,
    title: str,
    what: str,
    marks: Marks | None = None,
    unit: "Axes | None" = None,
) -> Picture:
    """The figure as an SVG element: page colours and fonts, ids of its own, a title and a description.

    Parameters
    ----------
    marks : for `data-marks`, where assays stand.
    unit : axes whose points (0, 0) and (1, 1) stand in `data-unit`, for the page to draw into them.
    """
    stream, name = io.StringIO(), f"picture-{name}"
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = stream.getvalue()
    text = re.sub(r"<[^>]*>", lambda tag: _for_page(tag[0], name), text[text.index("<svg") :])
    head, _, body = text.partition(">")
    box = re.search(r'viewBox="([^"]+)"', head)
    width = 1.3 * float(box[1].split()[2]) if box else 0  # letters of 9 become 11.7 pixels high
    head = f'<svg viewBox="{box[1] if box else ""}" width="{width:.0f}" role="img"'
    head += f' aria-labelledby="{name}-title {name}-what"'
    if marks is not None:
        head += f' data-marks="{_placed(figure, marks)}"'
    if unit is not None:
        head += f' data-unit="{_placed(figure, Marks(unit, [0, 1], [0, 1], [0, 1]))}"'
    texts = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-what">{escape(what)}</desc>'
    picture = Picture(f"{head}>{texts}{body.strip()}")
    picture.heading, picture.note = title, what
    return picture


def _placed(figure: "Figure", marks: Marks) -> str:
    """`assay,x,y` of every mark in the units of the picture, which count down from its top."""
    inches = marks.axes.transData.transform(np.column_stack([marks.x, marks.y])) / figure.dpi
    x, y = 72 * inches[:, 0], 72 * (figure.get_figheight() - inches[:, 1])
    rows = zip(marks.assays, x, y, strict=True)
    return " ".join(f"{assay},{across:.0f},{down:.0f}" for assay, across, down in rows)


def _for_page(tag: str, name: str) -> str:
    """A tag with colours and font of the page, and ids that occur once in it; texts are not touched."""
    tag = re.sub(r'^<g id="pick-(\d+)"', r'<g class="pick" data-pick="\1"', tag)
    tag = re.sub(r'^<g id="[^"]*"', "<g", tag)
    tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)
    tag = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 var(--font)", tag)
    for field, colour in zip(Colours._fields, PAGE, strict=True):
        tag = tag.replace(colour, f"var(--{field})")
    return tag
