"""What `data describe` says of tables of real values, and the config that it writes."""

import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from screening.cli import main as cli
from screening.config import load_config
from screening.data.assay_columns import ATTENTION
from screening.data.assay_kinds import Assay
from screening.data.assay_summaries import median_ranges, overlap_of, real_summaries
from screening.data.assay_table import AssayTable
from screening.data.catalogue_check import count_labels
from screening.data.describing import describe
from screening.data.sparse_cells import SparseCells
from screening.data.table_source import source_of
from screening.errors import DataError
from screening.runtime.numbers import percent


def call(*words: str) -> int:
    """Exit code of a command that was typed."""
    with patch.object(sys, "argv", ["screening", *words]), pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def measured(path: Path, n: int = 60) -> None:
    """A table of real values with qualifiers, a replicate of the first structure, and no setting."""
    table = small.table(n)
    values = np.arange(n) % 7 + 4.5
    frame = pd.DataFrame({"id": table.ids, "smiles": table.smiles, "pIC50": values, "note": "x"})
    frame["Ki [nM]"] = [f"{'> ' if row % 5 == 0 else ''}{10.0 ** (9 - v):g}" for row, v in enumerate(values)]
    frame = pd.concat([frame, frame.head(1).assign(pIC50=7.5)])
    frame.to_csv(path, index=False)


def test_a_refused_table_is_described_with_what_is_suggested(here: Path) -> None:
    measured(here / "t.csv")
    description = describe("t.csv", workers=0)
    assert description.notes[0].startswith("Attention: t.csv: no column is an assay")
    assert [each.assay.name for each in description.real] == ["pIC50", "Ki [nM]"]
    first, second = description.real
    assert (first.n_values, first.n_censored, first.lowest, first.highest) == (61, 0, 4.5, 10.5)
    assert (second.n_censored, second.assay.transform) == (13, "neg_log10_molar")
    assert second.highest == pytest.approx(10**4.5, rel=1e-4)
    assert first.replicates == 3
    assert np.isnan(second.replicates)
    text = str(description)
    assert "2 assays of real values (122 values, 13 censored) and 0 of classes" in text
    assert "molecules that two assays share: 60 for the middle of 1 pairs" in text
    assert "  actives" not in text


def test_what_cannot_be_suggested_is_refused_as_ever(here: Path) -> None:
    (here / "t.csv").write_text("smiles,a,b\nCCO,x y,z\nCCN,w,v\n")
    with pytest.raises(DataError, match="no column is an assay"):
        describe("t.csv", workers=0)


def test_tables_of_classes_are_described_as_ever(here: Path) -> None:
    small.table(30).write_csv(here / "t.csv")
    lines = str(describe("t.csv", workers=0)).splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("4 assays; "))
    assert "active" in lines[first]
    assert lines[first + 1].startswith("labels per assay")
    assert not any("real" in line for line in lines)


def test_the_config_that_is_written_trains_as_it_stands(here: Path) -> None:
    measured(here / "t.csv")
    assert call("data", "describe", "t.csv", "--write-config", "own.yaml") == 0
    config = load_config("own.yaml")
    assert config.data.tasks == ("pIC50", "Ki [nM]")
    assert config.data.assays["Ki [nM]"].unit == "nM"
    settings = ("features.vectors=[]", "model.encoder=gine", "split=random")
    assert call("train", "own.yaml", "--epochs", "1", *settings) == 0
    assert (here / "runs" / "t" / "evaluation.csv").is_file()


def test_thousands_of_assays_are_described_in_short(here: Path) -> None:
    n = 3000
    smiles = ["C" * (1 + row % 40) + "N" * (1 + row % 3) for row in range(n)]
    cells = {
        "assay": [f"A{row}" for row in range(n)],
        "smiles": smiles,
        "label": [row % 2 for row in range(n)],
    }
    pd.DataFrame(cells).to_csv("long.csv", index=False)
    long = {"assay": ["assay"], "value": "label"}
    settings = load_config({"name": "t", "data": {"source": "long.csv", "format": "long", "long": long}}).data
    text = str(describe("long.csv", settings=settings, workers=0))
    assert "3,000 assays; 3,000 labels" in text
    assert "  and 2,950 more" in text


def test_a_config_is_not_written_over(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small.table(30).write_csv(here / "t.csv")
    (here / "own.yaml").write_text("kept")
    assert call("data", "describe", "t.csv", "--write-config", "own.yaml") == 2
    assert "is there already" in capfd.readouterr().err
    assert (here / "own.yaml").read_text() == "kept"


CELLS = st.lists(
    st.lists(st.sampled_from([np.nan, 4.0, 5.0, 6.5]), min_size=3, max_size=3), min_size=1, max_size=12
)


def table_of(cells: list[list[float]]) -> AssayTable:
    labels = np.array(cells, np.float32)
    about = (Assay("A", "real"), Assay("B", "real", "nM", "neg_log10_molar"), Assay("C", "real", "%"))
    n = len(labels)
    rows = np.arange(1, n + 1)
    censored = (np.nan_to_num(labels) == 4).astype(np.int8)
    return AssayTable([""] * n, ["C"] * n, labels, ("A", "B", "C"), {}, rows, about=about, censored=censored)


@given(CELLS)
def test_summaries_are_those_of_each_column(cells: list[list[float]]) -> None:
    table = table_of(cells)
    for task, summary in enumerate(real_summaries(table, [np.nan] * 3)):
        column = table.labels[~np.isnan(table.labels[:, task]), task]
        assert (summary.n_values, summary.n_censored) == (len(column), int((column == 4).sum()))
        if len(column):
            values = table.assays[task].in_unit(column.astype(float))
            middle = table.assays[task].in_unit(np.median(column).astype(float))
            assert (summary.lowest, summary.highest) == pytest.approx((values.min(), values.max()))
            assert summary.middle == pytest.approx(middle)
        else:
            assert np.isnan([summary.lowest, summary.middle, summary.highest]).all()


@given(CELLS)
def test_shared_molecules_are_counted_in_arrays_and_in_cells(cells: list[list[float]]) -> None:
    table = table_of(cells)
    present = ~np.isnan(table.labels)
    pairs = {(a, b): int((present[:, a] & present[:, b]).sum()) for a, b in ((0, 1), (0, 2), (1, 2))}
    rows, tasks = np.nonzero(present)
    sparse = SparseCells.of(rows, tasks, table.labels[rows, tasks], table.labels.shape, np.nan)
    for labels in (table.labels, sparse):
        other = AssayTable(**{**vars(table), "labels": labels, "censored": None})
        assert count_labels(other) == count_labels(table)
        assert len(source_of("t", data=other).sha256) == 64
        overlap = overlap_of(other)
        assert overlap is not None
        assert (overlap.n_pairs, overlap.n_blind) == (3, sum(n == 0 for n in pairs.values()))
        assert (overlap.middle, overlap.most) == (np.median(list(pairs.values())), max(pairs.values()))
        assert pairs[tuple("ABC".index(name) for name in overlap.pair)] == overlap.most  # type: ignore[index]


def test_bounds_and_units_are_part_of_what_a_table_in_memory_is_known_by() -> None:
    table = table_of([[4.0, 5.0, 6.5]])
    others = [
        replace(table, censored=None),
        replace(table, about=(replace(table.about[0], unit="uM"), *table.about[1:])),
    ]
    sums = {source_of("t", data=each).sha256 for each in (table, *others)}
    assert len(sums) == 3


@given(st.lists(st.tuples(st.sampled_from([np.nan, 0.0, 1.0, 2.5]), st.integers(0, 2)), max_size=12))
def test_ranges_of_replicates_have_their_median_by_assay(pairs: list[tuple[float, int]]) -> None:
    ranges, tasks = np.array([r for r, _ in pairs], float), np.array([t for _, t in pairs], int)
    expected = [
        np.median(ranges[(tasks == t) & ~np.isnan(ranges)])
        if ((tasks == t) & ~np.isnan(ranges)).any()
        else np.nan
        for t in range(3)
    ]
    np.testing.assert_array_equal(median_ranges(ranges, tasks, 3), expected)


def test_long_tables_with_other_units_are_described_without_them(tmp_path: Path) -> None:
    rows = [f"C{'C' * row},CHEMBL1,Ki,{row + 1},nM" for row in range(6)]
    rows += ["CCO,CHEMBL1,Ki,5,ug.mL-1", "CCN,CHEMBL1,Ki,0.1,uM"]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["smiles,target_chembl_id,standard_type,standard_value,standard_units", *rows]))
    found = describe(str(path))
    assert found.settings.long.other_units == "leave_out"
    assert [each.n_values for each in found.real] == [7]
    loud = [note for note in found.notes if note.startswith(ATTENTION)]
    assert len(loud) == 2
    assert "'ug.mL-1' (1)" in loud[1]
    assert loud[1].endswith("What follows is the table without them.")
    table = [line for line in str(found).splitlines() if line.startswith("  ")]
    assert all(len(line) <= 80 for line in table)
    assert "-log10 M" in table[-1]


def test_a_small_share_has_two_digits() -> None:
    assert percent(404_127 / (205_976 * 4935)) == "0.04%"
