"""Whether a table is the one that the catalogue describes: its rows, assays, labels and actives."""

from pathlib import Path

from ..errors import DataError, listed
from .assays import AssayTable, read_assays
from .catalogue import AssayCounts, DataSet, known_counts
from .sparse_cells import n_equal, n_measured


def compare_with_catalogue(row: DataSet, table: AssayTable, n_rows: int) -> list[str]:
    """What differs between a table and the known one with as many rows, in words; nothing if it is the same.

    Rows, assays, and labels and actives per assay are compared, as far as the catalogue knows them.
    """
    known_rows = (row.rows, *row.other_rows)
    if n_rows not in known_rows:
        return [f"{n_rows:,} rows, not {' or '.join(f'{n:,}' for n in known_rows)}"]
    published = {count.assay: count for count in known_counts().get((row.name, n_rows), ())}
    if not published:
        return []
    counted = {count.assay: count for count in count_labels(table)}
    differences = []
    for what, names in (("missing", published.keys() - counted), ("unexpected", counted.keys() - published)):
        if names:
            differences.append(f"{what} assays {listed(sorted(names), 5)}")
    wrong = [
        f"'{name}' {counted[name].labels:,} labels and {counted[name].actives:,} actives, not "
        f"{published[name].labels:,} and {_shown(published[name].actives)}"
        for name in published.keys() & counted.keys()
        if counted[name].labels != published[name].labels
        or published[name].actives not in (None, counted[name].actives)
    ]
    if wrong:
        differences.append(f"assays with other labels: {listed(sorted(wrong), 5, mark='')}")
    return differences


def differences_of_file(row: DataSet, path: Path) -> list[str]:
    """What differs between a file and the table of the row, in words."""
    try:
        table = read_assays(path, tasks=row.tasks, assays=row.assays)
    except DataError as problem:
        return [str(problem).replace(str(path), "the file")]
    return compare_with_catalogue(row, table, len(table) + len(table.rejected))


def count_labels(table: AssayTable) -> list[AssayCounts]:
    """Labels and, of classes, actives of each assay, in the order of the table."""
    labels = n_measured(table.labels).tolist()
    ones = n_equal(table.labels, 1).tolist()
    actives = [None if is_real else n for n, is_real in zip(ones, table.is_real, strict=True)]
    return [AssayCounts(*count) for count in zip(table.tasks, labels, actives, strict=True)]


def _shown(number: int | None) -> str:
    return "any" if number is None else f"{number:,}"
