"""Commands about libraries, as typed: what they print, and exit code 2 with a sentence."""

from pathlib import Path

import pandas as pd
import pytest
import small
from bundles import both_kinds
from typer.testing import CliRunner

from screening.cli.main import app
from screening.errors import ScreeningError
from screening.runtime.numbers import short
from screening.scoring.job import score_library


def typed(*words: object) -> str:
    """What a command prints."""
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture
def scores(real_run: Path, tmp_path: Path) -> Path:
    (tmp_path / "library.smi").write_text("".join(f"{text} x\n" for text in small.smiles(10)))
    score_library(real_run, tmp_path / "library.smi", tmp_path / "scores", workers=0)
    return tmp_path / "scores"


def test_verify_says_what_is_whole_and_fails_where_anything_is_damaged(scores: Path) -> None:
    assert "as they were written: 1 parts" in typed("verify", scores)
    part = next(scores.glob("part-*"))
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(ScreeningError, match=r"is damaged.*parquet: its bytes changed.*made again"):
        typed("verify", scores)


def test_the_best_values_are_printed_in_three_digits_and_their_unit(tmp_path: Path) -> None:
    both_kinds().save(tmp_path / "bundle")
    library, out = tmp_path / "library.smi", tmp_path / "out"
    library.write_text("".join(f"{text} x{row}\n" for row, text in enumerate(small.smiles(20))))
    options = ("--top", 3, "--conformal", 0.2, "--assays", "Ki,acid", "--workers", 0)
    text = typed("score", tmp_path, library, "--out", out, *options)
    top = pd.read_csv(out / "top.csv").set_index("assay")
    for name in ("value", "low", "high"):
        assert short(top.loc["Ki", name].iloc[0]) in text
    assert "Best for Ki, nM" in text
    assert f"{top.loc['acid', 'value'].iloc[0]:.4f}" in text
    parts = text.partition("Best for acid")
    assert "probability" in parts[2]
    assert "low" not in parts[2].partition("Scores:")[0]
    told = typed("hits", tmp_path, out, "--assay", "Ki", "--out", tmp_path / "hits", "--threshold", 1e9)
    assert "nM; low values are good" in told
