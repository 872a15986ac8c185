"""The pictures of one run, each a method that needs no arguments: what `run.plot` is in a notebook."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from ..data.sparse_cells import n_measured
from ..errors import ConfigError, DataError
from ..evaluation.headline import headline, title_of
from ..evaluation.results import Material
from ..evaluation.verdicts import likeness
from ..registry import did_you_mean
from . import pictures
from .curves import Curves, make_curves
from .report import label_counts_of, learned_from
from .svg import Picture
from .value_section import error_ranges, panel_of

ROC, PRECISION, RELIABILITY = range(3)
LOSS, VALID = range(2)


class RunPictures:
    """Every picture of a run; a notebook shows what a method returns, its `save` writes it.

    Raises
    ------
    DataError : of a method whose picture has nothing to show; says what is missing.
    """

    def __init__(self, results: Material) -> None:
        self._results = results

    def __repr__(self) -> str:
        names = ", ".join(f".{name}()" for name in dir(type(self)) if not name.startswith("_"))
        return f"Pictures of {self._results.config.name}: {names}"

    def ranked_assays(self) -> Picture:
        """ROC-AUC, or concordance, with interval of every assay, coloured by verdict."""
        return pictures.ranked_assays(self._tested(), self._verdicts)

    def amount_and_quality(self) -> Picture:
        """The same against the actives each assay could learn from; labels, where some have real values."""
        tested = self._tested()
        self._check_counts()
        return pictures.amount_and_quality(learned_from(tested), tested, self._verdicts)

    def label_counts(self) -> Picture:
        """Measured molecules and actives of each assay of two classes, over all parts."""
        self._check_counts()
        self._check_kind(real=False)
        return label_counts_of(self._results)

    def predicted_and_measured(self, assay: str | None = None) -> Picture:
        """Predicted against measured values of an assay in the test part; None = the one of most values."""
        return panel_of(self._results, self._real_assay(assay)).picture

    def errors(self) -> Picture:
        """Median error of every assay with real values, and where 50 and 90 % of its errors lie.

        Of assays on several scales those on the scale of most.
        """
        self._check_kind(real=True)
        ranges = error_ranges(self._results, np.flatnonzero(self._results.is_real).tolist())
        if not ranges:
            raise self._nothing("no exact value was measured in its test part")
        return ranges[0].wide

    def roc(self) -> Picture:
        """ROC curve of every assay of two classes, and their mean."""
        return pictures.curve_pictures(self._curves)[ROC]

    def precision_recall(self) -> Picture:
        """Precision-recall curve of every assay, and their mean."""
        return pictures.curve_pictures(self._curves)[PRECISION]

    def reliability(self) -> Picture:
        """Share of actives against predicted probability."""
        return pictures.curve_pictures(self._curves)[RELIABILITY]

    def training_loss(self) -> Picture:
        """Training loss over epochs: mean over assays and where 80 % of them lie."""
        return pictures.training_pictures(self._epochs, self._metric)[LOSS]

    def validation_roc_auc(self) -> Picture:
        """ROC-AUC of the validation part over epochs, as `training_loss`; or concordance."""
        return pictures.training_pictures(self._epochs, self._metric)[VALID]

    def weight_map(self) -> Picture:
        """What the balancer did: the weight of each assay in each epoch."""
        picture = pictures.weight_map(self._epochs)
        if picture is None:
            raise self._nothing("its balancer gave all assays the same weight in every epoch")
        return picture

    def validation_map(self) -> Picture:
        """ROC-AUC, or concordance, of the validation part of each assay in each epoch."""
        return pictures.validation_map(self._epochs, self._metric)

    def likeness_map(self) -> Picture:
        """Which assays are alike, in labels and in predictions."""
        labels, scores = self._results.labels, self._results.scores
        if labels is None or scores is None:
            raise self._nothing("of so many assays only what was measured is kept")
        alike = likeness(labels, scores, self._results.is_real)
        return pictures.likeness_map(alike, self._assays)

    @cached_property
    def _curves(self) -> Curves:
        self._check_kind(real=False)
        tested = self._results.evaluation
        if not tested["roc_auc"].notna().any():
            raise self._nothing("no assay has actives and inactives in its test part")
        return make_curves(self._results.test_predictions, tested)

    @property
    def _verdicts(self) -> "pd.Series[str]":
        return self._results.evaluation["verdict"].to_numpy()

    @property
    def _assays(self) -> Sequence[str]:
        return self._results.test_predictions.tasks

    @property
    def _epochs(self) -> pd.DataFrame:
        if not len(self._results.history):
            raise self._nothing("a baseline has no epochs, and no history.csv")
        return self._results.history

    @property
    def _metric(self) -> str:
        return title_of(headline(self._results.evaluation))

    def _tested(self) -> pd.DataFrame:
        evaluation = self._results.evaluation
        if not evaluation[headline(evaluation).name].notna().any():
            needs = "two values or " if self._results.is_real.any() else ""
            raise self._nothing(f"no assay has {needs}actives and inactives in its test part")
        return evaluation

    def _real_assay(self, name: str | None) -> int:
        """The place of an assay with real values."""
        self._check_kind(real=True)
        measured = n_measured(self._results.test_predictions.labels)
        real = np.flatnonzero(self._results.is_real)
        if name is None:
            return int(real[np.argmax(measured[real])])
        names = [self._assays[task] for task in real.tolist()]
        if name not in names:
            raise ConfigError(f"There is no assay '{name}' with real values. {did_you_mean(name, names)}")
        return int(real[names.index(name)])

    def _check_kind(self, *, real: bool) -> None:
        if not (self._results.is_real == real).any():
            kind, method = ("real values", "roc") if real else ("two classes", "predicted_and_measured")
            raise self._nothing(f"none of its assays has {kind}; see .{method}()")

    def _check_counts(self) -> None:
        if not len(self._results.counts):
            raise self._nothing("it has no labels.csv, as runs before version 0.2.0")

    def _nothing(self, why: str) -> DataError:
        return DataError(f"{self._results.folder} has nothing to draw here: {why}.")
