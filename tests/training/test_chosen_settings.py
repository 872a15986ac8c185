"""The recipe that looks at the table: what it chooses, what it leaves alone, and a run without any config."""

from pathlib import Path

import mixed
import numpy as np
import pytest
import small

from screening.config import check_config, given_settings, load_config
from screening.data.assay_table import AssayTable
from screening.errors import ConfigError
from screening.training.chosen_settings import RECIPES, Facts, with_chosen
from screening.training.components import check_components

SHAPES = [
    Facts(100, 1, 100, 0.0, 0.3),
    Facts(7_831, 12, 78_000, 0.0, 0.08),
    Facts(8_576, 617, 1_500_000, 0.0, 0.08),
    Facts(265_565, 11, 620_000, 0.0, 0.01),
    Facts(35_633, 30, 48_714, 1.0, 0.0),
    Facts(207_223, 4_935, 412_402, 0.5, 0.47),
]
"""Sizes of tables from a hundred records to thousands of assays."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("facts", SHAPES, ids=lambda facts: f"{facts.molecules} x {facts.tasks}")
@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_chosen_is_a_config_for_every_shape_of_table(recipe: str, facts: Facts) -> None:
    chosen = RECIPES[recipe](facts)
    assert set(chosen) == set(RECIPES[recipe](SHAPES[0]))
    settings = load_config({"name": "any", "data": {"source": "any.csv"}}, chosen)
    check_components(settings)


def test_facts_are_counts_of_the_table() -> None:
    table = small.table(120)
    facts = Facts.of(table)
    measured = np.isfinite(table.labels)
    assert facts[:3] == (120, 4, int(measured.sum()))
    assert facts.real == 0
    shares = [(table.labels[:, task] == 1).sum() / measured[:, task].sum() for task in range(4)]
    assert facts.actives == pytest.approx(np.median(shares))
    assert not facts.is_rare
    assert 0 < Facts.of(mixed.table()).real < 1


def test_more_networks_where_more_is_learned_from_them() -> None:
    """Small tables and rare actives: one network; trees, which grow for each assay, where labels are few."""

    def models(facts: Facts) -> list[str]:
        return [model.get("as", model["name"]) for model in RECIPES["best"](facts)["model.blend"]]

    small_one, tox21, toxcast, rare, real, _ = SHAPES
    assert models(small_one) == ["ecfp", "gaussian_process", "lightgbm"]
    assert models(tox21) == ["ecfp", "counts", "avalon", "gaussian_process", "lightgbm"]
    assert models(toxcast) == ["ecfp", "counts", "avalon", "gaussian_process"]
    assert models(rare._replace(actives=0.003)) == ["ecfp", "gaussian_process"]
    assert models(real) == ["counts", "gaussian_process"]
    assert RECIPES["best"](rare._replace(actives=0.003))["train.sampler"] == "actives"
    assert RECIPES["best"](toxcast)["balancer"] == "slaw"


def test_an_encoder_of_ones_own_finds_its_graph() -> None:
    """The recipes' networks need none."""
    config = load_config({"name": "a", "data": {"source": "a.csv"}, "recipe": "fast"}, ["model.encoder=gine"])
    assert with_chosen(config, small.table(60)).features.graph == "atom_codes"


def test_settings_that_were_given_win_and_those_of_models_of_ones_own() -> None:
    table = small.table(60)
    told: list[str] = []
    given = {"train.epochs": 3, "model.encoder.name": "gine", "model.encoder.depth": 2}
    config = load_config({"name": "a", "data": {"source": "a.csv"}, "recipe": "best"}, given)
    chosen = with_chosen(config, table, told.append)
    assert chosen.train.epochs == 3
    assert chosen.model.encoder.model_dump() == {"name": "gine", "depth": 2}
    assert len(chosen.model.blend) > 1
    assert [text.startswith("recipe best, for 60 records, 4 assays") for text in told] == [True]
    for own in ("model=baseline:ridge", "model.single_task=true", "model.blend=[network,ridge]"):
        config = load_config({"name": "a", "data": {"source": "a.csv"}, "recipe": "best"}, [own])
        assert with_chosen(config, table).model == config.model.model_copy(
            update={"encoder": with_chosen(config, table).model.encoder}
        )


def test_without_a_recipe_and_once_chosen_nothing_is_looked_at() -> None:
    """The table of neither config exists."""
    plain = load_config({"name": "a", "data": {"source": "nowhere.csv"}})
    assert with_chosen(plain) is plain
    config = load_config({"name": "a", "data": {"source": "nowhere.csv"}, "recipe": "best"})
    chosen = with_chosen(config, small.table(60))
    again = check_config(chosen.model_dump())
    assert with_chosen(again) is again
    assert given_settings(again) >= set(RECIPES["best"](SHAPES[0]))


def test_a_table_is_a_config(here: Path) -> None:
    config = load_config("my table (2).csv.gz")
    assert (config.name, config.data.source, config.recipe) == ("my-table-2", "my table (2).csv.gz", "best")
    with pytest.raises(ConfigError, match=r"nowhere\.csv' is neither a file"):
        with_chosen(load_config(here / "nowhere.csv"))


def test_the_table_decides_and_the_name_of_the_table_does_not() -> None:
    config = load_config({"name": "a", "data": {"source": "a.csv"}, "recipe": "fast"})
    few, many = small.table(40), small.table(200)
    assert with_chosen(config, few) == with_chosen(config, few)
    assert with_chosen(config, few).train.epochs >= with_chosen(config, many).train.epochs
    assert isinstance(few, AssayTable)
