"""Of a network that learns assays of auxiliary tables too: which it scores in the end, and how all weigh."""

from collections.abc import Sequence

import pandas as pd
import torch

from ..config import Config
from .preparation import Prepared


def served(config: Config, prepared: Prepared, columns: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the assays that a network scores in the end: without auxiliary ones, unless they are kept."""
    if prepared.n_main is None or config.data.keep_auxiliary:
        return columns
    return tuple(column for column in columns if column < prepared.n_main)


def of_served(config: Config, prepared: Prepared, history: pd.DataFrame) -> pd.DataFrame:
    """The rows of a history that are of assays which are kept."""
    tasks = prepared.table.tasks
    names = {tasks[column] for column in served(config, prepared, tuple(range(len(tasks))))}
    return history if len(names) == len(tasks) else history[history["assay"].isin(names)]


def weight_of(config: Config, prepared: Prepared) -> float:
    """What a main assay weighs where an auxiliary one has 1.

    Parameters
    ----------
    prepared : of a joint table.
    """
    if config.data.auxiliary_weight is not None:
        return config.data.auxiliary_weight
    n_main = prepared.n_main or len(prepared.table.tasks)
    return max((len(prepared.table.tasks) - n_main) / n_main, 1.0)


def priorities_of(config: Config, prepared: Prepared, columns: Sequence[int]) -> torch.Tensor | None:
    """Weights of assays beside what the balancer gives; None: all have the same."""
    if prepared.n_main is None or weight_of(config, prepared) == 1:
        return None
    return torch.where(torch.tensor(columns) < prepared.n_main, weight_of(config, prepared), 1.0)
