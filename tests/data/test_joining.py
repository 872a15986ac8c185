"""Lists of actives and inactives become a table that training reads, every record accounted for."""

from pathlib import Path

import numpy as np
import pytest

from screening.data.assays import read_assays
from screening.data.joining import join_lists
from screening.errors import ConfigError, DataError


def test_two_lists_become_an_assay(tmp_path: Path) -> None:
    (tmp_path / "actives.smi").write_text("CCO 11\nc1ccccc1 12\n")
    (tmp_path / "more.csv").write_text('id,smiles\n13,CCCl\n14,"x" y\n')
    (tmp_path / "decoys.ism").write_text("CC\nCCO 22\nCCC 0023\n")
    out = tmp_path / "t.csv"
    joined = join_lists([tmp_path / "actives.smi", tmp_path / "more.csv"], [tmp_path / "decoys.ism"], out)
    table = read_assays(out)
    rejected = table.rejected
    assert (table.tasks, table.ids, rejected) == (("active",), ["11", "12", "13", "", "22", "0023"], [])
    assert table.smiles == ["CCO", "c1ccccc1", "CCCl", "CC", "CCO", "CCC"]
    np.testing.assert_array_equal(table.labels[:, 0], [1, 1, 1, 0, 0, 0])
    assert (joined.n_actives, joined.n_inactives, joined.n_skipped, joined.n_both) == (3, 3, 1, 1)
    assert "1 structures are in both lists" in str(joined)


def test_wrong_calls_are_explained(tmp_path: Path) -> None:
    one, other, empty = tmp_path / "a.smi", tmp_path / "b.smi", tmp_path / "c.csv"
    one.write_text("CCO\n")
    other.write_text("CCN\n")
    empty.write_text("smiles\n")
    with pytest.raises(ConfigError, match="at least one file of each"):
        join_lists([one], [], tmp_path / "t.csv")
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        join_lists([one], [other], tmp_path / "t.smi")
    with pytest.raises(ConfigError, match="other than id and smiles"):
        join_lists([one], [other], tmp_path / "t.csv", assay="SMILES")
    with pytest.raises(DataError, match="no record"):
        join_lists([one], [empty], tmp_path / "t.csv")
    join_lists([one], [other], tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="is there already"):
        join_lists([one], [other], tmp_path / "t.csv")


def test_a_list_alone_names_the_way(tmp_path: Path) -> None:
    (tmp_path / "actives.smi").write_text("CCO 1\nCCN 2\n")
    with pytest.raises(DataError, match="screening data join --actives"):
        read_assays(tmp_path / "actives.smi")
