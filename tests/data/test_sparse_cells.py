"""Cells that are kept alone are the array that they stand for, whatever is asked of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.data import sparse_cells
from screening.data.sparse_cells import (
    SparseCells,
    cells_at,
    cells_of,
    has_label,
    measured_cells,
    n_equal,
    n_measured,
    packed,
    take_columns,
    take_rows,
    with_rows,
)


def pair(seed: int, n: int = 23, n_tasks: int = 7, share: float = 0.3) -> tuple[np.ndarray, SparseCells]:
    draw = np.random.default_rng(seed)
    array = draw.integers(0, 2, (n, n_tasks)).astype(np.float32)
    array[draw.random((n, n_tasks)) > share] = np.nan
    rows, tasks = np.nonzero(~np.isnan(array))
    order = draw.permutation(len(rows))
    rows, tasks = rows[order], tasks[order]
    return array, SparseCells.of(rows, tasks, array[rows, tasks], array.shape, np.nan)


AT: list[Any] = [
    slice(None),
    slice(3, 9),
    np.array([5, 0, 5, 22]),
    np.arange(23) % 3 == 0,
    np.array([], np.int64),
    4,
    (slice(None), 2),
    (slice(1, 5), [6, 0]),
    (np.array([3, 1]), np.array([2, 4, 1])),
]


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_is_asked_is_as_of_the_array(at: Any, share: float) -> None:
    array, cells = pair(0, share=share)
    rows = at[0] if isinstance(at, tuple) else at
    expected = array[rows][:, at[1]] if isinstance(at, tuple) else array[rows]
    np.testing.assert_array_equal(cells[at], expected)
    assert cells[at].dtype == np.float32


@given(st.integers(0, 10_000), st.floats(0, 1), st.lists(st.integers(0, 22), max_size=30))
def test_rows_columns_and_counts_are_those_of_the_array(seed: int, share: float, places: list[int]) -> None:
    array, cells = pair(seed, share=share)
    rows, columns = np.array(places, np.int64), np.random.default_rng(seed).permutation(7)[:4]
    np.testing.assert_array_equal(take_rows(cells, rows)[:], take_rows(array, rows))
    np.testing.assert_array_equal(take_columns(cells, columns)[:], take_columns(array, columns))
    np.testing.assert_array_equal(np.asarray(cells), array)
    np.testing.assert_array_equal(n_measured(cells), n_measured(array))
    np.testing.assert_array_equal(n_equal(cells, 1), n_equal(array, 1))
    np.testing.assert_array_equal(has_label(cells), has_label(array))
    for one, other in zip(measured_cells(cells), measured_cells(array), strict=True):
        np.testing.assert_array_equal(one, other)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_single_cells_and_new_rows_are_those_of_the_array(seed: int, share: float) -> None:
    array, cells = pair(seed, share=share)
    draw = np.random.default_rng(seed)
    rows, tasks = draw.integers(0, 23, 40), draw.integers(0, 7, 40)
    np.testing.assert_array_equal(cells_at(cells, rows, tasks), cells_at(array, rows, tasks))
    places = draw.permutation(23)[:9]
    rows, tasks = np.nonzero(draw.random((9, 7)) < share)
    new = (places[rows], tasks, draw.random(len(rows)).astype(np.float32))
    np.testing.assert_array_equal(with_rows(cells, places, *new)[:], with_rows(array, places, *new))
    np.testing.assert_array_equal(cells[:], array)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_packed_labels_are_those_of_each_assay(seed: int, share: float) -> None:
    array, cells = pair(seed, share=share)
    marks = np.where(np.isnan(array), 0, np.random.default_rng(seed).integers(-1, 2, array.shape)).astype(
        np.int8
    )
    for form in (array, cells):
        short, short_marks = packed(form, marks)
        assert short_marks is not None
        assert short.shape == ((~np.isnan(array)).sum(0).max(initial=0), 7)
        for task in range(7):
            measured = ~np.isnan(array[:, task])
            n = measured.sum()
            np.testing.assert_array_equal(short[:n, task], array[measured, task])
            np.testing.assert_array_equal(short_marks[:n, task], marks[measured, task])
            assert np.isnan(short[n:, task]).all()


def test_a_cell_has_one_value() -> None:
    ones = np.ones(2, np.int64)
    with pytest.raises(ValueError, match="two values"):
        SparseCells.of(ones, ones, ones.astype(np.float32), (2, 2), np.nan)


def test_the_form_follows_from_size_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    array, cells = pair(1, share=0.05)
    rows, tasks, values = measured_cells(cells)
    small = cells_of(rows, tasks, values, array.shape, np.nan)
    monkeypatch.setattr(sparse_cells, "DENSE_BYTES", 100)
    large = cells_of(rows, tasks, values, array.shape, np.nan)
    assert isinstance(small, np.ndarray)
    assert isinstance(large, SparseCells)
    np.testing.assert_array_equal(small, large[:])
    full, _ = pair(1, share=1)
    assert isinstance(cells_of(*measured_cells(full), full.shape, np.nan), np.ndarray)
