"""Verification: what is whole is said to be, every damage is named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import small

from screening.errors import DataError
from screening.scoring.job import score_library
from screening.scoring.verification import verify


def faults(folder: Path) -> str:
    return " ".join(finding.text for finding in verify(folder) if not finding.is_sound)


@pytest.fixture(scope="module")
def finished(real_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    (folder / "library.smi").write_text("".join(f"{text} x\n" for text in [*small.smiles(30), "C1CC"]))
    options = {"workers": 0, "block_size": 8, "top": 2, "output": "csv"}
    score_library(real_run, folder / "library.smi", folder / "scores", **options)
    return folder / "scores"


@pytest.fixture
def scores(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "scores")


def test_whole_scores_and_runs_are_as_they_were_written(any_run: Path, scores: Path) -> None:
    assert faults(scores) == faults(any_run) == faults(any_run / "bundle") == ""
    texts = " ".join(finding.text for finding in verify(scores))
    assert all(name in texts for name in ("written: 4 parts", "top.csv", "scores.csv"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def recount(folder: Path, **values: object) -> None:
    path = folder / "_manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


PART = "part-000000-000002.parquet"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: flip(folder / PART), rf"{PART}: its bytes changed"),
        (lambda folder: (folder / PART).write_bytes(b""), rf"{PART}: it has no checksum"),
        (lambda folder: (folder / PART).unlink(), r"counts 4 parts, there are 3"),
        (lambda folder: flip(folder / "top.csv"), r"top\.csv: its bytes changed"),
        (lambda folder: (folder / "scores.csv").unlink(), r"scores\.csv: it cannot be read"),
        (lambda folder: (folder / "_manifest.json").write_text("{"), r"_manifest\.json cannot be read"),
        (lambda folder: (folder / "_manifest.json").write_text("{}"), r"no checksums of files"),
        (lambda folder: (folder / "_job.json").unlink(), r"_job\.json cannot be read"),
        (lambda folder: recount(folder, scored=31, rejected=0), r"scored 31 for 30, rejected 0 for 1"),
    ],
)
def test_every_damage_is_named(scores: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(scores)
    assert re.search(message, faults(scores)), faults(scores)


def test_a_damaged_model_is_named(real_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(real_run, tmp_path / "run")
    flip(run / "bundle" / "member-0.safetensors")
    assert "member-0.safetensors" in faults(run)


def test_scores_in_a_run_are_looked_at(real_run: Path, scores: Path, tmp_path: Path) -> None:
    run = shutil.copytree(real_run, tmp_path / "run")
    shutil.copytree(scores, run / "scores")
    assert faults(run) == ""
    flip(run / "scores" / PART)
    assert PART in faults(run)


def test_a_public_table_is_looked_at_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCREENING_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (finding,) = verify("alerts")
    assert finding.is_sound
    assert "the table 'alerts', as it is known" in finding.text
    (table,) = (tmp_path / "cache" / "screening").glob("alerts-v*.csv.gz")
    flip(table)
    (finding,) = verify("alerts")
    assert not finding.is_sound
    assert "its bytes are not those of a table made anew. Remove it" in finding.text
    (tmp_path / "alerts").mkdir()
    with pytest.raises(DataError, match="nothing with checksums"):
        verify("alerts")


def test_a_folder_with_nothing_to_verify_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing with checksums"):
        verify(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        verify(tmp_path / "none")
