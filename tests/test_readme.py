"""What the README says can be typed, can be typed."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small
import typer
from test_bundle import make

from screening.cli import main as cli
from screening.cli.settings import config_file
from screening.config import load_config

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("screening ")
]
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)
SETTINGS = sorted(
    {
        word
        for text in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.S))
        for word in re.findall(
            r"\b(?:data|split|features|model|loss|balancer|gradients|train|seed)[\w.]*=\S+", text
        )
        if "..." not in word and "{" not in word
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(re.sub(r"\$\w+", "0", command))[1:]
    group = typer.main.get_command(cli.app)
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    values = group.make_context(group.name, list(words)).params
    if group.name == "train":
        load_config(config_file(values["config"]), values["overrides"] or [])


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_exist(setting: str) -> None:
    load_config(ROOT / "configs" / "tox21.yaml", [setting])


def test_there_is_something_to_test() -> None:
    assert len(COMMANDS) >= 6
    assert SETTINGS


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_are_valid_and_named_after_their_file(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", TEXT, re.M))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("place", re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))
def test_linked_files_exist(place: str) -> None:
    assert (ROOT / place).exists()


def test_python_example_runs(tmp_path: Path) -> None:
    make().save(tmp_path / "bundle")
    example = EXAMPLES[0]
    names: dict[str, object] = {}
    exec(example.replace("runs/tox21", str(tmp_path)), names)
    assert list(names["scores"].columns)[3:] == list(small.PATTERNS)  # type: ignore[attr-defined]


def test_a_balancer_is_one_file_and_one_line(tmp_path: Path) -> None:
    """The two pieces of the README, put into a copy of the project, pass the tests of all balancers."""
    for part in ("screening", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "screening" / "balancing" / "methods" / "root_count.py").write_text(EXAMPLES[1])
    (line,) = re.findall(r"```text\n( *Case.*\n)```", TEXT)
    tests = tmp_path / "tests" / "balancing" / "test_balancers.py"
    tests.write_text(re.sub(r"^CASES\b.*\[\n", lambda found: found[0] + line, tests.read_text(), flags=re.M))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/balancing/test_balancers.py",
        "-k",
        "root_count or registered",
    ]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", answer.stdout)[0]) > 15
