"""Which assays `data.assays` makes of which columns: names before patterns, and what cannot be."""

from typing import Any

import pytest

from screening.data.companions import RELATION_WORDS, UNIT_WORDS, companions, is_companion
from screening.data.declared import checked_settings, declared_assays
from screening.errors import ConfigError


def names(columns: list[str], settings: dict[str, Any], among: list[str] | None = None) -> list[str]:
    declared = declared_assays(columns, checked_settings(settings), among)
    return [f"{each.assay.name}:{each.assay.kind}:{each.column}" for each in declared]


def test_a_name_goes_before_a_pattern_and_the_first_pattern_counts() -> None:
    settings = {
        "Ki_*": {"unit": "nM", "kind": "real"},
        "*": {"kind": "real", "unit": "uM"},
        "Ki_b": {"kind": "real"},
    }
    declared = declared_assays(["Ki_a", "Ki_b", "x"], checked_settings(settings))
    assert [each.assay.unit for each in declared] == ["nM", "", "uM"]


def test_real_values_with_a_threshold_are_two_assays() -> None:
    settings = {
        "p": {"kind": "real", "threshold": 6.5},
        "cl": {"kind": "real", "threshold": 2, "active": "below"},
    }
    assert names(["p", "cl"], settings) == ["p:real:p", "p>=6.5:binary:p", "cl:real:cl", "cl<=2:binary:cl"]
    assert names(["p"], {"*": {"threshold": 50}}) == ["p:binary:p"]


def test_a_column_may_have_several_assays_by_name() -> None:
    settings = {"p": {"kind": "real"}, "p7": {"column": "p", "threshold": 7}, "p*": {"threshold": 5}}
    assert names(["p"], settings) == ["p:real:p", "p7:binary:p"]


def test_classes_without_a_threshold_are_read_as_ever() -> None:
    assert names(["a", "b"], {"a": {"kind": "binary"}, "b": {"kind": "real"}}) == ["b:real:b"]


def test_qualifiers_and_units_are_meant_by_no_pattern() -> None:
    columns = ["Ki_a", "Ki_a_relation", "Ki_a unit", "Ki_relationship_score"]
    assert names(columns, {"Ki_*": {"kind": "real"}}) == [
        "Ki_a:real:Ki_a",
        "Ki_relationship_score:real:Ki_relationship_score",
    ]
    assert names(columns, {"Ki_a unit": {"kind": "real"}}) == ["Ki_a unit:real:Ki_a unit"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pIC5O": {"kind": "real"}}, r"'pIC5O': there is no such column. Did you mean 'pIC50'\?"),
        ({"Kx*": {"kind": "real"}}, r"'Kx\*': no column matches this pattern"),
        ({"A": {"column": "pIC5", "kind": "real"}}, "'A': there is no column 'pIC5'. Did you mean 'pIC50'"),
        ({"pIC50": {"kind": "reel"}}, "'pIC50': kind: Input should be 'binary' or 'real'"),
        ({"pIC50": {"unti": "nM"}}, "'pIC50': unti: Extra inputs"),
        ({"pIC50": {"transform": "neg_log10_molar"}}, "needs the unit of the values. Expected unit: M or mM"),
        ({"pIC50": {"transform": "neg_log10_molar", "unit": "mg"}}, "'mg' is no unit of it"),
        ({"pIC50": {"transform": "logit", "unit": "nM"}}, "logit is of percentages"),
        ({"pIC50": {"kind": "real", "active": "below"}}, "add it"),
        ({"pIC50": {"kind": "binary", "unit": "nM"}}, "add a threshold"),
        ({"tox": {"column": "pIC50", "kind": "real"}}, "two assays called 'tox', or one called as another"),
        (
            {"pIC50": {"kind": "real", "unit": "nM"}, "b": {"column": "pIC50", "threshold": 1, "unit": "uM"}},
            "a column has one of each",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        names(["pIC50", "tox"], settings)


def test_units_are_called_as_the_toolkit_calls_them() -> None:
    settings = {"*": {"kind": "real", "unit": "µM", "transform": "neg_log10_molar"}}
    assert declared_assays(["A"], checked_settings(settings))[0].assay.unit == "uM"


def test_settings_of_assays_that_are_not_asked_for_may_miss_their_column() -> None:
    assert names(["p"], {"p": {"kind": "real"}, "q": {"kind": "real"}}, among=["p"]) == ["p:real:p"]


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("standard_relation", "standard_value", True),
        ("Standard Relation", "Standard Value", True),
        ("relation_Ki", "Ki", True),
        ("Ki qualifier", "Ki [nM]", True),
        ("Ki_prefix", "Kd", False),
        ("relation", "Ki", False),
        ("Ki", "Ki", False),
    ],
)
def test_qualifiers_are_named_after_their_column(name: str, column: str, expected: bool) -> None:
    assert is_companion(name, column, RELATION_WORDS) == expected


def test_the_only_qualifiers_belong_to_the_only_values() -> None:
    assert is_companion("qualifier", "Ki", RELATION_WORDS, alone=True)
    assert not is_companion("qualifier", "Ki", UNIT_WORDS, alone=True)
    assert companions(["a", "a_unit", "relation", "b_relation"]) == {"a_unit"}
