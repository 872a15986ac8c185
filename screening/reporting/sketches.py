"""Structures as a few hundred bytes of lines and letters, for pages that show hundreds of them.

RDKit lays out and draws; what is kept is where lines and letters stand and which element they belong to, so
that a page can give them colours of its own in either theme. A text of a molecule never becomes markup.
"""

import re
from typing import Any, NamedTuple

from markupsafe import Markup, escape
from rdkit import rdBase
from rdkit.Chem import Mol
from rdkit.Chem.Draw import rdMolDraw2D

from ..data.molecules import read_molecule
from .structures import laid_out

WIDTH, HEIGHT, SCALE = 220, 160, 3
"""The box of a sketch in pixels, and how much finer its whole numbers are."""

LARGEST = 120
"""Heavy atoms of the largest molecule that is drawn: beyond, the letters cannot be read."""

ELEMENTS = {
    "#0000FF": "n",
    "#FF0000": "o",
    "#CCCC00": "s",
    "#B2B200": "s",
    "#33CCCC": "f",
    "#00CC00": "cl",
    "#7F4C19": "br",
    "#A01EEF": "i",
    "#FF7F00": "p",
}
"""The class that lines and letters of RDKit's colours get; `k` where there is none."""


class Sketch(NamedTuple):
    """A drawing in the box (0, 0) to (`WIDTH`, `HEIGHT`) times `SCALE`."""

    lines: tuple[tuple[str, str], ...]
    """Class and path of what is stroked."""
    areas: tuple[tuple[str, str], ...]
    """Class and path of what is filled: wedges."""
    letters: tuple[tuple[str, int, int, int, str], ...]
    """Class, left end, base line, height of the letters, and the text."""


def sketch(smiles: str) -> Sketch | None:
    """The drawing of a structure; None where it cannot be read, has no atom or is too large to be read."""
    mol, _ = read_molecule((smiles.split() or [""])[0])
    if mol is None or not 0 < mol.GetNumHeavyAtoms() <= LARGEST:
        return None
    return _parsed(_drawn(mol))


def as_svg(drawing: Sketch, title: str) -> Markup:
    """The sketch as an element for a page that has the style of `.sketch`."""
    box = f"0 0 {WIDTH * SCALE} {HEIGHT * SCALE}"
    lines = "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in drawing.lines)
    areas = "".join(f'<path class="a {kind}" d="{path}"/>' for kind, path in drawing.areas)
    letters = "".join(
        f'<text class="{kind}" x="{x}" y="{y}" font-size="{size}">{escape(text)}</text>'
        for kind, x, y, size, text in drawing.letters
    )
    head = f'<svg class="sketch" viewBox="{box}" role="img"><title>{escape(title)}</title>'
    return Markup(f"{head}{lines}{areas}{letters}</svg>")


def _drawn(mol: Mol) -> str:
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT, -1, -1, True)  # letters as text, not as outlines
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.padding = 0.06
    options.maxFontSize = 14
    options.minFontSize = 7
    with rdBase.BlockLogs():
        drawer.DrawMolecule(laid_out(mol))
        drawer.FinishDrawing()
    return drawer.GetDrawingText()


_PATH = re.compile(r"<path (class='(?:bond|atom)[^']*' )?d='([^']*)' style='([^']*)'")
_TEXT = re.compile(r"<text x='([^']*)' y='([^']*)' class='(atom-\d+)[^']*' style='([^']*)' ?>([^<]*)<")


def _parsed(svg: str) -> Sketch:
    lines: dict[str, list[str]] = {}
    areas: dict[str, list[str]] = {}
    for of_bond, path, style in _PATH.findall(svg):
        if not of_bond:
            continue  # the joints of lines, which here have round ends
        is_line = "fill:none" in style
        colour = re.search(r"(?:stroke|fill):(#\w{6})", style)
        kind = ELEMENTS.get(colour[1], "k") if colour else "k"
        (lines if is_line else areas).setdefault(kind, []).append(_whole(path))
    return Sketch(
        tuple((kind, "".join(paths)) for kind, paths in lines.items()),
        tuple((kind, "".join(paths)) for kind, paths in areas.items()),
        tuple(_letters(svg)),
    )


def _whole(path: str) -> str:
    """A path with whole numbers: `M 1.0,2.0 L 3.0,4.0` as `M3 6L9 12`."""
    path = re.sub(r"-?\d+(\.\d+)?", lambda number: str(round(SCALE * float(number[0]))), path)
    return re.sub(r" ?([A-Z]) ?", r"\1", path.strip()).replace(",", " ")


def _letters(svg: str) -> list[tuple[str, int, int, int, str]]:
    """The labels of atoms; letters of one atom and line become one text."""
    letters: list[tuple[str, int, int, int, str]] = []
    before = ("", 0, 0)
    for x, y, atom, style, text in _TEXT.findall(svg):
        height, colour = re.search(r"font-size:(\d+)", style), re.search(r"fill:(#\w{6})", style)
        kind = ELEMENTS.get(colour[1], "k") if colour else "k"
        size = SCALE * int(height[1]) if height else 9 * SCALE
        place = (atom, round(SCALE * float(y)), size)
        if letters and place == before and text.islower():
            letters[-1] = (*letters[-1][:4], letters[-1][4] + text)
        else:
            letters.append((kind, round(SCALE * float(x)), place[1], size, text))
        before = place
    return letters
