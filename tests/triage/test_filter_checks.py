"""The general checks of filters, on every one that is registered."""

import pytest

from screening.testing.filters import CHECKS
from screening.testing.subjects import Check, Subject, statement
from screening.triage.filters import filters


@pytest.mark.parametrize("check", CHECKS, ids=statement)
@pytest.mark.parametrize("name", filters.names())
def test_filters_keep_the_contract(name: str, check: Check) -> None:
    check(Subject(name))
