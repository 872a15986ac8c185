"""Names of columns: whatever people call theirs, no two columns of a table are the same."""

from hypothesis import given
from hypothesis import strategies as st

from screening.scoring.columns import (
    ASSAY,
    FRONT,
    INPUT,
    NEIGHBOUR,
    OURS,
    SET,
    SPREAD,
    assay_column,
    input_columns,
    property_names,
)

PIECES = st.sampled_from(
    [*OURS, *NEIGHBOUR, "x", "X", "Status", " ID ", SET, SPREAD, ASSAY, INPUT, FRONT, "\n", "<", ">"]
)
NAMES = st.lists(st.lists(PIECES, min_size=1, max_size=4).map("".join), unique=True, max_size=8)


@given(NAMES, NAMES)
def test_all_columns_of_a_table_differ(assays: list[str], inputs: list[str]) -> None:
    results = [assay_column(assay) for assay in assays]
    results += [column + ending for column in results for ending in (SPREAD, SET)]
    columns = list(input_columns(inputs, results).values())
    table = [*OURS, *NEIGHBOUR, *results, *columns]
    assert len(set(table)) == len(table)
    brought = {name.casefold() for name in (*results, *columns)}
    assert not brought & set(OURS + NEIGHBOUR)
    assert not {name.casefold() for name in columns} & {name.casefold() for name in results}


def test_ordinary_names_are_kept() -> None:
    names = ["NR-AhR", "1851", "Inhibition, 10 uM", "rank", "a:b", "assay", "Kinase\n(10 µM)", "idle"]
    assert [assay_column(name) for name in names] == names
    assert list(input_columns(names).values()) == names


def test_the_column_of_an_assay_does_not_depend_on_letter_case_of_ours() -> None:
    assert [assay_column(name) for name in ("status", "ID", "Smiles", "IN_DOMAIN")] == [
        "status (assay)",
        "ID (assay)",
        "Smiles (assay)",
        "IN_DOMAIN (assay)",
    ]


@given(NAMES)
def test_properties_of_an_sd_file_differ_and_can_be_read(names: list[str]) -> None:
    properties = property_names(names)
    assert len(set(properties)) == len(names)
    assert all(name and not set(name) & set("<>\r\n\t") for name in properties)
