"""Molecules: every text gives a molecule or a reason, and the lighter reading decides as the full one."""

import csv
import gzip
import os
import signal
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, RDConfig
from rdkit.Chem.MolStandardize import rdMolStandardize

from screening.data import molecules
from screening.data.molecules import (
    STANDARDIZATIONS,
    canonical_smiles,
    murcko_scaffold,
    parents,
    read_molecule,
    read_molecules,
    scaffolds,
)
from screening.errors import ConfigError, ScreeningError
from screening.runtime.processes import map_in_processes

UNREADABLE = {
    "": "the SMILES is empty",
    "  \t": "the SMILES is empty",
    "C(C": "not a SMILES: extra open parentheses (near character 2)",
    "C1CC": "not a SMILES: unclosed ring",
    "FAIL": "not a SMILES: syntax error (near character 2)",
    "CC>>CO": "not a SMILES: syntax error (near character 3)",
    "CC(C)(C)(C)C": "Explicit valence for atom # 1 C, 5, is greater than permitted",
    "c1cccc1": "Can't kekulize mol.  Unkekulized atoms: 0 1 2 3 4",
    "C\u0421": "not a SMILES: character 2 is '\\u0421' (CYRILLIC CAPITAL LETTER ES)",
    "CC\u2212N": "not a SMILES: character 3 is '\\u2212' (MINUS SIGN)",
    "C\udcef": "not a SMILES: character 2 is '\\udcef' (code 56559)",
    "C\x00C": "not a SMILES: character 2 is '\\x00' (code 0)",
    "CCO |bad|": "RDKit cannot read it and does not say why",
}
ODD_BUT_FINE = {
    " CCO ": "CCO",
    "CCO\tethanol": "CCO",
    "CC O": "CC",
    "CCO na\udcefve": "CCO",
    "[H][H]": "[H][H]",
    "[H]OC([H])([H])C": "CCO",
    "[2H]OC": "[2H]OC",
    "*C(=O)O": "*C(=O)O",
    "CCO |$_AV:1;2;3$|": "CCO",
    "CN(=O)=O": "C[N+](=O)[O-]",
    "[Fe+2].[CH-]1C=CC=C1.[CH-]1C=CC=C1": "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1",
}


BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
"""Every character that Python takes for a blank: 29 of them."""


def read_lightly(smiles: str) -> tuple[Chem.Mol | None, str]:
    return read_molecules([smiles], stereo=False)[0]


def wheel_molecules(n: int) -> list[str]:
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    return [line.split("\t")[0] for line in path.read_text().splitlines()[:n]]


def dirty_texts(folder: Path) -> list[str]:
    with (folder / "dirty" / "dirty.csv").open(encoding="latin1", newline="") as file:
        texts = [row[1] for row in csv.reader(file) if len(row) > 1]
    lines = (folder / "dirty" / "dirty.smi").read_text(encoding="utf8", errors="surrogateescape").splitlines()
    return texts + lines


@pytest.mark.parametrize(("smiles", "reason"), UNREADABLE.items())
def test_unreadable_smiles_has_a_reason(smiles: str, reason: str) -> None:
    assert read_molecule(smiles) == (None, reason)
    assert read_lightly(smiles) == (None, reason)


@pytest.mark.parametrize(("smiles", "canonical"), ODD_BUT_FINE.items())
def test_odd_smiles_is_read(smiles: str, canonical: str) -> None:
    mol, reason = read_molecule(smiles)
    assert (Chem.MolToSmiles(mol), reason) == (canonical, "")
    light, reason = read_lightly(smiles)
    assert (light.GetNumAtoms(), reason) == (mol.GetNumAtoms(), "")


def test_rdkit_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for smiles in [*UNREADABLE, *ODD_BUT_FINE]:
        read_molecule(smiles, standardize="neutral")
        read_lightly(smiles)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=300, deadline=None)
@given(st.text("CNOc1()[]=#+-@/\\%.H2l|> \u0421", max_size=12))
def test_any_text_gives_molecule_or_reason_and_both_readings_agree(smiles: str) -> None:
    mol, reason = read_molecule(smiles)
    assert (mol is None) == bool(reason)
    light, light_reason = read_lightly(smiles)
    assert light_reason == reason
    if mol is not None and light is not None:
        assert _without_stereo(light) == _without_stereo(mol)


def test_readings_agree_on_molecules_of_the_wheel() -> None:
    _assert_readings_agree(wheel_molecules(1500))


def test_readings_agree_on_dirty_files(real_data: Path) -> None:
    _assert_readings_agree(dirty_texts(real_data))


def _assert_readings_agree(texts: list[str]) -> None:
    for smiles in texts:
        mol, reason = read_molecule(smiles)
        light, light_reason = read_lightly(smiles)
        assert (light_reason, light is None) == (reason, mol is None), smiles
        if mol is not None and light is not None:
            assert _without_stereo(light) == _without_stereo(mol), smiles


def _without_stereo(mol: Chem.Mol) -> tuple[list[list[int]], list[tuple[object, ...]]]:
    atoms = [
        [
            *(a.GetAtomicNum(), a.GetDegree(), a.GetFormalCharge(), a.GetTotalNumHs()),
            *(int(a.GetIsAromatic()), int(a.IsInRing()), a.GetNumRadicalElectrons()),
        ]
        for a in mol.GetAtoms()
    ]
    return atoms, [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondType()) for b in mol.GetBonds()]


STANDARD_FORMS = {
    "none": "CCC(=O)[O-].[Na+]",
    "cleanup": "CCC(=O)[O-].[Na+]",
    "fragment": "CCC(=O)[O-]",
    "neutral": "CCC(=O)O",
}


@pytest.mark.parametrize("how", STANDARDIZATIONS)
def test_standard_forms(how: str) -> None:
    assert canonical_smiles(["[Na+].CCC(=O)[O-]"], standardize=how) == ([STANDARD_FORMS[how]], [""])


def test_standard_form_is_stable() -> None:
    for how in STANDARDIZATIONS:
        once, _ = canonical_smiles(wheel_molecules(150), standardize=how)
        twice, _ = canonical_smiles([text or "" for text in once], standardize=how)
        assert twice == once


def test_unknown_standardization_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'fragment'"):
        read_molecule("C", standardize="fragments")


def test_scaffolds() -> None:
    texts = ["CC(=O)Oc1ccccc1C(=O)O", "CCO", "no molecule", "C[C@H]1CC[C@@H](N2CCCC2)CC1"]
    assert scaffolds(texts) == ["c1ccccc1", "", "", "C1CCC(N2CCCC2)CC1"]
    assert murcko_scaffold(texts[0]) == "c1ccccc1"


def test_processes_and_this_process_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecules, "BLOCK", 50)
    texts = [*wheel_molecules(200), "FAIL", ""]
    assert canonical_smiles(texts, workers=2) == canonical_smiles(texts, workers=1)


def test_blocks_are_taken_as_results_are_collected() -> None:
    taken = []

    def blocks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_processes(abs, blocks(), workers=2)
    assert [next(results), next(results)] == [0, 1]
    assert len(taken) <= 8
    results.close()


def _end_abruptly(block: int) -> int:
    if block == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def test_dead_process_is_a_clear_error() -> None:
    with pytest.raises(ScreeningError, match="fewer workers"):
        list(map_in_processes(_end_abruptly, list(range(8)), workers=2))


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_no_blank_but_space_and_tab_ends_a_structure(blank: str) -> None:
    """What stands before it would be another molecule: ethane for CC, U+00A0, O."""
    for text in (f"CC{blank}O", f"c1ccccc1{blank}C(=O)O", f"C{blank}|$x$|", f"CC{blank}O name"):
        mol, reason = read_molecule(text)
        assert (read_lightly(text)[0] is None, read_lightly(text)[1]) == (mol is None, reason)
        if blank in " \t":
            assert mol is not None
        else:
            assert mol is None
            assert "line break" in reason or f"is {blank!a}" in reason
            assert blank in "\r\n" or Chem.MolFromSmiles(text) is None  # RDKit reads the first of two lines
    for text in (f"{blank}CCO", f"CCO{blank}", f" {blank}CCO{blank} {blank}"):
        mol, reason = read_molecule(text)
        assert mol is not None, reason
        assert Chem.MolToSmiles(mol) == "CCO"
    assert read_molecule(blank) == (None, "the SMILES is empty")


def test_two_lines_are_not_one_molecule() -> None:
    for text in ("CCO\nCCN", "CCO a\nCCN b", "CCO\r\nCCN"):
        assert read_molecule(text) == (None, "line break in the structure")
        assert read_lightly(text) == (None, "line break in the structure")


# --- parents ------------------------------------------------------------------------------------------

ODD = [
    *("CS(C)=O", "CS(C)(=O)=O", "C[S+](C)[O-]", "CC(C)=S", "CSC", "c1ccsc1", "CN=[N+]=[N-]", "CC.CC"),
    *("C[C@H](F)Cl", "C/C=C/C", "C/C=C\\C", "[13CH4]", "[2H]C", "C[N+](C)(C)C", "C[Se]C", "CP(C)C", "B"),
    *("CC(=O)[O-].[Na+]", "[Na]", "[O-][n+]1ccccc1", "C[S@](=O)CC", "C1CC2CCC1CC2", "ClC#CBr", "[H][H]"),
    *("CS", "O=S1CCC1", "CS(=O)O", "OS(=O)(=O)O", "NS(=O)(=O)CC", "O=S1(=O)CCC1", "CS(=O)(=O)[O-]"),
    *("CS(=O)C=S", "C[N+](=O)[O-]"),
]


def test_parents_of_canonical_smiles_are_those_of_any_reading(real_data: Path) -> None:
    """What is taken as it is and what is read lightly, against standardising all."""
    with gzip.open(real_data / "fsmol_train_wide.csv.gz", "rt") as file:
        real = [row["smiles"] for row in islice(csv.DictReader(file), 0, 60_000, 150)]
    with gzip.open(real_data / "tox21.csv.gz", "rt") as file:
        real += [row["smiles"] for row in islice(csv.DictReader(file), 0, None, 25)]
    texts = [text for text in canonical_smiles([*ODD, *real], workers=0)[0] if text]
    plainly = [standardize_by_hand(text) for text in texts]
    assert parents(texts, workers=0) == plainly
    assert parents(texts, are_canonical=True, workers=0) == plainly
    assert sum(text == parent for text, parent in zip(texts, plainly, strict=True)) > 200


def standardize_by_hand(text: str) -> str:
    mol = rdMolStandardize.FragmentParent(Chem.MolFromSmiles(text))
    mol = rdMolStandardize.Uncharger().uncharge(mol)
    return Chem.MolToSmiles(mol, isomericSmiles=False)


def test_what_cannot_be_read_has_no_parent() -> None:
    texts = ["C1CC", "CCO", "", "C[C@H](F)Cl"]
    assert parents(texts, workers=0) == [None, "CCO", None, "CC(F)Cl"]
    assert parents([], workers=0) == []
