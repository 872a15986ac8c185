"""The file of task groups: there and back, rules for what it leaves out, and every mistake named."""

from pathlib import Path

import pytest
import yaml

from screening.data.task_groups import TaskGroups, read_groups, write_groups
from screening.errors import ConfigError

TASKS = ("NR-AR", "NR-AhR", "SR-ARE", "SR-p53", "on", "123")


def a_file(folder: Path, text: str) -> Path:
    path = folder / "groups.yaml"
    path.write_text(text)
    return path


def test_groups_come_back_as_written(tmp_path: Path) -> None:
    groups, serves = ((0, 1, 4), (1, 2, 3), (5,)), (0, 1, 1, 1, 0, 2)
    path = tmp_path / "groups.yaml"
    write_groups(path, groups, serves, TASKS)
    assert read_groups(path, TASKS) == TaskGroups(groups, serves)
    content = yaml.safe_load(path.read_text())
    assert content["groups"][0] == ["NR-AR", "NR-AhR", "on"]
    assert content["serves"]["NR-AhR"] == 2  # counted from 1
    assert [p.name for p in tmp_path.iterdir()] == ["groups.yaml"]


def test_order_of_the_tables_assays_may_differ(tmp_path: Path) -> None:
    path = tmp_path / "groups.yaml"
    write_groups(path, ((0, 1, 4), (2, 3, 5)), (0, 0, 1, 1, 0, 1), TASKS)
    found = read_groups(path, TASKS[::-1])
    assert found == TaskGroups(((1, 4, 5), (0, 2, 3)), (1, 0, 1, 1, 0, 0))


def test_serves_may_leave_out_assays_of_one_group(tmp_path: Path) -> None:
    path = a_file(tmp_path, "groups: [[a, b], [b, c]]\nserves: {b: 2}")
    assert read_groups(path, "abc").serves == (0, 1, 1)
    assert read_groups(a_file(tmp_path, "groups: [[c, 1], [0]]"), ["0", "1", "c"]).serves == (1, 0, 0)


def test_rest_joint_adds_a_model_of_all_for_those_left(tmp_path: Path) -> None:
    found = read_groups(a_file(tmp_path, "groups: [[a, b]]\nrest: joint"), "abcd")
    assert found == TaskGroups(((0, 1), (0, 1, 2, 3)), (0, 0, 1, 1))


def test_rest_single_adds_a_model_for_each(tmp_path: Path) -> None:
    found = read_groups(a_file(tmp_path, "groups: [[a, b]]\nrest: single"), "abcd")
    assert found == TaskGroups(((0, 1), (2,), (3,)), (0, 0, 1, 2))
    assert read_groups(a_file(tmp_path, "groups: [[a, b]]\nrest: single"), "ab").groups == ((0, 1),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: [[a, b], [c, alpha1]]", "group 2: the table has no assay 'alpha1'. Did you mean 'alpha'"),
        ("groups: [[a, b, a], [c, alpha]]", "group 1: assay 'a' is there 2 times"),
        ("groups: [[a, b]]", r"2 of 4 assays are in no group \(c, alpha\).*rest: joint.*rest: single"),
        ("groups: [[a, b]]\nrest: both", "rest is 'both'"),
        ("groups: [[a], [b], [c], [alpha], [a, b]]", "5 groups of 4 assays"),
        ("groups: [[a, b], [b, c, alpha]]", "serves 'b' is missing. The assay is in .* 1, 2"),
        ("groups: [[a, b], [c, alpha]]\nserves: {a: 2}", "serves 'a' is 2. .* 1. Name"),
        ("groups: [[a, b], [c, alpha]]\nserves: {a: 0}", "serves 'a' is 0"),
        ("groups: [[a, b], [c, alpha]]\nserves: {a: true}", "serves 'a' is True"),
        ("groups: [[a, b], [c, alpha]]\nserves: {z: 1}", "serves: the table has no assay 'z'"),
        ("groups: [[a, b]]\nserves: {c: 1}\nrest: joint", "serves 'c' is 1. .*none"),
        ("groups: [[a, b], [c, alpha]]\nserves: [1, 2]", "'serves' is"),
        ("groups: [[a, [b]], [c, alpha]]", "is not the name of an assay. Put the name in quotes"),
        ("groups: [a, b]", "expected a list of lists"),
        ("groups: [[], [a]]", "expected a list of lists"),
        ("groups:", "expected a list of lists"),
        ("group: [[a]]", "unknown key 'group'. Did you mean 'groups'"),
        ("- a", "found list"),
        ("", "found NoneType"),
        ("groups: [[a", "cannot be read"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_groups(a_file(tmp_path, text), ["a", "b", "c", "alpha"])
    assert "groups.yaml" in str(caught.value)


def test_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        read_groups(tmp_path / "none.yaml", TASKS)


def test_names_are_the_texts_that_were_typed(tmp_path: Path) -> None:
    tasks = ["No", "1851", "007", "1e3", "null", "12:30"]
    text = "groups: [[No, 1851, 007], [1e3, null, 12:30]]\nserves: {No: 1, 1851: 1, null: 2}\n"
    found = read_groups(a_file(tmp_path, text), tasks)
    assert found.groups == ((0, 1, 2), (3, 4, 5))
    path = tmp_path / "again.yaml"
    write_groups(path, found.groups, found.serves, tasks)
    assert read_groups(path, tasks) == found
