"""Damaged run folders and disks that are full or gone: one paragraph each, and what was kept goes on."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import small
import torch

from screening import training
from screening.config import Config, check_config
from screening.errors import ConfigError, DataError, ScreeningError
from screening.evaluation import external, replicates
from screening.evaluation.comparison import compare
from screening.features.store import FeatureSet, featurize
from screening.grouping import choosing
from screening.reporting.report import write_report

RUN = Path("runs/a")


def config(name: str = "a", **more: object) -> Config:
    return check_config(
        {
            "name": name,
            "data": {"source": "t.csv"},
            "split": "random",
            "model": {"encoder": {"name": "fingerprint", "widths": [8]}},
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "grouping": {"affinity": "linear"},
            "train": {"epochs": 2, "batch_size": 64, "device": "cpu", "workers": 0},
        }
        | more
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and two finished runs of it."""
    folder = tmp_path_factory.mktemp("finished")
    small.write(folder / "t.csv", n=150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        replicates.train_set([config("a"), config("b")], Path("set.csv"))
    return folder


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(finished / "cache"))
    monkeypatch.chdir(tmp_path)


READERS: dict[str, Callable[[], object]] = {
    "evaluate": lambda: training.evaluate(RUN),
    "calibration": lambda: training.calibration_effect(RUN),
    "learning": lambda: external.learning(RUN),
    "compare": lambda: compare(["runs/a", "runs/b"]),
    "report": lambda: write_report(RUN),
    "steps": lambda: replicates.seconds_per_step([RUN]),
    "tabulate": lambda: replicates.tabulate([RUN]),
    "set": lambda: replicates.train_set([config("a")], Path("set.csv")),
    "group": lambda: choosing.group(config("a"), choosing.Choice(n_groups=2)),
    "resume": lambda: training.train(config("a"), resume=True),
}
"""What reads run folders."""

READ_BY = {
    "affinity.parquet": ("group",),
    "calibration.csv": ("calibration", "report"),
    "checkpoint.pt": ("resume",),
    "config.yaml": ("evaluate", "report", "steps", "set", "resume"),
    "epochs.csv": ("learning",),
    "evaluation.csv": ("report", "tabulate"),
    "history.csv": ("learning", "report"),
    "labels.csv": ("report",),
    "manifest.json": ("report", "steps", "set", "group", "resume"),
    "predictions.parquet": ("evaluate", "compare", "report"),
    "rejected.csv": ("report",),
    "times.csv": ("steps",),
}


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "another table": lambda path: path.write_text("hello\nworld,1\n"),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "an object": lambda path: path.write_text("{}\n"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "words": lambda path: path.write_text(path.read_text(errors="replace").replace("0", "x")),
    "a folder": into_a_folder,
    "gone": lambda path: path.unlink(),
}
SILENT = {"empty", "gone", "words", "half"}
"""Damage that may be harmless: a baseline has empty tables, and a changed name is still a name."""
DEAR = ("half", "garbage", "deep")
"""The damages that the report, which takes a second, is tried on."""


@pytest.mark.parametrize("file", READ_BY)
def test_a_damaged_file_of_a_run_is_explained(here: None, file: str) -> None:
    """Whatever reads it stops with a paragraph that names the file or the run, or does without it."""
    path = RUN / file
    kept = Path("kept")
    shutil.copytree(RUN, kept)
    for damage, do in DAMAGES.items():
        for reader in READ_BY[file]:
            if reader == "report" and damage not in DEAR:
                continue
            shutil.rmtree(RUN)
            shutil.copytree(kept, RUN)
            do(path)
            try:
                READERS[reader]()
            except ScreeningError as problem:
                text = str(problem)
                assert len(text) > 40, (damage, reader, text)
                assert "\n\n" not in text, (damage, reader, text)
                assert file in text or "runs/a" in text, (damage, reader, text)
            else:
                assert damage in SILENT or file == "rejected.csv", (damage, reader)


@pytest.mark.parametrize(
    "part", ["model", "optimizer", "balancer", "best", "history", "origin", "affinity", "average"]
)
def test_a_checkpoint_that_lacks_a_part_is_explained(here: None, part: str) -> None:
    train = {**config().train.model_dump(), "average": 0.5}
    settings = config("c", train=train)
    training.train(settings)
    path = settings.folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    for damaged in ({k: v for k, v in state.items() if k != part}, {**state, part: None}, {**state, part: 3}):
        torch.save(damaged, path)
        with pytest.raises(ConfigError, match=r"checkpoint\.pt .*`overwrite`"):
            training.train(settings, resume=True)


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """A disk on which no file can grow further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n_bytes", [0, 400, 3_000, 9_000, 60_000])
def test_a_full_disk_is_explained_and_the_run_goes_on(here: None, n_bytes: int) -> None:
    """Wherever the room ends; the end is that of a run that was never disturbed, and nothing half is left."""
    settings = config("c")
    with largest_file(n_bytes), pytest.raises(DataError, match=r"no room left|File too large"):
        training.train(settings)
    assert not list(settings.folder.glob(".*"))
    run = training.train(settings, resume=True)
    for file in ("history.csv", "predictions.parquet", "bundle/member-0.safetensors"):
        assert (run.folder / file).read_bytes() == (RUN / file).read_bytes()


def test_groups_on_a_full_disk_are_explained(here: None) -> None:
    with largest_file(100), pytest.raises(DataError, match="no room left"):
        choosing.group(config(), choosing.Choice(n_groups=2))
    assert choosing.group(config(), choosing.Choice(n_groups=2)).file.is_file()


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "seteuid"), reason="rights do not bind root")
def test_a_folder_that_can_only_be_read_is_explained(here: None) -> None:
    with nobody(), pytest.raises(DataError, match=r"runs/c.* cannot be written.*name=") as caught:
        training.train(config("c"))
    assert "Permission denied" in str(caught.value)


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without rights here; root may write everywhere."""
    Path("runs").chmod(0o555)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        yield
    finally:
        with suppress(PermissionError):
            os.seteuid(before)
        Path("runs").chmod(0o755)


def test_half_files_of_a_cache_go_after_a_day(tmp_path: Path) -> None:
    """Not before: another process may be writing one of them."""
    for name, age in ((".host.77.a.safetensors", 2), (".host.78.b.safetensors", 0), ("c.safetensors", 2)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (os.path.getmtime(tmp_path / name) - age * 86_400,) * 2)
    featurize(["CCO"], FeatureSet("atom_codes"), workers=0, cache=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert ".host.77.a.safetensors" not in left
    assert {".host.78.b.safetensors", "c.safetensors"} <= left
