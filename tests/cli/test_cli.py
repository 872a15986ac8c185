"""The command line: fast help, exit codes, no trace for a user's mistake."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import small

from screening.cli import families
from screening.cli import main as cli
from screening.cli.grid import print_frame


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "screening", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "140"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, output, errors."""
    before = sys.argv
    sys.argv = ["screening", *words]
    try:
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    finally:
        sys.argv = before
    output, errors = capsys.readouterr()
    return int(stopped.value.code or 0), output, errors


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small.write(tmp_path / "small.csv")
    (tmp_path / "small.yaml").write_text(
        "name: small\ndata: {source: small.csv}\nsplit: random\n"
        "model: {encoder: {name: gine, depth: 1, width: 8}}\n"
        "train: {epochs: 1, device: cpu, workers: 0}\n"
    )
    monkeypatch.setenv("COLUMNS", "140")  # else tables are as wide as the terminal that runs the tests
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_help_takes_less_than_half_a_second() -> None:
    """Processor time: the machine may be busy with other things."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = run("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0
    for command in ("train", "evaluate", "compare", "score", "data", "list"):
        assert command in answer.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_train_evaluate_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = called(capsys, "train", "small.yaml", "train.lr=0.01")
    assert code == 0
    assert "halogen" in output
    assert "ROC-AUC" in output
    assert "epoch   1" in errors
    code, output, _ = called(capsys, "evaluate", "runs/small", "--part", "valid", "--plot", "assays.svg")
    assert code == 0
    assert "valid part" in output
    assert (folder / "assays.svg").read_text().startswith("<?xml")
    code, output, _ = called(capsys, "evaluate", "runs/small", "--learning")
    assert code == 0
    assert "best epoch" in output
    code, output, errors = called(
        capsys, "evaluate", "runs/small", "--data", "small.csv", "--sort", "brier", "--out", "assays.parquet"
    )
    assert code == 0
    assert "small.csv, per assay" in output
    assert "pooled_average_precision" in output
    assert "known" in errors
    assert (folder / "assays.parquet").exists()
    (folder / "library.smi").write_text("CCO a\nC1CC b\nc1ccccc1Br c\n")
    code, output, _ = called(
        capsys, "score", "runs/small", "library.smi", "--out", "scores", "--format", "csv", "--top", "2"
    )
    assert code == 0
    assert "3 molecules read, 2 scored, 1 rejected" in output
    assert "Best for halogen" in output
    code, output, _ = called(capsys, "report", "runs/small", "--scores", "scores")
    assert code == 0
    assert "Report: runs/small/report.html" in output
    assert "Top molecules" in (folder / "runs" / "small" / "report.html").read_text()
    assert (folder / "runs" / "small" / "MODEL_CARD.md").exists()
    assert (folder / "scores" / "scores.csv").exists()


def test_compare_two_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        seed = f"seed={len(name)}"
        assert called(capsys, "train", "small.yaml", f"name={name}", seed, "split.name=scaffold")[0] == 0
    code, output, errors = called(capsys, "compare", "runs/first", "runs/second", "--out", "differences.csv")
    assert code == 0
    assert "second against first, roc_auc, test part" in output
    assert "win / loss / tie" in output
    assert "One run each" in errors
    assert "halogen" in (folder / "differences.csv").read_text()
    code, _, errors = called(capsys, "compare", "runs/first", "runs/second", "--out", "differences.txt")
    assert code == 2
    assert ".csv" in errors


def test_sets_of_runs_and_a_benchmark(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = called(capsys, "train", "small.yaml", "--seeds", "2")
    assert code == 0
    assert "over 2 seeds" in output
    assert "mean over assays" in output
    assert (folder / "runs" / "small-seeds.csv").exists()
    code, _, errors = called(capsys, "train", "small.yaml", "--folds", "3", "--dry-run")
    assert code == 0
    assert "split folds" in errors
    code, output, _ = called(capsys, "train", "small.yaml", "name=cv", "--folds", "3")
    assert code == 0
    assert (
        "All test molecules together: runs/cv-report.html; in the terminal: screening evaluate runs/cv"
        in output
    )
    assert "3 runs together" in (folder / "runs" / "cv-report.html").read_text()
    text = (folder / "small.yaml").read_text()
    (folder / "bench.yaml").write_text(text + "benchmark: {balancers: [equal, slaw], seeds: 1}\n")
    code, output, errors = called(capsys, "benchmark", "bench.yaml")
    assert code == 0
    assert "balancers against equal" in output
    assert "One run each" in errors
    assert (folder / "runs" / "small-benchmark.csv").exists()


@pytest.mark.parametrize("words", [(), ("data",)], ids=["screening", "data"])
def test_summaries_of_commands_are_whole_in_80_columns(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, output, _ = called(capsys, *words, "--help")
    commands = output.partition("Commands:\n")[2].splitlines()
    assert code == 0
    assert len(commands) >= 4
    assert [line for line in commands if not line.endswith(".")] == []
    assert [line for line in commands if line.endswith("...") or len(line) > 80] == []


def test_dry_run_and_print_config_leave_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = called(capsys, "train", "small.yaml", "--print-config", "seed=7")
    assert code == 0
    assert "seed: 7" in output
    code, _, errors = called(capsys, "train", "small.yaml", "--dry-run")
    assert code == 0
    assert "weights" in errors
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trian",), "Did you mean"),
        (("train", "small.yaml", "--bogus"), "bogus"),
        (("train", "nothing.yaml"), "no config file"),
        (("train", "small.yaml", "trian.epochs=3"), "Did you mean 'train'"),
        (("train", "small.yaml", "data.source=nothing.csv"), "nothing.csv"),
        (("train", "small.yaml", "model.encoder.name=gin"), "Did you mean 'gine'"),
        (("train", "small.yaml", "model.encoder.dpeth=3"), "Did you mean 'depth'"),
        (("train", "small.yaml", "balancer=slawe"), "Did you mean 'slaw'"),
        (("train", "small.yaml", "balancer={name: slaw, beta: 2}"), "beta is 2"),
        (("train", "small.yaml", "split=scafold"), "Did you mean 'scaffold'"),
        (("train", "small.yaml", "features.graph=atom_code"), "Did you mean 'atom_codes'"),
        (("train", "small.yaml", "gradients.at=nowhere"), "features"),
        (("train", "small.yaml", "train.device=tpu9"), "device"),
        (("evaluate", "runs/nothing"), "not a finished run"),
        (("evaluate", "runs/nothing", "--out", "x.txt"), ".csv or .parquet"),
        (("evaluate", "runs/nothing", "--data", "small.csv"), "no trained model"),
        (("evaluate", "runs/nothing", "--learning"), "no history.csv"),
        (("report", "runs/nothing"), "not a finished run"),
        (("compare", "runs/nothing"), "at least two"),
        (("train", "small.yaml", "--seeds", "0"), "at least 1"),
        (("train", "small.yaml", "--folds", "2"), "at least 3"),
        (("train", "small.yaml", "--folds", "3", "--seeds", "2"), "both"),
        (("benchmark", "small.yaml"), "no section 'benchmark'"),
        (("compare", "runs/nothing", "runs/none"), "no finished run"),
        (("compare", "runs/a", "runs/b", "--metric", "auc"), "roc_auc"),
        (("score", "runs/nothing", "small.csv"), "no trained model"),
        (("list", "balancer"), "Did you mean 'balancers'"),
        (("data", "describe", "nothing.csv"), "nothing.csv"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    code, _, errors = called(capsys, *words)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert "\n\n" not in errors.strip()
    assert not (folder / "runs" / "small" / "bundle").exists()


@pytest.mark.parametrize(
    "family",
    [
        *("balancers", "baselines", "calibrations", "encoders", "featurizers", "filters", "losses"),
        *("metrics", "splits"),
    ],
)
def test_families_are_listed(capsys: pytest.CaptureFixture[str], family: str) -> None:
    code, output, _ = called(capsys, "list", family)
    assert code == 0
    assert family in output


def test_list_says_how_fast_a_featurizer_is(capsys: pytest.CaptureFixture[str]) -> None:
    members = {member.name: member for member in families.family("featurizers")}
    assert members["alerts"].cost == "1,900 / s, 9.47 x reading"
    assert all(member.cost.endswith(" x reading") for member in members.values())
    code, output, _ = called(capsys, "list", "featurizers")
    assert code == 0
    assert "molecules a core does" in " ".join(output.split())
    assert "1,900 / s" in " ".join(output.split())


def test_fetch_does_not_download_what_is_here(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / "tox21.csv.gz").write_bytes(b"")
    monkeypatch.setenv("SCREENING_DATA", str(folder / "tables"))
    code, output, _ = called(capsys, "data", "fetch", "tox21")
    assert code == 0
    assert output.strip() == str(folder / "tables" / "tox21.csv.gz")


def test_an_assay_name_cannot_change_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "small.csv").read_text().replace("halogen", "[red]halogen[/red]")
    (folder / "small.csv").write_text(text)
    code, output, _ = called(capsys, "train", "small.yaml")
    assert code == 0
    assert "[red]halogen[/red]" in output


def test_tables_print_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    smiles = "c1ccc2[nH]ccc2c1"
    print_frame(pd.DataFrame({"smiles": [smiles], "[red]": [0.5]}), title="Best for [bold]")
    printed = capsys.readouterr().out
    assert smiles in printed
    assert "[red]" in printed
    assert "Best for [bold]" in printed
