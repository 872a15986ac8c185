"""How the models of a blend are put together: each brought onto one scale, then weighed, assay by assay.

The weights come from `blend_fitting`; `bundle.prediction` applies them, `bundle.exported_network` too.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from ..errors import BundleError

CERTAIN = 5e-4
"""What every chance is drawn away from 0 and 1 by: a forest of 500 trees in which none says active says
something like it, and not a logit of minus 16. The order of molecules stays."""


def on_scale(outputs: np.ndarray, is_real: np.ndarray) -> np.ndarray:
    """Outputs [..., T] of a model on the scale that is weighed, float64: logits held by `CERTAIN`; values."""
    outputs = np.asarray(outputs, np.float64)
    held = logit((1 - 2 * CERTAIN) * expit(outputs) + CERTAIN)
    return np.where(is_real, outputs, held)


@dataclass(frozen=True)
class Blend:
    """The weights of P models in T assays, and the scale of each.

    Each model has a vote, what the blend would say if it heard this model alone:
    `intercept + total weight * (output - center) / scale`. The blend is the mean of the votes, each with its
    share of the weights: logits of classes, standardised values of real assays.
    """

    weight: np.ndarray
    """float64 [P, T], at least 0, above 0 together."""
    center: np.ndarray
    """float64 [P, T], mean of the outputs for molecules that the model was not fitted to."""
    scale: np.ndarray
    """float64 [P, T], their standard deviation, above 0."""
    intercept: np.ndarray
    """float64 [T]"""
    is_real: np.ndarray
    """bool [T]"""

    @property
    def n_tasks(self) -> int:
        """T"""
        return len(self.intercept)

    @property
    def shares(self) -> np.ndarray:
        """[P, T], of the weights of an assay."""
        shares: np.ndarray = self.weight / self.weight.sum(axis=0)
        return shares

    def slopes(self, part: int | np.ndarray) -> np.ndarray:
        """[T], what a vote of a model rises by with its output; [k, T] of k models."""
        slopes: np.ndarray = self.weight.sum(axis=0) / self.scale[part]
        return slopes

    def votes(self, part: int, outputs: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Votes [n, t] of a model by its outputs [n, t] of the assays `columns`."""
        off = on_scale(outputs, self.is_real[columns]) - self.center[part, columns]
        votes: np.ndarray = self.intercept[columns] + self.slopes(part)[columns] * off
        return votes

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        return {name: getattr(self, name) for name in ("weight", "center", "scale", "intercept", "is_real")}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Blend":
        """That of which `state` was taken; BundleError where arrays are missing or do not fit."""
        try:
            blend = cls(
                **{name: state[name] for name in ("weight", "center", "scale", "intercept", "is_real")}
            )
        except KeyError as problem:
            raise BundleError(
                f"The weights of the blend have no {problem}. Copy the bundle again."
            ) from problem
        shape = blend.weight.shape
        fits = len(shape) == 2 and blend.center.shape == blend.scale.shape == shape
        fits = fits and blend.intercept.shape == blend.is_real.shape == shape[1:]
        numbers = (blend.weight, blend.center, blend.scale, blend.intercept)
        sound = fits and blend.is_real.dtype == bool and all(np.isfinite(each).all() for each in numbers)
        if (
            not sound
            or (blend.weight < 0).any()
            or not (blend.weight.sum(0) > 0).all()
            or not (blend.scale > 0).all()
        ):
            raise BundleError("The weights of the blend do not fit together. Copy the bundle again.")
        return blend
