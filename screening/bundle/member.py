"""One model of a bundle: a network or a baseline, and the assays that it serves."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ..config_sections import Model
from ..errors import BundleError, listed
from ..models.baselines import restore
from ..models.encoders import Inputs
from ..models.network import Predictor, ScreeningModel

DESCRIPTION = "bundle.json"
"""The file of a bundle that says what the model is."""


@dataclass(frozen=True)
class Member:
    """One network, or one baseline, of a bundle."""

    model: Predictor
    columns: tuple[int, ...]
    """The assays of its outputs, positions among the bundle's."""
    weight: float = 1.0
    """Of its outputs in the mean over the members that serve an assay."""
    part: str = ""
    """What the model of the blend that it belongs to is called; "" = there is no blend."""


def _check_shapes(
    settings: Model, inputs: Inputs, n_tasks: int, vectors: tuple[str, ...] | None, path: Path
) -> None:
    """Raise BundleError unless the file has the arrays of such a network, which is not made for it."""
    with torch.device("meta"):
        model = ScreeningModel(settings, inputs, n_tasks, vectors)
    expected = {name: list(value.shape) for name, value in model.state_dict().items()}
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    if shapes != expected:
        different = {
            name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name)
        }
        raise BundleError(
            f"{path} has other arrays than the model of {DESCRIPTION} ({listed(sorted(different), 3)}). "
            "Train again."
        )


def _weight(description: dict[str, Any], folder: Path) -> float:
    weight = float(description.get("weight", 1.0))
    if not 0 < weight < math.inf:
        raise BundleError(f"{folder / DESCRIPTION}: a member's weight is {weight}, expected above 0.")
    return weight


def restored_member(
    description: dict[str, Any], settings: Model, inputs: Inputs, n_tasks: int, path: Path
) -> Member:
    columns = tuple(description["columns"])
    if len(set(columns)) != len(columns) or not all(type(c) is int and 0 <= c < n_tasks for c in columns):
        raise BundleError(f"{path.parent / DESCRIPTION}: a member's assays {columns} are not columns.")
    weight, part = _weight(description, path.parent), description.get("part", "")
    settings = settings.of(part)
    vectors = settings.parts[0].vectors if part else None
    if description["kind"] != ScreeningModel.kind:
        kind, options = description["kind"], description["options"]
        blocks = inputs.with_vectors(vectors).vectors
        baseline = restore(kind, options, load_file(path), blocks, len(columns), vectors)
        return Member(baseline, columns, weight, part)
    _check_shapes(settings, inputs, len(columns), vectors, path)
    model = ScreeningModel(settings, inputs, len(columns), vectors)
    model.load_state_dict(load_file(path))
    if not all(value.isfinite().all() for value in model.state_dict().values()):
        raise BundleError(f"{path}: the model has weights that are not finite. Train again.")
    return Member(model.eval(), columns, weight, part)
