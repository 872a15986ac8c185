"""Pictures of molecules: valid SVG, coloured by sign and size, safe against any text."""

import re
from xml.etree import ElementTree

import pytest
from rdkit import Chem

from screening.reporting.pages import TEMPLATES
from screening.reporting.structures import (
    ATOMS,
    STEPS,
    colour_of,
    draw_contributions,
    draw_structure,
    gradient,
    on_page,
)

PHENOL = Chem.MolFromSmiles("Oc1ccccc1")


def test_red_raises_blue_lowers_and_nothing_is_nearly_white() -> None:
    red, blue, white = colour_of(1.0), colour_of(-1.0), colour_of(0.0)
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]
    assert min(white) > 0.9
    assert (colour_of(5.0), colour_of(-5.0)) == (red, blue)
    assert gradient()[0] != gradient()[-1]


def test_a_picture_is_xml_with_its_title_as_text() -> None:
    title = '<script>alert("1")</script>\n&amp; O\'Neill'
    text = draw_contributions(PHENOL, [1, -1, 0, 0, 0, 0, 0], scale=1.0, title=title)
    root = ElementTree.fromstring(text)
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    assert root[0].text == title


def test_only_atoms_that_matter_are_coloured() -> None:
    plain = draw_contributions(PHENOL, [0.0] * 7, scale=1.0, title="").lower()
    coloured = draw_contributions(PHENOL, [1.0, *[0.0] * 6], scale=1.0, title="").lower()
    full = gradient()[-1]
    assert plain.count(full) == 1  # in the legend
    assert coloured.count(full) > 1


@pytest.mark.parametrize("smiles", ["C", "[Na+].[Cl-]", "c1ccc2ccccc2c1", "[2H]C([2H])O", "C1CC1.O", "[Fe]"])
def test_any_molecule_can_be_drawn(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    ElementTree.fromstring(draw_contributions(mol, [0.5] * mol.GetNumAtoms(), scale=1.0, title=smiles))


def test_a_structure_has_its_name_as_text_and_nothing_else() -> None:
    """RDKit draws notes of a CXSMILES: they must not become elements."""
    noted = Chem.MolFromSmiles("CCO |atomProp:0.atomNote.<script>x</script>,$;;<b>label$|")
    for mol in (PHENOL, noted, Chem.MolFromSmiles("[Na+].[Cl-]"), Chem.MolFromSmiles("")):
        root = ElementTree.fromstring(draw_structure(mol, title="<b>name</b>"))
        assert {each.tag.rpartition("}")[2] for each in root.iter()} <= {
            *("svg", "title", "path", "text", "tspan", "rect", "ellipse", "g")
        }
        assert root[0].text == "<b>name</b>"
        assert "id" not in {name for each in root.iter() for name in each.attrib}


ELEMENTS = Chem.MolFromSmiles("N#CC(F)(Cl)C(Br)(I)OP(=O)(S)C[B][Si]C.[Na+].[13CH4].[*]CC.[2H]C")


def test_a_picture_on_a_page_has_the_colours_of_the_page() -> None:
    """No colour of paper is left: in the dark nothing is a white box or black on black."""
    values = [share / 10 for share in range(-10, -10 + ELEMENTS.GetNumAtoms())]
    pictures = [
        draw_structure(ELEMENTS, title="#000000"),
        on_page(draw_contributions(ELEMENTS, values, scale=1.0, title="#FFFFFF")),
    ]
    in_the_dark = re.findall(r"(--[\w-]+):", (TEMPLATES / "structures.css").read_text())
    assert sorted(in_the_dark) == sorted(
        [f"--scale-{step}" for step in range(STEPS + 1)] + [f"--atom-{name}" for name in ATOMS.values()]
    )
    for picture in pictures:
        ElementTree.fromstring(picture)
        styles = " ".join(re.findall(r"<[^>]*>", picture))
        assert set(re.findall(r"var\((--[\w-]+),", styles)) <= set(in_the_dark)
        assert not re.findall(r"#[0-9A-Fa-f]{6}", re.sub(r"var\([^)]*\)", "", styles))
    assert "<title>#000000</title>" in pictures[0]
    assert all(f"--atom-{name}," in pictures[0] for name in ATOMS.values())


def test_a_picture_on_a_page_has_every_line_of_the_file() -> None:
    picture = draw_contributions(ELEMENTS, [1.0] * ELEMENTS.GetNumAtoms(), scale=1.0, title="")
    inside = on_page(picture)
    drawn = [re.findall(r"[ML] ?[\d.]+,[\d.]+", text) for text in (picture, inside)]
    assert drawn[0] == drawn[1]
    assert len(inside) < 0.8 * len(picture)
