"""`screening pretrain`: words are files or settings, and what is printed is the next command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small

from screening.cli import main as cli
from screening.cli.pretrain import _shared_out


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    before = sys.argv
    sys.argv = ["screening", *words]
    try:
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    finally:
        sys.argv = before
    output, errors = capsys.readouterr()
    return int(stopped.value.code or 0), output, errors


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(tmp_path / "small.csv")
    (tmp_path / "small.yaml").write_text(
        "name: small\ndata: {source: small.csv}\nsplit: random\n"
        "model: {encoder: {name: gine, depth: 1, width: 8}}\ntrain: {epochs: 1, device: cpu, workers: 0}\n"
        "pretrain: {targets: [rdkit_fast], epochs: 1}\n"
    )
    (tmp_path / "library.smi").write_text("".join(f"{text}\n" for text in [*small.smiles(60), "C(C"]))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_word_is_a_setting_unless_there_is_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "a=b.smi").write_text("C\n")
    words = ["lib/*.smi", "seed=3", "a=b.smi", "pretrain.epochs=2", "x.csv"]
    assert _shared_out(words) == (["lib/*.smi", "a=b.smi", "x.csv"], ["seed=3", "pretrain.epochs=2"])


def test_library_then_training_as_the_output_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = called(capsys, "pretrain", "small.yaml", "library.smi", "pretrain.epochs=2")
    assert code == 0, errors
    assert "epoch   2 of 2" in errors
    assert "rdkit_fast: " in output
    command = output.strip().splitlines()[-1].partition("screening ")[2].split()
    code, _, errors = called(capsys, *command)
    assert code == 0, errors
    assert "the encoder begins with that of runs/small-pretrained" in errors


def test_tables_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = called(capsys, "pretrain", "small.yaml", "--tables", "small.csv")
    assert code == 0, errors
    assert "Run folder: runs/small-pretrained" in output
    code, _, errors = called(capsys, "pretrain", "small.yaml")
    assert code == 2
    assert "neither was given" in errors
    code, _, errors = called(capsys, "pretrain", "small.yaml", "missing.smi", "--overwrite")
    assert code == 2
    assert "missing.smi" in errors


def test_a_killed_one_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL behind the first of four epochs, as a cluster does it; then --resume."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(runs: str, *more: str) -> subprocess.Popen[str]:
        words = ["pretrain", "small.yaml", "library.smi", "pretrain.epochs=4", f"runs={runs}", *more]
        command = [sys.executable, "-m", "screening", *words]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    unbroken = start("unbroken")
    assert unbroken.wait() == 0, unbroken.stderr and unbroken.stderr.read()
    broken = start("broken")
    assert broken.stderr is not None
    for line in broken.stderr:
        if line.startswith("epoch   1"):
            broken.send_signal(signal.SIGKILL)
            break
    broken.communicate()
    assert broken.returncode == -signal.SIGKILL
    ends = [tmp_path / name / "small-pretrained" for name in ("unbroken", "broken")]
    assert not (ends[1] / "bundle").exists()
    assert start("broken", "--resume").wait() == 0
    for file in ("bundle/member-0.safetensors", "bundle/bundle.json", "pretraining.csv", "reasons.csv"):
        assert (ends[0] / file).read_bytes() == (ends[1] / file).read_bytes(), file
