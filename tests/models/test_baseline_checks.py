"""The general checks of baselines, on every one that is registered."""

import pytest

from screening.models.baselines import baselines
from screening.testing.baselines import CHECKS
from screening.testing.subjects import Check, Subject, statement


@pytest.mark.parametrize("check", CHECKS, ids=statement)
@pytest.mark.parametrize("name", baselines.names())
def test_baselines_keep_the_contract(name: str, check: Check) -> None:
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    check(Subject(name))
