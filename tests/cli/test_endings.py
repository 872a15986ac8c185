"""How commands end: codes, errors of the machine, interruptions, standard streams that are closed or full."""

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import small

from screening.cli import main as cli
from screening.cli.endings import DISK, Terminated, ended, goes_on
from screening.errors import DataError

ROOT = Path(__file__).parents[2]


def raising(problem: BaseException) -> Callable[[], int]:
    def command() -> NoReturn:
        raise problem

    return command


@pytest.fixture
def small_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small.write(tmp_path / "small.csv")
    (tmp_path / "small.yaml").write_text(
        "name: small\ndata: {source: small.csv}\nsplit: random\n"
        "model: {encoder: {name: gine, depth: 1, width: 8}}\n"
        "train: {epochs: 200, patience: null, device: cpu, workers: 0}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


# --- errors of the machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(set(DISK) - {errno.EBADF}), ids=errno.errorcode.get)
def test_a_disk_in_the_way_is_one_paragraph_with_the_file(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = OSError(number, os.strerror(number), "runs/tox21/history.csv")
    assert ended(raising(problem)) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("Error: runs/tox21/history.csv: ")
    assert "Traceback" not in errors
    assert errors.count("\n") == 1
    assert DISK[number] in errors


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError(
            "[enforce fail at inline_container.cc:668] . PytorchStreamWriter failed writing file data/0"
        ),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=["torch", "safetensors", "pyarrow", "system"],
)
def test_other_libraries_say_a_full_disk_in_their_own_words(
    problem: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(problem)) == 2
    errors = capsys.readouterr().err
    assert "no space left on the disk" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4e12 bytes"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_that_ran_out_says_what_to_make_smaller(
    problem: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(problem)) == 2
    assert "train.batch_size" in capsys.readouterr().err


@pytest.mark.parametrize(
    "problem",
    [KeyError("assay"), ValueError("no"), OSError(errno.EINVAL, "Invalid argument"), BrokenPipeError()],
)
def test_a_fault_of_ours_keeps_its_trace_and_says_whose_it_is(
    problem: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(problem)) == 1
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert "fault of the program" in errors


def test_a_trace_cannot_change_the_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(KeyError("\u202e\x1b[2J"))) == 1
    assert ended(raising(DataError("no assay '\u202e\x1b[2J'"))) == 2
    errors = capsys.readouterr().err
    assert "\x1b" not in errors
    assert "\u202e" not in errors
    assert "no assay '\\u202e\\x1b[2J'" in errors


# --- interruptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "target", "again"),
    [
        ("train small.yaml seed=3", "training.run.train", "train small.yaml seed=3 --resume"),
        ("train small.yaml --overwrite", "training.run.train", "train small.yaml --resume"),
        ("train small.yaml --resume", "training.run.train", "train small.yaml --resume"),
        ("train small.yaml --seeds 2", "evaluation.replicates.train_set", "train small.yaml --seeds 2"),
        (
            "train small.yaml --folds 3 --overwrite",
            "evaluation.replicates.train_set",
            "train small.yaml --folds 3",
        ),
        ("group small.yaml --groups 2", "grouping.choosing.group", "group small.yaml --groups 2 --resume"),
        ("group small.yaml --evaluate", "grouping.trial.try_groups", "group small.yaml --evaluate"),
        ("benchmark small.yaml", "evaluation.benchmarks.benchmark", "benchmark small.yaml"),
        (
            "score runs/a 'my library.smi' --overwrite --top 5",
            "scoring.job.score_library",
            "score runs/a 'my library.smi' --top 5",
        ),
        ("evaluate runs/a", "training.evaluating.evaluate", "evaluate runs/a"),
        ("compare runs/a runs/b", "evaluation.comparison.compare", "compare runs/a runs/b"),
        ("report runs/a", "reporting.report.write_report", "report runs/a"),
        ("explain runs/a l.smi --assay x", "triage.explanation.explain", "explain runs/a l.smi --assay x"),
        ("hits runs/a scores --assay 'A B'", "triage.hits.choose_hits", "hits runs/a scores --assay 'A B'"),
        ("export runs/a --out m.onnx", "bundle.exporting.export", "export runs/a --out m.onnx"),
        ("data describe small.csv", "data.describing.describe", "data describe small.csv"),
    ],
)
@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_every_command_says_how_to_go_on(
    words: str,
    target: str,
    again: str,
    stop: type[KeyboardInterrupt],
    code: int,
    small_yaml: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*given: object, **named: object) -> NoReturn:
        if stop is Terminated:
            os.kill(os.getpid(), signal.SIGTERM)
        raise stop

    monkeypatch.setattr(f"screening.{target}", interrupted)
    monkeypatch.setattr(sys, "argv", ["screening", *shlex.split(words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    errors = capsys.readouterr().err
    assert "Stopped" in errors
    assert errors.rstrip().endswith(f"with: screening {again}")


def test_of_several_processes_one_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["screening", "train", "x.yaml"])
    monkeypatch.setenv("RANK", "1")
    assert ended(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(KeyboardInterrupt) as stop, goes_on(lambda: "Kept.", "--resume"):
        raise KeyboardInterrupt
    assert ended(raising(stop.value)) == 130
    assert "Kept. Go on with: torchrun ... -m screening train x.yaml --resume" in capsys.readouterr().err


def test_a_stopped_training_names_the_command_that_goes_on(small_yaml: Path) -> None:
    command = [sys.executable, "-m", "screening", "train", "small.yaml", "--name", "mine"]
    training = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    for _ in range(1200):
        if (small_yaml / "runs" / "mine" / "checkpoint.pt").exists():
            break
        time.sleep(0.1)
    training.send_signal(signal.SIGINT)
    _, errors = training.communicate(timeout=60)
    assert training.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Every finished epoch is kept in runs/mine." in errors
    (again,) = re.findall(r"Go on with: (.*)", errors)
    assert again == "python -m screening train small.yaml --name mine --resume"
    assert not (small_yaml / "runs" / "mine" / "manifest.json").exists()


# --- standard streams -------------------------------------------------------------------------------------


def shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    program = f"{shlex.quote(sys.executable)} -m screening"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    line = line.replace("screening", program, 1)
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ["train tox21 --print-config", "--help", "train --help"])
def test_an_output_that_cannot_be_written_is_one_line(target: str, words: str) -> None:
    answer = shell(f"screening {words} {target}")
    assert answer.returncode == 2
    said = [line for line in answer.stderr.splitlines() if not line.startswith("Config:")]
    assert len(said) == 1
    assert said[0].startswith("Error: standard output cannot be written: ")


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    answer = shell("screening train tox21 --print-config | head -n 1; exit ${PIPESTATUS[0]}")
    assert answer.stdout == "name: tox21\n"
    assert answer.returncode in (0, 1)
    assert "rror" not in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_closed_output_does_not_end_up_in_a_file_of_ours(small_yaml: Path) -> None:
    """The next file that is opened would get the closed one's number, and all that is printed with it."""
    answer = shell("screening train small.yaml train.epochs=1 >&- 2>&- <&-")
    assert answer.returncode == 2
    for path in (small_yaml / "runs" / "small").glob("*.*"):
        assert b"valid ROC-AUC" not in path.read_bytes()
    assert (small_yaml / "runs" / "small" / "manifest.json").exists()


@pytest.mark.parametrize(
    "words",
    ["data describe -", "score RUN - --out s", "explain RUN - --assay halogen", "evaluate RUN --data -"],
)
def test_a_closed_input_is_called_so(
    words: str,
    real_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "argv", ["screening", *words.replace("RUN", str(real_run)).split()])
    with pytest.raises(SystemExit) as end:
        cli.main()
    errors = capsys.readouterr().err
    assert end.value.code == 2, errors
    assert errors.startswith("Error: Standard input")
    assert "is closed" in errors


def test_a_greek_assay_on_a_terminal_of_ascii(small_yaml: Path) -> None:
    table = (small_yaml / "small.csv").read_text().replace("halogen", "ERα \u202e")
    (small_yaml / "small.csv").write_text(table, encoding="utf-8")
    answer = shell("screening train small.yaml train.epochs=1", LC_ALL="C", PYTHONUTF8="0")
    assert answer.returncode == 0, answer.stderr
    assert "ER\\u03b1 \\u202e" in answer.stdout
    assert "Traceback" not in answer.stderr
