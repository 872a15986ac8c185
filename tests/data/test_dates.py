"""Dates as people write them: the same day however it is written, and questions where it is open."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.data.dates import day_text, times
from screening.errors import DataError

DAYS = st.dates(date(1950, 1, 1), date(2099, 12, 31))
WAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%SZ", "%d %B %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d %Y")


@given(st.lists(st.tuples(DAYS, st.sampled_from(WAYS)), min_size=1))
def test_a_day_is_the_same_however_it_is_written(days: list[tuple[date, str]]) -> None:
    values, is_days = times([day.strftime(way) for day, way in days])
    assert is_days
    assert [day_text(value) for value in values] == [day.isoformat() for day, _ in days]


@given(st.lists(DAYS, min_size=1), st.sampled_from(["/", ".", "-"]), st.booleans())
def test_the_order_of_day_and_month_is_read_off_or_said(days: list[date], sign: str, day_first: bool) -> None:
    way = sign.join(["%d", "%m", "%Y"] if day_first else ["%m", "%d", "%Y"])
    texts = [day.strftime(way) for day in days]
    expected = [float(day.toordinal()) for day in days]
    assert times(texts, day_first=day_first)[0].tolist() == expected
    if any(day.day > 12 for day in days):
        assert times(texts)[0].tolist() == expected
    else:
        with pytest.raises(DataError, match=r"cannot be told.*split\.day_first=true"):
            times(texts)


def test_numbers_stay_numbers_and_years_are_days_among_dates() -> None:
    values, is_days = times(["2019", "", "1e3", "-5", "n/a", " 7.5 "])
    np.testing.assert_array_equal(values, [2019, np.nan, 1000, -5, np.nan, 7.5])
    assert not is_days
    values, is_days = times(["2019", "2018-12-31", "2019-02", "Feb 2019"])
    assert is_days
    assert [day_text(value) for value in values] == ["2019-01-01", "2018-12-31", "2019-02-01", "2019-02-01"]


@given(st.lists(st.one_of(DAYS.map(date.isoformat), st.just("")), max_size=30))
def test_order_of_numbers_is_order_in_time(texts: list[str]) -> None:
    values, _ = times(texts)
    assert np.isnan(values).tolist() == [not text for text in texts]
    dated = [(value, text) for value, text in zip(values, texts, strict=True) if text]
    assert [text for _, text in sorted(dated)] == sorted(text for text in texts if text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["2020-01-01", "soon", "soon"], r"column 'd': 'soon' is no date \(2 cells\)"),
        (["2020-02-30"], "'2020-02-30' is no date"),
        (["2020-13-01"], "no date"),
        (["5 Brumaire 2020"], "no date"),
        (["1/5/20"], "no date"),
        (["13/05/2020", "05/13/2020"], "'13/05/2020' has the day first and '05/13/2020' the month"),
        (["13/13/2020", "1/2/2020"], "has the day first and"),
        (["31/02/2020"], "'31/02/2020' is no date, day first.*split.day_first=false"),
        (["2020-01-01", "43831"], "'43831' is a number and no year"),
        (["inf"], "no date"),
    ],
)
def test_what_is_no_date_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        times(texts, where="column 'd'")


def test_days_count_on() -> None:
    first = date(2020, 2, 28)
    values, _ = times([(first + timedelta(days=n)).isoformat() for n in range(3)])
    assert np.diff(values).tolist() == [1, 1]
