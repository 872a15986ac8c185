"""What README and docs say can be typed, can be typed; what they name is there."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import typer
from generated import balancer_families, current, options_without_meaning, settings_without_meaning
from pages import COMMANDS, PAGES, README, ROOT, Page, is_of_others, write_readers_files

import screening
from screening.cli import main as cli
from screening.cli.families import FAMILIES, family
from screening.cli.settings import config_file
from screening.config import load_config
from screening.data.catalogue import catalogue
from screening.data.task_groups import read_groups

EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=repr)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(re.sub(r"\$\w+", "1", command))[1:]
    group = typer.main.get_command(cli.app)
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    values = group.make_context(group.name, list(words)).params
    if group.name == "train":
        name = values["config"]
        is_written = name.endswith(".yaml") and not Path(name).exists()  # by `data describe`
        load_config(config_file("tox21" if is_written else name), values["overrides"] or [])


@pytest.mark.parametrize("setting", sorted({setting for page in PAGES for setting in page.settings}))
def test_settings_exist(setting: str) -> None:
    load_config(ROOT / "configs" / "tox21.yaml", [setting])


def test_there_is_something_to_test() -> None:
    assert len(COMMANDS) >= 20
    assert len({setting for page in PAGES for setting in page.settings}) >= 10
    assert sum(len(page.scripts) for page in PAGES) >= 10
    assert sum(len(page.links) for page in PAGES) >= 20


def test_readme_is_short_and_names_every_page() -> None:
    assert 800 <= len(PAGES[0].text.split()) <= 1_200
    assert sorted((ROOT / "docs").glob("*.md")) == sorted(
        page.path for page in PAGES if page.path.parent == ROOT / "docs"
    )


def test_every_number_of_the_readme_was_measured() -> None:
    """What README claims is in docs/results.md or docs/speed.md, beside the command that gave it."""
    claims = re.findall(r"\n## (?:What is different|Results)\n(.*?)(?=\n## )", PAGES[0].text, re.S)
    measured = "".join(page.text for page in PAGES if page.path.name in ("results.md", "speed.md"))
    numbers = set(re.findall(r"\d+\.\d+|\d+e-\d+|\d+(?= MiB)", "".join(claims)))
    assert len(claims) == 2
    assert len(numbers) > 20
    assert not {number for number in numbers if number not in measured}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_are_valid_and_named_after_their_file(path: Path) -> None:
    assert load_config(path).name == path.stem


@EACH_PAGE
def test_make_targets_exist(page: Page) -> None:
    targets = re.findall(r"^make (\w+)|`make (\w+)`", page.text, re.M)
    makefile = (ROOT / "Makefile").read_text()
    assert not [
        name for pair in targets for name in pair if name and not re.search(rf"^{name}:", makefile, re.M)
    ]


@EACH_PAGE
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        place, _, anchor = link.partition("#")
        target = (page.path.parent / place).resolve() if place else page.path
        assert target.exists(), link
        assert not anchor or anchor in Page(target).anchors, link


def test_the_config_shown_is_the_recipe(tmp_path: Path) -> None:
    (shown,) = (block for page in PAGES for block in page.blocks("yaml") if block.startswith("name: tox21"))
    (tmp_path / "shown.yaml").write_text(shown)
    assert load_config(tmp_path / "shown.yaml") == load_config("tox21")


def test_every_recipe_is_named() -> None:
    (page,) = (page for page in PAGES if page.path.name == "configuration.md")
    assert all(f"`{path.stem}`" in page.prose for path in (ROOT / "configs").glob("*.yaml"))


def test_the_groups_shown_can_be_read(tmp_path: Path) -> None:
    (shown,) = (block for page in PAGES for block in page.blocks("yaml") if block.startswith("groups:"))
    (tmp_path / "groups.yaml").write_text(shown)
    grouped = read_groups(tmp_path / "groups.yaml", catalogue["tox21"].tasks)
    assert len(grouped.groups) == 3  # with that of the rest


@EACH_PAGE
def test_scripts_exist(page: Page) -> None:
    assert not [script for script in page.scripts if not (ROOT / script).is_file()]


@EACH_PAGE
def test_headings_of_a_page_differ(page: Page) -> None:
    titles = re.findall(r"^#+ (.*)$", page.prose, re.M)
    assert len(titles) == len(set(titles))
    assert page.text.startswith("# ")


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader works: files of their own, a table called tox21, and a run of it."""
    folder = tmp_path_factory.mktemp("reader")
    write_readers_files(folder)
    table, tasks = small.table(), catalogue["tox21"].tasks
    labels = np.tile(table.labels, len(tasks) // len(table.tasks))
    replace(table, labels=labels, tasks=tasks).write_csv(folder / "tox21.csv")
    with pytest.MonkeyPatch.context() as patch:
        _work_in(folder, patch)
        screening.train("tox21", overrides=QUICK)
    return folder


QUICK = {"train.epochs": 2, "train.workers": 0, "features.vectors": ["ecfp_counts"]}


def _work_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("SCREENING_DATA", str(folder))
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


@pytest.mark.parametrize("page", [page for page in PAGES if page.blocks("python")], ids=repr)
def test_python_examples_run(
    page: Page, readers_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples of a page, one after the other, as a reader would type them."""
    shutil.copytree(readers_folder, tmp_path, dirs_exist_ok=True)
    _work_in(tmp_path, monkeypatch)
    names: dict[str, object] = {}
    for example in page.blocks("python"):
        if "@register" not in example and not is_of_others(example):
            exec(compile(example, str(page.path), "exec"), names)
            for expression, value in re.findall(r"^(\S.*?) +# (\[.*\]|\d+)$", example, re.M):
                assert repr(eval(expression, names)) == value
    if page.path == README:
        assert len(names["scores"]) == 2  # type: ignore[arg-type]


@EACH_PAGE
def test_generated_parts_are_current(page: Page) -> None:
    assert current(page) == page.text, "the code says something else by now: make docs"


def test_every_family_has_its_tables() -> None:
    tables = re.findall(r"^<!-- (?:members )?(\w+) -->$", "".join(page.text for page in PAGES), re.M)
    assert set(FAMILIES) <= set(tables)


def test_every_setting_and_every_option_is_explained() -> None:
    assert not settings_without_meaning()
    assert not options_without_meaning()


def test_every_package_and_every_file_of_a_run_is_explained(real_run: Path) -> None:
    (page,) = (page for page in PAGES if page.path.name == "architecture.md")
    folders = {path.parent.name for path in (ROOT / "screening").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \| (?!\W)", page.prose.partition("## Rules")[0], re.M)) == folders
    names = {re.sub(r"-\d+", "", path.name) for path in real_run.rglob("*") if not path.name.startswith(".")}
    (tree,) = (block for block in page.blocks("text") if block.startswith("runs/tox21/"))
    assert names <= set(re.findall(r"[\w.]+", re.sub(r"-\d+", "", tree)))


def test_twenty_questions_are_answered() -> None:
    (page,) = (page for page in PAGES if page.path.name == "architecture.md")
    assert len(re.findall(r"^\| Where .*\?.* \| `[\w.]+` \| \[screening/", page.text, re.M)) >= 20


def test_python_page_names_the_whole_front_door() -> None:
    (page,) = (page for page in PAGES if page.path.name == "python.md")
    assert not [name for name in dir(screening) if not re.search(rf"\b{name}\b", page.text)]
    names = {name for page in PAGES for name in re.findall(r"\bsc\.(\w+)", page.text)}
    assert names <= set(dir(screening))


def test_readme_has_every_balancer_once() -> None:
    ours = [member.name for member in family("balancers") if member.source == "screening"]
    assert sorted(name for _, names in balancer_families() for name in names) == ours
