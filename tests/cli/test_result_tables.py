"""Tables of results on the terminal."""

import hit_rate
import numpy as np
import pytest

from screening.cli.tables import print_evaluation
from screening.metrics.per_assay import evaluate, summarize


def printed(capsys: pytest.CaptureFixture[str], width: int, patch: pytest.MonkeyPatch) -> list[str]:
    """The lines of an evaluation on a terminal of that width."""
    patch.setenv("COLUMNS", str(width))
    random = np.random.default_rng(0)
    labels = (random.random((80, 3)) < 0.4).astype(np.float32)
    labels[:, 2] = 0
    table = evaluate(labels, random.random(labels.shape), ["A", "B", "C"], part="test")
    print_evaluation(table, summarize(table), "test part", all_assays=True)
    return capsys.readouterr().out.splitlines()


def test_a_registered_metric_is_a_column_and_a_row_of_means(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = printed(capsys, 160, monkeypatch)
    hit_rate.registered(monkeypatch)
    lines = printed(capsys, 160, monkeypatch)
    assert lines[1].split() == before[1].replace("verdict", "<hit> rate 95 % interval verdict").split()
    assert [line for line in lines if line.startswith(hit_rate.NAME)]
    assert " to 1.000" in lines[2]


def test_a_narrow_terminal_leaves_the_registered_metric_out_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hit_rate.registered(monkeypatch)
    lines = printed(capsys, 90, monkeypatch)
    (left_out,) = (line for line in lines if line.startswith("(left out"))
    assert "<hit> rate" in left_out
    assert "ROC-AUC" not in left_out
