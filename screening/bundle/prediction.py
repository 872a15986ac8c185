"""What the members of a bundle say together: means of probabilities and values, and how far they agree."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..models.blends import Blend
from ..models.targets import Targets
from ..uncertainty.calibration import Calibration


class Prediction(NamedTuple):
    """What the members say of n molecules."""

    scores: np.ndarray
    """float32 [n, T], probability of being active, calibrated where the bundle has a calibration; of a real
    assay the value, on the scale of training."""
    spread: np.ndarray | None
    """float32 [n, T], standard deviation over the members that serve the assay, each calibrated; NaN with
    one member; None if all have one."""
    raw: np.ndarray
    """float32 [n, T], mean over the members, not calibrated: what `ConformalSets` takes."""
    distance: np.ndarray | None = None
    """float32 [n], from the training part, as `Representation` measures it; None where it is not wanted."""
    sd: np.ndarray | None = None
    """float32 [n, T], of a real assay what the model says of its error: root of the mean square of the
    members' own standard deviations and of their spread; NaN where it says nothing, and of classes; None
    where it says nothing of any assay."""


def joined(pieces: Iterable[Prediction], n: int) -> Prediction:
    """Predictions of consecutive molecules, n in all, as one; each is let go of before the next is made."""
    arrays: dict[str, np.ndarray] = {}
    start = 0
    for piece in pieces:
        for name, values in piece._asdict().items():
            if values is not None:
                whole = arrays.setdefault(name, np.empty((n, *values.shape[1:]), values.dtype))
                whole[start : start + len(values)] = values
        start += len(piece.scores)
    return Prediction(**{name: arrays.get(name) for name in Prediction._fields})  # type: ignore[arg-type]


class Votes:
    """The sums over members, fed with one after the other.

    Parameters
    ----------
    n : molecules.
    count : int64 [T], members that serve each assay.
    calibration, targets, blend : of the bundle.
    """

    def __init__(
        self,
        n: int,
        count: np.ndarray,
        calibration: Calibration | None,
        targets: Targets | None,
        blend: Blend | None = None,
    ) -> None:
        self.count, self.calibration, self.targets, self.blend = count, calibration, targets, blend
        shape = (n, len(count))
        self.total, self.weights = np.zeros(shape), np.zeros(len(count))
        self.sums, self.squares = np.zeros(shape), np.zeros(shape)
        self.serving = np.zeros(len(count))
        self.own, self.own_weights = np.zeros(shape), np.zeros(len(count))

    def add(
        self,
        columns: list[int],
        weight: float | np.ndarray,
        outputs: Tensor,
        sd: Tensor | None,
        part: int = 0,
    ) -> None:
        """Take in what a member says of its assays.

        Parameters
        ----------
        outputs : [n, t], logits and standardised values.
        sd : [n, t], its own standard deviations of standardised values; None = it gives none.
        part : the number of its model in the blend.
        """
        if self.blend is not None:
            votes = self.blend.votes(part, outputs.numpy(), np.asarray(columns))
            weight = weight * self.blend.shares[part, columns]
            outputs = torch.from_numpy(votes)
            sd = None if sd is None else sd * torch.from_numpy(self.blend.slopes(part)[columns])
        values = self._answers(outputs, columns)
        self.total[:, columns] += weight * (values if self.blend is None else votes)
        self.weights[columns] += weight
        if self.count.max() > 1:
            values = self._calibrated(values, columns) * (weight > 0)
            self.serving[columns] += weight > 0
            self.sums[:, columns] += values
            self.squares[:, columns] += values**2
        if sd is not None and self.targets is not None:
            own = sd.double().numpy() * self.targets.take(columns).deviation
            self.own[:, columns] += weight * own**2
            self.own_weights[columns] += weight

    def prediction(self, distance: np.ndarray | None = None) -> Prediction:
        """What was taken in, together."""
        raw = self.total / self.weights
        if self.blend is not None:
            raw = self._answers(torch.from_numpy(raw), list(range(len(self.count))))
        raw = raw.astype(np.float32)
        scores = self._calibrated(raw, list(range(len(self.count))))
        variance = self._variance()
        spread = None if variance is None else np.sqrt(variance).astype(np.float32)
        return Prediction(scores, spread, raw, distance, self._sd(variance))

    def _variance(self) -> np.ndarray | None:
        """[n, T] over the members; NaN with one; None if all have one."""
        if self.count.max() == 1:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = (self.squares - self.sums**2 / self.serving).clip(min=0) / (self.serving - 1)
        return np.where(self.serving > 1, variance, np.nan)

    def _sd(self, variance: np.ndarray | None) -> np.ndarray | None:
        """`Prediction.sd`."""
        if self.targets is None or (variance is None and not self.own_weights.any()):
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            own = self.own / self.own_weights  # NaN where no member gives one
        between = np.full(own.shape, np.nan) if variance is None else variance
        is_said = self.targets.is_real & ~(np.isnan(own) & np.isnan(between))
        total = np.nan_to_num(own) + np.nan_to_num(between)
        return np.where(is_said, np.sqrt(total), np.nan).astype(np.float32)

    def _answers(self, outputs: Tensor, columns: list[int]) -> np.ndarray:
        """Probabilities and values [n, t] float64 of what a member says of its assays."""
        answers: np.ndarray = outputs.double().sigmoid().numpy()
        if self.targets is not None:
            self.targets.take(columns).put_values(answers, outputs.double().numpy())
        return answers

    def _calibrated(self, scores: np.ndarray, columns: list[int]) -> np.ndarray:
        """Scores [n, t] with probabilities calibrated; values stay."""
        if self.calibration is None:
            return scores
        if self.targets is None:
            return self.calibration.take(columns).apply(scores)
        calibrated = scores.copy()
        binary = np.flatnonzero(~self.targets.is_real[columns])
        of_binary = self.calibration.take([columns[place] for place in binary.tolist()])
        calibrated[:, binary] = of_binary.apply(scores[:, binary])
        return calibrated
