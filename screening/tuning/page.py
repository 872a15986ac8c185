"""The page about a search: its best settings, which of them matter, and all trials."""

from typing import TYPE_CHECKING

import pandas as pd

from ..config import Config
from ..reporting.pages import render
from ..training.run_folder import write_text
from .pictures import history, importances, slices
from .space import Space, shown
from .study import VALUE

if TYPE_CHECKING:
    from .search import Tuned

PAGE, IMPORTANCE = "tune.html", "importance.svg"


def write_page(tuned: "Tuned", config: Config, space: Space) -> None:
    """Write tune.html and, where there is an importance, importance.svg."""
    trials, settings = tuned.trials, space.settings
    has_values = trials["state"].isin(["complete", "pruned"]).any()
    bars = importances(tuned.importance) if tuned.importance else None
    if bars is not None:
        write_text(tuned.folder / IMPORTANCE, bars.svg)
    best = tuned.best_trial
    page = render(
        "tune.html",
        name=config.name,
        tuned=tuned,
        config=config,
        settings=settings,
        shown=shown,
        best=None if best is None else best.to_dict(),
        own=_of_own(trials, config, space),
        rows=_best_first(trials).to_dict("records"),
        counts=trials["state"].value_counts().to_dict(),
        seeds=config.tune.seeds if config.tune else 1,
        history=history(trials, tuned.metric) if has_values else None,
        bars=bars,
        slices=slices(trials, settings, tuned.metric) if has_values else [],
    )
    write_text(tuned.folder / PAGE, page)


def _of_own(trials: pd.DataFrame, config: Config, space: Space) -> float | None:
    """The result of the trial with the config's own settings; None where none was finished."""
    own = space.current(config)
    for row in trials[trials["state"] == "complete"].to_dict("records") if own else ():
        if {setting.key: setting.stored(row[setting.key]) for setting in space.settings} == own:
            return float(row[VALUE])
    return None


def _best_first(trials: pd.DataFrame) -> pd.DataFrame:
    """Finished trials before stopped, running and failed ones, each from the best down."""
    rows = trials.assign(order=trials["state"].map({"complete": 0, "pruned": 1, "running": 2, "failed": 3}))
    return rows.sort_values(["order", VALUE], ascending=[True, False], kind="stable")
