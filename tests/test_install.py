"""The wheel: all that the program needs is in it, and it works where no repository is."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions, version
from itertools import chain
from pathlib import Path

import pytest
import yaml

import screening

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGES = (ROOT / "docs" / "changes.md").read_text()
JUNK = shutil.ignore_patterns("__pycache__", ".*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the project, as the build would leave files in the project itself."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("screening", "configs"):
        shutil.copytree(ROOT / name, folder / "project" / name, ignore=JUNK)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "project")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*command, "--quiet", "--wheel-dir", str(folder), str(folder / "project")], folder)
    (path,) = folder.glob("*.whl")
    return path


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What the command prints in the folder; it may not fail."""
    answer = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{command}: {answer.stdout[-2000:]}{answer.stderr[-4000:]}"
    return answer.stdout


def test_every_file_of_the_package_and_every_config_is_in_the_wheel(wheel: Path) -> None:
    package = {f"screening/{path}" for path in files_in(ROOT / "screening")}
    configs = {f"screening/configs/{path}" for path in files_in(ROOT / "configs")}
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not re.match(r"screening-[^/]*/", name)}
    assert inside == package | configs


def files_in(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in paths if not any(re.match(r"__pycache__|\.", name) for name in path.parts)]


def test_every_package_that_is_imported_is_a_dependency() -> None:
    """Also of code inside functions: the extras are for that which a plain installation does without."""
    listed = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {normal(re.split(r"[^\w.-]", text)[0]) for text in listed}
    sources = packages_distributions()
    for module in imported_modules() - set(sys.stdlib_module_names):
        assert {normal(name) for name in sources.get(module, [module])} & names, module


def imported_modules() -> set[str]:
    modules: set[str] = set()
    for path in (ROOT / "screening").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    return modules


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_python_has_no_upper_limit_and_deepchem_is_asked_for_where_it_can_be_had() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    (deepchem,) = (text for text in PROJECT["dependencies"] if text.startswith("deepchem"))
    assert "python_version < '3.12'" in deepchem


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder_outside_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    run([*pip, "--quiet", str(wheel)], tmp_path)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    (site / "others.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n"
    )  # whose own .pth files do not count
    folder = tmp_path / "work"
    folder.mkdir()
    screening = str(tmp_path / "venv" / "bin" / "screening")

    def call(*words: str) -> str:
        home = str(tmp_path / "home")
        return run([screening, *words], folder, PYTHONPATH="", HOME=home, XDG_CACHE_HOME=home)

    place = run([str(python), "-c", "import screening; print(screening.__file__)"], folder, PYTHONPATH="")
    assert Path(place.strip()).is_relative_to(site)
    assert call("--version") == f"screening {PROJECT['version']}\n"
    assert "pcgrad" in call("list", "balancers")
    small = ("train.epochs=1", "train.workers=1", "model.encoder.name=gine", "features.vectors=[]")
    assert "Run folder: runs/alerts" in call("train", "alerts", *small)
    assert "100 molecules read" in call("score", "runs/alerts", "alerts-library", "--workers", "1")
    call("report", "runs/alerts")
    assert "</html>" in (folder / "runs" / "alerts" / "report.html").read_text()
    assert "Did you mean 'toxcast'?" in failure([screening, "train", "toxcst"], folder)


def failure(command: list[str], folder: Path) -> str:
    """What a command says that the user got wrong."""
    answer = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2, answer.stderr
    return answer.stderr


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["keywords"] == PROJECT["keywords"]
    assert all(set(author) & {"name", "family-names"} for author in citation["authors"])


def test_the_version_is_that_of_the_metadata() -> None:
    """An editable installation keeps the number of its day: `make` installs anew when it changes."""
    assert screening.__version__ == version("screening")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", PROJECT["version"])
    assert PROJECT["version"].startswith(re.search(r"^## ([\d.]+)", CHANGES, re.MULTILINE)[1])


def test_contributing_is_a_page_that_names_what_there_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(text.split()) < 600
    targets = re.findall(r"`make (\w+)`", text)
    assert len(targets) >= 5
    assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M) for target in targets)
    assert all((ROOT / place).exists() for place in re.findall(r"\]\(([^)]+)\)", text))
    table = text.partition("## Where things are")[2].partition("## A new")[0]
    packages = {path.parent.name for path in (ROOT / "screening").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"`(\w+)`", table))
