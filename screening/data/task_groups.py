"""The file of task groups, groups.yaml: which assays train together, and which group's network scores each.

    groups:              # assays by name; an assay may be in several groups
    - [NR-AR, NR-AR-LBD]
    - [NR-AhR, SR-ARE, NR-AR]
    serves: {NR-AR: 1, NR-AR-LBD: 1, NR-AhR: 2, SR-ARE: 2}    # groups counted from 1
    rest: joint          # optional: what becomes of assays in no group

Written after groups were chosen (`selection`), read before they are trained; made to be edited by hand too.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..errors import ConfigError
from ..plain_yaml import typed, yaml_tree
from ..registry import did_you_mean
from ..runtime.files import write_atomically
from ..runtime.folders import explained

KINDS = {"groups": list[list[str]], "serves": dict[str, int], "rest": str}
KEYS = tuple(KINDS)
RESTS = ("joint", "single")
"""joint: one more group of all assays serves those in no group; single: each of them gets its own group."""


class TaskGroups(NamedTuple):
    """Groups of a table's tasks."""

    groups: tuple[tuple[int, ...], ...]
    """Sorted task numbers of each group, in the order of the file."""
    serves: tuple[int, ...]
    """T: the group whose network scores the task, counted from 0."""


def write_groups(
    path: Path, groups: Sequence[Sequence[int]], serves: Sequence[int], tasks: Sequence[str]
) -> None:
    """Write groups.yaml; `serves` [T] counts groups from 0, the file from 1."""
    content = {
        "groups": [[tasks[task] for task in group] for group in groups],
        "serves": {name: int(group) + 1 for name, group in zip(tasks, serves, strict=True)},
    }
    head = "# groups: assays that train together. serves: the group, counted from 1, that scores the assay.\n"
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    with explained(path.parent):
        write_atomically(path, head + text)


def read_groups(path: Path, tasks: Sequence[str]) -> TaskGroups:
    """The groups of a groups.yaml, for a table with these `tasks`.

    `serves` may leave out an assay that is in one group only. Every assay of the table has to be in a group,
    unless the file says `rest: joint` or `rest: single` (see RESTS).

    Raises
    ------
    ConfigError : no such file, not YAML, unknown key or assay, an assay twice in a group or in none, more
        groups than assays, an assay that two groups could serve, or served by a group that it is not in.
    """
    content = _load(path)
    lists = content.get("groups")
    if not isinstance(lists, list) or not lists or not all(isinstance(one, list) and one for one in lists):
        raise ConfigError(f"{path}: 'groups' is {lists!r}: expected a list of lists of assay names.")
    number = {name: task for task, name in enumerate(tasks)}
    groups = [
        _numbers([_name(path, value) for value in one], number, f"{path}, group {k}")
        for k, one in enumerate(lists, start=1)
    ]
    if len(groups) > len(tasks):
        raise ConfigError(
            f"{path} has {len(groups)} groups of {len(tasks)} assays: expected no more groups than assays."
        )
    served = _served(path, content.get("serves") or {}, number, groups)
    lost = [task for task in range(len(tasks)) if not any(task in group for group in groups)]
    for group in _rest(path, content.get("rest"), lost, tasks):
        served |= {task: len(groups) for task in lost if task in group}
        groups.append(group)
    return TaskGroups(tuple(groups), tuple(served[task] for task in range(len(tasks))))


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml_tree(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise ConfigError(f"{path} cannot be read as a file of groups: {problem}") from problem
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected the keys 'groups' and 'serves', found {type(content).__name__}.")
    for key in content:
        if key not in KEYS:
            raise ConfigError(f"{path}: unknown key '{key}'. {did_you_mean(str(key), KEYS)}")
    return {key: typed(value, KINDS[key]) for key, value in content.items()}


def _name(path: Path, value: Any) -> str:
    """The name of an assay; a list or a mapping is none."""
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {value!r} is not the name of an assay. Put the name in quotes.")
    return value


def _numbers(names: list[str], number: dict[str, int], where: str) -> tuple[int, ...]:
    """Sorted task numbers of names that are known and different."""
    for name, count in Counter(names).items():
        if name not in number:
            raise ConfigError(f"{where}: the table has no assay '{name}'. {did_you_mean(name, number)}")
        if count > 1:
            raise ConfigError(f"{where}: assay '{name}' is there {count} times. Take out all but one.")
    return tuple(sorted(number[name] for name in names))


def _served(path: Path, serves: Any, number: dict[str, int], groups: list[tuple[int, ...]]) -> dict[int, int]:
    """Task -> group that serves it, counted from 0, for the tasks that are in a group."""
    if not isinstance(serves, dict):
        raise ConfigError(f"{path}: 'serves' is {serves!r}: expected the number of a group for each assay.")
    chosen = {_name(path, name): group for name, group in serves.items()}
    _numbers(list(chosen), number, f"{path}, serves")
    of_task: dict[int, list[int]] = {}
    for k, group in enumerate(groups):
        for task in group:
            of_task.setdefault(task, []).append(k)
    served: dict[int, int] = {}
    for name, task in number.items():
        possible = of_task.get(task, [])
        by = chosen.get(name, possible[0] + 1 if len(possible) == 1 else None)
        if type(by) is int and by - 1 in possible:
            served[task] = by - 1
        elif possible or by is not None:
            numbers = ", ".join(str(k + 1) for k in possible) or "none"
            said = "is missing" if by is None else f"is {by!r}"
            raise ConfigError(
                f"{path}: the group that serves '{name}' {said}. The assay is in these groups (counted from "
                f"1): {numbers}. Name one of them under 'serves'."
            )
    return served


def _rest(path: Path, rest: Any, lost: list[int], tasks: Sequence[str]) -> list[tuple[int, ...]]:
    """The groups added for tasks that are in none."""
    if rest is not None and rest not in RESTS:
        raise ConfigError(f"{path}: rest is {rest!r}. {did_you_mean(str(rest), RESTS)}")
    if not lost:
        return []
    if rest is None:
        names = ", ".join(tasks[task] for task in lost[:5]) + (", ..." if len(lost) > 5 else "")
        raise ConfigError(
            f"{path}: {len(lost)} of {len(tasks)} assays are in no group ({names}). Add them to a group, or "
            "add 'rest: joint' (a model of all assays scores them) or 'rest: single' (a model for each)."
        )
    return [tuple(range(len(tasks)))] if rest == "joint" else [(task,) for task in lost]
