"""Pictures of molecules: valid SVG, coloured by sign and size, safe against any text."""

from xml.etree import ElementTree

import pytest
from rdkit import Chem

from screening.drawing import colour_of, draw_contributions, draw_structure, gradient

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
