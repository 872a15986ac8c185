"""Tables at any width: every name whole, every number in one piece, nothing wider than the terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.cli.assay_tables import evaluation_columns
from screening.cli.console import cells
from screening.cli.grid import NAME, Column, fold, table_lines
from screening.cli.tables import LEARNING
from screening.metrics.contract import metrics_of

WIDTHS = (40, 60, 80, 100, 140)
NAMES = st.text(st.characters(whitelist_categories=["L", "N", "P"]) | st.just(" "), min_size=1, max_size=120)
INTERVAL = "0.812 to 0.901"
EVALUATION = tuple(evaluation_columns([metric for metric in metrics_of() if "terminal" in metric.shown]))


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def bare_blanks(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def printed(columns: tuple[Column, ...], rows: list[list[str]], width: int) -> list[str]:
    return [line for line, _ in table_lines("test part, per assay", columns, rows, width)]


@given(st.lists(NAMES, min_size=1, max_size=5), st.sampled_from(WIDTHS))
def test_a_table_fits_and_loses_nothing(names: list[str], width: int) -> None:
    rows = [[name, "1,234", "12,345", "0.848", INTERVAL, "0.445", "0.045", "4.1", "good"] for name in names]
    lines = printed(EVALUATION, rows, width)
    assert all(cells(line) <= width for line in lines)
    assert sum(INTERVAL in line for line in lines) == len(names)
    assert sum("0.848" in line for line in lines) == len(names)
    letters = iter(bare("".join(lines)))
    assert all(letter in letters for name in names for letter in bare(name))


@given(NAMES, st.integers(6, 60))
def test_a_folded_name_is_whole(name: str, width: int) -> None:
    lines = fold(name, width, indent=2)
    assert bare("".join(lines)) == bare(name)
    assert all(cells(line) <= width for line in lines)


def test_a_long_name_goes_on_below_its_beginning() -> None:
    name = "TOX21_PPARg_BLA_Agonist_viability_and_a_long_name"
    row = [name, "89", "5,132", "0.848", INTERVAL, "0.445", "0.045", "4.1", "no better than chance"]
    assert printed(EVALUATION, [row], 80) == [
        "test part, per assay",
        "assay                    actives ROC-AUC 95 % interval     AP verdict",
        "TOX21_PPARg_BLA_Agonist_      89   0.848 0.812 to 0.901 0.445 no better than",
        "  viability_and_a_long_                                         chance",
        "  name",
        "(left out in 80 columns: inactives, base rate, EF 1 %)",
    ]


@pytest.mark.parametrize("columns", [EVALUATION, LEARNING])
def test_what_is_left_out_is_said(columns: tuple[Column, ...]) -> None:
    row = ["x" * 40, *["0.123"] * (len(columns) - 1)]
    lines = printed(columns, [row], 60)
    text = " ".join(lines)
    assert "left out in 60 columns" in text
    for column in columns:
        assert all(word in text for word in column.title.split())


def test_columns_of_highest_rank_go_first() -> None:
    columns = (Column("assay", folds=NAME), Column("aaaaaaaa", 1), Column("bbbbbbbb", 2), Column("cccccccc"))
    rows = [["x" * 24, "1", "2", "3"]]
    assert "left out" not in " ".join(printed(columns, rows, 60))
    assert printed(columns, rows, 45)[-1] == "(left out in 45 columns: bbbbbbbb)"
    assert "(left out in 36 columns: aaaaaaaa, bbbbbbbb)" in bare_blanks(printed(columns, rows, 36))


def test_where_nothing_fits_every_row_is_a_block() -> None:
    rows = [["NR-AhR", "89", "532", "0.848", INTERVAL, "0.445", "0.045", "4.1", "good"]]
    assert printed(EVALUATION, rows, 32) == [
        "test part, per assay",
        "NR-AhR",
        "  actives 89  inactives 532",
        "  ROC-AUC 0.848",
        "  95 % interval 0.812 to 0.901",
        "  AP 0.445  base rate 0.045",
        "  EF 1 % 4.1",
        "  verdict good",
    ]


def test_numbers_stand_below_each_other() -> None:
    columns = (Column("assay", folds=NAME), Column("actives"))
    assert printed(columns, [["a", "5"], ["b", "1,234"]], 80)[2:] == ["a            5", "b        1,234"]


def test_a_table_without_rows_has_its_header() -> None:
    assert printed((Column("name"), Column("paper")), [], 80)[1] == "name  paper"
