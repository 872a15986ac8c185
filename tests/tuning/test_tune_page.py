"""The page and the tables of a search: on a terminal, on a phone, with names that look like markup."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import PHONE, too_wide
from html_page import Page

from screening.cli.tables import print_tuned
from screening.config import Config, check_config
from screening.errors import ScreeningError
from screening.tuning.page import write_page
from screening.tuning.pictures import history
from screening.tuning.search import Tuned
from screening.tuning.space import Space

SPACE = {
    "train.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "model.encoder.widths": {"choices": [[512], [512, 512]]},
    "train.batch_size": {"low": 16, "high": 64},
}


def config(**more: Any) -> Config:
    model = {"encoder": {"name": "fingerprint", "widths": [512]}}
    sections = {"name": "small", "data": {"source": "a.csv"}, "model": model, "tune": {"space": SPACE}}
    return check_config(sections | {"features": {"graph": None, "vectors": ["ecfp_counts"]}} | more)


def trials() -> pd.DataFrame:
    rows = [
        (1, "complete", 0.71234, 10, 3.0, 1e-3, [512], 64, ""),
        (2, "complete", 0.75, 10, 3.0, 0.0123456, [512, 512], 32, ""),
        (3, "pruned", 0.6, 3, 1.0, 2e-4, [512], 16, ""),
        (
            4,
            "failed",
            float("nan"),
            0,
            float("nan"),
            9e-2,
            [512],
            16,
            "ScreeningError: <script>alert(1)</script>",
        ),
        (5, "complete", 0.74, 10, 3.0, 5e-3, [512, 512], 48, ""),
    ]
    names = ["trial", "state", "concordance", "epochs", "seconds", *SPACE, "reason"]
    return pd.DataFrame(rows, columns=names)


def tuned(folder: Path, table: pd.DataFrame | None = None, **importance: float) -> Tuned:
    shares = importance or {"train.lr": 0.7, "model.encoder.widths": 0.2, "train.batch_size": 0.1}
    return Tuned(folder, trials() if table is None else table, config(), shares, "ROC-AUC")


def written(folder: Path, table: pd.DataFrame | None = None) -> Path:
    write_page(tuned(folder, table), config(), Space.of(config()))
    return folder / "tune.html"


def test_the_page_says_what_was_found(tmp_path: Path) -> None:
    page = Page(written(tmp_path).read_text())
    words = page.words()
    assert "0.7500" in words
    assert "0.7123" in words  # the config's own settings
    assert "screening train" in words
    assert "The test part was not in the table that the trials were given" in words
    assert "0.0123" in words
    assert "3 complete, 1 pruned, 1 failed" in words
    rows = [text for tag, text in page.texts if tag == "th" and text.isdecimal()]
    assert rows == ["2", "5", "1", "3", "4"]
    assert (tmp_path / "importance.svg").read_text().startswith("<svg")


def test_texts_stay_texts(tmp_path: Path) -> None:
    text = written(tmp_path).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    table = trials().iloc[[3]].reset_index(drop=True)
    words = Page(written(tmp_path, table).read_text()).words()
    assert "No trial was finished" in words


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_the_page_fits(tmp_path: Path, open_page: Callable[..., Any], width: int) -> None:
    assert too_wide(open_page(written(tmp_path), width=width)) == []


def test_the_terminal_shows_the_best_and_the_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_tuned(tuned(tmp_path))
    output, errors = capsys.readouterr()
    lines = output.splitlines()
    assert lines[0].startswith("5 trials: 3 complete, 1 pruned, 1 failed. The best, by mean ROC-AUC")
    assert [line.split()[0] for line in lines[2:5]] == ["2", "5", "1"]
    assert "[512, 512]" in lines[2]
    assert any(line.split() == ["train.lr", "0.70"] for line in lines)
    assert lines[-1] == f"Train the best: screening train {tmp_path / 'best.yaml'}"
    assert "1 failed: ScreeningError: <script>" in errors


def test_a_search_without_a_result_ends_with_an_error(tmp_path: Path) -> None:
    table = trials().iloc[[3]].reset_index(drop=True)
    with pytest.raises(ScreeningError, match="no best settings"):
        print_tuned(Tuned(tmp_path, table, None, {}, "ROC-AUC"))


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_table_is_no_wider_than_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_tuned(tuned(tmp_path))
    table, _, _ = capsys.readouterr().out.partition("Written")
    assert max(map(len, table.splitlines())) <= int(columns)


def test_a_trial_that_diverged_does_not_squeeze_the_others_into_a_line() -> None:
    """The axis of results does not reach down to the worst tenth."""
    table = pd.concat([trials()[trials()["state"] == "complete"]] * 10, ignore_index=True)
    table["trial"] = range(1, len(table) + 1)
    table.loc[0, "concordance"] = 0.1
    ticks = [float(text) for text in re.findall(r">(0\.\d+)<", history(table, "ROC-AUC"))]
    assert len(ticks) > 2
    assert min(ticks) > 0.69
