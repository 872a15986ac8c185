"""The config: overrides win, a saved config reads back equal, every mistake says what and where."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from screening.config import check_config, data_settings, load_config, to_yaml
from screening.data.assay_table import AssayTable
from screening.data.splits import split_table
from screening.errors import ConfigError
from screening.plain_yaml import Plain, yaml_tree

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
        ("data.source=", "'data.source' is None"),
        ("data=3", "'data' is '3'"),
        ("epochs", "not an override"),
        ("name=../up", "a run's name has letters"),
        ("balancer.beta=0.9", "is a chain here"),
        ("train.lr=[1", "cannot be read"),
        ("plugins=my.py", "'plugins' is 'my.py': expected a list, such as [my.py]"),
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


TEXTS = (
    *(
        "Yes",
        "No",
        "on",
        "off",
        "True",
        "false",
        "y",
        "NULL",
        "Null",
        "nan",
        ".nan",
        ".inf",
        "-1",
        "1851",
        "2024",
    ),
    *(
        "007",
        "1e3",
        "1.50",
        "0x10",
        "0b1",
        "1_000",
        "12:30",
        "2020-01-01",
        "+1",
        ".5",
        "0o7",
        "=",
        "<1",
        "n/a",
    ),
)
"""Names that YAML takes for truth values, numbers, dates or nothing."""


@pytest.mark.parametrize("text", [*TEXTS, "null", "~"])
def test_names_are_the_texts_that_were_typed(path: Path, tmp_path: Path, text: str) -> None:
    given_file = tmp_path / "given.yaml"
    given_file.write_text(
        f"name: run\ndata:\n  source: {text}\n  tasks: [{text}, b]\n"
        f"  labels: {{{text}: 1, b: null}}\nsplit: {{name: column, column: {text}}}\n"
        f"balancer: {{name: wpcgrad, priorities: {{{text}: 2}}}}\n"
    )
    settings = [f"data.labels={{{text}: 1, b: null}}", "balancer.name=wpcgrad", "split.name=column"]
    settings += [f"data.source={text}", f"split.column={text}", f"balancer.priorities={{{text}: 2}}"]
    for config in (load_config(given_file), load_config(path, settings)):
        assert config.data.source == text
        assert config.data.labels == {text: 1, "b": None}
        assert config.balancer[0].options["priorities"] == {text: 2}
        table = AssayTable([""], ["C"], np.ones((1, 1), np.float32), ("A",), {text: ["train"]}, np.array([1]))
        assert split_table(table, "column", seed=0, **config.split.options).parts == ["train"]
        again = tmp_path / "again.yaml"
        again.write_text(to_yaml(config))
        assert load_config(again) == config
        assert to_yaml(load_config(again)) == to_yaml(config)
        by_json = check_config(config.model_dump(mode="json"))
        assert split_table(table, "column", seed=0, **by_json.split.options).parts == ["train"]


def test_truth_values_of_python_are_labels_as_those_of_yaml() -> None:
    config = load_config({"name": "a", "data": {"source": "a", "labels": {True: 1, False: 0, 2: None}}})
    assert config.data.labels == {"true": 1, "false": 0, "2": None}


def test_values_that_a_notebook_computes_are_plain_values(tmp_path: Path) -> None:
    widths = {"model.encoder": {"name": "fingerprint", "widths": np.array([8, 4])}, "runs": tmp_path}
    config = load_config(
        {
            "name": "a",
            "data": {"source": tmp_path / "a.csv"},
            "split": {"name": "folds", "folds": np.int64(3)},
        },
        {**widths, "train.lr": np.float64(0.1)},
    )
    assert (config.data.source, config.runs) == (str(tmp_path / "a.csv"), str(tmp_path))
    assert config.model.encoder.options == {"widths": [8, 4]}
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path) == config


@pytest.mark.parametrize("key", [1, "", "train.", None])
def test_what_is_no_key_overrides_nothing(path: Path, key: object) -> None:
    with pytest.raises(ConfigError, match="is no setting to override"):
        load_config(path, {key: 1})  # type: ignore[dict-item]


def test_a_question_mark_is_a_label(path: Path) -> None:
    assert load_config(path, ["data.labels={?: null, -: 0}"]).data.labels == {"?": None, "-": 0}
    path.write_text("name: x\ndata:\n  source: a\n  labels:\n    ?: null\n    no: 0\n")
    assert load_config(path).data.labels == {"?": None, "no": 0}


@pytest.mark.parametrize("text", TEXTS)
def test_a_column_may_have_such_a_name_and_null_is_none(path: Path, text: str) -> None:
    config = load_config(path, [f"data.smiles={text}", f"data.id={text}", f"data.tasks=[{text}]"])
    assert (config.data.smiles, config.data.id, config.data.tasks) == (text, text, (text,))
    config = load_config(path, ["data.smiles=null", "data.id=~", "data.tasks=null", "features.graph=null"])
    assert (config.data.smiles, config.data.id, config.data.tasks, config.features.graph) == (None,) * 4


@pytest.mark.parametrize("text", ["2024", "007", "1e3", "yes", "null", "No", "0x10"])
def test_run_names_are_texts(path: Path, text: str) -> None:
    assert load_config(path, [f"name={text}"]).name == text


@pytest.mark.parametrize(
    "text", ["?", "#RO5 Violations", "a #1", "*x", "@x", "%inh", "!x", "> 10", "A, B", "[x]"]
)
def test_a_setting_on_the_command_line_is_the_whole_text(path: Path, text: str) -> None:
    typed = f'"{text}"' if text[0] == "[" else text
    assert load_config(path, [f"data.smiles={typed}"]).data.smiles == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda t: "${" not in t))
def test_any_text_survives_the_written_config(text: str) -> None:
    values = {
        "name": "x",
        "data": {"source": text, "tasks": [text], "labels": {text: 1}},
        "split": {"name": text, "o": text},
    }
    config = check_config(values)
    assert check_config(yaml_tree(to_yaml(config))) == config


def test_numbers_and_truth_values_of_options_are_as_omegaconf_reads_them(path: Path) -> None:
    for text in [
        "1e-3",
        ".5",
        "0.10",
        "5",
        "+5",
        "1_000",
        "0x10",
        "1E5",
        "-3",
        ".inf",
        "true",
        "Yes",
        "off",
        "0.",
    ]:
        by_us = load_config(path, [f"model.encoder.depth={text}"]).model.encoder.options["depth"]
        by_omegaconf = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]
        by_us = by_us.value if isinstance(by_us, Plain) else by_us
        assert (by_us, type(by_us)) == (by_omegaconf, type(by_omegaconf)), text


@pytest.mark.parametrize("file", sorted(Path("configs").glob("*.yaml")), ids=lambda file: file.stem)
def test_written_configs_are_those_of_omegaconf(file: Path) -> None:
    config = load_config(file)
    assert to_yaml(config) == OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))


def test_values_can_refer_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER_OF_TABLES", "/tables")
    (tmp_path / "a.yaml").write_text(
        "name: 007\ndata: {source: '${oc.env:FOLDER_OF_TABLES}/${name}.csv', labels: {No: 0}}\nseed: 3\n"
        "train: {epochs: '${seed}'}\n"
    )
    config = load_config(tmp_path / "a.yaml")
    assert (config.data.source, config.train.epochs, config.name) == ("/tables/007.csv", 3, "007")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nname: y", "the key 'name' twice"),
        ("data: {labels: {1: 0, '1': 1}}", "the key '1' twice"),
        ("x: &a [*a]", "inside of itself"),
        ("[" * 20000, "nested too deeply"),
        ("{[a]: 1}", "expected a text as a key"),
        ("name: '${nowhere}'", "nowhere"),
    ],
)
def test_odd_yaml_is_one_paragraph(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "odd.yaml")


def test_missing_section_is_named() -> None:
    with pytest.raises(ConfigError, match="'data' is missing"):
        check_config({"name": "x"})


@pytest.mark.parametrize("text", ["{&a: 1}", "{!x: 1}", "{? &a : 1}", "{[1]: 1}"])
def test_a_key_that_yaml_would_read_as_another_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="expected a text as a key"):
        yaml_tree(text)
    assert yaml_tree("{?: 1, ~: 2, '': 3, '&a': 4}") == {"?": "1", "~": "2", "": "3", "&a": "4"}


PLAIN = {"name": "x", "data": {"source": "tox21"}}


@pytest.mark.parametrize(
    ("loss", "name", "options"),
    [
        ({}, "cross_entropy", {"positive_weight": "none", "cap": 20.0}),
        ({"positive_weight": "balanced"}, "cross_entropy", {"positive_weight": "balanced", "cap": 20.0}),
        ({"name": "cross_entropy", "cap": 5}, "cross_entropy", {"positive_weight": "none", "cap": 5.0}),
        ("focal", "focal", {}),
        ({"name": "focal", "gamma": 1.5, "cap": 5}, "focal", {"cap": 5.0, "gamma": 1.5}),
    ],
)
def test_a_loss_is_a_name_with_options_or_those_of_cross_entropy(
    tmp_path: Path, loss: object, name: str, options: dict[str, object]
) -> None:
    config = check_config({**PLAIN, "loss": loss})
    assert (config.loss.name, config.loss.options) == (name, options)
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    again = load_config(tmp_path / "again.yaml")
    assert (again, to_yaml(again)) == (config, to_yaml(config))


def test_cross_entropy_is_written_as_when_it_had_no_name() -> None:
    section = "loss:\n  positive_weight: balanced\n  cap: 50.0\n"
    assert section in to_yaml(check_config({**PLAIN, "loss": {"positive_weight": "balanced", "cap": 50}}))


def test_another_loss_on_the_command_line_drops_the_options_of_the_old_one(tmp_path: Path) -> None:
    balanced = check_config({**PLAIN, "loss": {"positive_weight": "balanced"}})
    (tmp_path / "a.yaml").write_text(to_yaml(balanced))
    config = load_config(tmp_path / "a.yaml", ["loss.gamma=3", "loss.name=focal"])
    assert (config.loss.name, config.loss.options) == ("focal", {"gamma": 3})
    assert load_config(tmp_path / "a.yaml", ["loss=asymmetric"]).loss.name == "asymmetric"
    assert load_config(tmp_path / "a.yaml", ["loss.cap=3"]).loss.options["positive_weight"] == "balanced"


def test_the_loss_that_needs_no_name_keeps_its_options_when_it_gets_it(tmp_path: Path) -> None:
    balanced = check_config({**PLAIN, "loss": {"positive_weight": "balanced"}})
    (tmp_path / "a.yaml").write_text(to_yaml(balanced))
    assert load_config(tmp_path / "a.yaml", ["loss.name=cross_entropy"]) == balanced


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"positive_wieght": "none"}, "no option 'positive_wieght'. Did you mean 'positive_weight'"),
        ({"gamma": 2}, "cross_entropy has no option 'gamma'"),
        ({"cap": 0.5}, r"'loss\.cap' is 0\.5"),
        (5, "'loss' is 5"),
    ],
)
def test_wrong_options_of_the_loss_are_explained(loss: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_config({**PLAIN, "loss": loss})


def test_only_plain_cross_entropy_is_compared_with_the_base_rate() -> None:
    plain = [check_config({**PLAIN, "loss": loss}).loss.is_plain for loss in ({}, {"cap": 3}, "focal")]
    assert plain == [True, True, False]
    assert not check_config({**PLAIN, "loss": {"positive_weight": "balanced"}}).loss.is_plain


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("toxcast", ["toxcast"]),
        ("[toxcast, my.csv]", ["toxcast", "my.csv"]),
        ("[toxcast, {source: my.csv, tasks: [a]}]", ["toxcast", "my.csv"]),
        ("{source: [a.csv, b.csv]}", [("a.csv", "b.csv")]),
        ("[[a.csv, b.csv], c.csv]", [("a.csv", "b.csv"), "c.csv"]),
        ("[]", []),
    ],
)
def test_auxiliary_tables_are_names_or_mappings_or_lists_of_them(text: str, sources: list) -> None:
    config = load_config(PLAIN, [f"data.auxiliary={text}"])
    assert [table.source for table in config.data.auxiliary] == sources
    assert load_config(yaml.safe_load(to_yaml(config))) == config


def test_wrong_settings_of_auxiliary_tables_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'taks' in section 'data\.auxiliary\.1'.*'tasks'"):
        load_config(PLAIN, ["data.auxiliary=[toxcast, {source: a.csv, taks: [a]}]"])
    with pytest.raises(ConfigError, match=r"'data\.auxiliary\.0\.source' is missing"):
        load_config(PLAIN, ["data.auxiliary={tasks: [a]}"])
    with pytest.raises(ConfigError, match="auxiliary tables are for training alone"):
        data_settings("a.csv", ["data.auxiliary=[toxcast]"])
