"""Molecules as SVG, plain or with atoms coloured by what they contribute; all text in them is escaped.

A picture for a page (`on_page`) names its colours as CSS variables, which `templates/structures.css` has for
the dark. A file of its own has the colours of paper.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from rdkit import rdBase
from rdkit.Chem import Mol
from rdkit.Chem.Draw import rdMolDraw2D

from ..data.layout import too_large_to_draw

WIDTH, HEIGHT = 320, 230
TITLE, LEGEND = 34, 40  # height of the lines above and below a molecule
LOW, MIDDLE, HIGH = (0.13, 0.40, 0.67), (0.97, 0.97, 0.97), (0.70, 0.09, 0.17)
FAINT = 0.04  # of the scale: below it an atom is not coloured
STEPS = 20  # of the scale of colours

ATOMS = {
    "#0000FF": "n",
    "#FF0000": "o",
    "#33CCCC": "f",
    "#00CC00": "cl",
    "#7F4C19": "br",
    "#A01EEF": "i",
    "#CCCC00": "s",
    "#FF7F00": "p",
}
"""RDKit's colours of elements to the names of CSS variables, `--atom-NAME`; carbon has the colour of text."""
TEXT = ("#000000", "#191919", "#333333")
PAPER = "#FFFFFF"

Colour = tuple[float, float, float]


def colour_of(share: float) -> Colour:
    """Blue at -1 or less, nearly white at 0, red at 1 or more; in RGB from 0 to 1."""
    end, amount = (HIGH, share) if share > 0 else (LOW, -share)
    amount = min(amount, 1.0)
    red, green, blue = (middle + amount * (far - middle) for middle, far in zip(MIDDLE, end, strict=True))
    return red, green, blue


def draw_contributions(
    mol: Mol, values: Sequence[float] | np.ndarray, *, scale: float, title: str, of: str = "logit"
) -> str:
    """An SVG picture with a title and a colour scale: red atoms raise what they add to, blue ones lower it.

    Parameters
    ----------
    values : contribution of each atom.
    scale : value of the full colour; larger ones have it too.
    title : two lines at most, separated by a line break; any text.
    of : what contributions add up to; any text.
    """
    shares = np.asarray(values, float) / scale
    coloured = {atom: share for atom, share in enumerate(shares.tolist()) if abs(share) > FAINT}
    lines = [escape(line) for line in title.split("\n")[:2]]
    middle = f'x="{WIDTH / 2:.0f}" text-anchor="middle"'
    texts = "".join(
        f'<text {middle} y="{13 + 15 * number}" font-size="{12 - number}" fill="#000000">{line}</text>'
        for number, line in enumerate(lines)
    )
    whole = TITLE + HEIGHT + LEGEND
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{whole}" '
        f'viewBox="0 0 {WIDTH} {whole}" font-family="sans-serif" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{WIDTH}" height="{whole}" fill="#ffffff"/>\n{texts}\n'
        f'<g transform="translate(0,{TITLE})">\n{_drawn(mol, coloured)}</g>\n'
        f'<g transform="translate(0,{TITLE + HEIGHT})">{_legend(scale, of)}</g>\n</svg>\n'
    )


def draw_structure(mol: Mol, *, title: str, width: int = 220, height: int = 150) -> str:
    """An SVG element for a page: the structure, and a title for screen readers; of a large one its size.

    Notes that a CXSMILES carries are drawn too: read the molecule without (`smiles.split()[0]`).
    """
    reason = too_large_to_draw(mol)
    if reason:
        text = _words(reason, width, height, "currentColor")
        return f"<svg role='img' viewBox='0 0 {width} {height}'><title>{escape(title)}</title>{text}</svg>"
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.padding = 0.06
    options.maxFontSize = 16
    with rdBase.BlockLogs():
        drawer.DrawMolecule(laid_out(mol))
        drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    text = re.sub(r"width='\d+px' height='\d+px'", "role='img'", text[text.index("<svg") :], count=1)
    head, _, body = on_page(text).partition(">")
    return f"{head}><title>{escape(title)}</title>{body.strip()}"


def on_page(picture: str) -> str:
    """A picture for inside a page: in its colours, on its ground, and smaller."""
    text = re.sub(r"<!--.*?-->", "", picture, flags=re.S)
    return _LINES.sub(_joined_lines, re.sub(r"<[^>]*>", lambda tag: _tag_on_page(tag[0]), text))


def _tag_on_page(tag: str) -> str:
    """Without what is said anyway; colours as variables, which only a style may have."""
    tag = re.sub(r"\s+(xmlns:\w+|class|xml:space|version|baseProfile)='[^']*'", "", tag)
    tag = re.sub(
        r"(fill-rule|stroke-linecap|stroke-linejoin|stroke-miterlimit|stroke-opacity):\w+;?", "", tag
    )
    tag = re.sub(r"""\b(fill|stroke)=(["'])(#[0-9A-Fa-f]{6})\2""", r"style=\2\1:\3\2", tag)
    tag = re.sub(r"#[0-9A-Fa-f]{6}\b", lambda colour: _VARIABLES.get(colour[0].upper(), colour[0]), tag)
    return re.sub(r"\s+", " ", tag)


_LINES = re.compile(r"<path d='[^']*' (style='fill:none;[^']*') ?/>(\s*<path d='[^']*' \1 ?/>)+")


def _joined_lines(match: re.Match[str]) -> str:
    """Neighbouring lines of one style as one path."""
    lines = " ".join(re.findall(r" d='([^']*)'", match[0]))
    return f"<path d='{lines}' {match[1]}/>"


def gradient(steps: int = STEPS + 1) -> list[str]:
    """The colours of the scale from low to high, as CSS."""
    return [_css(colour_of(share)) for share in np.linspace(-1, 1, steps).tolist()]


def _variables() -> dict[str, str]:
    """Colours of pictures, in capitals, to what they are in a page."""
    scale = {colour.upper(): f"var(--scale-{step},{colour})" for step, colour in enumerate(gradient())}
    atoms = {colour: f"var(--atom-{name},{colour})" for colour, name in ATOMS.items()}
    return scale | atoms | dict.fromkeys(TEXT, "currentColor") | {PAPER: "none"}


def _legend(scale: float, of: str) -> str:
    """A bar of the colours with the values at its ends."""
    colours = gradient()
    left, wide = 90.0, (WIDTH - 180) / len(colours)
    bars = "".join(
        f'<rect x="{left + wide * number:.2f}" y="6" width="{wide + 0.3:.2f}" height="9" fill="{colour}"/>'
        for number, colour in enumerate(colours)
    )
    ends = (
        f'<text x="84" y="15" text-anchor="end">-{scale:.2g} lowers</text>'
        f'<text x="{WIDTH - 84}" y="15">raises +{scale:.2g}</text>'
        f'<text x="{WIDTH / 2:.0f}" y="30" text-anchor="middle">contribution to the {escape(of)}</text>'
    )
    return f'{bars}<g font-size="11" fill="#333333">{ends}</g>'


def _words(text: str, width: int, height: int, colour: str) -> str:
    """A line of text in place of a picture."""
    place = f'x="{width / 2:.0f}" y="{height / 2:.0f}" text-anchor="middle"'
    return f'<text {place} font-size="12" fill="{colour}">{escape(text)}</text>'


def _drawn(mol: Mol, shares: dict[int, float]) -> str:
    reason = too_large_to_draw(mol)
    if reason:
        return _words(reason, WIDTH, HEIGHT, "#000000") + "\n"
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    options: Any = drawer.drawOptions()
    options.useBWAtomPalette()
    options.fillHighlights = True
    options.highlightBondWidthMultiplier = 12
    options.padding = 0.08
    colours = {atom: _stepped(share) for atom, share in shares.items()}
    bonds = {
        bond.GetIdx(): _stepped((shares[bond.GetBeginAtomIdx()] + shares[bond.GetEndAtomIdx()]) / 2)
        for bond in mol.GetBonds()
        if bond.GetBeginAtomIdx() in colours and bond.GetEndAtomIdx() in colours
    }
    with rdBase.BlockLogs():
        prepared = laid_out(mol)
        drawer.DrawMolecule(
            prepared,
            highlightAtoms=list(colours),
            highlightAtomColors=colours,
            highlightBonds=list(bonds),
            highlightBondColors=bonds,
        )
        drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    return text[text.index("<svg") :]


def laid_out(mol: Mol) -> Mol:
    """With coordinates and double bonds where that is possible; atoms keep their numbers."""
    try:
        return rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False)
    except ValueError:
        return rdMolDraw2D.PrepareMolForDrawing(mol, kekulize=False, addChiralHs=False)


def _stepped(share: float) -> Colour:
    """The colour of the scale's nearest step: the legend has each that occurs."""
    return colour_of(round(min(max(share, -1), 1) * STEPS / 2) * 2 / STEPS)


def _css(colour: Colour) -> str:
    """As RDKit rounds."""
    return "#" + "".join(f"{int(255 * part):02x}" for part in colour)


_VARIABLES = _variables()
