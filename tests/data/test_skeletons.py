"""Skeletons: the same for every form of a compound, different for different compounds."""

import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers

from screening.data.skeletons import skeletons

COMPOUNDS = [
    "CC(N)C(=O)O",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "CN1CCC(O)(c2ccc(Cl)cc2)CC1",
    "OC(=O)C=CC(=O)O",
    "Cc1ncc[nH]1",
    "CC(=O)Nc1ccc(O)cc1",
    "O=C(O)c1ccccc1",
    "NCCCC(N)C(=O)O",
]


def forms(compound: str) -> list[str]:
    """Stereoisomers, salts, charges and isotopes of a compound."""
    mol = Chem.MolFromSmiles(compound)
    isomers = [Chem.MolToSmiles(each) for each in EnumerateStereoisomers(mol)]
    labelled = Chem.Mol(mol)
    labelled.GetAtomWithIdx(0).SetIsotope(13)
    charged = compound.replace("C(=O)O", "C(=O)[O-]", 1)
    salts = [f"{isomers[0]}.Cl", f"[Na+].{charged}", f"{isomers[-1]}.OS(=O)(=O)O"]
    return [compound, charged, *isomers, *salts, Chem.MolToSmiles(labelled)]


@pytest.mark.parametrize("compound", COMPOUNDS)
def test_all_forms_of_a_compound_have_one_skeleton_the_inchi_of_the_compound(compound):
    expected = Chem.MolToInchiKey(Chem.MolFromSmiles(compound)).split("-")[0]
    texts = forms(compound)
    assert len(set(texts)) >= 4
    assert skeletons(texts, workers=0) == [expected] * len(texts)


def test_different_compounds_have_different_skeletons_constitutional_isomers_too():
    texts = [*COMPOUNDS, "NC(C)CC(=O)O", "CC(=O)Nc1cccc(O)c1", "CC(=O)Nc1ccccc1O"]
    assert len(set(skeletons(texts, workers=0))) == len(texts)


def test_tautomers_that_differ_as_parents_have_one_skeleton():
    one, other, third = skeletons(["Oc1ccccn1", "O=c1cccc[nH]1", "Oc1cccnc1"], workers=0)
    assert one == other != third


def test_what_cannot_be_read_has_none_and_what_inchi_cannot_take_is_known_by_its_parent():
    chain = "C" * 1100
    assert Descriptors.HeavyAtomCount(Chem.MolFromSmiles(chain)) == 1100
    assert skeletons(["not a molecule", "", f"{chain}.[Na+].[Cl-]"], workers=0) == [None, None, chain]


def test_processes_and_canonical_texts_give_the_same():
    texts = [form for compound in COMPOUNDS for form in forms(compound)]
    canonical = [Chem.CanonSmiles(text) for text in texts]
    expected = skeletons(texts, workers=0)
    assert skeletons(canonical, are_canonical=True, workers=2) == expected
