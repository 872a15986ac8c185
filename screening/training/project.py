"""A project folder for a table: config, README, notebook, .gitignore; what is written runs as it is.

Called by `screening init`. The table is looked at as `screening data describe` does; it is not copied.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Config, Data, load_config
from ..data.catalogue import catalogue
from ..data.describing import Description, describe
from ..data.formats.opening import is_stream
from ..data.tables import open_table
from ..errors import ConfigError
from ..plain_yaml import dump
from ..recipes import recipes
from ..runtime.files import write_atomically
from ..runtime.printable import printable

TEMPLATES = Path(__file__).parent / "templates"

MOST_NAMES = 60
"""Assays that the config lists by name; of more it takes what the table has."""

COMMENTS = {
    "source": "a file, as seen from this folder, or a name of: screening data list",
    "smiles": "column of the structures",
    "id": "column of their names",
    "tasks": "assays to train: take out what you do not want",
    "labels": "what texts in the table mean; null = not measured",
    "assays": "real values: check unit and transform; threshold: 6 makes classes of them",
    "standardize": "or cleanup, fragment (the largest component of a salt), neutral",
    "split": "which molecules are the test; others: screening list splits",
    "features": "others: screening list featurizers",
    "model": "others: screening list encoders; model=baseline:random_forest to compare with",
    "balancer": "how the assays' losses are weighed: screening list balancers",
}
"""What a line of the config says behind its value."""


ORDER = [*Config.model_fields]
"""Sections of a config in the order of their lines."""


class Project(NamedTuple):
    """A project folder that was written."""

    folder: Path
    files: list[Path]
    table: Description
    """What is in the table."""


def write_project(
    folder: str | Path, table: str = "alerts", *, settings: Data | None = None, data: str | Path | None = None
) -> Project:
    """Write a folder in which a model for a table is trained and used.

    Parameters
    ----------
    folder : made if there is none.
    table : name in the catalogue, or file. The config names the file where it lies.
    settings : how it is read, as in a config; None = by its defaults.
    data : the table's file, or the folder it lies in, where a name of the catalogue is given.

    Raises
    ------
    ConfigError : the folder holds something, or the table comes from a stream.
    DataError : the table cannot be used; nothing is written.
    """
    folder = Path(folder)
    _check_empty(folder)
    if is_stream(table):
        raise ConfigError(f"The table is {table}, which can be read only once: save it, and give the file.")
    settings = settings or Data(source=table)
    description = describe(table, data=data, settings=settings)
    values = {**_values(folder, table, description), "file": "config.yaml"}
    texts = {
        "config.yaml": _rendered("config.yaml", **values),
        "README.md": _rendered("README.md", **values),
        "notebook.ipynb": _notebook(_rendered("notebook.txt", **values)),
        ".gitignore": _rendered("gitignore.txt", **values),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return Project(folder, [folder / name for name in texts], description)


def _check_empty(folder: Path) -> None:
    if folder.is_dir():
        inside = sorted(path.name for path in folder.iterdir())
        if inside:
            raise ConfigError(
                f"{folder} is not empty (it holds {inside[0]}): a project is written into a new or an empty "
                "folder. Name another one."
            )
    elif folder.exists():
        raise ConfigError(f"{folder} is a file: name a folder that is new or empty.")


def write_config(path: str | Path, table: str, description: Description) -> Path:
    """Write the config of a table that was described, to start from: it trains as it stands.

    Parameters
    ----------
    path : the file, new; its folder is where the training is started.
    table : name in the catalogue, or file, as it was described.

    Raises
    ------
    ConfigError : the file is there, or the table comes from a stream.
    """
    path = Path(path)
    if path.exists():
        raise ConfigError(f"{path} is there already: name a new file for the config.")
    if is_stream(table):
        raise ConfigError(f"The table is {table}, which can be read only once: save it, and give the file.")
    values = _values(path.parent, table, description)
    write_atomically(path, _rendered("config.yaml", **values, file=shlex.quote(path.name)))
    return path


def _values(folder: Path, table: str, description: Description) -> dict[str, Any]:
    """What the templates show."""
    recipe = load_config(table if table in catalogue and table in recipes() else "tox21")
    assays = [assay.assay for assay in description.assays]
    name = run_name(table if table in catalogue else description.path.name.partition(".")[0], folder)
    return {
        "name": name,
        "title": printable(table if table in catalogue else description.path.name),
        "facts": _facts(description),
        "data": list(_data_lines(_source(folder, table, description.path), description, recipe)),
        "training": list(_training_lines(recipe)),
        "assay": shlex.quote(max(description.assays, key=lambda count: count.actives or 0).assay),
        "computed": table == "alerts",
        "n_assays": len(assays),
    }


def run_name(text: str, folder: Path) -> str:
    """A name that a run may have, from the name of a table, or else of the folder."""
    for words in (text, folder.resolve().name):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-._")
        if name:
            return name
    return "model"


def _facts(description: Description) -> str:
    n = description.n_rows - description.n_unread - description.n_unusable - description.n_duplicates
    n_labels = sum(assay.labels for assay in description.classes)
    active = f"{description.n_actives / max(n_labels, 1):.1%} active"
    kinds = f"{len(description.real):,} of real values"
    return (
        f"{n:,} molecules, {len(description.assays):,} assays, {description.n_labels:,} labels "
        f"({description.share_measured:.0%} of all), "
        + (", ".join([kinds, *([active] if n_labels else [])]) if description.real else active)
    )


def _source(folder: Path, table: str, path: Path) -> str:
    """The table as the project's commands call it: seen from the folder if that lies beside it or above."""
    if table in catalogue or not Path(table).exists():
        return table
    home = folder.resolve()
    near = path.resolve().is_relative_to(home.parent)
    return os.path.relpath(path.resolve(), home) if near else str(path.resolve())


def _data_lines(source: str, description: Description, recipe: Config) -> Iterator[str]:
    """Lines of the section `data`: where the table is, its columns, its assays, and what else was given."""
    settings = description.settings
    reader = open_table(description.path, smiles=settings.smiles, id=settings.id)
    assays = [assay.assay for assay in description.assays]
    yield from _lines("source", source)
    yield from _lines("smiles", reader.smiles)
    if reader.id is not None:
        yield from _lines("id", reader.id)
    is_listed = source not in catalogue and len(assays) <= MOST_NAMES
    if settings.tasks is not None or is_listed:
        yield from _lines("tasks", assays, a_line_each=True)
    given = settings.model_dump(exclude={"source", "smiles", "id", "tasks"}, exclude_defaults=True)
    if source in catalogue and recipe.data.keep_apart is not None:
        given.setdefault("keep_apart", recipe.data.keep_apart)
    for key, value in ({"standardize": settings.standardize} | given).items():
        yield from _lines(key, value)


def _training_lines(recipe: Config) -> Iterator[str]:
    """Lines of the sections that say how to train, as a recipe has them."""
    values = recipe.model_dump(exclude_unset=True, exclude={"name", "data", "benchmark"})
    chain = values.pop("balancer", ["equal"])
    values = {"balancer": chain[0] if len(chain) == 1 else chain} | values
    for key in sorted(values, key=ORDER.index):
        yield from _lines(key, values[key])


def _lines(key: str, value: Any, *, a_line_each: bool = False) -> Iterator[str]:
    comment = f"  # {COMMENTS[key]}" if key in COMMENTS else ""
    if a_line_each:
        yield f"{key}:{comment}"
        yield from (f"  - {_one_line(item)}" for item in value)
    else:
        yield f"{key}: {_one_line(value)}{comment}"


def _one_line(value: Any) -> str:
    """YAML of a value in one line."""
    return dump({"key": value}, in_one_line=True).removeprefix("{key: ").rstrip("\n").removesuffix("}")


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # plain texts, no page
    )
    return environment.get_template(template).render(values)


def _notebook(text: str) -> str:
    """The notebook of a script whose cells begin with "# %%", or "# %% [markdown]" for texts."""
    parts = re.split(r"^# %%", text, flags=re.M)[1:]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": [_cell(number, part) for number, part in enumerate(parts)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str) -> dict[str, Any]:
    """A cell of a notebook from its text, which begins with the rest of the line of its mark."""
    head, _, body = text.partition("\n")
    common = {"id": f"cell-{number}", "metadata": {}, "source": body.strip("\n").splitlines(keepends=True)}
    if "markdown" in head:
        return {"cell_type": "markdown", **common}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **common}
