"""Sketches show every atom and bond, stay in their box, and are small."""

import json
import re

import pytest
import small
from rdkit import Chem

from screening.reporting.sketches import HEIGHT, LARGEST, SCALE, WIDTH, as_svg, sketch

NASTY = "C |atomProp:0.atomNote.<script>alert(1)</script>|"


@pytest.mark.parametrize(
    "smiles", [*small.smiles(40), "[Na+].[Cl-]", "C[C@H](N)C(=O)O", "O=[N+]([O-])c1ccccc1"]
)
def test_every_bond_is_a_line_and_every_hetero_atom_a_letter(smiles: str) -> None:
    mol, drawing = Chem.MolFromSmiles(smiles), sketch(smiles)
    assert drawing is not None
    segments = sum(path.count("M") for _, path in (*drawing.lines, *drawing.areas))
    assert segments >= mol.GetNumBonds()
    letters = "".join(text for *_, text in drawing.letters)
    for atom in mol.GetAtoms():
        if atom.GetSymbol() != "C":
            assert atom.GetSymbol() in letters
    for symbol in ("N", "O", "Br", "S"):
        wanted = sum(atom.GetSymbol() == symbol for atom in mol.GetAtoms())
        assert sum(text == symbol for *_, text in drawing.letters) == wanted, symbol
    assert len(json.dumps(drawing)) < 4_000


@pytest.mark.parametrize("smiles", [*small.smiles(20), "C" * 100, "C", "[Na+]"])
def test_everything_is_inside_the_box(smiles: str) -> None:
    drawing = sketch(smiles)
    assert drawing is not None
    for _, path in (*drawing.lines, *drawing.areas):
        numbers = [int(number) for number in re.findall(r"-?\d+", path)]
        assert all(-SCALE <= x <= (WIDTH + 1) * SCALE for x in numbers[::2])
        assert all(-SCALE <= y <= (HEIGHT + 1) * SCALE for y in numbers[1::2])
    for _, x, y, _, _ in drawing.letters:
        assert 0 <= x <= WIDTH * SCALE
        assert 0 <= y <= HEIGHT * SCALE


def test_wedges_are_areas_and_charges_are_written() -> None:
    drawn = [sketch(smiles) for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")]
    assert drawn[0] != drawn[1]
    assert any(drawing is not None and drawing.areas for drawing in drawn)
    salt = sketch("CC(=O)[O-].[NH4+]")
    assert salt is not None
    assert {"-", "+"} <= {text for *_, text in salt.letters}


@pytest.mark.parametrize("smiles", ["nonsense", "", "C" * (LARGEST + 1), "C" * 20_000, "*" * (LARGEST + 200)])
def test_what_cannot_be_read_by_eye_or_machine_is_not_drawn(smiles: str) -> None:
    assert sketch(smiles) is None


def test_notes_and_titles_stay_text() -> None:
    drawing = sketch(NASTY)
    assert drawing is not None
    assert "alert" not in json.dumps(drawing)
    svg = as_svg(drawing, "<script>")
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg
