"""Molecules of any size: what is too large is a rejected record with its reason, wherever it enters.

Before there was a limit, one molecule of 20,000 atoms ended the process (canonical SMILES) or took minutes
(rings, scaffolds, layout).
"""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import small
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

from screening import training
from screening.bundle.bundle import Bundle
from screening.config import check_config
from screening.data.assays import read_assays
from screening.data.describing import describe
from screening.data.layout import MOST_DRAWN
from screening.data.merging import prepare
from screening.data.molecules import (
    RDKIT_SCAFFOLD,
    canonical_smiles,
    framework,
    murcko_scaffold,
    read_molecule,
    read_molecules,
    scaffolds,
)
from screening.errors import ConfigError
from screening.evaluation.external import assess
from screening.features.store import FeatureSet, featurize
from screening.reporting.structures import draw_contributions, draw_structure
from screening.scoring.job import Input, score_library
from screening.scoring.scorer import Scorer
from screening.sizes import LARGEST, MOST_ATOMS, too_large, too_large_block, too_large_molecule
from screening.triage.explanation import explain
from screening.triage.hits import choose_hits

HUGE = 20_000
SHAPES: dict[str, Callable[[int], str]] = {
    "chain": lambda n: "C" * n,
    "ring and chain": lambda n: "c1ccccc1" + "C" * (n - 6),
    "two rings far apart": lambda n: "c1ccccc1" + "C" * (n - 12) + "c1ccccc1",
    "one ring": lambda n: "C1" + "C" * (n - 2) + "C1",
    "branches": lambda n: "C" + "(C)C" * (n // 2 - 1),
    "chain of rings": lambda n: "C1CC1" * (n // 3),
    "peptide": lambda n: "NCC(=O)" * (n // 4),
    "salts": lambda n: ".".join("C" * n),
    "dummies": lambda n: "*" * n,
    "brackets": lambda n: "[13CH2]" * n,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_allowed_is_quick_in_every_shape(shape: str) -> None:
    """Reading, canonical SMILES and scaffold, in processor time of this process."""
    text, before = SHAPES[shape](MOST_ATOMS), time.process_time()
    (canonical,), (reason,) = canonical_smiles([text], workers=0)
    murcko_scaffold(text)
    assert canonical is not None, reason
    assert time.process_time() - before < 3


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_too_large_is_refused_unread(shape: str) -> None:
    text, before = SHAPES[shape](HUGE), time.process_time()
    for stereo in (True, False):
        ((mol, reason),) = read_molecules([text], stereo=stereo, max_atoms=LARGEST)
        assert mol is None
        assert "more than" in reason
        assert f"{LARGEST:,}" in reason
    assert murcko_scaffold(text) == ""
    assert time.process_time() - before < 1


@pytest.mark.parametrize("n", [3, 17, 40])
def test_the_limit_is_on_atoms_besides_hydrogen_however_they_are_written(n: int) -> None:
    """Against RDKit's count; with hydrogens written, in any order of atoms, with a name behind."""
    for text in small.smiles(60):
        mol = Chem.MolFromSmiles(text)
        everything = Chem.AddHs(mol)
        size = mol.GetNumHeavyAtoms()
        for form in (text, Chem.MolToSmiles(everything), Chem.MolToSmiles(mol, allHsExplicit=True)):
            assert bool(too_large(f"{form} a name of C{n * 'C'}", n)) == (size > n), form
            for stereo in (True, False):
                assert (read_molecules([form], stereo=stereo, max_atoms=n)[0][0] is None) == (size > n)
        for each in (mol, everything):
            assert bool(too_large_molecule(each, n)) == (size > n)
            for block in (Chem.MolToMolBlock(each), Chem.MolToV3KMolBlock(each)):
                assert bool(too_large_block(block, n)) == (size > n)


@pytest.mark.parametrize(
    "text", ["[" * 10**6, "(" * 10**6, "C" + "1" * 10**6, "C |" + "x" * 10**7, " " * 10**7]
)
def test_texts_that_are_no_molecules_are_refused_as_quickly(text: str) -> None:
    before = time.process_time()
    mol, reason = read_molecule(text)
    assert (mol, bool(reason)) == (None, True)
    assert len(reason) < 300
    assert time.process_time() - before < 1


def test_hydrogens_alone_cannot_be_without_end() -> None:
    assert "hydrogens" in read_molecule("[H]C" + "[H]" * 5000)[1]


def test_the_scaffold_of_a_large_molecule_is_that_of_rdkit() -> None:
    """RDKit's own time grows as the cube of the size, so the two are compared where both are quick."""
    rings = [text for text in small.smiles() if rdMolDescriptors.CalcNumRings(Chem.MolFromSmiles(text))]
    rings += [
        "O=c1cc(CCC)[nH]c2c1cc[nH]2",
        "C[C@H]1CC[C@@H](CC(F)(F)C2CCC2=S)CC1",
        "CC(C)=C1CCC(=NO)C1",
        "C1CC1.CCCC.c1ccccc1C=C",
        "[O-][n+]1ccccc1CC(C)(C)c1ccsc1",
        "CS(=O)(=O)C1CC1",
    ]
    assert len(rings) > 100
    for text in rings:
        mol = Chem.MolFromSmiles(text)
        with rdBase.BlockLogs():
            expected = MurckoScaffold.MurckoScaffoldSmiles(mol=mol)
        assert Chem.MolToSmiles(framework(mol), isomericSmiles=False) == expected, text
    chain = "C" * RDKIT_SCAFFOLD
    assert scaffolds([f"c1ccccc1CC(=O){chain}", f"c1cc[nH]c1{chain}O"], workers=0) == [
        "c1ccccc1",
        "c1cc[nH]c1",
    ]
    assert len(murcko_scaffold(f"c1ccccc1{chain}c1ccccc1")) > len(chain)


def test_a_picture_of_a_large_molecule_is_a_sentence() -> None:
    mol, before = Chem.MolFromSmiles("C" * 2 * MOST_DRAWN), time.process_time()
    for text in (
        draw_structure(mol, title="<b>"),
        draw_contributions(mol, [1.0] * 2 * MOST_DRAWN, scale=1, title="<b>"),
    ):
        assert f"500 atoms, more than {MOST_DRAWN}: not drawn" in text
        assert "&lt;b&gt;" in text
    assert time.process_time() - before < 0.5
    assert "not drawn" not in draw_structure(Chem.MolFromSmiles("C" * 100), title="")


def mol_block(n: int) -> str:
    """A chain of n atoms as a record of an SDF file, written without RDKit's help."""
    atoms = "".join(f"M  V30 {i} C 0 0 0 0\n" for i in range(1, n + 1))
    bonds = "".join(f"M  V30 {i} 1 {i} {i + 1}\n" for i in range(1, n))
    return (
        "large\n  x\n\n  0  0  0  0  0  0  0  0  0  0999 V3000\nM  V30 BEGIN CTAB\n"
        f"M  V30 COUNTS {n} {n - 1} 0 0 0\nM  V30 BEGIN ATOM\n{atoms}M  V30 END ATOM\n"
        f"M  V30 BEGIN BOND\n{bonds}M  V30 END BOND\nM  V30 END CTAB\nM  END\n$$$$\n"
    )


def library(folder: Path, suffix: str) -> Path:
    """Ethanol, a molecule that is too large, one that is large but may be, and toluene."""
    path = folder / f"library{suffix}"
    texts = ["OCC", "C" * HUGE, "C" * 2 * MOST_DRAWN, "Cc1ccccc1"]
    if suffix == ".sdf":
        small_ones = [
            Chem.MolToMolBlock(Chem.MolFromSmiles(text)) + "$$$$\n" for text in (texts[0], texts[3])
        ]
        path.write_text(small_ones[0] + mol_block(HUGE) + mol_block(2 * MOST_DRAWN) + small_ones[1])
    else:
        path.write_text("smiles,id\n" + "".join(f"{text},M{row}\n" for row, text in enumerate(texts)))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".sdf"])
def test_a_library_with_a_huge_molecule_is_scored(real_run: Path, tmp_path: Path, suffix: str) -> None:
    before = time.process_time()
    report = score_library(real_run, library(tmp_path, suffix), tmp_path / "scores", output="sdf", workers=0)
    assert (report.scored, report.rejected) == (3, 1)
    assert "20,000 atoms" in next(iter(report.reasons))
    records = (tmp_path / "scores" / "scores.sdf").read_text().split("$$$$\n")
    assert [record.split("\n")[2] for record in records[:3]] == [
        "",
        "500 atoms, more than 250: not drawn",
        "",
    ]
    mols = list(Chem.SDMolSupplier(str(tmp_path / "scores" / "scores.sdf")))
    assert [mol.GetNumAtoms() for mol in mols] == [3, 500, 7]
    assert not mols[1].GetConformer().GetPositions().any()
    choose_hits(real_run, tmp_path / "scores", tmp_path / "hits", assay="acid", diversity="none")
    assert pd.read_csv(tmp_path / "hits" / "hits.csv")["weight"].max() > 7000
    assert "500 atoms, more than 250: not drawn" in (tmp_path / "hits" / "hits.html").read_text()
    assert time.process_time() - before < 10


def test_objects_of_rdkit_have_the_same_limit(real_run: Path) -> None:
    params = Chem.SmilesParserParams()
    params.sanitize = False
    huge = Chem.MolFromSmiles("C" * HUGE, params)
    frame = Scorer.load(real_run).score([huge, Chem.MolFromSmiles("CCO"), "C" * HUGE])
    assert frame["status"].tolist() == ["rejected", "ok", "rejected"]
    assert frame["reason"].str.contains("20,000 atoms").tolist() == [True, False, True]


def test_the_limit_of_a_library_is_an_option(real_run: Path, tmp_path: Path) -> None:
    texts = ["OCC", "Cc1ccccc1", "C" * (MOST_ATOMS + 1)]
    status = [Scorer.load(real_run, max_atoms=n).score(texts)["status"].tolist() for n in (3, 1000, 1001)]
    assert status == [["ok", "rejected", "rejected"], ["ok", "ok", "rejected"], ["ok"] * 3]
    for wrong in (0, LARGEST + 1):
        with pytest.raises(ConfigError, match=f"max_atoms is {wrong}: expected 1 to 2,000"):
            Scorer.load(real_run, max_atoms=wrong)
    path = library(tmp_path, ".csv")
    assert (
        score_library(real_run, path, tmp_path / "scores", input=Input(max_atoms=3), workers=0).rejected == 3
    )
    with pytest.raises(Exception, match="another job"):
        score_library(real_run, path, tmp_path / "scores", workers=0)


def test_a_table_with_huge_molecules_trains_and_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so do its splits by scaffold; another table of that kind is evaluated, and explained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frame = small.with_skewed(small.table(60))
    frame.write_csv(tmp_path / "table.csv")
    huge = "".join(f"{shape},{SHAPES[shape](HUGE)},1,0,,,0\n" for shape in ("chain", "ring and chain"))
    with (tmp_path / "table.csv").open("a") as file:
        file.write(huge)
    described = describe(str(tmp_path / "table.csv"), workers=0)
    assert described.n_unusable == 2
    settings = {
        "name": "small",
        "runs": str(tmp_path / "runs"),
        "data": {"source": str(tmp_path / "table.csv"), "max_atoms": 40},
        "model": {"encoder": {"name": "gine", "depth": 1, "width": 8}},
        "train": {"epochs": 1, "device": "cpu", "workers": 0},
    }
    run = training.train(check_config(settings))
    reasons = pd.read_csv(run.folder / "rejected.csv")["reason"]
    assert reasons.str.contains("more than 20 for each of 40 atoms").sum() == 2
    assert Bundle.load(run.folder).features.max_atoms == 40
    (tmp_path / "new.csv").write_text(f"id,smiles,{','.join(frame.tasks)}\nA,NCCO,1,0,0,1,0\n{huge}")
    found = assess(run.folder, str(tmp_path / "new.csv"), workers=0)
    assert found.counts == {"rejected": 2, "scored": 1}
    explained = explain(run.folder, tmp_path / "new.csv", tmp_path / "explained", assay="acid")
    assert [bad.id for bad in explained.rejected] == ["chain", "ring and chain"]


def test_the_key_of_usual_features_is_that_of_earlier_versions() -> None:
    """Else every bundle would be told to have been trained with other features."""
    assert str(MOST_ATOMS) not in FeatureSet("atom_codes").key()
    assert FeatureSet("atom_codes", max_atoms=7).key() != FeatureSet("atom_codes").key()
    assert not featurize(["CCCC"], FeatureSet("atom_codes", max_atoms=3), workers=0).usable.any()


def test_rows_of_a_table_that_are_too_large_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("smiles,a\nCCO,1\nCCCCO,0\n")
    table = read_assays(tmp_path / "table.csv")
    usable, rejected, _ = prepare(table, max_atoms=4, workers=0)
    assert (usable.smiles, [bad.row for bad in rejected]) == (["CCO"], [2])
