"""Scoring: rows out equal rows in, whatever is in them; a stopped job ends with the same bytes."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small
import torch
from bundles import measured, small_bundle, trusted
from rdkit import Chem

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.data.tables import Block, TableReader
from screening.errors import BundleError, ConfigError, DataError
from screening.models.network import ScreeningModel, inputs_of
from screening.scoring.choices import Engine, Extras, Output
from screening.scoring.job import OURS, Scorer, score_library

TASKS = list(small.PATTERNS)
BAD = ["", "C1CC", "not a molecule", "[Zz]", "c1cccc1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    small_bundle({"name": "hybrid", "width": 16, "hidden": 16}).save(folder / "bundle")
    return folder


@pytest.fixture(params=["made", "trained", "trained in groups"])
def any_model(request: pytest.FixtureRequest) -> Path:
    """A bundle of nothing but a network, and those that the real code trained."""
    names = {"made": "run", "trained": "real_run", "trained in groups": "grouped_run"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """100 molecules with a bad one after every ninth; ids, an extra column, an awkward name."""
    texts = list(small.smiles(100))
    for place, bad in enumerate(BAD):
        texts.insert(10 * place + 9, bad)
    rows = [[f"id {n}", text, "a,b" if n % 2 else "=1+1"] for n, text in enumerate(texts)]
    path = tmp_path / "library.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "smiles", "note"], *rows])
    return path


def read(folder: Path) -> pd.DataFrame:
    parts = sorted(folder.glob("part-*.parquet"))
    return pd.concat([pd.read_parquet(path) for path in parts], ignore_index=True)


def test_a_list_of_smiles_gives_one_row_each(run: Path) -> None:
    texts = ["CCO", *BAD, "c1ccccc1"]
    frame = Scorer.load(run).score(texts)
    assert list(frame.columns) == ["smiles", "status", "reason", *TASKS]
    assert frame["smiles"].tolist() == texts
    assert frame["status"].tolist() == ["ok", *["rejected"] * len(BAD), "ok"]
    assert all(frame["reason"][1 : 1 + len(BAD)])
    assert frame[TASKS].iloc[[0, -1]].notna().all(axis=None)
    assert frame[TASKS].iloc[1:-1].isna().all(axis=None)


def test_an_empty_list_gives_an_empty_table(run: Path) -> None:
    assert Scorer.load(run).score([]).shape == (0, 3 + len(TASKS))


def test_rows_out_equal_rows_in(run: Path, library: Path, tmp_path: Path) -> None:
    report = score_library(run, library, tmp_path / "out", block_size=16, workers=0)
    frame, given = read(tmp_path / "out"), pd.read_csv(library, keep_default_na=False)
    assert (report.read, report.scored, report.rejected) == (105, 100, len(BAD))
    assert sum(report.reasons.values()) == report.rejected
    assert list(frame.columns) == [*OURS, "note", *TASKS]
    assert frame["row"].tolist() == list(range(1, 106))
    assert frame["id"].tolist() == given["name"].tolist()
    assert frame["smiles"].tolist() == given["smiles"].tolist()
    assert frame["note"].tolist() == given["note"].tolist()
    rejected = frame["status"] == "rejected"
    assert frame["smiles"][rejected].tolist() == BAD
    assert (frame["reason"] != "").equals(rejected)
    assert frame[TASKS].isna().all(axis=1).equals(rejected)


def test_scores_do_not_depend_on_blocks_or_processes(any_model: Path, library: Path, tmp_path: Path) -> None:
    score_library(any_model, library, tmp_path / "small", block_size=7, workers=0)
    score_library(any_model, library, tmp_path / "large", block_size=4096, workers=2)
    calibration = Bundle.load(any_model).calibration
    near = 1e-6 if calibration is None or calibration.method != "isotonic" else 1e-4  # its curves are steep
    small_blocks, large_block = read(tmp_path / "small"), read(tmp_path / "large")
    np.testing.assert_allclose(small_blocks[TASKS], large_block[TASKS], rtol=1e-5, atol=near)
    alone = Scorer.load(any_model).score(large_block["smiles"].tolist())
    np.testing.assert_allclose(alone[TASKS], large_block[TASKS], rtol=1e-5, atol=near)


def test_a_stopped_job_goes_on_and_ends_with_the_same_bytes(
    any_model: Path, library: Path, tmp_path: Path
) -> None:
    score_library(any_model, library, tmp_path / "whole", block_size=16, workers=0)
    score_library(any_model, library, tmp_path / "broken", block_size=16, workers=0)
    for name in ("part-000000-000002.parquet", "part-000000-000005.parquet", "_manifest.json"):
        (tmp_path / "broken" / name).unlink()
    report = score_library(any_model, library, tmp_path / "broken", block_size=16, workers=0)
    assert (report.parts, report.skipped) == (7, 5)
    assert report.read == 105
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "broken" / path.name).read_bytes(), path.name


def test_another_job_cannot_use_the_folder(run: Path, library: Path, tmp_path: Path) -> None:
    score_library(run, library, tmp_path / "out", workers=0)
    library.write_text(library.read_text() + "more,CCO,\n")
    with pytest.raises(DataError, match="library changed"):
        score_library(run, library, tmp_path / "out", workers=0)
    assert score_library(run, library, tmp_path / "out", workers=0, overwrite=True).read == 106


def test_one_csv_file_on_request(run: Path, library: Path, tmp_path: Path) -> None:
    score_library(run, library, tmp_path / "out", output="csv", block_size=16, workers=0)
    frame = pd.read_csv(tmp_path / "out" / "scores.csv", keep_default_na=False)
    assert len(frame) == 105
    assert frame["note"].tolist() == pd.read_csv(library, keep_default_na=False)["note"].tolist()


def test_other_programs_read_the_folder_as_one_table(run: Path, library: Path, tmp_path: Path) -> None:
    score_library(run, library, tmp_path / "out", block_size=16, workers=0)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), read(tmp_path / "out"))
    score_library(run, library, tmp_path / "out", block_size=16, workers=0, top=3, output="csv")
    parts = pd.read_parquet(sorted((tmp_path / "out").glob("part-*.parquet")))  # csv files lie beside them
    pd.testing.assert_frame_equal(parts, read(tmp_path / "out"))


def test_manifest_counts_add_up(any_model: Path, library: Path, tmp_path: Path) -> None:
    score_library(any_model, library, tmp_path / "out", block_size=16, workers=0)
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert manifest["read"] == manifest["scored"] + manifest["rejected"] == 105
    assert sum(manifest["reasons"].values()) == manifest["rejected"]


def test_the_best_are_those_with_the_highest_scores(run: Path, library: Path, tmp_path: Path) -> None:
    report = score_library(run, library, tmp_path / "out", top=7, block_size=16, workers=0)
    assert report.top is not None
    frame, top = read(tmp_path / "out"), pd.read_csv(report.top, keep_default_na=False)
    assert list(top.columns) == ["assay", "rank", "id", "smiles", "probability", "row", "file"]
    for assay, rows in top.groupby("assay", sort=False):
        expected = frame.sort_values([assay, "row"], ascending=[False, True]).head(7)
        assert rows["rank"].tolist() == list(range(1, 8))
        assert rows["row"].tolist() == expected["row"].tolist()
        assert rows["id"].tolist() == expected["id"].tolist()
        np.testing.assert_allclose(rows["probability"], expected[assay], rtol=1e-5)
    assert top["assay"].drop_duplicates().tolist() == TASKS


def test_chosen_assays(run: Path, library: Path, tmp_path: Path) -> None:
    score_library(run, library, tmp_path / "all", workers=0)
    score_library(run, library, tmp_path / "two", assays=["sulfur", "acid"], workers=0)
    two = read(tmp_path / "two")
    assert list(two.columns) == [*OURS, "note", "sulfur", "acid"]
    assert two["acid"].equals(read(tmp_path / "all")["acid"])
    with pytest.raises(ConfigError, match="Did you mean 'sulfur'"):
        score_library(run, library, tmp_path / "none", assays=["sulfer"], workers=0)


def test_assays_are_named_alone_in_a_list_or_with_commas() -> None:
    names = ("a", "Inhibition, 10 uM", "b,c", "b", "1851")
    bundle = small_bundle({"name": "gine", "width": 16, "depth": 1})
    bundle = replace(bundle, tasks=names, members=(replace(bundle.members[0], columns=(0, 1, 2, 3)),))
    for given, expected in (
        ("a", ["a"]),
        ("Inhibition, 10 uM", ["Inhibition, 10 uM"]),
        (["b", "a", "b"], ["b", "a"]),
        (["a,b", "Inhibition, 10 uM"], ["a", "b", "Inhibition, 10 uM"]),
        ("b, a,Inhibition, 10 uM ,b,c", ["b", "a", "Inhibition, 10 uM", "b,c"]),
        ((name for name in ("a", "b")), ["a", "b"]),
        (pd.Series(["a"]), ["a"]),
        ([1851], ["1851"]),
    ):
        assert list(Scorer(bundle, assays=given).tasks) == expected
    with pytest.raises(ConfigError, match=r"no assay 'Inhibition, 100 uM'|no assay 'Inhibition'"):
        Scorer(bundle, assays="Inhibition, 100 uM")
    with pytest.raises(ConfigError, match="no assay 'd'"):
        Scorer(bundle, assays="a,d")
    with pytest.raises(ConfigError, match="assays is empty"):
        Scorer(bundle, assays=[])


def test_a_threshold_keeps_hits_and_rejected_rows_and_counts_the_rest(
    run: Path, library: Path, tmp_path: Path
) -> None:
    score_library(run, library, tmp_path / "all", workers=0)
    everything = read(tmp_path / "all")
    threshold = float(np.nanquantile(everything[TASKS].max(axis=1), 0.7))
    report = score_library(run, library, tmp_path / "some", threshold=threshold, block_size=16, workers=0)
    kept = (everything[TASKS] >= threshold).any(axis=1) | (everything["status"] == "rejected")
    frame = read(tmp_path / "some")
    assert frame["row"].tolist() == everything["row"][kept].tolist()
    assert report.read == report.scored + report.rejected == 105
    assert report.below == (~kept).sum() == report.read - len(frame) > 0
    assert score_library(run, library, tmp_path / "some", threshold=threshold, block_size=16) == replace(
        report, skipped=report.parts
    )


def test_half_precision(any_model: Path, library: Path, tmp_path: Path) -> None:
    score_library(any_model, library, tmp_path / "all", workers=0)
    score_library(
        any_model, library, tmp_path / "half", output=Output("csv", dtype="float16"), top=3, workers=0
    )
    half = read(tmp_path / "half")
    assert (half[TASKS].dtypes == np.float16).all()
    np.testing.assert_allclose(half[TASKS], read(tmp_path / "all")[TASKS], atol=5e-4)
    frame = pd.read_csv(tmp_path / "half" / "scores.csv")
    np.testing.assert_allclose(frame[TASKS], half[TASKS], rtol=1e-4)


def test_a_limit_reads_the_first_records(run: Path, library: Path, tmp_path: Path) -> None:
    report = score_library(run, library, tmp_path / "out", limit=20, block_size=16, workers=0)
    assert (report.read, report.parts) == (20, 2)
    assert read(tmp_path / "out")["row"].tolist() == list(range(1, 21))


def test_shards_together_are_the_whole(any_model: Path, library: Path, tmp_path: Path) -> None:
    options = {"block_size": 8, "workers": 0, "top": 5, "output": "csv"}
    whole = score_library(any_model, library, tmp_path / "whole", **options)
    shards = [
        score_library(any_model, library, tmp_path / "shared", shard=f"{i}/3", **options) for i in (2, 3, 1)
    ]
    assert sum(report.read for report in shards) == whole.read
    assert sum(report.parts for report in shards) == whole.parts
    assert (tmp_path / "shared" / "top-2-of-3.csv").exists()
    together = score_library(any_model, library, tmp_path / "shared", **options)
    assert together.skipped == together.parts == whole.parts
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "shared" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_cannot_be(run: Path, library: Path, tmp_path: Path, shard: str) -> None:
    with pytest.raises(ConfigError, match="I/N"):
        score_library(run, library, tmp_path / "out", shard=shard, workers=0)


def test_many_files_are_one_library(run: Path, library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.csv").write_bytes(library.read_bytes())
    (folder / "a.smi.gz").write_bytes(gzip.compress(b"CCO ethanol\nC1CC broken\n"))
    (folder / "sub" / "c.smi").write_text("CCN amine\n")
    (folder / "read.me").write_text("not a library")
    report = score_library(run, folder, tmp_path / "out", block_size=64, workers=0)
    frame = read(tmp_path / "out")
    assert frame["file"].drop_duplicates().tolist() == ["a.smi.gz", "b.csv", "c.smi"]
    assert frame["id"].tolist()[:3] == ["ethanol", "broken", "id 0"]
    assert frame["row"].tolist() == [1, 2, *range(1, 106), 1]
    assert frame["note"].isna().tolist() == [True] * 2 + [False] * 105 + [True]
    assert any("read.me" in note for note in report.notes)
    assert set(json.loads((tmp_path / "out" / "_manifest.json").read_text())["library"]) == {
        "a.smi.gz", "b.csv", "c.smi"
    }  # fmt: skip
    score_library(
        run, [folder / "a.smi.gz", f"{folder}/**/[bc]*"], tmp_path / "again", block_size=64, workers=0
    )
    assert read(tmp_path / "again").equals(frame)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Five files of different lengths, one of them with a header alone."""
    texts, folder = small.smiles(120), tmp_path / "files"
    folder.mkdir()
    for name, first, last in (("a", 0, 16), ("b", 16, 17), ("d", 17, 60), ("e", 60, 120)):
        lines = "".join(f"{text} {name}{n}\n" for n, text in enumerate(texts[first:last]))
        (folder / f"{name}.smi").write_text(lines)
    (folder / "c.csv").write_text("smiles,name\n")
    return folder


@pytest.mark.parametrize("n", [2, 5, 7])
def test_shards_by_file_or_by_block_are_the_whole(run: Path, files: Path, tmp_path: Path, n: int) -> None:
    options = {"block_size": 8, "workers": 0, "top": 5, "output": "csv"}
    whole = score_library(run, files, tmp_path / "whole", **options)
    for index in range(1, n + 1):
        score_library(run, files, tmp_path / "shared", shard=f"{index}/{n}", **options)
    together = score_library(run, files, tmp_path / "shared", **options)
    assert together.skipped == together.parts == whole.parts == 17
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "shared" / path.name).read_bytes(), path.name


def test_finished_files_are_not_parsed_again(
    run: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"block_size": 8, "workers": 0}
    score_library(run, files, tmp_path / "out", **options)
    (tmp_path / "out" / "part-000003-000002.parquet").unlink()
    parsed, read = [], TableReader.blocks

    def note(self: TableReader, *wanted: Any) -> Iterator[Block]:
        parsed.append(Path(self.path).name)
        return read(self, *wanted)

    monkeypatch.setattr(TableReader, "blocks", note)
    assert score_library(run, files, tmp_path / "out", **options).skipped == 16
    assert parsed == ["c.csv", "d.smi"]


def test_a_last_part_that_is_missing_is_made(run: Path, files: Path, tmp_path: Path) -> None:
    """A file of whole blocks, which does not show by its last block that it is the last."""
    options = {"block_size": 8, "workers": 0}
    score_library(run, files, tmp_path / "out", **options)
    (tmp_path / "out" / "part-000000-000001.parquet").unlink()
    report = score_library(run, files, tmp_path / "out", **options)
    assert (report.read, report.parts, report.skipped) == (120, 17, 16)


@pytest.mark.parametrize("shard", [None, "1/2"])
def test_a_file_that_changed_and_kept_its_size_is_refused(
    run: Path, files: Path, tmp_path: Path, shard: str | None
) -> None:
    score_library(run, files, tmp_path / "out", shard=shard, block_size=8, workers=0)
    text = (files / "e.smi").read_text()
    (files / "e.smi").write_text(text.replace("e59", "f59"))
    with pytest.raises(DataError, match=r"library changed since then \(e.smi\)"):
        score_library(run, files, tmp_path / "out", shard=shard, block_size=8, workers=0)


@pytest.mark.parametrize("limit", [0, 16, 20, 61, 500])
def test_a_limit_over_files_and_shards(run: Path, files: Path, tmp_path: Path, limit: int) -> None:
    options = {"block_size": 8, "workers": 0, "limit": limit, "top": 3}
    whole = score_library(run, files, tmp_path / "whole", **options)
    assert whole.read == min(limit, 120)
    for shard in ("1/2", "2/2"):
        score_library(run, files, tmp_path / "shared", shard=shard, **options)
    assert score_library(run, files, tmp_path / "shared", **options).skipped == whole.parts
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "shared" / path.name).read_bytes(), path.name


def test_ties_of_the_best_go_to_the_first_file(run: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("z.smi", "a.smi")]
    for path in paths:
        path.write_text("CCO x\nCCN y\n")
    report = score_library(run, paths, tmp_path / "out", top=2, block_size=1, workers=0)
    assert report.top is not None
    assert pd.read_csv(report.top)["file"].tolist() == ["z.smi", "a.smi"] * len(TASKS)


def test_a_block_that_is_too_large(run: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to 8,388,608"):
        score_library(run, library, tmp_path / "out", block_size=2**23 + 1, workers=0)


def test_sdf_for_other_programs(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(
        'id,smiles,note\nA,C[C@H](N)C(=O)O,"two\n\nlines > <x>"\nB,C1CC,\nC,CCO,\n'
    )
    score_library(run, tmp_path / "in.csv", tmp_path / "out", output="sdf", workers=0)
    frame = read(tmp_path / "out")
    mols = list(Chem.SDMolSupplier(str(tmp_path / "out" / "scores.sdf")))
    assert [mol.GetProp("_Name") for mol in mols] == ["A", "C"]
    assert [Chem.MolToSmiles(mol) for mol in mols] == ["C[C@H](N)C(=O)O", "CCO"]
    assert mols[0].GetProp("note") == "two lines > <x>"
    assert float(mols[1].GetProp("sulfur")) == pytest.approx(frame["sulfur"][2], rel=1e-5)


def test_an_input_column_named_like_an_assay_is_kept_apart(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "clash.csv"
    path.write_text("smiles,acid,status\nCCO,0.5,new\n")
    score_library(run, path, tmp_path / "out", workers=0)
    frame = read(tmp_path / "out")
    assert frame["input:acid"].tolist() == ["0.5"]
    assert frame["input:status"].tolist() == ["new"]
    assert frame["status"].tolist() == ["ok"]


def test_standard_input_is_a_library(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"CCO ethanol\nC1CC broken\n")))
    report = score_library(run, "-", tmp_path / "out", workers=0)
    assert (report.read, report.rejected) == (2, 1)


def test_an_empty_library_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.smi").write_text("")
    with pytest.raises(DataError, match=r"empty\.smi"):
        score_library(run, tmp_path / "empty.smi", tmp_path / "out", workers=0)


def test_a_folder_that_cannot_be_made_is_explained(run: Path, library: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        score_library(run, library, tmp_path / "file" / "out", workers=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extras": partial(Extras, conformal=7.0)}, "`conformal` is 7.0"),
        ({"threshold": float("nan")}, "`threshold` is nan"),
        ({"top": -1}, "`top` is -1"),
        ({"limit": -1}, "`limit` -1"),
        ({"workers": -3}, "`workers` is -3"),
        ({"block_size": 0}, "block_size is 0"),
        ({"shard": "3"}, "`shard` is '3'"),
        ({"shard": "0/2"}, "`shard` is '0/2'"),
        ({"output": partial(Output, dtype="float8")}, "`dtype` is 'float8'"),
        ({"output": "xlsx"}, "`format` is 'xlsx'"),
        ({"engine": "dask"}, "`engine` is 'dask'"),
        ({"engine": partial(Engine, address="head:6379")}, "`engine` ray too"),
    ],
)
def test_options_are_checked_before_anything_is_touched(tmp_path: Path, options: dict, message: str) -> None:
    """Neither library nor model are there, and no folder is made."""
    score = partial(score_library, tmp_path / "run", tmp_path / "library.smi", tmp_path / "out")
    with pytest.raises(ConfigError, match=message):
        score(**{name: value() if callable(value) else value for name, value in options.items()})
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_and_a_file_as_folder_are_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="library is empty"):
        score_library(tmp_path / "run", [], tmp_path / "out")
    with pytest.raises(DataError, match=r"file is a file, not a folder.*`out`"):
        score_library(tmp_path / "run", tmp_path / "library.smi", tmp_path / "file")


def test_closed_standard_input_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match=r"Standard input.*closed"):
        score_library(tmp_path / "run", "-", tmp_path / "out")


def test_more_best_than_memory_holds_are_refused(run: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`top` is 1000000000000: expected at most 12,500,000 for 4"):
        score_library(run, library, tmp_path / "out", top=10**12, workers=0)


def test_a_device_that_is_not_here_is_refused(run: Path) -> None:
    for device in ("cuda:99", "tpu", "gpu0"):
        with pytest.raises(ConfigError, match=f"device is '{device}'.*Expected auto, cpu or cuda"):
            Scorer.load(run, device=device)


def test_without_a_model_nothing_is_scored(library: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no trained model"):
        score_library(tmp_path, library, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "kept").mkdir()
    with pytest.raises(BundleError, match="no trained model"):
        score_library(tmp_path, library, tmp_path / "kept")
    assert (tmp_path / "kept").is_dir()


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks with calibration, sets and domain."""
    folder = tmp_path_factory.mktemp("trusted")
    trusted().save(folder / "bundle")
    return folder


def test_columns_about_trust_are_added_on_request(doubtful: Path) -> None:
    texts = [*small.smiles(20), *BAD]
    scorer = Scorer.load(doubtful, assays=["acid", "sulfur"], spread=True, domain=True, conformal=0.2)
    frame = scorer.score(texts)
    plain = Scorer.load(doubtful, assays=["acid", "sulfur"]).score(texts)
    more = ["acid:spread", "sulfur:spread", "acid:set", "sulfur:set", "similarity", "in_domain", "nearest"]
    assert list(frame.columns) == [*plain.columns, *more]
    pd.testing.assert_frame_equal(frame[list(plain.columns)], plain)
    good, bad = frame[:20], frame[20:]
    assert good["in_domain"].all()
    assert (good["similarity"] == 1).all()
    assert (good["nearest"] == "x").all()
    assert set(good["acid:set"]) <= {"none", "active", "inactive", "both"}
    assert (good["acid:spread"] >= 0).all()
    assert bad[[name for name in more if name != "in_domain"]].isna().all(axis=None)
    assert not bad["in_domain"].any()


def test_the_fingerprint_is_computed_where_the_model_has_none() -> None:
    store, one = small.store(vectors=()), small_bundle()
    torch.manual_seed(0)
    model = ScreeningModel(one.settings, inputs_of(store), 4).eval()
    bundle = replace(
        one,
        members=(Member(model, (0, 1, 2, 3)),),
        inputs=inputs_of(store),
        features=store.features,
        domain=trusted().domain,
    )
    texts = [*small.smiles(20), *BAD]
    frame, plain = Scorer(bundle, domain=True).score(texts), Scorer(bundle).score(texts)
    pd.testing.assert_frame_equal(frame[list(plain.columns)], plain)
    assert (frame["similarity"][:20] == 1).all()


def test_probabilities_are_calibrated_and_sets_are_of_the_models_scores(doubtful: Path) -> None:
    scorer = Scorer.load(doubtful, conformal=0.2)
    frame, bundle = scorer.score(small.smiles(150)), scorer.bundle
    raw = bundle.predict(small.store(), torch.arange(150)).raw
    np.testing.assert_allclose(frame[TASKS].to_numpy(), bundle.calibration.apply(raw), atol=1e-6)
    assert not np.allclose(frame[TASKS].to_numpy(), raw, atol=0.01)
    labels = small.table(missing=0.2).labels
    for number, task in enumerate(TASKS):
        for label, name in ((1, "active"), (0, "inactive")):
            inside = frame[f"{task}:set"].isin([name, "both"])[labels[:, number] == label]
            assert inside.mean() >= 0.8 - 1 / max(len(inside), 1)


@pytest.mark.parametrize("output", ["parquet", "csv", "sdf"])
def test_columns_about_trust_are_in_the_files(
    doubtful: Path, library: Path, tmp_path: Path, output: str
) -> None:
    options = {"spread": True, "domain": True, "conformal": 0.1}
    out, as_written = tmp_path / "out", Output(output, "float16")
    score_library(doubtful, library, out, output=as_written, block_size=20, extras=Extras(**options))
    frame = read(out)
    scored = frame["status"] == "ok"
    whole = Scorer.load(doubtful, **options).score(frame.loc[scored, "smiles"].tolist())
    for name in ("acid:set", "nearest", "in_domain"):
        assert frame.loc[scored, name].tolist() == whole[name].tolist()
        assert frame.loc[~scored, name].isna().all()
    np.testing.assert_allclose(frame.loc[scored, "similarity"].astype(float), whole["similarity"], atol=1e-3)
    with pytest.raises(DataError, match="different are domain"):
        score_library(
            doubtful, library, out, output=as_written, block_size=20, extras=Extras(True, False, 0.1)
        )


@pytest.fixture(scope="module")
def measured_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks with domain and representation."""
    folder = tmp_path_factory.mktemp("measured")
    measured().save(folder / "bundle")
    return folder


def test_the_distance_is_a_column_and_counts_for_the_domain(measured_run: Path) -> None:
    texts = [*small.smiles(150), *BAD]
    scorer = Scorer.load(measured_run, domain=True)
    frame, plain = scorer.score(texts), Scorer.load(measured_run).score(texts)
    assert list(frame.columns) == [*plain.columns, "similarity", "distance", "in_domain", "nearest"]
    pd.testing.assert_frame_equal(frame[list(plain.columns)], plain)
    representation = scorer.bundle.representation
    good, bad = frame[:150], frame[150:]
    expected = scorer.bundle.predict(small.store(), torch.arange(150), distance=True).distance
    np.testing.assert_allclose(good["distance"], expected, rtol=1e-4)
    near, similar = good["distance"] <= representation.threshold, good["similarity"] == 1
    assert similar.all()
    assert good["in_domain"].tolist() == near.tolist()
    assert 0 < near.sum() < 150
    assert bad["distance"].isna().all()
    strict = replace(scorer.bundle, domain=replace(scorer.bundle.domain, threshold=1.1))
    assert not Scorer(strict, domain=True).score(texts)["in_domain"].any()
    assert Scorer.load(measured_run, domain=True).score([]).shape == (0, len(frame.columns))
    assert not scorer.notes
    (note,) = Scorer(replace(scorer.bundle, representation=None), domain=True).notes
    assert "No column 'distance'" in note


def test_distances_are_the_same_bytes_after_a_restart_and_with_workers(
    measured_run: Path, library: Path, tmp_path: Path
) -> None:
    options = {"extras": Extras(domain=True), "block_size": 16}
    for name, workers in (("whole", 0), ("pool", 2), ("broken", 0)):
        score_library(measured_run, library, tmp_path / name, workers=workers, **options)
    for name in ("part-000000-000002.parquet", "part-000000-000005.parquet", "_manifest.json"):
        (tmp_path / "broken" / name).unlink()
    assert score_library(measured_run, library, tmp_path / "broken", workers=0, **options).skipped == 5
    for path in (tmp_path / "whole").iterdir():
        for name in ("pool", "broken"):
            assert path.read_bytes() == (tmp_path / name / path.name).read_bytes(), (name, path.name)
    assert read(tmp_path / "whole")["distance"].notna().sum() == 100


def test_an_input_column_called_distance_is_kept_apart(measured_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "clash.csv"
    path.write_text("smiles,distance\nCCO,far\n")
    score_library(measured_run, path, tmp_path / "out", extras=Extras(domain=True), workers=0)
    frame = read(tmp_path / "out")
    assert frame["input:distance"].tolist() == ["far"]
    assert frame["distance"].dtype == np.float32


def test_a_model_without_these_parts_says_so(run: Path, doubtful: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.ensemble=5"):
        Scorer.load(run, spread=True)
    with pytest.raises(ConfigError, match=r"domain\.fit=true"):
        Scorer.load(run, domain=True)
    with pytest.raises(ConfigError, match="validation"):
        Scorer.load(run, conformal=0.1)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Scorer.load(doubtful, conformal=1.5)


@pytest.mark.parametrize("name", ["dirty.csv", "dirty.smi", "dirty.sdf"])
def test_every_dirty_record_is_accounted_for(run: Path, tmp_path: Path, real_data: Path, name: str) -> None:
    """What RDKit reads is scored, the rest is rejected with a reason; nothing is lost or shifted."""
    stem, kind = name.split(".")
    expected = pd.read_csv(
        real_data / "dirty" / f"{stem}_{kind}_expected.csv", dtype=str, keep_default_na=False
    )
    report = score_library(run, real_data / "dirty" / name, tmp_path / "out", workers=0)
    frame = read(tmp_path / "out")
    assert report.read == report.scored + report.rejected == len(frame)
    assert (frame["reason"] != "").equals(frame["status"] == "rejected")
    if "record" in expected:
        assert len(frame) == len(expected)
        readable = expected["rdkit_reads" if kind == "csv" else "readable"] == "1"
        scored = frame["status"] == "ok"
        assert not (scored & ~readable).any(), frame["smiles"][scored & ~readable].tolist()
    assert torch.tensor(frame.loc[frame["status"] == "ok", TASKS].to_numpy()).isfinite().all()
