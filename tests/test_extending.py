"""docs/extending.md as a stranger follows it: each member in a folder outside, and in a copy of the house.

The first commands are typed as they stand; then one model uses every plug-in of the page: trained, scored in
two processes, under Ray and by two ranks, reported, and the plug-ins taken away again.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import plugged
import pytest
import small
from pages import ROOT, Page

from screening.cli.families import FAMILIES
from screening.plugins import load_plugins
from screening.testing.running import check_plugin, checks_of

PAGE = Page(ROOT / "docs" / "extending.md")
NAME = re.compile(r'@register\("(\w+)"')
MEMBERS = {match[1]: code for code in PAGE.blocks("python") if (match := NAME.search(code))}
"""The code of each example, by the name that it registers."""
IN_THE_HOUSE = re.findall(
    r"^In the house: `(screening/[\w/]+\.py)`, and in the `(\w+)` of `(tests/[\w/]+\.py)` the line\n\n"
    r"```text\n(.*?)^```",
    PAGE.text,
    re.M | re.S,
)
"""File, list in a test, its file, and the line for it."""
ALSO = re.findall(r"and in the `(\w+)` there [^\n]*\n\n```text\n(.*?)^```", PAGE.text, re.M | re.S)
"""A further list of such a test, and its line, which names the member."""
ALL = """
name: plugged
plugins: [{plugins}]
data: {{source: assays.csv}}
split: {{name: by_length, test: 0.2}}
features: {{graph: skeleton, vectors: [element_counts]}}
model: {{encoder: {{name: atom_bag, width: 16}}}}
loss: squared_hinge
balancer: {{name: sqrt_labels, power: 1}}
calibration: {{name: damped, factor: 0.9}}
train: {{epochs: 2, device: cpu, workers: 2, batch_size: 32}}
"""


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "160",
    }


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What was typed in a folder, as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment(folder), capture_output=True, text=True
    )


def screening(folder: Path, *words: str) -> str:
    """What a command says that must succeed."""
    ended = typed(folder, "screening", *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def write_readers_files(folder: Path) -> None:
    small.write(folder / "assays.csv")
    lines = [f"{text}\tZ{row}" for row, text in enumerate(small.smiles(150) * 4)]
    (folder / "library.smi").write_text("\n".join(lines) + "\n")
    (folder / "few.smi").write_text("\n".join(lines[:3]) + "\n")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside, with a plug-in for each example of the page and a model that uses them."""
    folder = tmp_path_factory.mktemp("outside")
    write_readers_files(folder)
    (folder / "plug").mkdir()
    for name, code in MEMBERS.items():
        (folder / "plug" / f"my_{name}.py").write_text(code)
    plugins = ", ".join(f"plug/my_{name}.py" for name in MEMBERS)
    (folder / "all.yaml").write_text(ALL.format(plugins=plugins))
    screening(folder, "train", "all.yaml")
    return folder


def test_there_is_an_example_of_every_family() -> None:
    with plugged.restored():
        families = {registry.family for registry, _ in FAMILIES.values()}
    rows = re.findall(r"^\| \[([\w ]+)\]\(#", PAGE.prose, re.M)
    assert len(rows) == len(MEMBERS)
    assert {row.split(" ")[0] for row in rows} == set(FAMILIES)
    assert len(families) == len(FAMILIES)
    assert len(IN_THE_HOUSE) == 4
    assert [name for name, _ in ALSO] == ["BAD_OPTIONS"]


@pytest.fixture
def _forgotten() -> Iterator[None]:
    with plugged.restored():
        yield


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("name", MEMBERS)
def test_every_example_passes_the_checks_of_its_family(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"my_{name}.py"
    file.write_text(MEMBERS[name])
    (plugin,) = load_plugins([str(file)])
    (family,) = plugin.members()
    findings = list(check_plugin(plugin, {}))
    assert len(findings) == len(checks_of(family)) >= 3
    assert [finding for finding in findings if finding.problem] == []


def test_the_first_commands_as_they_stand(tmp_path: Path) -> None:
    write_readers_files(tmp_path)
    (tmp_path / "library.smi").rename(tmp_path / "library.smi.gz")
    subprocess.run(
        ["gzip", "-q"], input=(tmp_path / "library.smi.gz").read_bytes(), stdout=(tmp_path / "gz").open("wb")
    )
    (tmp_path / "gz").rename(tmp_path / "library.smi.gz")
    (tmp_path / "my_balancer.py").write_text(MEMBERS["sqrt_labels"])
    (config,) = PAGE.blocks("yaml")
    (tmp_path / "my.yaml").write_text(config)
    commands = re.findall(r"^\$ screening (.*)$", "".join(PAGE.blocks("console")), re.M)
    assert len(commands) == 4
    for command in commands:
        said = screening(tmp_path, *command.split())
    assert re.search(r"sqrt_labels .*my_balancer", said)


def test_a_model_of_plugins_alone_is_trained_and_recorded(workplace: Path) -> None:
    run = workplace / "runs" / "plugged"
    recorded = json.loads((run / "bundle" / "bundle.json").read_text())["plugins"]
    names = {name for plugin in recorded for names in plugin["members"].values() for name in names}
    assert names == set(MEMBERS) - {"naive_bayes", "no_metals"}
    assert json.loads((run / "manifest.json").read_text())["plugins"] == recorded
    evaluation = pd.read_csv(run / "evaluation.csv")
    assert evaluation["hit_rate"].between(0, 1).any()


def test_it_scores_the_same_in_two_processes(workplace: Path) -> None:
    for workers in ("0", "2"):
        out = f"scores{workers}"
        screening(workplace, "score", "runs/plugged", "library.smi", "--out", out, "--workers", workers)
    one, two = (pd.read_parquet(workplace / f"scores{workers}") for workers in "02")
    assert len(one) == len(small.smiles(150)) * 4
    pd.testing.assert_frame_equal(one, two)


def test_it_is_evaluated_explained_and_reported(workplace: Path) -> None:
    assert "hit_rate" in screening(workplace, "evaluate", "runs/plugged")
    assay = ("--assay", next(iter(small.PATTERNS)))
    assert "Page:" in screening(workplace, "explain", "runs/plugged", "few.smi", *assay)
    assert "report.html" in screening(workplace, "report", "runs/plugged")
    assert "hit_rate" in (workplace / "runs" / "plugged" / "report.html").read_text()


def test_a_baseline_of_a_plugin_is_trained_and_scores(workplace: Path) -> None:
    plugin = ("--plugin", "plug/my_naive_bayes.py")
    config = ("all.yaml", "name=bayes", "model=baseline:naive_bayes", "plugins=[plug/my_naive_bayes.py]")
    settings = ("split=random", "features.graph=null", "features.vectors=[ecfp_counts]", "loss=cross_entropy")
    more = ("balancer=equal", "calibration=platt")
    screening(workplace, "train", *config, *settings, *more)
    screening(workplace, "score", "runs/bayes", "library.smi", "--out", "bayes", *plugin)
    filters = ("--filters", "no_metals", "--plugin", "plug/my_no_metals.py")
    assay = ("--assay", next(iter(small.PATTERNS)))
    screening(workplace, "hits", "runs/bayes", "bayes", *assay, "--out", "hits", *filters)


def test_without_the_plugins_it_says_what_is_missing(workplace: Path) -> None:
    away = workplace / "away"
    (workplace / "plug").rename(away)
    try:
        ended = typed(workplace, "screening", "score", "runs/plugged", "library.smi", "--out", "scores3")
        assert ended.returncode == 2
        assert re.search(
            r"was trained with (featurizer|encoder|calibration) '\w+' of the plug-in my_\w+", ended.stderr
        )
        assert re.search(r"\(in training: plug/my_\w+\.py\).*--plugin path/to/my_\w+\.py", ended.stderr)
        assert "Traceback" not in ended.stderr
        assert "metric 'hit_rate' of the plug-in my_hit_rate" in screening(
            workplace, "evaluate", "runs/plugged"
        )
        resumed = typed(workplace, "screening", "train", "all.yaml", "--resume")
        assert (resumed.returncode, "There is no plug-in plug/my_" in resumed.stderr) == (2, True)
    finally:
        away.rename(workplace / "plug")


def test_a_changed_plugin_is_a_note_in_scoring_and_refused_in_training(
    workplace: Path, tmp_path: Path
) -> None:
    shutil.copytree(workplace, tmp_path / "copy")
    folder = tmp_path / "copy"
    with (folder / "plug" / "my_atom_bag.py").open("a") as file:
        file.write("# changed\n")
    said = screening(folder, "score", "runs/plugged", "library.smi", "--out", "changed")
    assert "my_atom_bag.py) was changed since the model was trained" in said
    resumed = typed(folder, "screening", "train", "all.yaml", "--resume")
    assert (resumed.returncode, "plug-in my_atom_bag" in resumed.stderr) == (2, True)


def test_an_installed_package_needs_no_name(workplace: Path, tmp_path: Path) -> None:
    """As pip leaves it: a module and a folder of metadata with the entry point of the page."""
    (entry,) = PAGE.blocks("  toml") or re.findall(r"^  ```toml\n(.*?)^  ```", PAGE.text, re.S | re.M)
    group, value = re.search(r'"([\w.]+)"\]\s+anything = "([\w.]+)"', entry).groups()  # type: ignore[union-attr]
    package, _, module = value.rpartition(".")
    site = tmp_path / "site"
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text("")
    (site / package / f"{module}.py").write_text(MEMBERS["sqrt_labels"])
    metadata = site / "my_package-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\nanything = {value}\n")
    (metadata / "top_level.txt").write_text(f"{package}\n")
    (tmp_path / "my.yaml").write_text(PAGE.blocks("yaml")[0].replace("plugins: [my_balancer.py]\n", ""))
    small.write(tmp_path / "assays.csv")
    call = [sys.executable, "-m", "screening", "train", "my.yaml", "train.device=cpu", "train.workers=0"]
    variables = environment(tmp_path) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    ended = subprocess.run(call, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    (plugin,) = json.loads((tmp_path / "runs" / "mine" / "bundle" / "bundle.json").read_text())["plugins"]
    assert (plugin["module"], plugin["distribution"], plugin["version"]) == (value, "my-package", "1.2")


@pytest.mark.slow
def test_it_scores_the_same_under_ray(workplace: Path) -> None:
    pytest.importorskip("ray")
    screening(workplace, "score", "runs/plugged", "library.smi", "--out", "pool")
    ray = ("--engine", "ray", "--workers", "2")
    screening(workplace, "score", "runs/plugged", "library.smi", "--out", "ray", *ray)
    pd.testing.assert_frame_equal(pd.read_parquet(workplace / "ray"), pd.read_parquet(workplace / "pool"))


@pytest.mark.slow
def test_two_ranks_train_with_the_plugins(workplace: Path) -> None:
    two = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "screening")
    ended = typed(workplace, *two, "train", "all.yaml", "name=ranks")
    assert ended.returncode == 0, ended.stderr[-3000:]
    one, other = (
        pd.read_csv(workplace / "runs" / name / "evaluation.csv")["roc_auc"] for name in ("plugged", "ranks")
    )
    pd.testing.assert_series_equal(one, other, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", IN_THE_HOUSE, ids=lambda recipe: Path(recipe[0]).stem)
def test_in_a_copy_of_the_house(recipe: tuple[str, str, str, str], tmp_path: Path) -> None:
    """One file and one line, as the page has them, pass the tests of the family."""
    file, listed, test, line = recipe
    for part in ("screening", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name = Path(file).stem
    (tmp_path / file).write_text(MEMBERS[name])
    path = tmp_path / test
    text = path.read_text()
    for name_of_list, entry in [(listed, line), *((also, more) for also, more in ALSO if name in more)]:
        begin = re.compile(rf"^{name_of_list}\b.*[\[{{]\n", re.M)
        text, count = begin.subn(lambda match, entry=entry: match[0] + entry, text)
        assert count == 1
    path.write_text(text)
    variables = environment(tmp_path) | {"PYTHONPATH": str(tmp_path)}
    runs = test if "/test_" in test else "tests/models/test_encoders.py"
    call = [sys.executable, "-m", "pytest", runs, "-k", f"{name} or every", "-p", "no:cacheprovider"]
    ended = subprocess.run(call, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", ended.stdout)[0]) > 5
