"""Configs by name: those of the folder where one works, and those that come along."""

from pathlib import Path

import pytest

from screening import recipes
from screening.config import load_config
from screening.data.part_names import read_parts
from screening.errors import ConfigError

NAMES = sorted(path.stem for path in (Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_that_comes_along_has_a_name() -> None:
    assert len(NAMES) >= 7
    assert sorted(recipes.recipes()) == NAMES
    assert [load_config(name).name for name in NAMES] == NAMES


def test_a_config_of_the_folder_wins_over_one_that_comes_along(elsewhere: Path) -> None:
    (elsewhere / "configs").mkdir()
    (elsewhere / "configs" / "tox21.yaml").write_text("{name: mine, data: {source: alerts}}")
    assert load_config("tox21").name == "mine"
    (elsewhere / "tox21").write_text("{name: file, data: {source: alerts}}")
    assert load_config("tox21").name == "file"
    assert load_config("toxcast").name == "toxcast"


def test_a_near_miss_is_answered_with_the_name() -> None:
    with pytest.raises(ConfigError, match=r"There is no config file tox2l\..*Did you mean 'tox21'\?"):
        load_config("tox2l")


def test_a_wheel_has_them_inside_of_the_package(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "PACKAGE", elsewhere / "screening")
    (elsewhere / "screening" / "configs").mkdir(parents=True)
    (elsewhere / "screening" / "configs" / "only.yaml").write_text("{name: only, data: {source: alerts}}")
    assert list(recipes.recipes()) == ["only"]
    assert load_config("only").name == "only"


def test_a_published_split_is_found_by_the_path_that_its_config_gives(elsewhere: Path) -> None:
    path = Path("configs/splits/tox21.csv.gz")
    assert len(read_parts(path, "muben_scaffold")) == 7831
    (elsewhere / "configs" / "splits").mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(Exception, match="no column"):
        read_parts(path, "muben_scaffold")
