"""Texts as labels: numbers that are equal are the same label, whatever they look like."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.data.labels import UNKNOWN, TextColumn, label_key, label_meanings, label_of
from screening.errors import ConfigError

NUMBERS = st.builds(
    lambda n, zeros, sign, exponent, blanks: (
        f"{blanks}{sign if n else ''}{'0' * zeros}{n}{exponent}{blanks}".replace("-+", "-")
    ),
    st.integers(0, 9),
    st.integers(0, 2),
    st.sampled_from(["", "+"]),
    st.sampled_from(["", ".", ".0", ".00", "e0", "E+00", ".0e0", "e-0"]),
    st.sampled_from(["", " ", "\t"]),
)
"""Whole numbers from 0 to 9 in the forms that programs write."""


@given(NUMBERS, st.integers(0, 9), st.sampled_from([0, 1, None]))
def test_equal_numbers_are_the_same_label(text: str, code: int, label: int | None) -> None:
    equal = Decimal(text.strip()) == code
    for key in (str(code), f"{code}.0"):
        meanings = label_meanings({key: label})
        expected = label if equal else {0: 0, 1: 1}.get(int(Decimal(text.strip())), UNKNOWN)
        assert np.array_equal(
            label_of(text, meanings), np.nan if expected is None else expected, equal_nan=True
        )


@pytest.mark.parametrize("text", ["2", 2, "2.0", " 2.00 ", "2e0", "+2", "02"])
def test_any_form_of_a_number_may_be_the_key(text: str) -> None:
    meanings = label_meanings({text: 1, "1": 0})  # type: ignore[dict-item]
    assert [label_of(cell, meanings) for cell in ("2", "2.0", "1.0", "1", "1e0", "+1")] == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("labels", [{"1": 0, "1.0": 1}, {"2": 1, "+2e0": None}, {"Yes": 1, "yes ": 0}])
def test_one_label_with_two_meanings_is_refused(labels: dict[str, int | None]) -> None:
    with pytest.raises(ConfigError, match="mapped twice, and differently"):
        label_meanings(labels)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1_0", "infinity", "1e999"])
def test_what_is_no_number_stays_a_text(text: str) -> None:
    assert label_key(text) == text
    assert label_of(text, {}) == UNKNOWN
    assert label_of(text.upper(), label_meanings({text: 0})) == 0


def test_rows_can_be_left_out_of_a_column() -> None:
    column = TextColumn()
    column.append(["A", "1", "", "0", "A", "x"])
    left = column.explained({}).without(np.array([0, 4]))
    assert (left.texts(), left.n_labels, left.n_unknown, dict(left.unknown())) == (
        ["1", "", "0", "x"],
        2,
        1,
        {"x": 1},
    )
