"""What is searched: defaults for every model, and mistakes that are told before the first trial."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.config import Config, check_config, load_config
from screening.errors import ConfigError
from screening.models.baselines import baselines
from screening.models.encoders import encoders
from screening.tuning.space import FIXED, Setting, Space, default_space, shown, told

VECTORS = {"features": {"vectors": ["ecfp_counts"]}}


def config(space: dict[str, Any] | None = None, **more: Any) -> Config:
    sections = {"name": "a", "data": {"source": "a.csv"}, "model": {"encoder": "dmpnn"}, **VECTORS} | more
    return check_config(sections | ({"tune": {"space": space}} if space else {}))


@pytest.mark.parametrize("name", encoders.names())
def test_every_encoder_has_a_default_whose_ends_are_allowed(name: str) -> None:
    space = Space.of(config(model={"encoder": name}))
    keys = [setting.key for setting in space.settings]
    assert {"train.lr", "train.weight_decay", "train.batch_size"} < set(keys)
    options = encoders.options(name)
    assert all(key.rpartition(".")[2] in options for key in keys if key.startswith("model.encoder."))
    assert len(list(space.corners())) == 1 + sum(len(setting.ends()) - 1 for setting in space.settings)


@pytest.mark.parametrize("name", baselines.names())
def test_every_baseline_has_a_default_whose_ends_are_allowed(name: str) -> None:
    space = Space.of(config(model={"baseline": name}))
    assert space.settings
    assert all(setting.key.startswith("model.baseline.") for setting in space.settings)


def test_a_blend_has_the_settings_of_all_its_models() -> None:
    blended = config(model={"encoder": "dmpnn", "blend": ["network", {"name": "random_forest", "trees": 7}]})
    space = Space.of(blended)
    keys = [setting.key for setting in space.settings]
    assert {"train.lr", "model.encoder.depth", "model.blend.random_forest.smallest_leaf"} < set(keys)
    changed = space.applied(blended, {"model.blend.random_forest.smallest_leaf": 9, "train.lr": 0.5})
    assert changed.train.lr == 0.5
    assert changed.model.blend[1].options == {"trees": 7, "smallest_leaf": 9}
    assert blended.model.blend[1].options == {"trees": 7}


def test_networks_of_a_blend_have_settings_of_their_own() -> None:
    mlp = {"name": "network", "as": "mlp", "encoder": {"name": "fingerprint", "widths": [512, 512]}}
    blended = config(model={"encoder": "dmpnn", "blend": ["network", mlp]})
    space = Space.of(blended)
    key = "model.blend.mlp.encoder.widths"
    assert {"model.encoder.depth", key, "model.blend.mlp.encoder.dropout"} < {
        each.key for each in space.settings
    }
    changed = space.applied(blended, {key: [1024], "model.encoder.depth": 4})
    assert changed.model.blend[1].encoder is not None
    assert changed.model.blend[1].encoder.options == {"widths": [1024]}
    assert changed.model.encoder.options == {"depth": 4}
    with pytest.raises(ConfigError, match="no setting of a model of the blend"):
        space.applied(blended, {"model.blend.network.encoder.depth": 4})
    own = Space.of(config({key: {"choices": [[512, 512], [8]]}}, model=blended.model.model_dump()))
    assert own.current(blended) == {key: "[512, 512]"}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"train.rate": {"low": 1, "high": 2}}, r"unknown key 'rate' in section 'train'"),
        ({"model.encoder.deep": {"low": 1, "high": 2}}, r"'dmpnn' has no option 'deep'.*depth"),
        ({"train.lr": {"low": -1.0, "high": 0.1}}, r"at train.lr=-1: .*'train.lr' is -1"),
        ({"train.epochs": {"low": 1, "high": 2.5}}, r"at train.epochs=2.5"),
        ({"model.encoder.dropout": {"low": 0.2, "high": 1.5}}, r"option 'dropout' is 1.5"),
        ({"balancer": {"choices": ["equal", "slow"]}}, r"There is no balancer 'slow'"),
        ({"model.encoder.name": {"choices": ["gine", "dmpn"]}}, r"There is no encoder 'dmpn'"),
        ({"model.blend.ridge.c": {"low": 1, "high": 2}}, r"no setting of a model of the blend"),
        ({"train.lr": {"low": 0.1, "high": 0.01}}, r"expected low below high"),
        ({"train.lr": {"low": 0.0, "high": 0.01, "log": True}}, r"log needs low above 0"),
        ({"train.lr": {"low": 0.1}}, r"expected low and high"),
        ({"train.lr": {"low": 0.1, "choices": [1, 2]}}, r"leave one out"),
        ({"train.lr": {"choices": [0.1, 0.1]}}, r"two or more different choices"),
        ({"train.lr": {"lowest": 0.1, "high": 1}}, r"unknown key 'lowest'"),
    ],
)
def test_mistakes_are_told_before_a_trial(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Space.of(config(space))


@pytest.mark.parametrize("key", [*FIXED, "data.tasks", "split.name"])
def test_what_would_change_the_comparison_cannot_be_searched(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} cannot be searched: "):
        Space.of(config({key: {"choices": ["a", "b"]}}))


@pytest.mark.parametrize(
    ("key", "values", "is_whole"),
    [
        ("model.encoder.depth", {"low": 2, "high": 6}, True),
        ("train.batch_size", {"low": 32, "high": 128, "log": True}, True),
        ("train.patience", {"low": 2, "high": 8, "step": 2}, True),
        ("model.encoder.dropout", {"low": 0, "high": 0.5}, False),
        ("train.clip", {"low": 1, "high": 10}, False),
        ("train.weight_decay", {"low": 0, "high": 1}, False),
    ],
)
def test_numbers_are_whole_where_the_setting_is(key: str, values: dict[str, Any], is_whole: bool) -> None:
    (setting,) = Space.of(config({key: values})).settings
    assert setting.is_whole is is_whole
    assert all(isinstance(end, int) is is_whole for end in setting.ends())


def test_an_option_of_one_choice_alone_is_refused() -> None:
    """The name of an encoder is searched, and an option that one of them does not have."""
    space = {
        "model.encoder.name": {"choices": ["dmpnn", "fingerprint"]},
        "model.encoder.depth": {"low": 2, "high": 3},
    }
    with pytest.raises(ConfigError, match="'fingerprint' has no option 'depth'"):
        Space.of(config(space))


def test_choices_can_be_anything() -> None:
    space = {
        "features.vectors": {"choices": [["ecfp_counts"], ["ecfp_counts", "rdkit_descriptors"]]},
        "balancer": {"choices": ["equal", [{"name": "slaw", "max_ratio": 10}, "pcgrad"]]},
        "train.clip": {"choices": [None, 0.5]},
        "train.bf16": {"choices": [True, False]},
    }
    given = config(space)
    found = Space.of(given)
    values = {setting.key: setting.value(setting.texts[-1]) for setting in found.settings}
    changed = found.applied(given, values)
    assert changed.features.vectors == ("ecfp_counts", "rdkit_descriptors")
    assert [link.name for link in changed.balancer] == ["slaw", "pcgrad"]
    assert (changed.train.clip, changed.train.bf16) == (0.5, False)
    first = found.applied(given, {setting.key: setting.value(setting.texts[0]) for setting in found.settings})
    assert (first.train.clip, first.train.bf16) == (None, True)


@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(1e-3, 1e3),
    share=st.floats(0, 1),
    n_steps=st.integers(1, 50),
)
def test_a_value_is_stored_where_it_is_in_the_range(
    low: float, width: float, share: float, n_steps: int
) -> None:
    plain = Setting("train.lr", low, low + width, False, None, False)
    inside = min(low + share * width, low + width)
    assert plain.stored(inside) == inside
    assert plain.stored(low + 1.01 * width) is None
    assert plain.stored(low - 0.01 * width) is None
    assert plain.stored(True) is None
    stepped = Setting("train.lr", 0.0, width, False, width / n_steps, False)
    assert stepped.stored(width / n_steps) is not None
    assert stepped.stored(width / n_steps / 2) is None


@given(st.lists(st.one_of(st.integers(), st.text(), st.lists(st.text())), min_size=2, unique_by=repr))
def test_choices_come_back_as_they_were(choices: list[Any]) -> None:
    setting = Setting("a.b", 0, len(choices) - 1, False, None, False, tuple(choices))
    assert [setting.value(setting.stored(choice)) for choice in choices] == choices
    assert setting.stored({"not": "there"}) is None


def test_the_configs_own_settings_are_found_with_the_defaults_of_options() -> None:
    space = {"model.encoder.depth": {"low": 2, "high": 4}, "train.lr": {"low": 1e-4, "high": 1e-2}}
    given = config(space)
    assert Space.of(given).current(given) == {"model.encoder.depth": 3, "train.lr": 1e-3}
    other = load_config(given, {"model.encoder.depth": 6})
    assert Space.of(given).current(other) is None


def test_a_model_of_which_nothing_is_known_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screening.tuning.space._OF_BASELINES", {})
    with pytest.raises(ConfigError, match="no default for ridge"):
        default_space(config(model={"baseline": "ridge"}))


def test_values_are_short_for_people() -> None:
    assert told({"a": 0.000123456, "b": [1, 2], "c": "x", "d": None}) == "a=0.000123, b=[1, 2], c=x, d=null"
    assert shown(128) == "128"
