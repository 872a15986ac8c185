"""The pictures of one run, each a method without arguments: what `run.plot` is in a notebook."""

from collections.abc import Sequence
from functools import cached_property

import pandas as pd

from ..errors import DataError
from ..evaluation.results import Material
from ..evaluation.verdicts import likeness
from . import pictures
from .curves import Curves, make_curves
from .svg import Picture

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
        """ROC-AUC with interval of every assay, coloured by verdict."""
        return pictures.ranked_assays(self._tested("roc_auc"), self._verdicts)

    def amount_and_quality(self) -> Picture:
        """ROC-AUC of each assay against the actives it could learn from."""
        tested = self._tested("roc_auc")
        self._check_counts()
        return pictures.amount_and_quality(tested["train_actives"].to_numpy(float), tested, self._verdicts)

    def label_counts(self) -> Picture:
        """Measured molecules and actives of each assay, over all parts."""
        self._check_counts()
        sums = self._results.counts.groupby("assay", sort=False)[["measured", "actives"]].sum()
        sums = sums.reindex(self._results.evaluation["assay"], fill_value=0)
        return pictures.label_counts(sums["measured"].to_numpy(), sums["actives"].to_numpy(), self._verdicts)

    def roc(self) -> Picture:
        """ROC curve of every assay, and their mean."""
        return pictures.curve_pictures(self._curves)[ROC]

    def precision_recall(self) -> Picture:
        """Precision-recall curve of every assay, and their mean."""
        return pictures.curve_pictures(self._curves)[PRECISION]

    def reliability(self) -> Picture:
        """Share of actives against predicted probability."""
        return pictures.curve_pictures(self._curves)[RELIABILITY]

    def training_loss(self) -> Picture:
        """Training loss over epochs: mean over assays and where 80 % of them lie."""
        return pictures.training_pictures(self._epochs)[LOSS]

    def validation_roc_auc(self) -> Picture:
        """ROC-AUC of the validation part over epochs, as `training_loss`."""
        return pictures.training_pictures(self._epochs)[VALID]

    def weight_map(self) -> Picture:
        """What the balancer did: the weight of each assay in each epoch."""
        picture = pictures.weight_map(self._epochs)
        if picture is None:
            raise self._nothing("its balancer gave all assays the same weight in every epoch")
        return picture

    def validation_map(self) -> Picture:
        """ROC-AUC of the validation part of each assay in each epoch."""
        return pictures.validation_map(self._epochs)

    def likeness_map(self) -> Picture:
        """Which assays are alike, in labels and in predictions."""
        alike = likeness(self._results.labels, self._results.scores)
        return pictures.likeness_map(alike, self._assays)

    @cached_property
    def _curves(self) -> Curves:
        return make_curves(self._results.test_predictions, self._tested("roc_auc"))

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

    def _tested(self, metric: str) -> pd.DataFrame:
        if not self._results.evaluation[metric].notna().any():
            raise self._nothing("no assay has actives and inactives in its test part")
        return self._results.evaluation

    def _check_counts(self) -> None:
        if not len(self._results.counts):
            raise self._nothing("it has no labels.csv, as runs before version 0.2.0")

    def _nothing(self, why: str) -> DataError:
        return DataError(f"{self._results.folder} has nothing to draw here: {why}.")
