"""Tables of results on the terminal."""

import hit_rate
import mixed_runs
import numpy as np
import pandas as pd
import pytest

from screening.cli.assay_tables import print_evaluation, print_intervals
from screening.cli.tables import print_comparison
from screening.data.assay_kinds import Assay
from screening.evaluation.comparison import Comparison
from screening.evaluation.headline import comparable_means
from screening.evaluation.run_sets import RunSet
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


def of_both_kinds(kinds: tuple[Assay, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table and summary of a made-up run of these assays."""
    data, scores, split = mixed_runs.table(kinds, 400, 0)
    test = data.take(split.rows("test"))
    scores = scores[split.rows("test")]
    table = evaluate(
        test.labels, scores, test.tasks, part="test", is_real=test.is_real, censored=test.censored
    )
    return table, comparable_means(summarize(table), kinds)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_each_kind_of_assay_has_a_table_of_its_own(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    kinds = (*mixed_runs.REAL, *mixed_runs.CLASSES)
    table, summary = of_both_kinds(kinds)
    print_evaluation(table, summary, "test part", kinds=kinds, all_assays=True)
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines() if not line.startswith("verdicts: ")) <= width
    of_values, of_classes, means = text.split("\n\n")
    assert of_values.startswith("test part, real values, per assay")
    assert of_classes.startswith("test part, two classes, per assay")
    assert "ROC" not in of_values
    assert "Concordance" not in of_classes
    assert all(kind.name.split()[0] in (of_values if kind.is_real else of_classes) for kind in kinds)
    row = table.set_index("assay").loc["pKi"]
    if width >= 80:
        assert f"{row['rmse']:.3g}" in of_values
    assert f"{row['concordance']:.3f}" in of_values
    assert "rmse" not in means  # of several scales there is no mean error
    if width == 200:
        assert "log10 ml/min" in of_values
        assert f"{row['rmse']:.3g}" in of_values


def test_a_scale_that_all_assays_share_stands_above(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    kinds = (mixed_runs.REAL[0], mixed_runs.REAL[2])
    table, summary = of_both_kinds(kinds)
    print_evaluation(table, summary, "test part", kinds=kinds, all_assays=True)
    text = capsys.readouterr().out
    assert text.startswith("test part, real values, errors in -log10 M, per assay\n")
    assert "test part, two classes" not in text
    mean = table["rmse"].mean()
    assert f"rmse {mean:.3g}" in " ".join(text.split())


def test_coverage_of_intervals_is_told_per_share_aimed_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [("A", 0.1, 0.9), ("B", 0.1, 0.8), ("C", 0.1, np.nan), ("A", 0.05, 0.96)]
    print_intervals(pd.DataFrame(rows, columns=["assay", "error", "covered"]))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-2:] == [["95", "96.0", "96.0", "1", "of", "1"], ["90", "85.0", "80.0", "2", "of", "3"]]


@pytest.mark.parametrize("has_real", [False, True])
def test_compared_real_assays_show_what_was_measured(
    has_real: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    numbers = dict.fromkeys(("baseline", "value", "difference", "low", "high", "p", "p_adjusted"), 0.25)
    row = {"run": "b", "against": "a", "assay": "pKi", "status": "ok", "actives": 3, "inactives": 4}
    row |= (
        numbers | {"result": "tie"} | ({"kind": "real", "measured": 1234, "censored": 5} if has_real else {})
    )
    counts = dict.fromkeys(("wins", "losses", "ties", "higher", "lower", "delta_m", "worst_tenth"), 0)
    summary = pd.DataFrame([{"run": "b", **numbers, **counts}])
    sets = (RunSet("a", ()), RunSet("b", ()))
    shown = Comparison("mae", "bh", "test", sets, pd.DataFrame([row]), summary, ("A note.",), "lower")
    print_comparison(shown, all_assays=False)
    text = capsys.readouterr().out
    assert ("1,234" in text, "measured" in text) == (has_real, has_real)
    assert ("actives" in text) == (not has_real)
