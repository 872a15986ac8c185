"""Commands about libraries, as typed: what they print, and exit code 2 with a sentence."""

from pathlib import Path

import pytest
import small
from typer.testing import CliRunner

from screening.cli.main import app
from screening.errors import ScreeningError
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
