r"""Weights of the models of a blend, from what each says of molecules that it was not fitted to.

The outputs of model p in assay t, standardised, are z. With weights w >= 0 and an intercept b the loss is

    sum over t of  1/n_t * (sum over the n_t cells of loss(b_t + sum over p of w_pt z_p)
                            + strength / 2 * sum over p of (w_pt - s_p)^2)

with the log-loss of classes and half the squared error of values (nothing on the allowed side of a bound).
All assays count alike; the shared weights s are free, and an assay leaves them as far as its own cells carry
it: the strength is that of a normal prior of variance 1 / strength, the same for few cells and for many.
"""

from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit, logit

from .blends import Blend

STRENGTHS = (1e6, 1e3, 300.0, 100.0, 30.0, 10.0, 3.0)
"""Tried by cross-validation; with the first, all assays have the shared weights."""
RIDGE = 1e-3  # on the shared weights, for what the loss alone would make infinite
LEAST = 0.05  # total weight of an assay whose models say nothing: their order is kept
STEPS, HALVINGS, SETTLED = 100, 40, 1e-9
FLAT = 1e-6  # standard deviation of outputs that says nothing of a scale


class Cells(NamedTuple):
    """What P models say of c measured cells."""

    tasks: np.ndarray
    """int64 [c]"""
    labels: np.ndarray
    """float64 [c], 0 or 1, or standardised values (bounds)."""
    sides: np.ndarray
    """int8 [c], 1 = the true value is above the label, -1 = below, 0 = it is the label."""
    folds: np.ndarray
    """int64 [c], the fold of the cell's molecule: the models were not fitted to it."""
    outputs: np.ndarray
    """float64 [P, c], as `blends.on_scale` gives them."""

    def take(self, at: np.ndarray) -> Self:
        """Some of the cells."""
        arrays = (self.tasks[at], self.labels[at], self.sides[at], self.folds[at])
        return self._replace(**dict(zip(self._fields, (*arrays, self.outputs[:, at]), strict=True)))

    def of_models(self, models: list[int]) -> Self:
        """Of some of the models."""
        return self._replace(outputs=self.outputs[models])


class FittedBlend(NamedTuple):
    """The weights, and how good they are for molecules that they were not fitted to."""

    blend: Blend
    strength: float
    """One of `STRENGTHS`."""
    losses: dict[float, float]
    """Mean loss over assays of left-out molecules, by strength."""
    crossed: np.ndarray
    """float64 [c], what the blend says of each cell with weights fitted to the other folds."""


def fit_blend(cells: Cells, is_real: np.ndarray) -> FittedBlend:
    """Weights of all assays, with the strength that is best for molecules left out.

    With one model it is that model, as it is.

    Parameters
    ----------
    is_real : bool [T], which assays have values.
    """
    crossed = {strength: crossed_of(cells, is_real, strength) for strength in STRENGTHS}
    losses = {strength: _mean_loss(cells, is_real, said) for strength, said in crossed.items()}
    strength = min(STRENGTHS, key=lambda each: losses[each])  # of equal ones the strongest, which comes first
    return FittedBlend(fitted(cells, is_real, strength), strength, losses, crossed[strength])


def crossed_of(cells: Cells, is_real: np.ndarray, strength: float) -> np.ndarray:
    """What a blend with that strength says of each cell [c], with weights fitted to the other folds.

    Intercepts and scales are those of all folds: with intercepts of the others, a fold with more actives than
    they have would get lower logits, and molecules of different folds could not be ranked together.
    """
    whole = fitted(cells, is_real, strength)
    said = np.zeros(len(cells.tasks))
    for fold in np.unique(cells.folds).tolist():
        left_out = np.flatnonzero(cells.folds == fold)
        others = fitted(cells.take(np.flatnonzero(cells.folds != fold)), is_real, strength, whole)
        blend = replace(others, intercept=whole.intercept)
        said[left_out] = said_by(blend, cells.take(left_out))
    return said


def said_by(blend: Blend, cells: Cells) -> np.ndarray:
    """The blend's logit or standardised value of each cell: float64 [c]."""
    tasks = cells.tasks
    inputs = (cells.outputs - blend.center[:, tasks]) / blend.scale[:, tasks]
    said: np.ndarray = blend.intercept[tasks] + (blend.weight[:, tasks] * inputs).sum(axis=0)
    return said


def fitted(cells: Cells, is_real: np.ndarray, strength: float, like: Blend | None = None) -> Blend:
    """The weights with that strength; `like` another blend, on its scales."""
    n_models, n_tasks = len(cells.outputs), len(is_real)
    scaled = cells.outputs
    counts = np.bincount(cells.tasks, minlength=n_tasks)
    center = _sums(scaled, cells.tasks, n_tasks) / np.maximum(counts, 1)
    spread = np.sqrt(
        _sums((scaled - center[:, cells.tasks]) ** 2, cells.tasks, n_tasks) / np.maximum(counts, 1)
    )
    scale = np.where(spread > FLAT, spread, 1.0)
    if like is not None:
        center, scale = like.center, like.scale
    if n_models == 1:
        return Blend(scale, center, scale, center[0], np.asarray(is_real, bool))
    inputs = (scaled - center[:, cells.tasks]) / scale[:, cells.tasks]
    problem = _Problem(cells, inputs, np.asarray(is_real, bool), strength)
    weight, intercept = problem.solved()
    weight, intercept = _usable(weight, intercept, problem, center)
    return Blend(weight, center, scale, intercept, np.asarray(is_real, bool))


def _usable(
    weight: np.ndarray, intercept: np.ndarray, problem: "_Problem", center: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights with a sum above 0; of an assay that could not be fitted, the mean of what models say."""
    total = weight.sum(axis=0)
    even = np.full_like(weight, LEAST / len(weight))
    shares = np.divide(weight, total, out=even / LEAST, where=total > 0)
    weight = np.where(total >= LEAST, weight, LEAST * shares)
    mean = (shares * center).sum(axis=0)
    return weight, np.where(problem.is_fitted, intercept, mean)


def _sums(values: np.ndarray, tasks: np.ndarray, n_tasks: int) -> np.ndarray:
    """Sums [..., T] over the cells [..., c] of each assay."""
    rows = values.reshape(-1, values.shape[-1])
    sums = np.array([np.bincount(tasks, row, n_tasks) for row in rows])
    return sums.reshape(*values.shape[:-1], n_tasks)


def _mean_loss(cells: Cells, is_real: np.ndarray, said: np.ndarray) -> float:
    """Mean over the assays that can be fitted of their mean loss."""
    n_tasks = len(is_real)
    losses, _, _ = _loss(said, cells, np.asarray(is_real, bool)[cells.tasks])
    counts = np.bincount(cells.tasks, minlength=n_tasks)
    means = _sums(losses, cells.tasks, n_tasks) / np.maximum(counts, 1)
    has = _can_be_fitted(cells, np.asarray(is_real, bool))
    return float(means[has].mean()) if has.any() else 0.0


def _loss(said: np.ndarray, cells: Cells, is_real: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss of each cell, its slope and its curvature, [c] each; `is_real` of the cells."""
    off = said - cells.labels
    off = np.where(cells.sides > 0, off.clip(max=0), np.where(cells.sides < 0, off.clip(min=0), off))
    chance = expit(said)
    losses = np.where(is_real, off**2 / 2, np.logaddexp(0, said) - cells.labels * said)
    slopes = np.where(is_real, off, chance - cells.labels)
    return losses, slopes, np.where(is_real, (off != 0) | (cells.sides == 0), chance * (1 - chance))


def _can_be_fitted(cells: Cells, is_real: np.ndarray) -> np.ndarray:
    """bool [T]: both classes, or a value."""
    n_tasks = len(is_real)
    counts = np.bincount(cells.tasks, minlength=n_tasks)
    actives = np.bincount(cells.tasks, cells.labels, n_tasks)
    exact = np.bincount(cells.tasks, cells.sides == 0, n_tasks)
    return np.where(is_real, exact > 1, (actives > 0) & (actives < counts))


class _Problem:
    """The loss of the weights as a function of shared [P] and own ones with intercepts [T, P + 1].

    Solved by Newton steps within w >= 0 (a weight at 0 that would fall below takes no part in the step); the
    Hessian is a block for each assay and the shared weights, which are taken out first.

    References
    ----------
    Projected Newton methods for optimization problems with simple constraints. D. Bertsekas, SIAM Journal on
    Control and Optimization 20, 221, 1982.
    """

    def __init__(self, cells: Cells, inputs: np.ndarray, is_real: np.ndarray, strength: float) -> None:
        self.n_tasks = len(is_real)
        self.is_fitted = _can_be_fitted(cells, is_real)
        kept = self.is_fitted[cells.tasks]
        self.cells, self.is_real = cells.take(np.flatnonzero(kept)), is_real[cells.tasks[kept]]
        counts = np.bincount(self.cells.tasks, minlength=self.n_tasks).clip(min=1)
        self.share = 1 / counts[self.cells.tasks]
        self.strength = strength / counts
        self.inputs = np.concatenate([inputs[:, kept], np.ones((1, int(kept.sum())))])
        self.ridge = RIDGE * max(int(self.is_fitted.sum()), 1)
        level = _sums(self.cells.labels * self.share, self.cells.tasks, self.n_tasks)
        binary = ~is_real & self.is_fitted
        self.start = np.where(is_real, level, 0.0)
        self.start[binary] = logit(level[binary])

    def solved(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights [P, T] and intercepts [T]."""
        n_models = len(self.inputs) - 1
        shared = np.full(n_models, 1 / n_models)
        own = np.concatenate([np.tile(shared, (self.n_tasks, 1)), self.start[:, None]], axis=1)
        value, *slopes = self.looked_at(shared, own)
        for _ in range(STEPS):
            step_shared, step_own, fall = self._step(own, *slopes)
            if fall < SETTLED * max(abs(value), 1e-3):
                break
            size = 1.0
            for _ in range(HALVINGS):
                tried = own + size * step_own
                tried[:, :-1] = tried[:, :-1].clip(min=0)
                new, *new_slopes = self.looked_at(shared + size * step_shared, tried)
                if new <= value - 1e-4 * size * fall:
                    break
                size /= 2
            else:
                break
            shared, own, value, slopes = shared + size * step_shared, tried, new, new_slopes
        own = np.where(self.is_fitted[:, None], own, np.append(shared.clip(min=0), 0.0))
        return own[:, :-1].T, own[:, -1]

    def looked_at(
        self, shared: np.ndarray, own: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The loss, its slopes by shared [P] and own numbers [T, P + 1], and the blocks of its Hessian."""
        tasks, inputs = self.cells.tasks, self.inputs
        said = (own[tasks].T * inputs).sum(axis=0)
        losses, slopes, curves = _loss(said, self.cells, self.is_real)
        away = own[:, :-1] - shared
        value = float(losses @ self.share) + float((self.strength[:, None] * away**2).sum()) / 2
        value += self.ridge * float(shared @ shared) / 2
        pulls = self.strength[:, None] * away
        by_own = _sums(slopes * self.share * inputs, tasks, self.n_tasks).T
        by_own[:, :-1] += pulls
        weighed = curves * self.share * inputs
        blocks = np.stack([_sums(weighed * row, tasks, self.n_tasks) for row in inputs]).transpose(2, 0, 1)
        return value, self.ridge * shared - pulls.sum(axis=0), by_own, blocks

    def _step(
        self, own: np.ndarray, by_shared: np.ndarray, by_own: np.ndarray, blocks: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """The Newton step of the numbers that are free, and how far the loss would fall along it."""
        n_models = len(by_shared)
        held = np.zeros(own.shape, bool)
        held[:, :-1] = (own[:, :-1] <= 0) & (by_own[:, :-1] > 0)
        free = ~held
        matrix = blocks * (free[:, :, None] & free[:, None, :])
        diagonal = np.append(np.ones(n_models), 0.0) * self.strength[:, None]
        diagonal[:, -1] = np.where(self.is_fitted, 1e-12, 1.0)
        places = np.arange(n_models + 1)
        matrix[:, places, places] = np.where(free, matrix[:, places, places] + diagonal, 1.0)
        slopes = np.where(free, by_own, 0.0)
        couples = np.zeros((len(own), n_models + 1, n_models))
        couples[:, places[:-1], places[:-1]] = -self.strength[:, None] * free[:, :-1]
        solved = np.linalg.solve(matrix, np.concatenate([couples, slopes[:, :, None]], axis=2))
        schur = (self.strength.sum() + self.ridge) * np.eye(n_models)
        schur = schur - (couples.transpose(0, 2, 1) @ solved[:, :, :-1]).sum(axis=0)
        right = by_shared - (couples * solved[:, :, -1:]).sum(axis=(0, 1))
        step_shared = -np.linalg.solve(schur, right)
        step_own = -solved[:, :, -1] - solved[:, :, :-1] @ step_shared
        step_own[held] = 0.0
        fall = -float(by_shared @ step_shared) - float((slopes * step_own).sum())
        return step_shared, step_own, fall
