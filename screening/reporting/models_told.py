"""What was trained, in words, and what each model of a blend brings; for the page, the card and notebooks."""

from typing import Any, NamedTuple

import pandas as pd

from ..config import Config
from ..errors import listed
from ..evaluation.results import Material
from ..training.blending import blend_summary
from ..training.run_folder import BLEND_TABLE, read_table

MOST = 40
"""Assays whose weights are shown one by one."""


def model_in_words(config: Config) -> str:
    """What was trained, for the heading."""
    if config.model.baseline is not None:
        return f"a {config.model.baseline.name.replace('_', ' ')} for each"
    if config.model.blend:
        how = "with fitted weights" if config.model.is_weighed else "with equal weights"
        names = listed([part.label.replace("_", " ") for part in config.model.blend], 6, mark="")
        return f"a blend of {names}, {how}"
    one = "one network for all"
    if config.grouping.file is not None:
        one = "a network for each group"
    elif config.model.single_task:
        one = "a network for each"
    times = f", {config.train.ensemble} times" if config.train.ensemble > 1 else ""
    return f"{one} ({config.model.encoder.name}{times})"


class BlendSection(NamedTuple):
    """What is shown of a blend whose weights were fitted."""

    models: list[Any]
    """Records of `blend_summary`, the blend last."""
    labels: list[str]
    """Of its models."""
    weights: list[tuple[str, list[float]]]
    """Share of each model in each assay; empty where there are many."""
    has_classes: bool
    has_values: bool


def blend_section(material: Material) -> BlendSection | None:
    """None of a set of runs, and of a run without such a blend."""
    table = pd.DataFrame() if material.folders else read_table(material.folder, BLEND_TABLE)
    if not len(table):
        return None
    summary = blend_summary(table).reset_index()
    labels = summary["model"].tolist()[:-1]
    shares = table[table["model"].isin(labels)].pivot(index="assay", columns="model", values="weight")
    assays = table["assay"].unique().tolist()
    weights = [(assay, shares.loc[assay, labels].tolist()) for assay in assays]
    return BlendSection(
        list(summary.itertuples(index=False)),
        labels,
        weights if len(assays) <= MOST else [],
        bool(summary["average_precision"].notna().any()),
        bool(summary["rmse"].notna().any()),
    )
