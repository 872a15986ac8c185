"""Columns of measured values become assays; what is no value is missing, counted and told, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.config_sections import LongColumns
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.errors import ConfigError, DataError

NAN = float("nan")
MOLAR = {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"}
REAL = {"kind": "real"}


def read(cells: dict[str, list[Any]], assays: dict[str, Any], **settings: Any) -> AssayTable:
    n = len(next(iter(cells.values())))
    frame = pd.DataFrame({"smiles": ["C" * (row + 1) for row in range(n)], **cells})
    return AssayTable.from_frame(frame, assays=assays, **settings)


def notes(table: AssayTable, word: str) -> str:
    return "\n".join(note for note in table.notes if word in note)


def test_values_are_on_the_trained_scale_and_relations_turn_with_it() -> None:
    table = read({"Ki": ["> 10000", "10", "<1", ">1", "n.d."], "tox": [0, 1, 0, 1, None]}, {"Ki": MOLAR})
    assert table.tasks == ("Ki", "tox")
    assert table.censored is not None
    np.testing.assert_allclose(table.labels[:, 0], [5, 8, 9, 9, NAN], rtol=1e-6)
    assert table.censored.tolist() == [[-1, 0], [0, 0], [1, 0], [-1, 0], [0, 0]]
    assert [assay.kind for assay in table.about] == ["real", "binary"]
    assert "'Ki' 3 of 4 (2 with >, 1 with <)" in notes(table, "censored values")


def test_without_measured_values_nothing_is_said_of_assays() -> None:
    table = read({"tox": [0, 1]}, {"tox": {"kind": "binary"}})
    assert (table.about, table.censored) == ((), None)
    assert table.labels.dtype == np.float32


def test_a_threshold_makes_classes_and_says_what_it_could_not_decide() -> None:
    cells = {"inh": ["49", "50", "> 40", "> 60", "< 50", "<= 50", ""]}
    table = read(cells, {"*": {"kind": "real", "threshold": 50}})
    assert table.tasks == ("inh", "inh>=50")
    np.testing.assert_array_equal(table.labels[:, 1], [0, 1, NAN, 1, 0, NAN, NAN])
    assert "'inh>=50' 2" in notes(table, "makes no class")
    classes = read(cells, {"inh": {"threshold": 50, "active": "below"}})
    assert classes.tasks == ("inh",)
    np.testing.assert_array_equal(classes.labels[:, 0], [1, 1, NAN, 0, 1, 1, NAN])


@pytest.mark.parametrize("name", ["Ki_relation", "Ki Qualifier", "relation", "operator Ki"])
def test_qualifiers_in_a_column_of_their_own(name: str) -> None:
    table = read({"Ki": ["10", "20", "30", "> 5"], name: ["'>'", "=", "<", ""]}, {"Ki": REAL})
    assert table.censored is not None
    assert table.censored[:, 0].tolist() == [1, 0, -1, 1]
    assert f"'Ki' has those of column '{name}'" in notes(table, "qualifiers")
    assert list(table.extra) == [name]


def test_qualifiers_of_another_name_are_asked_about_and_can_be_named() -> None:
    cells = {"Ki": ["10", "20"], "Kd": ["1", "2"], "relation": [">", "="], "n": [3, 4]}
    table = read(cells, {"K?": REAL})
    assert table.censored is None
    assert "'relation': qualifiers (>, <) by the name and the texts" in notes(table, "Attention")
    named = read(cells, {"Ki": {**REAL, "relation": "relation"}, "Kd": REAL})
    assert named.censored is not None
    assert named.censored.tolist() == [[1, 0], [0, 0]]
    assert not notes(named, "no assay has them")
    with pytest.raises(ConfigError, match=r"no column 'Ki_sign' \(relation\)"):
        read(cells, {"Ki": {**REAL, "relation": "*_sign"}})


def test_a_cell_and_its_qualifier_column_may_not_contradict() -> None:
    cells = {"Ki": ["> 10", "< 10", "10"], "Ki_relation": ["<", "<=", "high"]}
    with pytest.raises(DataError, match="another relation in 'Ki_relation'"):
        read(cells, {"Ki": {**REAL, "relation": "Ki_relation"}})
    cells = {name: [*texts, *(["1", "2"] if name == "Ki" else ["=", ""])] for name, texts in cells.items()}
    table = read(cells, {"Ki": {**REAL, "relation": "Ki_relation"}})
    assert "'Ki' 2 of 5" in notes(table, "no values")
    assert "no relation in 'Ki_relation' (1: record 3 '10')" in notes(table, "no values")


def test_what_is_no_value_is_missing_and_counted_with_its_reason() -> None:
    texts = ["1", "2", "3", "4", "5", "see text", "see text", "Jan-05", "> < 3"]
    table = read({"Ki": texts}, {"Ki": REAL})
    assert np.isnan(table.labels[:, 0]).tolist() == [False] * 5 + [True] * 4
    said = notes(table, "no values")
    assert said.startswith("Attention: ")
    assert "'Ki' 4 of 9: text (2: record 6 'see text')" in said
    assert "a date" in said
    assert "two relations (1: record 9 '> < 3')" in said


def test_labels_explain_what_is_not_measured() -> None:
    table = read({"Ki": ["1", "2", "toxic", "toxic", "toxic"]}, {"Ki": REAL}, labels={"toxic": None})
    assert not notes(table, "no values")
    assert int(np.isnan(table.labels).sum()) == 3


def test_a_column_of_mostly_texts_is_refused() -> None:
    with pytest.raises(DataError, match=r"most cells are no values in 'Ki' 2 of 3: text \(2: record 1 'a'\)"):
        read({"Ki": ["a", "b", "1"]}, {"Ki": REAL})
    with pytest.raises(DataError, match="the unit '%', and the settings name none"):
        read({"inh": ["40%", "50%"]}, {"inh": REAL})
    assert read({"inh": ["40%", "50%"]}, {"inh": {**REAL, "unit": "%"}}).labels.ravel().tolist() == [40, 50]


@pytest.mark.parametrize(
    ("texts", "meaning", "setting", "values"),
    [
        (["4,5", "10,25"], "decimal commas", ",", [4.5, 10.25]),
        (["> 10,000", "1,234.5"], "thousand separators", ".", [10000, 1234.5]),
    ],
)
def test_commas_are_asked_about_with_the_line_to_paste(
    texts: list[str], meaning: str, setting: str, values: list[float]
) -> None:
    with pytest.raises(DataError, match=f"{meaning}\\? Nothing was guessed") as caught:
        read({"Ki": texts}, {"K*": REAL})
    assert f'\'data.assays={{"K*": {{kind: real, decimal: "{setting}"}}}}\'' in str(caught.value)
    assert read({"Ki": texts}, {"K*": {**REAL, "decimal": setting}}).labels.ravel().tolist() == values


def test_commas_that_may_be_both_are_not_guessed() -> None:
    with pytest.raises(DataError, match="decimal commas or thousand separators") as caught:
        read({"Ki": ["1,234", "5,678"]}, {"Ki": REAL})
    assert 'where it groups thousands, decimal: "."' in str(caught.value)


def test_values_without_a_logarithm_are_missing_and_counted() -> None:
    table = read({"Ki": ["0", "-5", "10", "< 0"]}, {"Ki": MOLAR})
    assert np.isnan(table.labels[:, 0]).tolist() == [True, True, False, True]
    assert "'Ki' 3: not above 0, as neg_log10_molar needs (record 1 '0')" in notes(table, "no number for")


@pytest.mark.parametrize(
    ("texts", "matter"),
    [
        (["", "", ""], "no value at all"),
        (["1", "", ""], "one value only"),
        (["2", "2.0", ""], "the same value everywhere"),
        (["> 2", ">=3", ""], "all values are bounds to one side"),
    ],
)
def test_what_cannot_be_learned_is_said_loudly(texts: list[str], matter: str) -> None:
    table = read({"A": texts, "B": ["1", "2", "3"]}, {"?": REAL})
    assert f"{matter}, which cannot be learned from: 'A'." in notes(table, "Attention")
    assert not notes(read({"A": ["> 2", "<3", "<1"]}, {"?": REAL}), "cannot be learned")
    one_class = read({"A": ["1", "2", "3"]}, {"?": {"threshold": 1}})
    assert "one class alone, which cannot be learned from: 'A'." in notes(one_class, "Attention")


def test_values_of_0_and_1_declared_as_real_are_said_loudly() -> None:
    table = read({"A": [0, 1, 0], "B": [0, 1, 2]}, {"?": REAL})
    assert "declared as real ones (kind: binary): 'A'." in notes(table, "Attention")


def test_units_of_a_column_beside_are_converted_or_the_value_is_missing() -> None:
    cells = {"Ki": ["5", "> 7", "3", "1", "2"], "Ki_unit": ["nM", "µM", "mg/ml", "", "nM"]}
    table = read(cells, {"Ki": MOLAR})
    np.testing.assert_allclose(table.labels[:, 0], [8.30103, 5.154902, NAN, 9, 8.69897], rtol=1e-6)
    assert "'Ki' 1, by 'Ki_unit'" in notes(table, "converted to the unit")
    assert "a unit in 'Ki_unit' that cannot be converted to nM (1: record 3 '3')" in notes(table, "no values")


def test_units_that_contradict_need_one_to_be_converted_to() -> None:
    cells = {"Ki": ["5", "7"], "units": ["nM", "uM"]}
    with pytest.raises(DataError, match="'Ki' have the units 'nM', 'uM' in 'units'"):
        read(cells, {"Ki": REAL})
    assert read({**cells, "units": ["kg", "kg"]}, {"Ki": REAL}).labels.ravel().tolist() == [5, 7]
    assert read(cells, {"Ki": {**REAL, "unit": "uM"}}).labels.ravel().tolist() == pytest.approx([0.005, 7])


def test_named_assays_are_those_of_the_settings_too() -> None:
    cells = {"p": ["5", "7"], "q": ["1", "2"], "tox": [0, 1]}
    settings = {"p": {**REAL, "threshold": 6}, "q": REAL}
    assert read(cells, settings).tasks == ("p", "p>=6", "q", "tox")
    assert read(cells, settings, tasks=["tox", "p>=6"]).tasks == ("tox", "p>=6")
    chosen = read(cells, settings, tasks=["tox", "q"])
    assert chosen.labels.tolist() == [[0, 1], [1, 2]]
    assert list(chosen.extra) == ["p"]


def test_lines_of_units_are_rejected_and_do_not_stop_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("smiles,Ki\n,nM\nCCO,10\nCCN,20\n")
    table = read_assays(path, assays={"Ki": MOLAR})
    assert len(table) == 2
    assert table.rejected[0].reason.endswith("a line of units or descriptions? 'nM'")


@given(st.lists(st.floats(1e-3, 1e7) | st.none(), min_size=2, max_size=20), st.sampled_from(["", "> ", "<="]))
def test_the_unit_of_one_assay_changes_nothing(values: list[float | None], sign: str) -> None:
    other = [3.0 + row for row in range(len(values))]
    tables = []
    for unit, scale in (("nM", 1.0), ("uM", 1e-3)):
        texts = ["" if value is None else f"{sign}{value * scale!r}" for value in values]
        tables.append(read({"Ki": texts, "B": other}, {"Ki": {**MOLAR, "unit": unit}, "B": REAL}))
    np.testing.assert_allclose(tables[0].labels, tables[1].labels, rtol=1e-5)
    np.testing.assert_array_equal(tables[0].labels[:, 1], tables[1].labels[:, 1])
    assert np.array_equal(tables[0].censored, tables[1].censored)


def test_a_cell_that_says_its_unit_is_not_converted_again_by_the_column_beside_it() -> None:
    table = read({"Ki": ["10 uM", "10 nM", "> 10", "1"], "Ki_unit": ["uM", "uM", "uM", "nM"]}, {"Ki": MOLAR})
    np.testing.assert_allclose(table.labels[:, 0], [5, 8, 5, 9], rtol=1e-6)
    long = {"assay": ["a"] * 4, "value": ["10 uM", "10 nM", "> 10", "1"], "unit": ["uM", "uM", "uM", "nM"]}
    table = read(long, {"a": MOLAR}, format="long")
    np.testing.assert_allclose(table.labels[:, 0], [5, 8, 5, 9], rtol=1e-6)


def test_one_odd_text_does_not_take_the_qualifiers_from_all_values() -> None:
    cells = {"Ki": ["10", "10", "5", "7"], "Ki_relation": [">", "=", "see note", ""]}
    table = read(cells, {"Ki": REAL})
    assert table.censored is not None
    assert table.censored[:, 0].tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(table.labels[:, 0], [10, 10, NAN, 7])
    assert "no relation in 'Ki_relation' (1: record 3 '5')" in notes(table, "no values")


@pytest.mark.parametrize("text", ["1e39", "-1e300", "1e19"])
def test_values_too_large_to_be_trained_on_are_missing_and_counted(text: str) -> None:
    cells = {"x": [text, "3", "1e18", f"> {text}"]}
    table = read(cells, {"x": {**REAL, "threshold": 5}})
    np.testing.assert_array_equal(table.labels[:3, 0], np.float32([NAN, 3, 1e18]))
    assert np.isnan(table.labels[3, 0])
    assert table.labels[0, 1] == float(not text.startswith("-"))
    assert "'x' 2: larger than 1e+18" in notes(table, "scale has no number")
    long = read({"assay": ["a"] * 4, "value": cells["x"]}, {"a": REAL}, format="long")
    assert np.isfinite(long.labels[~np.isnan(long.labels)]).all()
    assert "2 values were left out, larger than 1e+18" in notes(long, "left out")


def test_a_column_of_one_unit_says_that_of_the_assay() -> None:
    table = read({"Ki": ["1", "2"], "Ki_unit": ["uM", "uM"]}, {"Ki": {**REAL, "threshold": 2}})
    assert [assay.unit for assay in table.about] == ["uM", "uM"]


def test_a_name_with_another_unit_than_declared_is_told() -> None:
    assert notes(read({"Ki [uM]": ["1", "2"]}, {"Ki*": MOLAR}), "the name says another unit")
    assert not notes(read({"Ki [nM]": ["1", "2"]}, {"Ki*": MOLAR}), "the name says another unit")
    long = {"assay": ["a", "a"], "value [uM]": ["1", "2"]}
    columns = LongColumns(assay=("assay",), value="value [uM]")
    assert notes(read(long, {"a": MOLAR}, format="long", long=columns), "says another unit")


def test_the_unit_that_a_long_table_decides_is_told() -> None:
    cells = {"assay": ["a"] * 3, "value": ["1", "500", "3"], "unit": ["uM", "nM", "uM"]}
    table = read(cells, {"a": {"threshold": 0.7}}, format="long")
    assert table.labels[:, 0].tolist() == [1, 0, 1]
    assert "unit of their assay, uM; a threshold" in notes(table, "1 values were converted")


def test_units_in_cells_are_converted_with_a_count_and_those_that_contradict_are_told() -> None:
    cells = {"Ki": ["10 uM", "10 nM", "> 1 uM", "1", "5 mg/ml"]}
    table = read(cells, {"Ki": MOLAR})
    np.testing.assert_allclose(table.labels[:, 0], [5, 8, 6, 9, NAN], rtol=1e-6)
    assert "'Ki' 2, to nM" in notes(table, "converted from the unit in their cell")
    assert "the unit 'mg/ml', where nM was expected (1: record 5" in notes(table, "no values")
    assert not notes(table, "another unit than the column of units")
    beside = read({**cells, "Ki_unit": ["uM", "uM", "nM", "uM", ""]}, {"Ki": MOLAR})
    np.testing.assert_allclose(beside.labels[:, 0], [5, 8, 6, 6, NAN], rtol=1e-6)
    assert "'Ki' 2, beside 'Ki_unit'" in notes(beside, "Attention")
    long = read({"assay": ["a"] * 5, "value": cells["Ki"]}, {"a": MOLAR}, format="long")
    assert "2 values were converted from that in their cell" in notes(long, "unit of their assay, nM")
    units = {"assay": ["a"] * 5, "value": cells["Ki"], "unit": ["uM", "uM", "nM", "uM", ""]}
    long = read(units, {"a": MOLAR}, format="long", long=LongColumns(other_units="leave_out"))
    assert "2 cells have another unit than 'unit'" in notes(long, "Attention")


def test_columns_of_qualifiers_and_units_are_not_told_to_be_passed_through_or_left_out() -> None:
    cells = {
        "Ki": ["1", "2", "3", "4"],
        "Ki_unit": ["uM", "nM", "uM", "nM"],
        "Ki_relation": [">", "=", "=", ">"],
    }
    said = read({**cells, "lab": ["a", "b", "c", "d"]}, {"Ki": MOLAR})
    assert notes(said, "passed through").endswith("not assays: 'lab'.")
    assert not notes(said, "columns of two values")
    assert notes(said, "by 'Ki_unit'")
    assert set(said.extra) == {"Ki_unit", "Ki_relation", "lab"}
