"""`screening train TABLE`: no config at all."""

from pathlib import Path

import pytest
import small
from typer.testing import CliRunner

from screening.cli.main import app
from screening.config import load_config

QUICK = ("train.epochs=1", "features.vectors=[ecfp_counts, atom_pairs]", "model.blending.folds=2")
QUICK_BLEND = "model.blend=[network, gaussian_process]"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path / "small.csv", n=120)
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_table_is_trained_evaluated_and_gone_on_with() -> None:
    said = run("train", "small.csv", *QUICK, QUICK_BLEND)
    assert "the recipe best chooses" in said
    assert "recipe best, for 120 records, 4 assays" in said
    settings = load_config("runs/small/config.yaml")
    assert (settings.name, settings.recipe, settings.train.epochs) == ("small", "best", 1)
    assert "halogen" in run("evaluate", "runs/small")
    before = Path("runs/small/bundle/SHA256SUMS").read_bytes()
    run("train", "small.csv", *QUICK, QUICK_BLEND, "--resume")
    run("train", "runs/small/config.yaml", "--resume")
    assert Path("runs/small/bundle/SHA256SUMS").read_bytes() == before


def test_seeds_are_a_set_as_with_a_config() -> None:
    words = ("train", "small.csv", *QUICK, QUICK_BLEND, "model.blending.weights=equal", "--seeds", "2")
    run(*words)
    assert sorted(path.name for path in Path("runs").glob("small-seed*") if path.is_dir()) == [
        "small-seed0",
        "small-seed1",
    ]
    assert "is finished and stays" in run(*words)


@pytest.mark.parametrize("command", ["group", "benchmark"])
def test_other_commands_ask_for_a_config(command: str) -> None:
    result = CliRunner().invoke(app, [command, "small.csv"])
    assert result.exit_code != 0
    assert "is a table, not a config" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("tune", "c.yaml", "--trials", "1"), "runs/c-tune/best.yaml"),
        (
            ("evaluate", "c.yaml", "--learning-curve", "learning_curve.shares=[0.5,1]"),
            "runs/c-curve/study.yaml",
        ),
    ],
    ids=["tune", "learning curve"],
)
def test_every_command_that_trains_takes_what_the_recipe_chooses(words: tuple[str, ...], kept: str) -> None:
    Path("c.yaml").write_text("{name: c, data: {source: small.csv}, recipe: fast}")
    assert "recipe fast, for 120 records" in run(*words, *QUICK[:2])
    assert "name: fingerprint" in Path(kept).read_text()


def test_without_a_table_a_recipe_chooses_no_encoder() -> None:
    Path("c.yaml").write_text("{name: c, data: {source: small.csv}, recipe: fast}")
    Path("library.smi").write_text("CCO\nCCN\n")
    result = CliRunner().invoke(app, ["pretrain", "c.yaml", "library.smi"])
    assert "The recipe fast chooses by an assay table" in str(result.exception)
