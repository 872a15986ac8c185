"""Plug-ins: what is imported, what is refused and how, what a bundle says of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, reload
from pathlib import Path
from typing import Any

import plugged
import pytest
import torch

from screening import plugins
from screening.balancing.contract import balancers
from screening.bundle import needed_plugins
from screening.errors import BundleError, ConfigError
from screening.plugins import load_plugins
from screening.registry import Registry, registering
from screening.testing.balancers import step_of

BALANCER = '''
from screening.balancing.contract import Balancer, register


@register("{name}")
class Mine(Balancer):
    """All the same."""

    def weigh_present(self, step):
        return {weights}
'''
SAME = "step.losses * 0 + 1"


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with plugged.restored():
        yield


def write(path: str, text: str = BALANCER.format(name="mine", weights=SAME)) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.resolve()


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("my_bal.py", "my_bal"),
        ("my_bal.py", "my_bal.py"),
        ("plug/my_bal.py", "plug/my_bal.py"),
        ("my_pack/__init__.py", "my_pack"),
        ("plug/my_pack/__init__.py", "plug/my_pack"),
        ("my_pack/inner/balancer.py", "my_pack.inner.balancer"),
    ],
)
def test_a_module_or_a_path(file: str, named: str) -> None:
    write(file)
    (plugin,) = load_plugins([named])
    assert plugin.members() == {"balancer": ["mine"]}
    assert balancers.registration("mine").source == plugin.module
    assert load_plugins([named]) == [plugin]  # once more is no second registration


def test_what_a_plugin_imports_from_beside_it_belongs_to_it() -> None:
    write("plug/beside.py")
    write("plug/my_bal.py", "import beside\n")
    (plugin,) = load_plugins(["plug/my_bal.py"])
    assert plugin.members() == {"balancer": ["mine"]}
    assert balancers.registration("mine").source == "my_bal"


def test_members_of_ours_that_a_plugin_is_the_first_to_ask_for_are_ours() -> None:
    family: Registry[Any] = Registry("thing")
    code = compile("family.register('ours')(int)", "ours.py", "exec")
    with registering("my_bal"):
        exec(code, {"__name__": "screening.things", "family": family})
    assert family.registration("ours").source == "screening"


def test_a_reloaded_module_registers_again() -> None:
    write("my_bal.py")
    load_plugins(["my_bal"])
    before = balancers.get("mine")
    reload(sys.modules["my_bal"])
    assert balancers.get("mine") is not before


def test_a_name_of_ours_is_refused_with_both_places() -> None:
    file = write("my_bal.py", BALANCER.format(name="pcgrad", weights=SAME))
    with pytest.raises(ConfigError, match=rf"failed on import at {file}:5: ValueError: balancer") as told:
        load_plugins(["my_bal"])
    assert "methods/pcgrad.py:" in str(told.value)
    assert f"and in {file}:5" in str(told.value)
    assert balancers.registration("pcgrad").is_ours


def test_a_name_of_ours_is_refused_before_ours_are_imported(tmp_path: Path) -> None:
    family: Registry[Any] = Registry("thing", members="late_members")
    write(
        "late_members.py",
        "import sys\nfrom screening.registry import registries\n"
        "family = next(each for each in registries() if each.family == 'thing')\n"
        "family.register('taken')(object)\n",
    )
    write("other.py", "def build(family):\n    family.register('taken')(int)\n")
    sys.path.append(str(tmp_path))
    with pytest.raises(ValueError, match=r"late_members\.py:4 and in .*other\.py:2"):
        __import__("other").build(family)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import no_such_thing",
            r"failed on import at .*my_bal\.py:1: ModuleNotFoundError: No module .*'\. Correct it",
        ),
        ("x = 1 +", r"my_bal failed on import at .*my_bal\.py:1: SyntaxError: .*\. Correct it"),
        ("raise SystemExit(3)", "my_bal failed on import.*SystemExit: 3"),
        ("1 / 0", r"my_bal\.py:1: ZeroDivisionError: division by zero"),
        ("x = 1", "my_bal registers nothing"),
    ],
)
def test_a_module_that_cannot_be_used(text: str, message: str) -> None:
    write("my_bal.py", text)
    with pytest.raises(ConfigError, match=message):
        load_plugins(["my_bal"])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("my_bol", r"There is no plug-in my_bol: no module of that name.*Did you mean 'my_bal'"),
        ("my_bal.inner", "no plug-in my_bal.inner|failed on import"),
        ("plug/my_bol.py", r"There is no plug-in plug/my_bol\.py\. Did you mean 'plug/my_bal\.py'"),
        ("plug/my-bal.py", "cannot be imported as 'my-bal'"),
    ],
)
def test_a_name_of_nothing(named: str, message: str) -> None:
    for path in ("my_bal.py", "plug/my_bal.py", "plug/my-bal.py"):
        write(path)
    with pytest.raises(ConfigError, match=message):
        load_plugins([named])


def test_two_files_of_one_name_are_told_apart() -> None:
    for folder in ("one", "two"):
        write(f"{folder}/my_bal.py")
    load_plugins(["one/my_bal.py"])
    with pytest.raises(ConfigError, match=r"imported before .*one/my_bal\.py.*rename .*two/my_bal\.py"):
        load_plugins(["two/my_bal.py"])


class Installed:
    """What `importlib.metadata` gives of an installed plug-in."""

    module = "my_bal"

    class dist:  # noqa: N801  the attribute's name
        name = "my-dist"


def test_installed_plugins_are_asked_for_names_that_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    write("my_bal.py")
    plugins._installed = None
    monkeypatch.setattr(metadata, "entry_points", lambda group: [Installed] if group == plugins.GROUP else [])
    balancers.get("pcgrad")
    assert "my_bal" not in sys.modules
    assert balancers.get("mine").__module__ == "my_bal"


def test_a_broken_installed_plugin_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    write("my_bal.py", "1 / 0")
    plugins._installed = None
    monkeypatch.setattr(metadata, "entry_points", lambda group: [Installed])
    assert balancers.get("pcgrad")  # ours work without it
    for _ in range(2):  # it does not pass the second time
        with pytest.raises(ConfigError, match=r"my_bal \(installed with my-dist\) failed on import"):
            balancers.names()


def test_a_worker_imports_what_its_parent_had_when_a_name_is_not_ours() -> None:
    file = write("plug/my_bal.py")
    plugins.expect([plugins.Plugin("my_bal", str(file), "")])
    assert plugins.loaded()[-1].module == "my_bal"  # handed on to processes of its own
    balancers.get("pcgrad")
    assert "my_bal" not in sys.modules
    assert balancers.get("mine").__module__ == "my_bal"


# What a trained model records


def recorded(path: str, folder: str = "run/bundle") -> tuple[needed_plugins.Needed, Path]:
    """The record of a featurizer of the plug-in, as another process reads it."""
    family: Registry[Any] = Registry("shape")
    globals()["_kept"] = family  # a registry lives as long as its module
    file = write(path, "def fill(family):\n    family.register('mine')(int)\n")
    with plugged.restored():
        (module,) = [plugins._import(Path(path).stem, file, path=path)]
        sys.modules[module.module].fill(family)
        (record,) = needed_plugins.needed([(family, "mine")])
    family._items.clear()
    family._registrations.clear()
    return needed_plugins.Needed.from_dict(record.as_dict()), Path(folder)


def test_members_of_ours_are_not_recorded() -> None:
    assert needed_plugins.needed([(balancers, "pcgrad")]) == ()


def test_a_record_has_sum_and_names() -> None:
    record, _ = recorded("plug/shapes.py")
    assert (record.module, record.path, record.members) == ("shapes", "plug/shapes.py", {"shape": ["mine"]})
    assert len(record.sha256) == 64


def test_a_missing_plugin_is_named_with_what_to_do() -> None:
    record, folder = recorded("plug/shapes.py")
    Path("plug/shapes.py").unlink()
    with pytest.raises(BundleError, match=r"shape 'mine' of the plug-in shapes.*--plugin path/to/shapes\.py"):
        needed_plugins.require([record], folder)


def test_code_in_the_folder_of_a_model_is_not_run() -> None:
    record, folder = recorded("run/shapes.py")
    write("run/shapes.py", "raise SystemExit('it ran')")
    with pytest.raises(BundleError, match="code that comes with a model is not run"):
        needed_plugins.require([record], folder)


def test_a_plugin_without_the_name_is_refused() -> None:
    record, folder = recorded("plug/shapes.py")
    with pytest.raises(BundleError, match="does not register it"):
        needed_plugins.require([record], folder)


@pytest.mark.parametrize("family", sorted(needed_plugins.TRAINING_ONLY))
def test_scoring_does_not_ask_for_what_only_training_used(family: str) -> None:
    record = needed_plugins.Needed("gone", "0", None, None, None, {family: ["mine"]})
    needed_plugins.require([record], Path("run/bundle"))


def test_a_changed_plugin_is_a_note() -> None:
    write("my_bal.py")
    (plugin,) = load_plugins(["my_bal"])
    record = needed_plugins.Needed("my_bal", plugin.sha256, None, None, None, {"balancer": ["mine"]})
    assert needed_plugins.changes([record]) == []
    other = needed_plugins.Needed("my_bal", "0" * 64, None, None, None, {"balancer": ["mine"]})
    assert "was changed since the model was trained" in needed_plugins.changes([other])[0]


def test_the_sum_of_a_package_is_over_all_its_files() -> None:
    file = write("my_pack/__init__.py")
    inner = write("my_pack/inner.py", "x = 1")
    before = plugins.sum_of_module(str(file))
    inner.write_text("x = 2")
    assert plugins.sum_of_module(str(file)) != before


@pytest.mark.parametrize("values", [{}, {"module": 1}, None, "x"])
def test_a_record_of_something_else(values: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        needed_plugins.Needed.from_dict(values)


def test_an_error_inside_a_plugin_is_told_as_one_of_it() -> None:
    write("my_bal.py", BALANCER.format(name="mine", weights="step.no_such_thing"))
    (plugin,) = load_plugins(["my_bal"])
    with pytest.raises(AttributeError) as told:
        balancers.build("mine", ("a", "b")).weigh(step_of(torch.ones(2)))
    assert plugins.at_fault(told.value) == plugin
    assert plugins.at_fault(ValueError("elsewhere")) is None


# The command line


def command(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(plugins.__file__).parents[1]), "COLUMNS": "140"}
    call = [sys.executable, "-m", "screening", *words]
    return subprocess.run(call, capture_output=True, text=True, env=environment, check=False)


def test_list_says_where_a_name_comes_from() -> None:
    write("plug/my_bal.py")
    lines = command("list", "balancers", "--plugin", "plug/my_bal.py").stdout.splitlines()
    sources = {line.split()[0]: line for line in lines if line.startswith(("mine", "pcgrad"))}
    assert "my_bal" in sources["mine"]
    assert "screening" in sources["pcgrad"]


def test_a_plugin_that_fails_ends_in_a_sentence() -> None:
    write("my_bal.py", "1 / 0")
    ended = command("list", "balancers", "--plugin", "my_bal")
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: The plug-in my_bal failed on import")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("weights", "code"), [(SAME, 0), ("-step.losses", 1)])
def test_check_says_what_holds_and_what_fails(weights: str, code: int) -> None:
    write("my_bal.py", BALANCER.format(name="mine", weights=weights))
    ended = command("check", "my_bal.py")
    assert (ended.returncode, ended.stderr) == (code, "")
    assert ("15 of 15 checks hold" in ended.stdout) == (code == 0)
    assert ("the losses rise" in ended.stdout) == (code == 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("my_bal.py", "--family", "encoders"), "registers none of the encoders, but balancer mine"),
        (("my_bal.py", "--family", "encoder"), "There is no family 'encoder'. Did you mean 'encoders'"),
        (("my_bal.py", "mine=2"), "expected NAME.OPTION=VALUE"),
        (("my_bal.py", "other.power=2"), "the plug-in has no member 'other'"),
        (("no_such.py",), "There is no plug-in no_such.py"),
    ],
)
def test_check_of_nothing(words: tuple[str, ...], message: str) -> None:
    write("my_bal.py")
    ended = command("check", *words)
    assert ended.returncode == 2
    assert message in ended.stderr
