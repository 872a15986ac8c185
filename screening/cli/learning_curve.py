"""`screening evaluate CONFIG --learning-curve`: the model on shares of its training part."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.numbers import in_digits
from .assay_tables import SHOWN, interval
from .checks import check_settings
from .console import notes_to, progress_shown, tell
from .endings import goes_on
from .grid import NAME, Column, print_table
from .settings import config_file

if TYPE_CHECKING:
    from ..config import Config
    from ..evaluation.learning_curves import LearningCurves


def of_shares(
    run: Path,
    overrides: list[str] | None,
    *,
    part: str,
    data: str | None,
    overwrite: bool,
    all_assays: bool,
) -> None:
    """Train what is missing, write tables, picture and page, and print the answers."""
    from ..evaluation.learning_curves import learning_curve
    from ..reporting.learning_page import write_learning_page

    settings = _config(run, overrides or [])
    kept = f"Every finished training is kept in {settings.folder}-curve."
    with progress_shown() as console, goes_on(lambda: kept):
        table, note = None if data is None else Path(data), notes_to(console)
        curves = learning_curve(settings, part=part, data=table, overwrite=overwrite, on_note=note)
        write_learning_page(curves, settings)
    print_curves(curves, all_assays=all_assays)


def _config(run: Path, overrides: list[str]) -> "Config":
    """The config of a run folder, or the one that is named."""
    from ..config import load_config

    file = run / "config.yaml"
    config = load_config(file if file.is_file() else config_file(str(run)), overrides)
    check_settings(config)
    return config


def print_curves(curves: "LearningCurves", *, all_assays: bool) -> None:
    """The answers, the mean over assays first, then what is most worth measuring."""
    from ..reporting.learning_page import ordered

    table = ordered(curves.answers)
    shown = table if all_assays else table.head(SHOWN)
    more = "" if len(shown) == len(table) else f" (the first {SHOWN} of {len(table)}; --all prints every one)"
    numbers = [Column("labels", 1), Column(curves.metric), Column("95 % interval", 2)]
    print_table(
        f"Is it worth measuring more? By {curves.metric} of the {curves.part} part{more}",
        [Column("assay", folds=NAME), *numbers, Column("in words", folds=NAME)],
        [_cells(row) for row in shown.itertuples()],
    )
    files = ("curve.csv", "answers.csv", "curve.svg", "curve.html")
    tell(f"Written: {', '.join(str(curves.folder / name) for name in files)}")


def _cells(row: Any) -> list[str]:
    """A row of answers as texts."""
    name = row.assay + (" (alone)" if row.thinned == "alone" else "")
    interval_of_row = interval(row.low, row.high)
    return [name, f"{row.labels:,.0f}", in_digits(row.concordance), interval_of_row, row.words]
