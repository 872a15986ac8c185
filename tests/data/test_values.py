"""Texts as values: relations, units, decimal signs, and what is refused with its reason."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.data.assay_kinds import Assay
from screening.data.transforms import MOLAR, transforms
from screening.data.units import factor, unit_name
from screening.data.values import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    COMMA,
    EQUAL,
    classes_of,
    numbers_of,
    on_scale,
    relations_of,
)

FINITE = st.floats(-1e12, 1e12, allow_nan=False)
SIGNS = {">": ABOVE, ">=": AT_LEAST, "≥": AT_LEAST, "=": EQUAL, "~": EQUAL, "": EQUAL, "<=": AT_MOST}
SIGNS |= {"≤": AT_MOST, "<": BELOW, "»": ABOVE, "&gt;": ABOVE, "&lt;": BELOW, "=<": AT_MOST}


@given(FINITE, st.sampled_from(sorted(SIGNS)), st.sampled_from(["", " ", "\t", "\xa0"]))
def test_a_number_is_read_with_its_relation(value: float, sign: str, blank: str) -> None:
    numbers = numbers_of([f"{blank}{sign}{blank}{value!r}{blank}"])
    assert (numbers.values[0], numbers.relations[0], numbers.problems) == (value, SIGNS[sign], [""])
    assert numbers.about[0] == (sign == "~")


@given(st.integers(0, 10**9), st.integers(0, 999))
def test_thousands_and_decimals_of_two_countries(whole: int, thousandths: int) -> None:
    english = f"{whole:,}.{thousandths:03}"
    german = english.translate(str.maketrans(",.", ".,"))
    expected = whole + thousandths / 1000
    assert numbers_of([english], decimal=".").values[0] == pytest.approx(expected, rel=1e-15)
    assert numbers_of([german], decimal=",").values[0] == pytest.approx(expected, rel=1e-15)
    assert numbers_of([german]).problems == [COMMA]


@pytest.mark.parametrize("text", ["", "  ", "NA", "n/a", "nan", "NaN", "None", "ND", "n.d.", "-", "?"])
def test_words_for_no_value_are_missing_and_no_problem(text: str) -> None:
    numbers = numbers_of([text])
    assert math.isnan(numbers.values[0])
    assert numbers.problems == [""]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("> < 5", "two relations"),
        (">5 <7", "two relations"),
        ("5 > 3", "two relations"),
        ("Jan-05", "a date"),
        ("05.Mrz", "a date"),
        ("1.2.2005", "a date"),
        ("2005-01-05", "a date"),
        ("2005-01-05 00:00:00", "a date"),
        ("5/3", "a date"),
        ("4,5", "a comma"),
        ("10,000", "a comma"),
        ("1 000", "a blank within a number"),
        ("45%", "the unit '%', and the settings name none"),
        ("5 uM", "the unit 'uM', and the settings name none"),
        ("5-10", "a range"),
        ("5 to 10", "a range"),
        ("5 ± 0.3", "a value and its error"),
        ("1.2 x 10^-6", "a value times a power of ten"),
        ("inf", "not finite"),
        ("1e999", "not finite"),
        (">", "no value behind the relation"),
        ("see comment", "text"),
        ("1_000", "text"),
        ("Active", "text"),
        ("٣", "text"),
    ],
)
def test_what_is_no_plain_value_has_its_reason(text: str, problem: str) -> None:
    numbers = numbers_of(["7", text])
    assert numbers.problems[0] == ""
    assert numbers.problems[1].startswith(problem), numbers.problems[1]
    assert np.isnan(numbers.values).tolist() == [False, True]
    assert numbers.relations.tolist() == [EQUAL, EQUAL]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("> 10 uM", "nM", 1e4),
        ("10 nM", "uM", 0.01),
        ("5 µmol/L", "uM", 5.0),
        ("45 %", "%", 45.0),
        ("45%", "percent", 45.0),
        ("3 mL/min", "mL/min", 3.0),
        ("2 mM", "M", 0.002),
        ("2 M", "mM", 2000.0),
    ],
)
def test_a_unit_in_the_cell_is_converted_to_that_of_the_assay(text: str, unit: str, value: float) -> None:
    numbers = numbers_of([text], unit)
    assert numbers.values.tolist() == [value]
    assert numbers.problems == [""]


def test_another_unit_in_the_cell_is_a_problem() -> None:
    numbers = numbers_of(["5 mg/ml", "5 nM"], unit="%")
    assert numbers.problems == [f"the unit '{unit}', where % was expected" for unit in ("mg/ml", "nM")]


@pytest.mark.parametrize("a", MOLAR)
@pytest.mark.parametrize("b", MOLAR)
def test_units_of_concentration_are_powers_of_ten_apart(a: str, b: str) -> None:
    scale = factor(a, b)
    assert scale is not None
    assert scale == float(f"1e{round(math.log10(MOLAR[a] / MOLAR[b]))}")


def test_case_decides_between_milli_and_mega_and_metre_alone() -> None:
    assert [unit_name(text) for text in ("mM", "MM", "M", "m", "nm", "UM")] == [
        "mM",
        "MM",
        "M",
        "m",
        "nM",
        "uM",
    ]


def test_relations_of_a_column_of_their_own() -> None:
    texts = ["'>'", '"<"', " >= ", "=", "", "nan", "~", "Active", "> 5"]
    relations, problems = relations_of(texts)
    assert relations.tolist() == [ABOVE, BELOW, AT_LEAST, 0, 0, 0, 0, 0, 0]
    assert [bool(problem) for problem in problems] == [False] * 7 + [True] * 2


@given(st.lists(st.floats(1e-3, 1e6), min_size=1), st.sampled_from(["nM", "uM", "mM"]))
def test_a_falling_scale_turns_relations_and_back_gives_the_values(values: list[float], unit: str) -> None:
    assay = Assay("A", "real", unit, "neg_log10_molar")
    relations = np.resize(np.array([2, 1, 0, -1, -2], np.int8), len(values))
    scaled = on_scale(np.array(values), relations, assay)
    assert scaled.relations.tolist() == (-relations).tolist()
    assert assay.in_unit(scaled.values) == pytest.approx(values, rel=1e-9)


@given(st.lists(st.floats(1e-2, 1e5), min_size=1))
def test_the_unit_changes_nothing_but_the_column(micromolar: list[float]) -> None:
    scaled = []
    for unit, scale in (("uM", 1.0), ("nM", 1e3)):
        values, relations = np.array(micromolar) * scale, np.zeros(len(micromolar), np.int8)
        scaled.append(on_scale(values, relations, Assay("A", "real", unit, "neg_log10_molar")).values)
    np.testing.assert_allclose(scaled[0], scaled[1], atol=1e-12)


@pytest.mark.parametrize(
    ("transform", "values", "is_off"),
    [
        ("log10", [0, -1, 1, np.nan], [True, True, False, False]),
        ("neg_log10_molar", [0, -1, 1, np.nan], [True, True, False, False]),
        ("logit", [0, 100, 120, 50], [True, True, True, False]),
        ("none", [0, -1, 1, np.nan], [False] * 4),
    ],
)
def test_values_that_a_scale_has_no_number_for_are_marked(
    transform: str, values: list[float], is_off: list[bool]
) -> None:
    scaled = on_scale(np.array(values), np.full(4, ABOVE, np.int8), Assay("A", "real", "nM", transform))
    assert scaled.is_off.tolist() == is_off
    assert (np.isnan(scaled.values) == np.isnan(values) | is_off).all()
    assert not scaled.relations[np.isnan(scaled.values)].any()


def test_every_transform_has_a_case() -> None:
    assert set(transforms) == {"none", "log10", "neg_log10_molar", "logit"}


ALLOWED = {ABOVE: np.greater, AT_LEAST: np.greater_equal, AT_MOST: np.less_equal, BELOW: np.less}


@given(
    st.integers(-3, 3),
    st.sampled_from([ABOVE, AT_LEAST, EQUAL, AT_MOST, BELOW]),
    st.sampled_from(["above", "below"]),
)
def test_a_relation_decides_where_all_values_that_it_allows_are_on_one_side(
    value: int, relation: int, active: str
) -> None:
    """The plain way: what the threshold 0 makes of every value on a fine grid that the relation allows."""
    assay = Assay("A", threshold=0.0, active=active)  # type: ignore[arg-type]
    grid = np.linspace(-10, 10, 201)
    allowed = grid[grid == value] if relation == EQUAL else grid[ALLOWED[relation](grid, value)]
    labels = {float(each >= 0 if active == "above" else each <= 0) for each in np.round(allowed, 6)}
    label = classes_of(np.array([value], float), np.array([relation], np.int8), assay)[0]
    assert np.array_equal(label, labels.pop() if len(labels) == 1 else np.nan, equal_nan=True)


def test_rounding_of_logarithms_does_not_move_a_value_off_the_threshold() -> None:
    for unit, value in (("nM", 316.2277660168379), ("uM", 0.3162277660168379), ("M", 3.162277660168379e-7)):
        assay = Assay("A", "binary", unit, "neg_log10_molar", threshold=6.5)
        scaled = on_scale(np.array([value]), np.zeros(1, np.int8), assay)
        assert classes_of(scaled.values, scaled.relations, assay).tolist() == [1.0]


def test_classes_need_a_threshold() -> None:
    with pytest.raises(ValueError, match="no threshold"):
        classes_of(np.zeros(1), np.zeros(1, np.int8), Assay("A"))
