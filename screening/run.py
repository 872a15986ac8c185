"""A finished run as Python holds it: its tables, its model, its pictures, and everything one does with it.

Above all packages, as the command line is: `train` and `load_run` give a `Run`. What is stored is read by
`evaluation.results` when it is asked for.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from .bundle.bundle import DESCRIPTION, Bundle
from .config import AnyConfig, Config, load_config
from .data.assay_kinds import Assay
from .data.assay_table import AssayTable
from .data.datasets import reading
from .data.sparse_cells import SparseCells
from .data.tables import IN_MEMORY
from .errors import ConfigError, DataError
from .evaluation.comparison import Comparison, compare
from .evaluation.headline import comparable_means
from .evaluation.results import Material, read_material
from .evaluation.run_sets import is_set, run_folders
from .metrics.per_assay import summarize
from .registry import did_you_mean
from .reporting.report import Report, write_report
from .reporting.run_card import card, lines
from .reporting.run_pictures import RunPictures
from .runtime.distributed import wait_for_all
from .runtime.folders import owner
from .scoring.scorer import Scorer
from .training.evaluating import pooled_precision
from .training.history import Epoch
from .training.predictions import CENSORED, LABEL, SCORE, read_predictions
from .training.preparation import Note
from .training.run import train as train_run
from .triage.explanation import Explanation, explain_molecules

FILES = ("manifest.json", "predictions.parquet", "evaluation.csv", "bundle")
"""What a run folder has, besides its config, once it is finished."""


class Run:
    """A finished run. A notebook shows it as a card; what takes a run folder takes it too.

    Attributes
    ----------
    folder : the run folder.
    config : the settings it was trained with.
    tasks : the names of its T assays.
    assays : kind, unit and scale of each.
    evaluation : test part, one row per assay: every metric with its interval, `verdict` and likely reasons
        (`why`), label counts.
    summary : test part, one row per metric: mean, median and percentiles over assays; mean errors where all
        real values are on one scale.
    history : per epoch and assay the loss, the weight and the validation ROC-AUC (concordance of real
        values); empty of a baseline.
    rejected : the records of the table that could not be used, with reasons.
    bundle : the trained model.
    plot : its pictures, each a method: `run.plot.ranked_assays()`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def __fspath__(self) -> str:
        return str(self.folder)

    @cached_property
    def _results(self) -> Material:
        return read_material(self.folder)

    @property
    def config(self) -> Config:
        return self._results.config

    @property
    def tasks(self) -> tuple[str, ...]:
        return self._results.test_predictions.tasks

    @property
    def assays(self) -> tuple[Assay, ...]:
        return self._results.assays

    @property
    def evaluation(self) -> pd.DataFrame:
        return self._results.evaluation

    @cached_property
    def summary(self) -> pd.DataFrame:
        test = self._results.test_predictions
        pooled = pooled_precision(test.labels, test.scores, test.is_real)
        return comparable_means(summarize(self._results.evaluation, pooled=pooled), test.assays)

    @property
    def history(self) -> pd.DataFrame:
        return self._results.history

    @property
    def rejected(self) -> pd.DataFrame:
        return self._results.rejected

    @cached_property
    def bundle(self) -> Bundle:
        return Bundle.load(self.folder)

    @property
    def plot(self) -> RunPictures:
        return RunPictures(self._results)

    def predictions(self, part: str = "test") -> pd.DataFrame:
        """Labels and probabilities of the molecules of a part, test or valid.

        Columns row, id, smiles, then `label:<assay>` (NaN = not measured) and `score:<assay>` of each assay.
        Of real values both are on the trained scale (`assays`), and where some are censored,
        `censored:<assay>` is 1 where the true value is above the label, -1 below, else 0. Of thousands of
        assays with few measured cells a row for each cell: row, id, smiles, assay, label, score, censored.
        """
        kept = read_predictions(self.folder, part=part)
        if isinstance(kept.labels, SparseCells):
            return kept.frame()
        columns: dict[str, Any] = {"row": kept.rows, "id": kept.ids, "smiles": kept.smiles}
        for place, task in enumerate(kept.tasks):
            columns |= {LABEL + task: kept.labels[:, place], SCORE + task: kept.scores[:, place]}
            if kept.censored is not None and kept.is_real[place]:
                columns[CENSORED + task] = kept.censored[:, place]
        return pd.DataFrame(columns)

    def score(self, molecules: Any, *, column: str | None = None, **options: Any) -> pd.DataFrame:
        """Probabilities of molecules in memory, a row for each: see `Scorer.score`.

        Parameters
        ----------
        molecules : a SMILES, an RDKit molecule, or a list, array, column or table of them.
        column : of a table, that of the structures; None = found by its name.
        options : `assays`, `spread`, `domain`, `conformal`, `device`, `max_atoms`, as `Scorer` takes them.
        """
        return Scorer(self.bundle, **options).score(molecules, column=column)

    def report(
        self, out: str | os.PathLike[str] | None = None, *, scores: str | os.PathLike[str] | None = None
    ) -> Report:
        """Write the page about the run, and its model card: see `reporting.write_report`."""
        return write_report(self.folder, out, scores=scores)

    def explain(self, molecules: Any, assay: str, **options: Any) -> Explanation:
        """What each atom of molecules in memory contributes to their score in an assay; a notebook draws it.

        Parameters
        ----------
        molecules : as `score` takes them.
        options : `method`, `check`, `limit` and `column`, as `triage.explain_molecules` takes them.
        """
        return explain_molecules(self.bundle, molecules, assay=assay, **options)

    def compare(self, *others: "str | Path | Run", **options: Any) -> Comparison:
        """Other runs against this one, assay by assay on the same molecules: see `evaluation.compare`."""
        return compare([self.folder, *map(Path, others)], **options)

    def __repr__(self) -> str:
        return "\n  ".join([f"Run {self.folder}", *lines(self._results, self.summary)])

    def _repr_html_(self) -> str:
        return card(self._results, self.summary)


def load_run(path: str | os.PathLike[str]) -> Run:
    """The finished run in a folder.

    Raises
    ------
    DataError : there is none; says what is there, what is missing, and how to go on.
    """
    folder = Path(path)
    if not (folder / "config.yaml").is_file():
        raise DataError(_no_run(folder))
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        raise DataError(_unfinished(folder, missing))
    return Run(folder)


def train(
    config: AnyConfig,
    table: AssayTable | pd.DataFrame | None = None,
    *,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    data: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Run:
    """Train one model for all assays and evaluate it; everything about it is in the run folder.

    Parameters
    ----------
    config : a YAML file, the name of a recipe (`tox21`), the settings as a dictionary, or a `Config`; or a
        table's file, whose model is then chosen from it (the setting `recipe`: best).
    table : a table in memory in place of the one that `data.source` names; of a DataFrame the columns are
        found as in a file (`data.smiles`, `data.id`, `data.tasks`, `data.labels`). Resuming takes it again.
    overrides : settings that win over it: `{"train.epochs": 5}`, or texts as on the command line.
    data : the table's file, or the folder it lies in; None = found by `data.source`.
    resume, overwrite : go on with a run that was stopped, or replace one: see `training.train`.

    Raises
    ------
    ConfigError : a setting is wrong, or the run folder is in use or holds a run.
    DataError : the table cannot be used.
    """
    if table is not None:
        if data is not None:
            raise TypeError("Give either a table in memory or data, the file of one.")
        config = _of_memory(config)
    settings = load_config(config, overrides)
    given = _as_table(table, settings) if table is not None else None if data is None else Path(data)
    train_run(settings, data=given, resume=resume, overwrite=overwrite, on_note=on_note, on_epoch=on_epoch)
    wait_for_all()
    return load_run(settings.folder)


def _of_memory(config: Any) -> Any:
    """A dictionary need not name a source where the table is given."""
    if not isinstance(config, Mapping) or not isinstance(config.get("data", {}), Mapping):
        return config
    return {**config, "data": {"source": IN_MEMORY, **config.get("data", {})}}


def _as_table(table: AssayTable | pd.DataFrame, settings: Config) -> AssayTable:
    return table if isinstance(table, AssayTable) else AssayTable.from_frame(table, **reading(settings.data))


def _no_run(folder: Path) -> str:
    """What to say of a folder that is none of a run."""
    if is_set(folder):
        try:
            names = ", ".join(map(str, run_folders(folder)[:5]))
        except DataError as problem:
            return str(problem)
        return f"{folder} names a set of runs: load one of them ({names}), or compare the set by this name."
    if (folder / DESCRIPTION).is_file():
        if (folder.parent / "config.yaml").is_file():
            return f"{folder} is the bundle of a run: load the run, {folder.parent}."
        return (
            f"{folder} is a bundle: a model without the results of its training. Score with it: "
            f"Scorer.load({str(folder)!r}).score(molecules)"
        )
    if folder.exists():
        return (
            f"{folder} is no run folder: it has no config.yaml. Expected what `train` made: runs/NAME. "
            f"{did_you_mean(folder.name, _runs_in(folder))}"
        )
    return f"There is no run folder {folder}. {did_you_mean(str(folder), _runs_in(folder.parent))}"


def _runs_in(folder: Path) -> list[str]:
    return sorted(str(path.parent) for path in folder.glob("*/config.yaml"))


def _unfinished(folder: Path, missing: Sequence[str]) -> str:
    """What a run lacks, and the command that goes on with it."""
    at_work = owner(folder)
    if at_work:
        return f"{folder} is not a finished run: it is {at_work}. Wait for it."
    lacks = f"{folder} is not a finished run: it has no {', '.join(missing)}"
    if FILES[0] not in missing:
        return f"{lacks}, which a finished run has. Copy it again, or train it again with overwrite."
    kept = "Its finished epochs are kept" if any(folder.glob("checkpoint*.pt")) else "No epoch was finished"
    return f"{lacks}. {kept}. Go on with: {_go_on(folder)}"


def _go_on(folder: Path) -> str:
    """The command that resumes a run; in Python where its table was in memory."""
    file = folder / "config.yaml"
    try:
        config = load_config(file)
    except ConfigError:  # of another version
        return f"screening train {file} --resume"
    moved = "" if config.folder.resolve() == folder.resolve() else f" runs={folder.parent} name={folder.name}"
    if config.data.source == IN_MEMORY:
        return f"train({str(file)!r}, table, resume=True), with the table that it was started with"
    return f"screening train {file}{moved} --resume"
