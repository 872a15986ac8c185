"""The config: overrides win, a saved config reads back equal, every mistake says what and where."""

from pathlib import Path

import pytest

from screening.config import check_config, load_config, to_yaml
from screening.errors import ConfigError

TEXT = """
name: tox21
data: {source: tox21}
model:
  encoder: {name: gine, depth: 5, virtual_node: true}
balancer: [slaw, pcgrad]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tox21.yaml"
    path.write_text(TEXT)
    return path


def test_overrides_win_over_the_file(path: Path) -> None:
    config = load_config(
        path, ["model.encoder.depth=4", "train.patience=null", "features.vectors=[ecfp_counts]"]
    )
    assert config.model.encoder.options == {"depth": 4, "virtual_node": True}
    assert config.train.patience is None
    assert config.features.vectors == ("ecfp_counts",)


def test_a_new_component_name_drops_the_options_of_the_old(path: Path) -> None:
    config = load_config(path, ["model.encoder.width=100", "model.encoder.name=dmpnn", "balancer.name=slaw"])
    assert config.model.encoder.name == "dmpnn"
    assert config.model.encoder.options == {"width": 100}
    assert [part.name for part in config.balancer] == ["slaw"]


def test_a_bare_name_is_a_component(path: Path) -> None:
    config = load_config(path, ["balancer=pcgrad", "split=random", "model.encoder=dmpnn"])
    assert (config.balancer[0].name, config.split.name, config.model.encoder.name) == (
        "pcgrad",
        "random",
        "dmpnn",
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=baseline:random_forest", "model.baseline.trees=7"],
        ["model.baseline.trees=7", "model=baseline:random_forest"],
        ["model.baseline=random_forest", "model.baseline.trees=7"],
        ["model.baseline={name: random_forest, trees: 7}"],
    ],
)
def test_a_baseline_is_named_in_any_of_these_ways(path: Path, overrides: list[str]) -> None:
    baseline = load_config(path, overrides).model.baseline
    assert baseline is not None
    assert (baseline.name, baseline.options) == ("random_forest", {"trees": 7})
    assert load_config(path).model.baseline is None


def test_written_config_reads_back_equal(path: Path, tmp_path: Path) -> None:
    config = load_config(path, ["data.labels={active: 1, NA: null}", "seed=3", "model.baseline=lightgbm"])
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trian.epochs=3", "unknown key 'trian'. Did you mean 'train'"),
        ("train.epoch=3", "unknown key 'epoch' in section 'train'. Did you mean 'epochs'"),
        ("train.epochs=0", "greater than 0"),
        ("train.epochs=many", "valid integer"),
        ("data.source=null", "'data.source' is None"),
        ("data=3", "'data' is 3"),
        ("epochs", "not an override"),
        ("name=../up", "a run's name has letters"),
        ("balancer.beta=0.9", "is a chain here"),
        ("train.lr=[1", "cannot be read"),
    ],
)
def test_mistakes_are_explained(path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert message in str(caught.value)


def test_missing_file_suggests_a_neighbour(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean .*tox21\.yaml"):
        load_config(path.with_name("tox12.yaml"))


@pytest.mark.parametrize("text", ["a: [1", "- a\n- b", "", "just words", "a: !!python/object:os.system x"])
def test_files_that_are_no_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(tmp_path / "bad.yaml")


def test_missing_section_is_named() -> None:
    with pytest.raises(ConfigError, match="'data' is missing"):
        check_config({"name": "x"})
