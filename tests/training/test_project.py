"""A project folder: what is written describes the table, and runs as it stands."""

import json
import re
import shlex
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import small

from screening.cli import main as cli
from screening.config import Data, load_config
from screening.data import datasets
from screening.data.assay_table import AssayTable
from screening.data.moleculeace_table import is_installed
from screening.errors import ConfigError, DataError
from screening.recipes import recipes
from screening.training.project import MOST_NAMES, run_name, write_project

FILES = [".gitignore", "README.md", "config.yaml", "notebook.ipynb"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the table `assays.csv` in it."""
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path / "assays.csv")
    return tmp_path


def call(*words: str) -> int:
    """Exit code of a command that was typed."""
    with patch.object(sys, "argv", ["screening", *words]), pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def table_of(config: Path) -> AssayTable:
    """The table that a config names, as a command in its folder reads it."""
    data = load_config(config).data
    return datasets.load_dataset(data.source, **datasets.reading(data))


def commands(folder: Path) -> list[list[str]]:
    """The words behind `screening` of all lines in the page of a project."""
    blocks = re.findall(r"```bash\n(.*?)```", (folder / "README.md").read_text(), re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def code_of(notebook: Path) -> list[str]:
    """The code cells of a notebook."""
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_config_names_the_columns_and_assays_of_the_table(here: Path, monkeypatch) -> None:
    project = write_project("mine", "assays.csv")
    assert (
        sorted(path.name for path in project.files) == sorted(p.name for p in Path("mine").iterdir()) == FILES
    )
    monkeypatch.chdir("mine")
    config = load_config("config.yaml")
    assert config.name == "assays"
    assert (config.data.source, config.data.smiles, config.data.id) == ("../assays.csv", "smiles", "id")
    assert config.data.tasks == tuple(small.PATTERNS)
    recipe = load_config("tox21")
    assert config == recipe.model_copy(update={"name": "assays", "data": config.data})
    table = small.table()
    assert table_of(Path("config.yaml")).ids == table.ids
    np.testing.assert_array_equal(table_of(Path("config.yaml")).labels, table.labels)
    facts = "150 molecules, 4 assays, 440 labels (73% of all), 15.7% active"
    assert all(facts in path.read_text() for path in Path().iterdir() if path.name != ".gitignore")


def test_what_is_written_trains_as_it_stands(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("init", "mine", "--table", "assays.csv") == 0
    monkeypatch.chdir("mine")
    assert call("train", "config.yaml", "--epochs", "1", "features.vectors=[]", "model.encoder=gine") == 0
    assert Path("runs/assays/evaluation.csv").is_file()
    ignored = Path(".gitignore").read_text().split()
    assert "runs/" in ignored


@pytest.mark.slow
def test_every_command_of_the_page_and_then_every_cell_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project("mine", "assays.csv")
    monkeypatch.chdir("mine")
    config = Path("config.yaml")
    config.write_text(config.read_text().replace("epochs: 20", "epochs: 1"))
    lines = commands(Path())
    assert [line[0] for line in lines] == [
        "train",
        "train",
        "evaluate",
        "report",
        "score",
        "hits",
        "train",
        "compare",
    ]
    for words in lines:
        assert call(*words) == 0, words
    assert Path("runs/assays/report.html").is_file()
    assert Path("hits/hits.csv").is_file()
    names: dict[str, object] = {}
    for cell in code_of(Path("notebook.ipynb")):
        exec(cell, names)
    assert names["run"].tasks == tuple(small.PATTERNS)  # type: ignore[attr-defined]
    assert len(names["run"].history["epoch"].unique()) == 1  # type: ignore[attr-defined]


def test_the_notebook_is_valid_and_imports_the_front_door_alone(here: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    write_project("mine", "assays.csv")
    nbformat.validate(nbformat.read("mine/notebook.ipynb", as_version=4))
    code = code_of(Path("mine/notebook.ipynb"))
    assert code[0] == "import screening as sc"
    assert not any("import" in cell for cell in code[1:])
    assert all(compile(cell, "cell", "exec") and len(cell.splitlines()) <= 5 for cell in code)


def test_without_a_table_it_is_the_one_that_comes_along(here: Path) -> None:
    assert call("init", "demo") == 0
    config = load_config("demo/config.yaml")
    recipe = load_config(recipes()["alerts"])
    assert config == recipe.model_copy(update={"data": config.data})
    assert (config.data.source, config.data.id, config.data.tasks) == ("alerts", "mol_id", None)
    assert "computed by RDKit rules, not measured" in Path("demo/README.md").read_text()


@pytest.mark.parametrize(
    "name", ["No", "a: b", "#1", "[x, y]", "1e3", 'O\'Neil "x"', "ends in {", "é", "a\tb"]
)
def test_odd_names_of_columns_are_read_back(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.read_csv("assays.csv").rename(columns={"id": f"{name}-id", "acid": name})
    frame.to_csv("odd.csv", index=False)
    write_project("mine", "odd.csv", settings=Data(source="odd.csv", id=f"{name}-id"))
    monkeypatch.chdir("mine")
    assert table_of(Path("config.yaml")).tasks == ("halogen", name, "ring-N", "sulfur")
    assert load_config("config.yaml").data.id == f"{name}-id"


def test_other_formats_are_read_back_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.read_csv("assays.csv")
    frame.to_parquet("assays.parquet")
    write_project("mine", "assays.parquet")
    monkeypatch.chdir("mine")
    assert table_of(Path("config.yaml")).tasks == tuple(small.PATTERNS)


def test_settings_of_the_table_stay_in_the_config(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.read_csv("assays.csv", dtype=str)
    frame.replace({"1.0": "hit", "0.0": "none", "1": "hit", "0": "none"}).to_csv("words.csv", index=False)
    words = ["data.labels={hit: 1, none: 0}", "data.tasks=[acid]", "data.standardize=fragment"]
    assert call("init", "mine", *words, "--table", "words.csv") == 0
    monkeypatch.chdir("mine")
    data = load_config("config.yaml").data
    assert (data.labels, data.tasks, data.standardize) == ({"hit": 1, "none": 0}, ("acid",), "fragment")
    assert np.nansum(table_of(Path("config.yaml")).labels) > 0


def test_of_many_assays_the_config_lists_none(here: Path) -> None:
    frame = pd.read_csv("assays.csv")
    for number in range(MOST_NAMES):
        frame[f"assay {number}"] = frame["sulfur"]
    frame.to_csv("many.csv", index=False)
    write_project("mine", "many.csv")
    assert load_config("mine/config.yaml").data.tasks is None


def test_a_table_far_away_is_named_by_its_whole_path(here: Path) -> None:
    (here / "a").mkdir()
    write_project("a/mine", "assays.csv")
    assert load_config("a/mine/config.yaml").data.source == str((here / "assays.csv").resolve())


def test_a_folder_that_holds_something_is_refused_and_stays(here: Path, capsys) -> None:
    (here / "mine").mkdir()
    write_project("mine", "assays.csv")
    before = {path.name: path.read_bytes() for path in Path("mine").iterdir()}
    assert call("init", "mine", "--table", "assays.csv") == 2
    assert "mine is not empty (it holds .gitignore)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("mine").iterdir()} == before
    with pytest.raises(ConfigError, match=r"assays.csv is a file"):
        write_project("assays.csv")


def test_nothing_is_written_for_a_table_that_cannot_be_used(here: Path) -> None:
    Path("bad.csv").write_text("name,value\nx,7\n")
    with pytest.raises(DataError):
        write_project("mine", "bad.csv")
    with pytest.raises(ConfigError, match="can be read only once"):
        write_project("mine", "-")
    with pytest.raises(ConfigError, match="neither a file"):
        write_project("mine", "nothing.csv")
    assert not Path("mine").exists()


@pytest.mark.parametrize(
    ("text", "name"), [("my assays (2)", "my-assays-2"), ("α", "home"), ("..", "home"), ("A_1.b", "A_1.b")]
)
def test_runs_are_called_after_the_table_or_the_folder(text: str, name: str) -> None:
    assert run_name(text, Path("/somewhere/home")) == name


@pytest.mark.slow
@pytest.mark.skipif(not is_installed(), reason="moleculeace is not installed: see the Makefile")
def test_a_project_of_a_table_with_parts_of_measurements_keeps_its_rows_apart(tmp_path: Path) -> None:
    write_project(tmp_path / "project", "moleculeace")
    config = load_config(tmp_path / "project" / "config.yaml")
    assert config.data.keep_apart == config.split.options["column"] == "split"
