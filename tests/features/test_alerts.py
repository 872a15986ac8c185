"""Alerts as bits: those of RDKit's catalogue, and the screen that spares most of the matching."""

import csv
import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig
from rdkit.Chem import FilterCatalog, Mol

from screening.data.molecules import read_molecules
from screening.features.packing import vector_featurizer
from screening.features.pattern_screen import PatternScreen
from screening.features.smarts_conditions import atom_truth, bond_truth, condition, parsed, truth
from screening.features.vectors import alerts
from screening.testing.featurizers import STRUCTURES
from screening.triage.filters import filters

# Ring sizes and their number, isotopes, charges, valences, hydrogens, recursion in recursion, bonds of all
# kinds, patterns of several pieces, and what is in no hash of an atom.
SMARTS = [
    *(
        "[R2]",
        "[r5]",
        "[!R]",
        "[R0,$(C=O)]",
        "[2H]",
        "[13C]",
        "[+]",
        "[-2]",
        "[N+]",
        "[v3]",
        "[h2]",
        "[x3]",
        "[^2]",
    ),
    *(
        "[#6;H2,H3]-[!#6;!H0]",
        "C@C",
        "C!@C",
        "C=,:C",
        "C-,=;!@N",
        "C/C=C/C",
        "[C@H](N)C",
        "c:c-c",
        "[CX4][CX3]=O",
    ),
    *("[$(C=O),$(N=O)]", "[$(C[$(C=O),Cl])]", "[C;!$(C=O)]", "[$([#44]),$([#26]),Cl]", "[O,$(OS(=O)=O)]C"),
    *(
        "[Na+].[Cl-]",
        "[#6].[#6].[#6].[#6]",
        "[CH3][CH2]",
        "*~*~*(~*)~*",
        "[a,A]",
        "[D3]([D1])[D1]",
        "C#N",
        "[#1]",
    ),
    *(
        "[N;D2]",
        "[Fe,Pt,Hg]",
        "[As]",
        "[se]1cccc1",
        "C1CC1",
        "c1ccccc1-c1ccccc1",
        "[X6]",
        "[S;X4](=O)=O",
        "[Si,B]",
    ),
]
MANY = [
    *STRUCTURES,
    "[2H]OC",
    "[13CH4]",
    "C[Hg]c1ccccc1",
    "OCl(=O)(=O)=O",
    "N[Pt](N)(Cl)Cl",
    "C" * 250,
    "C1CC12CC2",
]


def wheel_molecules(n: int) -> list[str]:
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    return [line.split("\t")[0] for line in path.read_text().splitlines()[:n]]


@cache
def catalogue() -> FilterCatalog.FilterCatalog:
    parameters = FilterCatalog.FilterCatalogParams()
    parameters.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.ALL)
    return FilterCatalog.FilterCatalog(parameters)


def assert_bits_are_those_of_the_catalogue(texts: list[str]) -> None:
    featurizer, entries = vector_featurizer("alerts"), catalogue()
    numbers = range(entries.GetNumEntries())
    light = [mol for mol, _ in read_molecules(texts, stereo=False)]
    full = [mol for mol, _ in read_molecules(texts)]
    n_hits = 0
    for text, one, other in zip(texts, light, full, strict=True):
        if other is not None:
            expected = [number for number in numbers if entries.GetEntryWithIdx(number).HasFilterMatch(other)]
            assert featurizer.nonzero(one)[0] == expected, text
            n_hits += len(expected)
    assert n_hits > len(texts)


def test_bits_are_those_of_the_catalogue() -> None:
    assert_bits_are_those_of_the_catalogue([*MANY, *wheel_molecules(400)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tox21", "raw/toxcast_8615_rows", "fsmol_train_wide"])
def test_bits_are_those_of_the_catalogue_on_real_tables(real_data: Path, name: str) -> None:
    with gzip.open(real_data / f"{name}.csv.gz", "rt") as file:
        texts = [row["smiles"] for row in csv.DictReader(file)]
    assert_bits_are_those_of_the_catalogue(texts[:: max(1, len(texts) // 4000)])


def test_columns_name_catalogue_and_alert() -> None:
    columns = vector_featurizer("alerts").columns
    assert len(columns) == len(set(columns)) == catalogue().GetNumEntries()
    assert columns[0] == "PAINS_A:ene_six_het_A(483)"


def test_an_entry_whose_pattern_cannot_be_read_is_matched_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_WRITTEN", alerts.re.compile(b"nowhere"))
    blind, seeing = alerts.Alerts(), vector_featurizer("alerts")
    for mol, _ in read_molecules(wheel_molecules(10)):
        assert blind.nonzero(mol) == seeing.nonzero(mol)


def screened(patterns: list[Mol], mol: Mol) -> list[int]:
    return PatternScreen([condition(pattern) for pattern in patterns]).candidates(mol).tolist()


@pytest.mark.parametrize("stereo", [True, False])
def test_no_pattern_that_is_there_is_screened_out(stereo: bool) -> None:
    patterns = [Chem.MolFromSmarts(smarts) for smarts in SMARTS]
    screen = PatternScreen([condition(pattern) for pattern in patterns])
    n_candidates = n_matches = 0
    for mol, _ in read_molecules([*MANY, *wheel_molecules(500)], stereo=stereo):
        if mol is not None:
            there = {number for number, pattern in enumerate(patterns) if mol.HasSubstructMatch(pattern)}
            candidates = set(screen.candidates(mol).tolist())
            assert there <= candidates, [SMARTS[number] for number in there - candidates]
            n_candidates, n_matches = n_candidates + len(candidates), n_matches + len(there)
    assert n_matches > 5000
    assert n_candidates < 2 * n_matches


def test_molecules_hold_all_parts_of_themselves() -> None:
    """Any connected part of a molecule, as a pattern, must pass."""
    random = np.random.default_rng(0)
    for mol, _ in read_molecules(wheel_molecules(150), stereo=False):
        if mol is None or mol.GetNumBonds() < 3:
            continue
        bonds = random.permutation(mol.GetNumBonds())[: random.integers(1, mol.GetNumBonds() + 1)].tolist()
        part = Chem.MolFromSmarts(Chem.MolToSmarts(Chem.PathToSubmol(mol, bonds)))
        assert mol.HasSubstructMatch(part)
        assert screened([part], mol) == [0]


@pytest.mark.parametrize(
    ("smarts", "times", "smiles", "passes"),
    [
        ("C", 3, "CC", False),
        ("C", 2, "CC", True),
        ("C=O", 1, "CCO", False),
        ("O=CC=O", 1, "CC=O", False),  # two such bonds are needed
        ("[Cl,$(OS(=O)=O)]C", 1, "COC", False),  # the oxygen stands for a sulfonate alone
        ("[Cl,$(OS(=O)=O)]C", 1, "COS(=O)(=O)C", True),
        ("C@C", 1, "CC", False),
        ("[R]", 1, "CC", False),
        ("[13C]", 1, "CC", False),
        ("[#26]", 1, "[Na]C", False),
        ("CCC", 1, "CC", False),
        ("[C;!$(C=O)]", 1, "C=O", True),  # what must not be there is not looked at
    ],
)
def test_screen_by_hand(smarts: str, times: int, smiles: str, passes: bool) -> None:
    screen = PatternScreen([condition(Chem.MolFromSmarts(smarts), times)])
    assert (screen.candidates(Chem.MolFromSmiles(smiles)).tolist() == [0]) == passes


def test_tables_that_are_full_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = [Chem.MolFromSmarts(smarts) for smarts in SMARTS]
    conditions = [condition(pattern) for pattern in patterns]
    mols = [mol for mol, _ in read_molecules(wheel_molecules(60), stereo=False) if mol is not None]
    expected = [PatternScreen(conditions).candidates(mol).tolist() for mol in mols]
    monkeypatch.setattr("screening.features.pattern_screen.MOST_ROWS", 5)
    screen = PatternScreen(conditions)
    assert [screen.candidates(mol).tolist() for mol in mols] == expected


def test_no_patterns() -> None:
    assert not len(PatternScreen([]).candidates(Chem.MolFromSmiles("CCO")))


@pytest.mark.parametrize(
    ("smarts", "query"),
    [
        ("C", ("is", "C")),
        ("[C&H1]", ("and", ("is", "C"), ("is", "H1"))),
        ("[!#6;+,-]", ("and", ("not", ("is", "#6")), ("or", ("is", "+"), ("is", "-")))),
        ("[!$(C[N,O])]", ("not", ("has", "C[N,O]"))),
        ("-,:", ("or", ("is", "-"), ("is", ":"))),
    ],
)
def test_queries_are_parsed(smarts: str, query: tuple) -> None:
    assert parsed(smarts) == query


@pytest.mark.parametrize(
    ("name", "catalogues"),
    [
        ("pains", ("PAINS_A", "PAINS_B", "PAINS_C")),
        ("brenk", ("Brenk",)),
        ("nih", ("NIH",)),
        ("zinc", ("ZINC",)),
    ],
)
def test_bits_and_filters_of_hits_agree(name: str, catalogues: tuple[str, ...]) -> None:
    featurizer = vector_featurizer("alerts")
    for mol, _ in read_molecules([*wheel_molecules(150), "O=C1C=CC(=O)C=C1"]):
        if mol is not None:
            hits = [featurizer.columns[column].split(":", 1) for column in featurizer.nonzero(mol)[0]]
            alerts_of_bits = {
                text.split(" (")[0] for catalogue_name, text in hits if catalogue_name in catalogues
            }
            assert alerts_of_bits == {text.split(" (")[0] for text in filters.get(name)(mol)}


def test_screen_does_not_depend_on_the_order_of_atoms() -> None:
    screen = PatternScreen([condition(Chem.MolFromSmarts(smarts)) for smarts in SMARTS])
    random = np.random.default_rng(1)
    for mol, _ in read_molecules([*MANY, *wheel_molecules(100)]):
        if mol is not None:
            other = Chem.RenumberAtoms(mol, random.permutation(mol.GetNumAtoms()).tolist())
            assert screen.candidates(mol).tolist() == screen.candidates(other).tolist()


def test_screen_does_not_depend_on_what_was_seen_before() -> None:
    """Atoms that the hash cannot tell apart (13C and 12C) are told apart, whichever comes first."""
    patterns = [
        Chem.MolFromSmarts(smarts) for smarts in ("[13*]", "[12*]", "[0*]", "C", "[2#1]", "[Fe]", "[Na]")
    ]
    conditions = [condition(pattern) for pattern in patterns]
    texts = ["C", "[13CH4]", "[12CH4]", "[2H][2H]", "[Fe]", "[Na]", "[Na+]", "[13CH3]C", "[14CH3][13CH3]"]
    mols = [Chem.MolFromSmiles(text) for text in texts]
    alone = [PatternScreen(conditions).candidates(mol).tolist() for mol in mols]
    assert alone[0] == [2, 3]
    assert alone[1] == [0, 3]
    for order in (range(len(mols)), reversed(range(len(mols)))):
        screen = PatternScreen(conditions)
        for number in order:
            assert screen.candidates(mols[number]).tolist() == alone[number], texts[number]


def test_a_molecule_that_the_matrix_does_not_show_may_have_all() -> None:
    screen = PatternScreen([condition(Chem.MolFromSmarts(smarts)) for smarts in ("[Fe]", "C", "S")])
    large = Chem.MolFromSmiles("C" * 201)
    hidden = Chem.MolFromSmiles("C~C")
    dative = Chem.MolFromSmiles("[NH3]->[Pt]")
    for mol in (large, hidden, dative):
        assert screen.candidates(mol).tolist() == [0, 1, 2]
    assert screen.candidates(Chem.MolFromSmiles("C" * 200)).tolist() == [1]


def test_alternatives_of_recursive_patterns() -> None:
    wanted = condition(Chem.MolFromSmarts("[$(C=O),$(C#N),F]Cl"))
    (options,) = wanted.choices
    assert [("is", "F") in option.needs for option in options] == [False, False, True]
    bonds = [[need for need in option.needs if isinstance(need[0], tuple)] for option in options]
    assert bonds == [
        [(("is", "C"), ("is", "="), ("is", "O"))],
        [(("is", "C"), ("is", "#"), ("is", "N"))],
        [],
    ]


def test_what_a_pattern_needs_is_counted() -> None:
    wanted = condition(Chem.MolFromSmarts("CCO"))
    assert wanted.choices == ()
    assert wanted.needs[("is", "C")] == 2
    assert wanted.needs[("is", "O")] == 1
    assert wanted.needs[("is", "*")] == 3


@pytest.mark.parametrize(
    ("query", "smiles", "expected"),
    [
        ("C", "C", (True, False)),
        ("[!#6]", "C", (False, True)),
        ("[C,N]", "C", (True, False)),
        ("[C&H3]", "C", (False, True)),
        ("[R2]", "C", (False, True)),
        ("[R2]", "C1CC1", (True, True)),  # in how many rings is not looked at
        ("[!R2]", "C1CC1", (True, True)),
        ("[v4]", "C", (True, True)),
        ("[$(C=O)]", "C", (True, True)),
        ("[$(N=O)]", "C", (False, True)),
        ("[!$(N=O)]", "C", (True, False)),
        ("[C;!$(C=O)]", "C", (True, True)),
    ],
)
def test_what_is_certain_of_an_atom(query: str, smiles: str, expected: tuple[bool, bool]) -> None:
    atom = Chem.MolFromSmiles(smiles).GetAtomWithIdx(0)
    assert truth(parsed(query), lambda primitive: atom_truth(primitive, atom), {}) == expected


@pytest.mark.parametrize(
    ("query", "kind", "may_be_in_ring", "expected"),
    [
        ("", "-", False, (True, False)),
        ("", ":", True, (True, False)),
        ("", "=", True, (False, True)),
        ("-,=", "=", False, (True, False)),
        ("~", "#", False, (True, False)),
        ("@", "-", False, (False, True)),
        ("!@", "-", False, (True, False)),
        ("-&!@", "-", True, (True, True)),
        ("/", "-", False, (True, True)),
    ],
)
def test_what_is_certain_of_a_bond(
    query: str, kind: str, may_be_in_ring: bool, expected: tuple[bool, bool]
) -> None:
    assert truth(parsed(query), lambda each: bond_truth(each, kind, may_be_in_ring), {}) == expected
