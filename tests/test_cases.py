"""Files as people really have them: each folder of tests/cases is a command and what must come of it.

`cmd` runs in a copy of the folder ($CONF: the configs; $TOX: a run with the assays of Tox21), `expected` says
in words what should happen, `checks.yaml` what is looked for: texts that the output has or has not (blanks
and line breaks count as one blank), and the same for files that the command left.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import small
import yaml
from warm import WarmCommands

ROOT = Path(__file__).parent.parent
CASES = sorted(path.parent for path in Path(__file__).parent.glob("cases/*/cmd"))
SLOW = {"40-many-rings", "41-many-rings-training", "66-run-names"}
TOX21 = [
    *("NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma"),
    *("SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("commands")
    commands = WarmCommands(folder / "bin")
    variables = {
        **os.environ,
        "PATH": f"{commands.folder}{os.pathsep}{os.environ['PATH']}",
        "CONF": str(ROOT / "configs"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "140",
        "PYTHONPATH": str(ROOT),
    }
    _tox21_like(folder / "tox21.csv")
    settings = "data.source=tox21.csv split=random train.epochs=2 train.workers=0"
    command = f"screening train $CONF/tox21_graph.yaml {settings}"
    trained = subprocess.run(command, shell=True, cwd=folder, env=variables, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    yield {**variables, "TOX": str(folder / "runs" / "tox21_graph")}
    commands.close()


def _tox21_like(path: Path) -> None:
    """A table with the assays of Tox21 by name; the labels are substructures."""
    table = small.table(200)
    columns = {name: table.labels[:, place % len(table.tasks)] for place, name in enumerate(TOX21)}
    frame = pd.DataFrame({"mol_id": table.ids, "smiles": table.smiles, **columns})
    frame.to_csv(path, index=False, float_format="%.0f")


def as_one_line(text: str) -> str:
    """Text whose blanks and line breaks are single blanks: where a line was folded does not matter."""
    return re.sub(r"\s+", " ", text)


def check(what: str, text: str, checks: dict[str, list[str]]) -> None:
    """`has` and `hasnt` of one text.

    Raises
    ------
    AssertionError : one of them does not hold; the text is shown.
    """
    assert set(checks) <= {"has", "hasnt"}, f"unknown checks: {sorted(checks)}"
    line = as_one_line(text)
    for piece in checks.get("has", []):
        assert as_one_line(piece) in line, f"{what} has no '{piece}':\n{text}"
    for piece in checks.get("hasnt", []):
        assert as_one_line(piece) not in line, f"{what} has '{piece}':\n{text}"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.name in SLOW else [])
        for case in CASES
    ],
)
def test_case(case: Path, environment: dict[str, str], tmp_path: Path) -> None:
    checks = yaml.safe_load((case / "checks.yaml").read_text())
    folder = tmp_path / "case"
    shutil.copytree(case, folder)
    answer = subprocess.run(
        ["bash", "cmd"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    files = checks.pop("files", {})
    assert checks or files, "a case without checks"
    check("the output", answer.stdout, {**checks, "hasnt": [*checks.get("hasnt", []), "Traceback"]})
    for name, of_file in files.items():
        check(name, (folder / name).read_text(errors="replace"), of_file)


def test_commands_start_warm_and_end_with_their_code(environment: dict[str, str], tmp_path: Path) -> None:
    """The server hands on words, folder, input, output and exit code: else the cases test nothing."""
    answer = subprocess.run(
        "screening data describe none.csv; echo code $?; printf 'CCO a\\n' | screening score $TOX - --out s",
        shell=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "none.csv" in answer.stderr
    assert "code 2" in answer.stdout
    assert "1 molecules read" in answer.stdout
    assert (tmp_path / "s").is_dir()
