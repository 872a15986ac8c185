"""README and docs as one script: their commands, in reading order, in a folder with the reader's own files.

Each command reads what an earlier one wrote or what the README calls the reader's, and none writes over
another's results. The slow test types all of them: with one epoch, without descriptors, on the first rows
of the real tables, which changes what comes out but not what is asked, read, written and named.
"""

import os
import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import typer
from pages import COMMANDS, PAGES, ROOT, write_readers_files
from warm import WarmCommands

from screening.cli import main as cli
from screening.cli.settings import config_file
from screening.config import Config, load_config
from screening.data.catalogue import catalogue
from screening.data.moleculeace_table import is_installed, make_moleculeace

YOURS = ("assays.csv", "library.smi.gz", "library/")
SHOWN = ("values.csv", "long.csv", "chembl-export.csv", "AID_1000_datatable_all.csv")
PARTS = ("screen.csv", "followup.sdf", "vendor.parquet")
"""Tables that docs/data.md shows, and those that it joins."""
SMALL = "train.epochs=1 train.workers=0 train.batch_size=64 features.vectors=[ecfp_counts]"
"""Added to every training: seconds in place of minutes."""
ROWS = 300
TRAINING = ("train", "tune", "group", "benchmark")
"""Commands that take a config."""


class Call(NamedTuple):
    """A command of a page, as the command line understands it."""

    name: str
    values: dict[str, Any]

    @property
    def config(self) -> Config:
        return load_config(config_file(self.values["config"]), self.values["overrides"] or [])

    @property
    def is_of_a_written_config(self) -> bool:
        """Whether it trains a config that `data describe` wrote."""
        config = str(self.values.get("config", ""))
        return self.name == "train" and config.endswith(".yaml") and not (ROOT / config).is_file()


def call(command: str) -> Call:
    words = shlex.split(re.sub(r"\$\w+", "1", command))[1:]
    group = typer.main.get_command(cli.app)
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    return Call(group.name, group.make_context(group.name, words).params)


def read_by(asked: Call) -> list[str]:
    """Paths that a command needs."""
    values = asked.values
    if asked.is_of_a_written_config:
        return [values["config"]]
    if asked.name in TRAINING:
        config = asked.config
        files = [config.data.source, config.split.options.get("path"), config.grouping.file]
        sources = files[0] if isinstance(files[0], tuple) else files[:1]
        return [str(file) for file in (*sources, *files[1:]) if file and file not in catalogue]
    if asked.name == "merge":
        return [word for word in values["sources"] if "=" not in word]
    if asked.name in ("describe", "init"):
        return [values["source" if asked.name == "describe" else "table"]]
    if values.get("learning_curve"):
        return []
    inputs = [values[key] for key in ("run", "scores", "molecules", "folder") if values.get(key)]
    return [str(path) for path in (*inputs, *values.get("runs", []), *values.get("library", []))]


def written_by(asked: Call) -> list[str]:
    """Paths that a command makes; what is inside a folder of it is there too."""
    values = asked.values
    if values.get("dry_run") or values.get("print_config"):
        return []
    if asked.is_of_a_written_config:
        return [f"runs/{dict(text.split('=', 1) for text in values['overrides'])['name']}"]
    if asked.name == "describe":
        return [str(values["write_config"])] if values["write_config"] else []
    if asked.name in TRAINING:
        name = asked.config.folder
        if values.get("try_them") or asked.name == "benchmark":
            return [f"{name}-grouping" if values.get("try_them") else f"{name}-benchmark"]
        if asked.name == "tune":
            return [f"{name}-tune"]
        return [f"{name}-seeds" if values.get("seeds") and asked.name == "train" else str(name)]
    if values.get("learning_curve"):
        return [f"{load_config(config_file(str(values['run']))).folder}-curve"]
    if asked.name == "init":
        return [str(values["folder"])]
    if asked.name == "report":
        return [f"{values['run']}/report.html"]
    return [str(values["out"])] if asked.name in ("score", "hits", "explain", "export") else []


def test_every_command_finds_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    there: set[str] = set()
    for command in COMMANDS:
        asked = call(command)
        for path in read_by(asked):
            made = any(f"{path}/".startswith(f"{each}/") or each == f"{path}-seeds" for each in there)
            is_yours = path.startswith(YOURS) or path in SHOWN + PARTS
            assert made or is_yours or (ROOT / path).is_file(), f"{command}: no {path} yet"
        for path in written_by(asked):
            assert path not in there, f"{command}: {path} is written twice"
            there.add(path)


@pytest.mark.parametrize("path", YOURS)
def test_the_readers_own_files_are_called_so(path: str) -> None:
    assert f"`{path}`" in PAGES[0].text.partition("are yours")[0][-300:]


def test_no_command_needs_a_file_that_nobody_has() -> None:
    assert "SCREENING_DATA" not in "".join(COMMANDS)


def test_the_notebooks_use_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    texts = [path.read_text() for path in (ROOT / "notebooks").glob("*.ipynb")]
    names = {name for text in texts for name in re.findall(r'\\"name\\": f?\\"([^"\\]+)\\"', text)}
    folders = {f"runs/{name.replace('{TABLE}', 'tox21')}" for name in names if "{name}" not in name}
    assert len(folders) > 3
    assert not folders & {path for command in COMMANDS for path in written_by(call(command))}


@pytest.mark.slow
def test_the_pages_are_a_script(tmp_path: Path, real_data: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("tox21", "toxcast", "muv"):
        pd.read_csv(real_data / f"{name}.csv.gz", nrows=ROWS).to_csv(tables / f"{name}.csv.gz", index=False)
    if is_installed():
        made = pd.read_csv(make_moleculeace(tmp_path))
        made.sample(8 * ROWS, random_state=0).to_csv(tables / "moleculeace.csv.gz", index=False)
    folder = tmp_path / "empty"
    folder.mkdir()
    shutil.copytree(ROOT / "configs", folder / "configs")
    write_readers_files(folder)
    commands = WarmCommands(tmp_path / "bin")
    environment = {
        **os.environ,
        "PATH": f"{commands.folder}{os.pathsep}{os.environ['PATH']}",
        "SCREENING_DATA": str(tables),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "SLURM_ARRAY_TASK_ID": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = "\n".join(_made_small(command) for command in COMMANDS if _can_run(command))
    answer = subprocess.run(
        ["bash", "-euxc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    commands.close()
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "Traceback" not in answer.stderr
    assert (folder / "hits" / "hits.html").exists()


def _made_small(command: str) -> str:
    if "--learning-curve" in command:
        return f"{command} {SMALL} learning_curve.seeds=1 'learning_curve.shares=[0.5,1]'"
    if not command.startswith(tuple(f"screening {name} " for name in TRAINING)):
        return command
    more = " benchmark.seeds=1 benchmark.balancers=[equal,slaw]" if " benchmark " in command else ""
    command = re.sub(r"--trials \d+", "--trials 2", command)
    small = (
        SMALL.rpartition(" ")[0] if "encoder.init=" in command else SMALL
    )  # vectors are those of the encoder
    return f"{command} {'train.workers=0' if 'baseline:' in command else small}{more}"


def _can_run(command: str) -> bool:
    """Ray and ONNX are extras, as is the wheel with the measured table."""
    needs = {"--engine ray": "ray", ".onnx": "onnxruntime", "train moleculeace": "moleculeace"}
    return all(find_spec(package) is not None for word, package in needs.items() if word in command)


def test_the_published_split_is_that_of_the_data_folder(real_data: Path) -> None:
    ours = pd.read_csv(ROOT / "configs" / "splits" / "tox21.csv.gz")
    published = pd.read_csv(real_data / "splits" / "tox21_splits.csv.gz")
    assert ours.equals(published[list(ours.columns)])
    assert np.array_equal(ours["row"], np.arange(7831))
