"""Splits: every row in one part, copies together, same seed same split; scaffolds as DeepChem's."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from screening.data.assay_kinds import Assay
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.merging import prepare
from screening.data.molecules import murcko_scaffold
from screening.data.splits import PARTS, Split, leakage, split_table, splits
from screening.data.splits.butina import BUTINA_LIMIT
from screening.errors import ConfigError, DataError
from screening.testing.splits import CHECKS
from screening.testing.subjects import Check, Subject, statement

POOL = (
    *("C", "CC", "CCO", "CCCN", "CC(C)Cl", "c1ccccc1", "Cc1ccccc1", "Oc1ccccc1", "Nc1ccccc1C", "C1CCCCC1"),
    *("c1ccncc1", "Cc1ccncc1", "c1ccc2ccccc2c1", "Oc1cccc2ccccc12", "C1CCNCC1", "CN1CCOCC1", "c1ccsc1"),
    *("CC(=O)Oc1ccccc1C(=O)O", "c1ccc(-c2ccccc2)cc1", "O=C1CCCN1", "c1cc[nH]c1", "FC(F)F", "[Na+].[Cl-]"),
)
OTHER_SPELLINGS = {"OCC": "CCO", "c1cccnc1": "c1ccncc1", "C1=CC=CC=C1": "c1ccccc1"}


def table_of(smiles: list[str], labels: np.ndarray | None = None, **extra: list[str]) -> AssayTable:
    n = len(smiles)
    if labels is None:
        labels = np.random.default_rng(0).choice([0.0, 1.0, np.nan], (n, 3), p=[0.6, 0.1, 0.3])
    return AssayTable(
        ids=[f"m{i}" for i in range(n)],
        smiles=smiles,
        labels=np.asarray(labels, dtype=np.float32),
        tasks=tuple(f"assay{t}" for t in range(np.shape(labels)[1])),
        extra=dict(extra),
        rows=np.arange(1, n + 1),
        canonical=[Chem.MolToSmiles(Chem.MolFromSmiles(text)) for text in smiles],
    )


def write_split(path: Path, table: AssayTable, parts: list[str]) -> None:
    lines = [f"{row - 1},{part}\n" for row, part in zip(table.rows, parts, strict=True)]
    content = ("row,part\n" + "".join(lines)).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


tables = st.lists(st.sampled_from([*POOL, *OTHER_SPELLINGS]), min_size=1, max_size=40).map(table_of)
BY_ALGORITHM = [
    ("random", {}),
    ("stratified", {}),
    ("scaffold", {}),
    ("scaffold", {"balanced": True}),
    ("butina", {}),
    ("fingerprint", {}),
    ("folds", {"by": "random", "folds": 3}),
    ("folds", {"fold": 2}),
    ("column", {"column": "fold"}),
    ("file", {}),
    ("time", {"column": "date"}),
]


def with_parts(
    table: AssayTable, name: str, options: dict, folder: Path, seed: int
) -> tuple[AssayTable, dict]:
    """The table and options for a case; `column` and `file` get random parts, one molecule left out."""
    parts = np.random.default_rng(seed).choice([*PARTS, "train", "train"], len(table)).tolist()
    parts[0] = "train"
    if len(parts) > 3:
        parts[3] = ""
    if name == "column":
        table = replace(table, extra={"fold": parts})
    if name == "time":
        days = np.random.default_rng(seed).integers(0, 400, len(table))
        dates = (np.datetime64("2021-01-01") + days).astype(str).tolist()
        table = replace(table, extra={"date": dates})
    if name == "file":
        options = {"path": folder / "split.csv"}
        write_split(options["path"], table, parts)
    return table, options


def split_or_none(table: AssayTable, name: str, **options: Any) -> Split | None:
    try:
        return split_table(table, name, **options)
    except DataError as problem:
        if "leaves no molecule to train on" not in str(problem) and "different dates" not in str(problem):
            raise
        return None


def test_every_split_has_a_case() -> None:
    assert {name for name, _ in BY_ALGORITHM} == set(splits.names())


@pytest.mark.parametrize(
    ("name", "options"), [case for case in BY_ALGORITHM if case[0] not in ("column", "file")]
)
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(name: str, options: dict, check: Check) -> None:
    check(Subject(name, options))


@pytest.mark.parametrize(("name", "options"), BY_ALGORITHM)
@settings(max_examples=25, deadline=None)
@given(table=tables, seed=st.integers(0, 2**32 - 1))
def test_parts_are_disjoint_and_complete_and_copies_stay_together(
    tmp_path_factory: pytest.TempPathFactory, name: str, options: dict, table: AssayTable, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    table, options = with_parts(table, name, options, folder, seed)
    split = split_or_none(table, name, seed=seed, **options)
    if split is None:
        grouped = ("scaffold", "butina", "folds", "time")
        assert name in grouped or len(table) < 3, "one group larger than the training share"
        return
    assert len(split.parts) == len(table)
    rows = np.concatenate([split.rows(part) for part in (*PARTS, "")])
    assert sorted(rows.tolist()) == list(range(len(table)))
    for structure in set(table.canonical or []):
        found = {
            part for part, text in zip(split.parts, table.canonical or [], strict=True) if text == structure
        }
        assert len(found - {""}) <= 1
    if name not in ("column", "file"):
        assert "" not in split.parts
    assert leakage(table, split).shared == 0
    assert split_table(table, name, seed=seed, **options) == split


@pytest.mark.parametrize("name", ["random", "stratified"])
def test_sizes_follow_the_fractions_and_another_seed_is_another_split(name: str) -> None:
    table = table_of([f"{'C' * i}O" for i in range(1, 101)])
    split = split_table(table, name, seed=1, fractions=[0.5, 0.3, 0.2])
    assert [len(split.rows(part)) for part in PARTS] == [50, 30, 20]
    assert split != split_table(table, name, seed=2, fractions=[0.5, 0.3, 0.2])


@pytest.mark.parametrize("name", ["random", "stratified"])
@pytest.mark.parametrize("n", [3, 5, 9])
def test_small_tables_get_something_in_every_part(name: str, n: int) -> None:
    split = split_table(table_of(list(POOL[:n])), name, seed=0)
    assert all(len(split.rows(part)) for part in PARTS)


@pytest.mark.parametrize("name", ["random", "stratified", "scaffold", "butina", "fingerprint"])
@pytest.mark.parametrize("fractions", [[0.8, 0.1, 0.2], [0.9, 0.1, 0.0], [1.2, -0.1, -0.1], [0.5, 0.5]])
def test_wrong_fractions_are_refused(name: str, fractions: list[float]) -> None:
    with pytest.raises(ConfigError, match="fractions"):
        split_table(table_of(list(POOL)), name, seed=0, fractions=fractions)


def test_no_molecule_is_an_error() -> None:
    with pytest.raises(DataError, match="no usable molecule"):
        split_table(table_of([], np.zeros((0, 2))), "random", seed=0)


def test_stratified_gives_every_part_its_share_of_rare_actives() -> None:
    generator = np.random.default_rng(3)
    n, n_tasks = 2000, 60
    labels = (generator.random((n, n_tasks)) < generator.uniform(0.005, 0.05, n_tasks)).astype(float)
    labels[generator.random((n, n_tasks)) < 0.5] = np.nan
    labels[:, 0] = np.nan
    labels[:10, 0] = 1
    table = table_of([f"{'C' * (i + 1)}" for i in range(40)] * 50, labels)
    table = replace(table, canonical=[str(i) for i in range(n)])
    split = split_table(table, "stratified", seed=0)
    actives = (labels == 1).sum(axis=0)
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        found = (labels[split.rows(part)] == 1).sum(axis=0)
        assert found[0] == 10 * share
        assert np.abs(found - share * actives).max() < 3
        assert (found[share * actives >= 2] > 0).all()


def test_stratified_counts_all_copies_of_a_structure() -> None:
    labels = np.full((30, 1), np.nan)
    labels[20:, 0] = 1
    table = replace(table_of(["C"] * 30, labels), canonical=[str(i % 20) for i in range(30)])
    split = split_table(table, "stratified", seed=0)
    assert len(set(split.parts[:10])) == 3, "the 10 structures whose second copy is active are shared out"


def test_no_scaffold_is_in_two_parts() -> None:
    table = table_of(list(POOL))
    for balanced in (False, True):
        split = split_table(table, "scaffold", seed=0, balanced=balanced, fractions=[0.5, 0.25, 0.25])
        parts: dict[str, set[str]] = {}
        for smiles, part in zip(table.smiles, split.parts, strict=True):
            parts.setdefault(murcko_scaffold(smiles), set()).add(part)
        assert max(map(len, parts.values())) == 1
        assert leakage(table, split).n_seen == 0


def test_balanced_scaffold_split_depends_on_the_seed_and_the_plain_one_does_not() -> None:
    table = table_of(
        [f"{'C' * n}{ring}" for ring in ("c1ccccc1", "c1ccncc1", "C1CCCC1", "c1ccsc1") for n in (1, 2)]
    )
    options = {"fractions": [0.5, 0.25, 0.25]}
    assert split_table(table, "scaffold", seed=1, **options) == split_table(
        table, "scaffold", seed=2, **options
    )
    seen = {tuple(split_table(table, "scaffold", seed=i, balanced=True, **options).parts) for i in range(9)}
    assert len(seen) > 1


@pytest.mark.parametrize("by", ["scaffold", "random"])
def test_every_molecule_is_tested_in_one_fold_and_validates_in_the_one_before(by: str) -> None:
    table = table_of([*POOL, *OTHER_SPELLINGS])
    found = [split_table(table, "folds", seed=3, folds=4, fold=fold, by=by).parts for fold in range(4)]
    for parts in zip(*found, strict=True):
        assert sorted(parts) == ["test", "train", "train", "valid"]
        assert parts[parts.index("test") - 1] == "valid"
    seen = {tuple(split_table(table, "folds", seed=i, folds=4, fold=3, by=by).parts) for i in range(9)}
    assert len(seen) > 1


def test_folds_keep_scaffolds_together_and_are_of_like_size() -> None:
    rings = ("c1ccccc1", "c1ccncc1", "C1CCCC1", "c1ccsc1", "C1CCNCC1", "c1ccoc1")
    table = table_of([f"{'C' * n}{ring}" for ring in rings for n in range(1, 6)])
    for fold in range(3):
        split = split_table(table, "folds", seed=0, folds=3, fold=fold)
        assert [len(split.rows(part)) for part in PARTS] == [10, 10, 10]
        assert leakage(table, split).n_seen == 0
    alike = [f"{'C' * n}c1ccccc1" for n in range(6, 14)]
    split = split_table(table_of([*alike, *rings[1:], "CCO"]), "folds", seed=0, folds=5)
    assert split.notes == ("The folds differ in size: 8, 2, 2, 1, 1 molecules.",)
    chains = [f"{'C' * n}O" for n in range(1, 16)]
    split = split_table(table_of(chains), "folds", seed=0, folds=5)
    assert [len(split.rows(part)) for part in PARTS] == [9, 3, 3], "no ring is no common scaffold"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 2}, "at least 3"),
        ({"fold": 5}, "0 to 4"),
        ({"fold": -1}, "0 to 4"),
        ({"by": "size"}, "'by'"),
    ],
)
def test_wrong_folds_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_table(table_of(list(POOL)), "folds", seed=0, **options)


def assert_equal_to_deepchem(table: AssayTable, fractions: list[float]) -> None:
    from deepchem.data import NumpyDataset
    from deepchem.splits import ScaffoldSplitter

    dataset = NumpyDataset(X=np.zeros((len(table), 1)), ids=np.array(table.smiles, dtype=object))
    shares = dict(zip(("frac_train", "frac_valid", "frac_test"), fractions, strict=True))
    expected = ScaffoldSplitter().split(dataset, **shares)
    split = split_table(table, "scaffold", seed=0, fractions=fractions)
    for part, rows in zip(PARTS, expected, strict=True):
        assert split.rows(part).tolist() == sorted(rows)


@pytest.mark.parametrize("fractions", [[0.8, 0.1, 0.1], [0.4, 0.3, 0.3]])
def test_scaffold_split_equals_deepchem_on_a_small_table_with_copies(fractions: list[float]) -> None:
    assert_equal_to_deepchem(table_of([*POOL, *OTHER_SPELLINGS, "C", "c1ccccc1"]), fractions)


def test_scaffold_split_equals_deepchem_on_tox21(real_data: Path) -> None:
    table, _, _ = prepare(read_assays(real_data / "tox21.csv.gz"))
    assert_equal_to_deepchem(table, [0.8, 0.1, 0.1])


def test_butina_keeps_neighbours_together() -> None:
    chains = [f"{'C' * n}O" for n in range(8, 14)]
    split = split_table(table_of([*chains, *POOL]), "butina", seed=0)
    assert len(set(split.parts[:6])) == 1


def test_deepchem_splits_refuse_what_they_cannot_hold() -> None:
    table = replace(table_of(["C"] * (BUTINA_LIMIT + 1)), canonical=[str(i) for i in range(BUTINA_LIMIT + 1)])
    with pytest.raises(ConfigError, match=r"8,001 are too many"):
        split_table(table, "butina", seed=0)


def test_deepchem_missing_is_one_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "deepchem.splits", None)
    with pytest.raises(ConfigError, match=r"pip install deepchem"):
        split_table(table_of(list(POOL)), "fingerprint", seed=0)


def test_unknown_names_and_options_list_the_known_ones() -> None:
    table = table_of(["C"])
    with pytest.raises(ConfigError, match="Did you mean 'scaffold'"):
        split_table(table, "scafold", seed=0)
    with pytest.raises(ConfigError, match="Did you mean 'balanced'"):
        split_table(table, "scaffold", seed=0, balance=True)


def test_column_names_the_parts() -> None:
    table = table_of(["C", "CC", "CCC", "CCCC"], fold=["train", "Validation", "test", ""])
    split = split_table(table, "column", seed=0, column="fold")
    assert split.parts == ["train", "valid", "test", ""]
    with pytest.raises(DataError, match=r"no column 'folds'.*fold"):
        split_table(table, "column", seed=0, column="folds")
    with pytest.raises(
        DataError,
        match=r"'b' \(1\) is none of train, valid, test .*first in row 2\..*'split\.words=\{b: test\}'",
    ):
        split_table(replace(table, extra={"fold": ["train", "b", "", ""]}), "column", seed=0, column="fold")
    with pytest.raises(DataError, match="no molecule to train on"):
        split_table(replace(table, extra={"fold": ["test"] * 4}), "column", seed=0, column="fold")


def test_copies_in_a_given_split_follow_the_first_and_it_is_said() -> None:
    table = table_of(["CCO", "OCC", "C", "OCC", "CC"], fold=["test", "train", "train", "", "valid"])
    split = split_table(table, "column", seed=0, column="fold")
    assert split.parts == ["test", "test", "train", "", "valid"]
    assert split.notes[0].startswith("1 copies")


def test_an_empty_part_is_noted() -> None:
    split = split_table(table_of(["C", "CC"], fold=["train", "test"]), "column", seed=0, column="fold")
    (note,) = split.notes
    assert note.startswith("The split 'column' leaves valid empty: no early stopping")
    assert "no calibrated probabilities" in note
    assert note.endswith("split.valid_from_train=0.1.")
    table = table_of(list(POOL), part=["train", "valid"] * (len(POOL) // 2) + ["train"] * (len(POOL) % 2))
    assert "nothing to say how good" in split_table(table, "column", seed=0, column="part").notes[0]


WORDS = {"Holdout": "test", "trainset": "Training", "out": None, "train": "valid"}


def test_words_of_a_split_are_what_the_user_says(tmp_path: Path) -> None:
    texts = ["trainset", " HOLDOUT", "out", "Train", "", "TEST "]
    table = table_of(["C", "CC", "CCC", "CCCC", "CCCCC", "CCO"], set=texts)
    expected = ["train", "test", "", "valid", "", "test"]
    assert split_table(table, "column", seed=0, column="set", words=WORDS).parts == expected
    lines = "".join(f"{row},{text}\n" for row, text in enumerate(texts))
    (tmp_path / "s.csv").write_text(f"row,set\n{lines}")
    options = {"path": tmp_path / "s.csv", "column": "set", "words": WORDS}
    assert split_table(table, "file", seed=0, **options).parts == expected
    with pytest.raises(DataError, match=r"'trainset' \(1\), 'HOLDOUT' \(1\), 'out' \(1\) are none of"):
        split_table(table, "column", seed=0, column="set")
    with pytest.raises(ConfigError, match="'out' is mapped to 'somewhere'"):
        split_table(table, "column", seed=0, column="set", words={"out": "somewhere"})


def test_a_column_of_dates_is_no_list_of_parts() -> None:
    table = table_of(list(POOL), date=[f"2024-01-{day + 1:02}" for day in range(len(POOL))])
    with pytest.raises(
        DataError, match=r"other texts are none of train.*no split by itself: split.name=time"
    ):
        split_table(table, "column", seed=0, column="date")


def test_validation_is_taken_out_of_train() -> None:
    smiles = ["C" * (n + 1) for n in range(40)]
    table = table_of([*smiles, *smiles[:10]], part=["train"] * 30 + ["test"] * 10 + ["train"] * 10)
    split = split_table(table, "column", seed=0, column="part", valid_from_train=0.2)
    assert [len({table.smiles[row] for row in split.rows(part)}) for part in ("train", "valid", "test")] == [
        24,
        6,
        10,
    ]
    assert split.rows("test").tolist() == list(range(30, 40))
    assert not {table.smiles[row] for row in split.rows("train")} & {
        table.smiles[row] for row in split.rows("valid")
    }
    assert split.notes == ("6 structures of train, drawn at random, are the validation part.",)
    again = split_table(table, "column", seed=0, column="part", valid_from_train=0.2)
    other = split_table(table, "column", seed=1, column="part", valid_from_train=0.2)
    assert split == again != other
    table = table_of(["C", "CC", "CCC"], part=["train", "valid", "test"])
    with pytest.raises(ConfigError, match="there is a validation part"):
        split_table(table, "column", seed=0, column="part", valid_from_train=0.2)
    with pytest.raises(ConfigError, match="a share of 0 or more and below 1"):
        split_table(table, "column", seed=0, column="part", valid_from_train=1.5)


def test_validation_by_scaffold_takes_whole_scaffolds_of_train() -> None:
    rings = ("c1ccccc1", "c1ccncc1", "C1CCCC1", "c1ccsc1", "C1CCNCC1")
    smiles = [f"{'C' * n}{ring}" for ring in rings for n in range(1, 5)] + [
        f"{'C' * n}O" for n in range(1, 5)
    ]
    table = table_of(smiles, part=["train", "test"] + ["train"] * 22)
    options = {"column": "part", "valid_from_train": 0.3, "valid_by": "scaffold"}
    splits_of_seeds = [split_table(table, "column", seed=seed, **options) for seed in range(5)]
    for split in splits_of_seeds:
        assert split.rows("test").tolist() == [1]
        valid = {murcko_scaffold(table.smiles[row]) for row in split.rows("valid")} - {""}
        assert not valid & {murcko_scaffold(table.smiles[row]) for row in split.rows("train")}
        assert 4 <= len(split.rows("valid")) <= 7
        assert "drawn by their scaffolds" in split.notes[0]
    assert len({tuple(split.parts) for split in splits_of_seeds}) > 1


def table_of_measurements() -> AssayTable:
    """CCO trains for one assay and tests for another, C validates and tests, CC trains in two rows."""
    return table_of(
        ["CCO", "OCC", "CC", "C", "C", "CCC", "CC"],
        part=["train", "test", "train", "valid", "test", "train", "train"],
    )


def test_parts_of_measurements_stay_as_they_are_given() -> None:
    table = table_of_measurements()
    split = split_table(table, "column", seed=0, column="part", copies="apart")
    assert split.parts == table.extra["part"]
    assert split.notes[0].startswith("1 structures of train are in valid or test too")
    assert leakage(table, split).shared == 1


def test_what_is_held_out_is_left_out_of_the_parts_before() -> None:
    table = table_of_measurements()
    split = split_table(table, "column", seed=0, column="part", copies="held_out")
    assert split.parts == ["", "test", "train", "", "test", "train", "train"]
    assert split.notes[0].startswith("2 rows of 2 structures that are held out")
    assert leakage(table, split).shared == 0
    assert split_table(table, "column", seed=0, column="part").parts[:2] == ["train", "train"]


@pytest.mark.parametrize("copies", ["apart", "held_out"])
def test_copies_that_were_merged_away_are_said_to_be(copies: str) -> None:
    table = table_of(["C", "CC", "CCC"], part=["train", "valid", "test"])
    (note,) = split_table(table, "column", seed=0, column="part", copies=copies).notes
    assert "unless data.keep_apart names the column" in note


def test_the_newest_molecules_test_and_the_next_newest_validate() -> None:
    smiles = ["C" * n for n in range(1, 41)]
    days = np.random.default_rng(0).permutation(40)
    table = table_of(smiles, when=(np.datetime64("2020-01-01") + days).astype(str).tolist())
    split = split_table(table, "time", seed=0, column="when", fractions=[0.7, 0.1, 0.2])
    by_day = [split.parts[place] for place in np.argsort(days)]
    assert by_day == ["train"] * 28 + ["valid"] * 4 + ["test"] * 8
    assert split.notes == (
        "Train has structures up to 2020-01-28, valid from 2020-01-29 to 2020-02-01, test from 2020-02-02 to "
        "2020-02-09.",
    )
    assert split == replace(split_table(table, "time", seed=9, column="when", fractions=[0.7, 0.1, 0.2]))


def test_one_date_is_in_one_part_and_a_structure_is_as_old_as_its_oldest_row() -> None:
    table = table_of(
        ["C", "CC", "CCC", "CCO", "OCC", "CCCC", "CCN"],
        year=["2001", "2001", "2002", "2003", "1999", "2004", ""],
    )
    split = split_table(table, "time", seed=0, column="year")
    assert split.parts == ["train", "train", "valid", "train", "train", "test", ""]
    assert split.notes[1] == (
        "1 structures without a date in 'year' were left out (split.undated=train trains on them)."
    )
    assert split_table(table, "time", seed=0, column="year", undated="train").parts[-1] == "train"
    with pytest.raises(DataError, match=r"'years'.*Did you mean 'year'"):
        split_table(table, "time", seed=0, column="years")
    with pytest.raises(DataError, match="2 different dates"):
        split_table(table_of(["C", "CC", "CCC"], year=["1", "1", "2"]), "time", seed=0, column="year")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=60), st.sampled_from([(0.8, 0.1, 0.1), (0.4, 0.3, 0.3)])
)
def test_time_never_goes_backwards(years: list[int], fractions: tuple[float, float, float]) -> None:
    table = table_of(["C" * (n + 1) for n in range(len(years))], year=[str(2000 + year) for year in years])
    if len(set(years)) < 3:
        with pytest.raises(DataError, match="different dates"):
            split_table(table, "time", seed=0, column="year", fractions=fractions)
        return
    split = split_table(table, "time", seed=0, column="year", fractions=fractions)
    oldest, newest = zip(
        *(
            (min(of_part), max(of_part))
            for of_part in ([years[row] for row in split.rows(part)] for part in PARTS)
        ),
        strict=True,
    )
    assert newest[0] < oldest[1]
    assert newest[1] < oldest[2]


def test_stratified_shares_out_low_and_high_values() -> None:
    generator = np.random.default_rng(0)
    n = 300
    labels = np.column_stack([generator.normal(size=(n, 3)), generator.random(n) < 0.1]).astype(np.float32)
    labels[generator.random((n, 4)) < 0.6] = np.nan
    table = table_of(["C" * (i + 1) for i in range(30)] * 10, labels)
    about = (*(Assay(name, "real") for name in table.tasks[:3]), Assay(table.tasks[3]))
    table = replace(table, canonical=[str(i) for i in range(n)], about=about)
    split = split_table(table, "stratified", seed=0, fractions=[0.6, 0.2, 0.2])
    for task in range(3):
        values = labels[:, task]
        top = values > np.nanquantile(values, 2 / 3)
        for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
            assert abs(top[split.rows(part)].sum() - share * top.sum()) < 3


def test_a_written_split_is_read_back(tmp_path: Path) -> None:
    table = table_of(list(POOL))
    split = split_table(table, "random", seed=5)
    for name in ("split.csv", "split.csv.gz"):
        write_split(tmp_path / name, table, split.parts)
        assert split_table(table, "file", seed=0, path=str(tmp_path / name)) == split


def test_file_counts_records_of_the_table_file_from_0(tmp_path: Path) -> None:
    table = replace(table_of(["C", "CC"]), rows=np.array([2, 4]))
    (tmp_path / "s.csv").write_text("row,a,b\n0,test,\n1,train,valid\n2,test,\n3,valid,train\n")
    assert split_table(table, "file", seed=0, path=tmp_path / "s.csv", column="a").parts == ["train", "valid"]
    assert split_table(table, "file", seed=0, path=tmp_path / "s.csv", column="b").parts == ["valid", "train"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("row,part\n0,train\n", r"no line for 1 of the table's 2 molecules.*record 2"),
        ("row,part\n0,train\n1,nonsense\n", r"'nonsense' \(1\) is none of"),
        ("row,fold\n0,train\n1,test\n", "no column 'part'. It has: row, fold"),
        ("number,part\n0,train\n", "no column 'row'"),
        ("row,part\nx,train\n", "cannot be read"),
        ("row,part\n0,train\n0,test\n1,test\n", "more than once"),
        ("", "no column 'row'. It has: none"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_split_file_is_one_paragraph(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "s.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        split_table(table_of(["C", "CC"]), "file", seed=0, path=tmp_path / "s.csv")


def test_published_split_of_tox21(real_data: Path) -> None:
    table = read_assays(real_data / "tox21.csv.gz")
    table, _, _ = prepare(table)
    path = real_data / "splits" / "tox21_splits.csv.gz"
    split = split_table(table, "file", seed=0, path=path, column="muben_scaffold")
    assert [len(split.rows(part)) for part in PARTS] == [6257, 783, 783]
    found = leakage(table, split)
    assert found.shared == 0
    assert found.n_seen / found.n_with_ring < 0.05


def test_leakage_counts_structures_and_scaffolds_worked_by_hand() -> None:
    table = table_of(["CCO", "OCC", "Cc1ccccc1", "Oc1ccccc1", "c1ccncc1", "CC"])
    split = Split(["train", "test", "train", "test", "test", "valid"])
    found = leakage(table, split)
    assert found.shared == 1, "ethanol, spelled in two ways"
    assert (found.n_seen, found.n_with_ring) == (1, 2), (
        "benzene is in train, pyridine is not, ethanol has no ring"
    )
    assert str(found) == (
        "structures of train in valid or test: 1, and 0 more by their parent (another salt, charge or "
        "stereoisomer); test molecules whose scaffold is in train: 1 of 2 with a ring (50.0%)"
    )


@pytest.mark.parametrize("is_prepared", [False, True])
def test_leakage_by_parents_worked_by_hand(is_prepared: bool) -> None:
    """Each in train and elsewhere: an acid and its salt, a base and its salts, two stereoisomers."""
    of_train = ["CC(=O)O", "CCN.Cl", "C[C@H](N)C(=O)O", "CCO"]
    elsewhere = ["CC(=O)[O-].[Na+]", "CC[NH3+].[Br-]", "CCN", "C[C@@H](N)C(=O)O", "OCC", "CCCCO"]
    table = table_of([*of_train, *elsewhere])
    if is_prepared:
        table, _, _ = prepare(table, duplicates="keep", workers=0)
    found = leakage(table, Split(["train"] * 4 + ["valid", "test"] * 3), workers=0)
    assert (found.shared, found.related) == (1, 4), "ethanol is the same; four are by their parent"
    assert "train in valid or test: 1, and 4 more by their parent" in str(found)
