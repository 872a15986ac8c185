"""Commands whose table or library is a pipe: read once, or copied; no command hangs or calls it empty."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import small

from screening.cli import main as cli
from screening.data.formats import opening

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process, in an empty folder: exit code, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def called(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["screening", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0), "".join(capsys.readouterr())

    return called


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """The path of a pipe into which these bytes are written once."""
    feeders: list[threading.Thread] = []

    def fed(content: bytes) -> str:
        path = tmp_path / f"pipe{len(feeders)}"
        os.mkfifo(path)
        feeders.append(threading.Thread(target=path.write_bytes, args=(content,), daemon=True))
        feeders[-1].start()
        return str(path)

    yield fed
    for feeder in feeders:
        feeder.join(5)
        assert not feeder.is_alive(), "a pipe was not read to its end"


@pytest.fixture
def table(tmp_path: Path) -> bytes:
    return small.write(tmp_path / "small.csv").read_bytes()


LIBRARY = gzip.compress(b"".join(b"%sO m%d\n" % (b"C" * (n % 20 + 1), n) for n in range(900)))


def test_score_reads_pipes_once_beside_files(
    real_run: Path, call: Call, feed: Callable[[bytes], str], tmp_path: Path
) -> None:
    (tmp_path / "a.smi").write_text("CCO a\n")
    code, said = call("score", str(real_run), feed(LIBRARY), "a.smi", "--out", "s", "--format", "csv")
    assert code == 0, said
    assert "901 molecules read, 901 scored" in said
    (tmp_path / "b.smi.gz").write_bytes(LIBRARY)
    assert call("score", str(real_run), "b.smi.gz", "a.smi", "--out", "t", "--format", "csv")[0] == 0
    piped, filed = (pd.read_csv(tmp_path / name / "scores.csv").drop(columns="file") for name in "st")
    pd.testing.assert_frame_equal(piped, filed)


def test_describe_evaluate_and_explain_take_pipes(
    real_run: Path, call: Call, feed: Callable[[bytes], str], table: bytes
) -> None:
    code, said = call("data", "describe", feed(gzip.compress(table)))
    assert code == 0, said
    assert "150 records" in said
    code, said = call("evaluate", str(real_run), "--data", feed(table), "--keep-known")
    assert code == 0, said
    assay = table.split(b"\n")[0].decode().split(",")[2]
    code, said = call("explain", str(real_run), feed(b"CCO a\nCCCBr b\n"), "--assay", assay, "--out", "e")
    assert code == 0, said
    assert "2 molecules explained" in said


def test_train_takes_a_pipe(call: Call, feed: Callable[[bytes], str], table: bytes, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "name: small\nsplit: random\nmodel: {encoder: {name: gine, depth: 1, width: 8}}\n"
        "train: {epochs: 1, device: cpu, workers: 0}\n"
    )
    code, said = call("train", "small.yaml", f"data.source={feed(table)}")
    assert code == 0, said
    assert call("train", "small.yaml", "data.source=small.csv", "name=filed")[0] == 0
    first, second = ((tmp_path / "runs" / name / "evaluation.csv").read_text() for name in ("small", "filed"))
    assert first == second


@pytest.mark.parametrize(
    "command", ["score RUN PIPE --out s", "data describe PIPE", "evaluate RUN --data PIPE"]
)
def test_a_pipe_that_nobody_writes_to_is_refused(
    real_run: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 0.2)
    os.mkfifo(tmp_path / "pipe")
    words = command.replace("RUN", str(real_run)).replace("PIPE", str(tmp_path / "pipe")).split()
    code, said = call(*words)
    assert code == 2
    assert "no program has opened it for writing" in said


def test_process_substitution_and_standard_input_by_its_names(real_run: Path, tmp_path: Path) -> None:
    (tmp_path / "t.smi.gz").write_bytes(LIBRARY)
    python = f"{sys.executable} -m screening"
    lines = [
        f"{python} score {real_run} <(zcat t.smi.gz) <(cat t.smi.gz) --out a --workers 0",
        f"zcat t.smi.gz | {python} score {real_run} /dev/stdin --out b --workers 0",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for line in lines:
        answer = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        assert f"{1800 if '<(' in line else 900:,} molecules read" in answer.stdout
    files = pd.concat(pd.read_parquet(path) for path in (tmp_path / "a").glob("part-*.parquet"))["file"]
    assert set(files) == {"pipe-1", "pipe-2"}


def test_a_library_of_which_nothing_can_be_read_is_an_error(
    real_run: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "names.smi").write_text("TOX1 CCO\nTOX2 CCN\n")
    code, said = call("score", str(real_run), "names.smi", "--out", "s", "--format", "csv")
    assert code == 2
    assert "2 molecules read, 0 scored, 2 rejected" in said
    assert "None of the 2 records could be read as a molecule" in said
    assert (tmp_path / "s" / "scores.csv").exists()
    (tmp_path / "one.smi").write_text("TOX1 CCO\nCCN b\n")
    assert call("score", str(real_run), "one.smi", "--out", "t")[0] == 0
    assert call("score", str(real_run), "names.smi", "--out", "u", "--shard", "1/2")[0] == 0
