"""The measured table `moleculeace`, against the files of its wheel read by pandas; skipped without that."""

from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from screening.data import datasets, moleculeace_table
from screening.data.assay_table import AssayTable
from screening.data.datasets import find, load_dataset, verify_table
from screening.data.merging import prepare
from screening.data.moleculeace_table import is_installed, make_moleculeace, measurements
from screening.data.splits import PARTS, leakage, split_table
from screening.errors import DataError

installed = pytest.mark.skipif(not is_installed(), reason="moleculeace is not installed: see the Makefile")
BOTH = {"kind": "real", "unit": "nM", "transform": "neg_log10_molar", "threshold": 8}


@pytest.fixture(scope="module")
def table() -> AssayTable:
    return load_dataset("moleculeace")


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    """All measurements of the wheel."""
    files = metadata.distribution("moleculeace").files or []
    paths = [Path(str(file.locate())) for file in files if file.match("*/benchmark_data/*.csv")]
    return pd.concat([pd.read_csv(path).assign(assay=path.stem) for path in paths], ignore_index=True)


@installed
def test_it_is_the_published_one(table: AssayTable, published: pd.DataFrame) -> None:
    row = datasets.catalogue["moleculeace"]
    assert (len(table), len(table.tasks), table.tasks) == (row.rows, row.n_tasks, row.tasks)
    assert len(set(table.smiles)) == published["smiles"].nunique() == 35_633
    assert np.isfinite(table.labels).sum() == len(published) == 48_714
    place = {key: number for number, key in enumerate(zip(table.smiles, table.extra["split"], strict=True))}
    rows = [place[key] for key in zip(published["smiles"], published["split"], strict=True)]
    tasks = [table.tasks.index(assay) for assay in published["assay"]]
    np.testing.assert_allclose(table.labels[rows, tasks], published["y"] + 9, rtol=1e-6)


@installed
def test_its_assays_are_real_and_speak_nanomolar(table: AssayTable) -> None:
    assert table.is_real.all()
    assay = table.assays[0]
    assert (assay.unit, assay.transform, assay.wanted) == ("nM", "neg_log10_molar", "high")
    assert assay.in_unit(np.array([8.0])) == pytest.approx(10.0)
    assert any("CC BY-SA 3.0" in note for note in table.notes)


@installed
def test_one_setting_gives_classes_beside_the_values() -> None:
    table = load_dataset("moleculeace", assays={"CHEMBL*": BOTH})
    assert len(table.tasks) == 60
    values, classes = table.labels[:, table.is_real], table.labels[:, ~table.is_real]
    is_measured = np.isfinite(values)
    np.testing.assert_array_equal(np.isfinite(classes), is_measured)
    np.testing.assert_array_equal(classes[is_measured], values[is_measured] >= 8)


@installed
def test_a_structure_has_a_row_for_each_side_of_the_published_split(table: AssayTable) -> None:
    rows, rejected, _ = prepare(table, keep_apart="split")
    assert (len(rows), rejected) == (39_178, [])
    published = split_table(rows, "column", seed=0, column="split", copies="apart")
    assert leakage(rows, published).shared == 3_545
    without_leaks = split_table(
        rows, "column", seed=0, column="split", copies="held_out", valid_from_train=0.1, valid_by="scaffold"
    )
    sizes = {part: len(without_leaks.rows(part)) for part in PARTS}
    assert sum(sizes.values()) == 39_178 - 3_545
    assert sizes["test"] == len(published.rows("test"))
    assert leakage(rows, without_leaks).shared == 0
    merged, _, _ = prepare(table)
    assert len(merged) == 35_633
    assert np.isfinite(merged.labels).sum() == 48_714


@installed
def test_it_is_made_with_the_same_bytes_and_can_be_verified(tmp_path: Path) -> None:
    assert make_moleculeace(tmp_path).read_bytes() == find("moleculeace").read_bytes()
    assert verify_table("moleculeace")[1] == []


@installed
def test_every_measurement_says_whether_it_is_at_a_cliff(published: pd.DataFrame) -> None:
    cliffs = pd.DataFrame(measurements())
    merged = cliffs.merge(published, on=["smiles", "assay"], validate="1:1")
    assert len(merged) == 48_714
    assert (merged["is_cliff"] == (merged["cliff_mol"] == 1)).all()
    assert merged["is_cliff"].sum() == 18_831


def test_a_missing_wheel_is_one_line_to_paste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(moleculeace_table.metadata, "distribution", missing)
    assert not is_installed()
    with pytest.raises(DataError, match=r"pip install --no-deps moleculeace==3\.0\.0$"):
        make_moleculeace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCREENING_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not datasets.is_here("moleculeace")
    with pytest.raises(DataError, match="pip install --no-deps"):
        load_dataset("moleculeace")


@pytest.mark.parametrize(
    ("wheel", "message"),
    [
        (SimpleNamespace(version="2.0.0", files=[]), r"2\.0\.0 is installed.*pip install"),
        (SimpleNamespace(version="3.0.0", files=[]), "has no tables"),
        (SimpleNamespace(version="3.0.0", files=None), "has no tables"),
    ],
)
def test_another_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheel: SimpleNamespace, message: str
) -> None:
    monkeypatch.setattr(moleculeace_table.metadata, "distribution", lambda name: wheel)
    with pytest.raises(DataError, match=message):
        make_moleculeace(tmp_path)
    assert not list(tmp_path.iterdir())
