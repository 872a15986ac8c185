"""A Gaussian process per assay on the similarity of counts."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from ...errors import BundleError, ConfigError
from ...features.store import GraphStore, VectorBlock
from ...runtime import ragged
from ...runtime.progress import progress
from .columns import Columns
from .contract import Baseline, Count, baselines, taken
from .min_max_kernel import EVEN, FALLING, Counts, MinMax
from .normal_posterior import LEAST_NOISE, Posterior, factor_of, line_of, noise_of, posterior, variances

FEW = 20  # exact values from which the noise is learnt without the bounds beside them
LEARNS_FROM = 2000  # molecules of an assay of which the noise is learnt: a number that needs no more
WHOLE = 11_000  # molecules whose similarities, 0.5 GiB, are kept while the assays are fitted
ALONE = 4000  # molecules from which one assay at a time is fitted
CELLS = 2**25  # similarities made at a time in predictions, 128 MiB
KEPT = 2**27  # numbers of triangles kept between calls of `predict_sd`, 1 GiB
DENSE = 1024  # molecules taken out of the store at a time
AGAIN = "Copy the bundle again."


class Fitted(NamedTuple):
    """The process of one assay."""

    rows: np.ndarray
    """[n] int64, ascending: the molecules it rests on, counted among those of the training part."""
    process: Posterior
    left_out: np.ndarray | None = None
    """[molecules of the training part] float32, NaN = not measured; where there are folds."""


@baselines.register("gaussian_process")
class GaussianProcess(Baseline):
    """A Gaussian process per assay on MinMax, the Tanimoto similarity of counts, with its own uncertainty.

    All vectors of counts and bits are fingerprints; the similarity is the mean over them, so name several:
    `features.vectors=[ecfp6_counts, fcfp_counts, atom_pairs, torsions]`. Amplitude, noise and mean of each
    assay are the likeliest (of at most 2,000 of its molecules the noise). Classes are fitted as values of -1
    and 1, and a line through the predictions for each molecule left out (Platt's) makes them logits.

    An assay with n molecules takes n^3 steps and 12 n^2 bytes; one with more than `most` rests on so many of
    them, drawn by the seed, of classes at first the rarer one, up to half. A library is scored against all
    molecules that any assay rests on, some 5 million pairs a second on one core.

    Parameters
    ----------
    counts : log = log(1 + count), so that one more of many counts less; plain = as they are.
    most : molecules that an assay rests on at most.

    References
    ----------
    GAUCHE: a library for Gaussian processes in chemistry. R.-R. Griffiths et al., NeurIPS, 2023.
    https://arxiv.org/abs/2212.04450
    """

    kind = "gaussian_process"
    kinds = frozenset({"binary", "real"})
    gives_sd = True
    takes_bounds = True
    leaves_out = True
    widths: Tensor
    """[vector blocks] int64, columns of each; those of real values are not looked at."""
    fingerprints: list[Counts]
    """Of all molecules that any assay rests on, one for each block of counts or bits."""
    first: np.ndarray
    """[T + 1] int64, where the molecules of each assay start; an assay without has its base rate."""
    molecules: np.ndarray
    """[all] int32, ascending in an assay: which of the molecules."""
    weights: np.ndarray
    """[all] float32"""
    mean: Tensor
    """[T] float32"""
    scale: Tensor
    """[T] float32, variance of the function."""
    noise: Tensor
    """[T] float32, variance of the noise by that of the function."""

    def __init__(self, *, counts: Literal["log", "plain"] = "log", most: Count = 10_000) -> None:
        self.counts, self.most = counts, most

    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        self._use(blocks)
        parts = [self._split(store.batch(part).vectors) for part in rows.split(DENSE)]
        self.fingerprints = [Counts.of(parts_of_one) for parts_of_one in zip(*parts, strict=True)]

    def _use(self, blocks: Sequence[VectorBlock]) -> None:
        """Remember which columns are fingerprints."""
        self.widths = torch.tensor([len(block.columns) for block in blocks])
        ends = self.widths.cumsum(0).tolist()
        self._columns = [
            slice(end - len(block.columns), end)
            for block, end in zip(blocks, ends, strict=True)
            if block.kind != "real"
        ]
        others = [block.name for block in blocks if block.kind == "real"]
        if not self._columns:
            raise ConfigError(
                f"baseline '{self.kind}' needs counts or bits, and {', '.join(others)} has none: "
                "features.vectors=[ecfp6_counts, fcfp_counts, atom_pairs, torsions]."
            )
        if others:
            note = f"{self.kind} compares counts and bits: {', '.join(others)} is not looked at"
            self.notes = [*self.notes, note]

    def _split(self, vectors: Tensor) -> list[np.ndarray]:
        return [vectors[:, columns].numpy() for columns in self._columns]

    def _prepared(self, vectors: Tensor) -> Tensor:
        return vectors

    def _fit_all(
        self,
        store: GraphStore,
        labels: Tensor | Columns,
        rows: Tensor,
        tasks: list[int],
        seed: int,
        workers: int,
    ) -> list[Fitted]:
        chosen = [
            self._chosen(labels[:, task].numpy(), bool(self.is_real[task]), seed, task) for task in tasks
        ]
        similarity = self._similarities(chosen)

        def one(task: int, rows: np.ndarray) -> Fitted:
            values = labels[:, task].double().numpy()
            if self.is_real[task]:
                sides = None if self.sides is None else self.sides[rows, task].numpy()
                process = self._fit_values(similarity(rows), values[rows], seed, sides, self._folds_of(rows))
            else:
                process = self._fit_one(similarity(rows), values[rows], seed, self._folds_of(rows))
                process = _shifted(process, _logit(np.nanmean(values)) - _logit(values[rows].mean()))
            advance(1)
            return self._with_left_out(Fitted(rows, process), np.flatnonzero(~np.isnan(values)))

        largest = max(map(len, chosen), default=0)
        self._note_the_large()
        with (
            progress(f"fitting {self.kind}", len(tasks)) as advance,
            ThreadPoolExecutor(1 if largest > ALONE else max(workers, 1)) as pool,
        ):
            return list(pool.map(one, tasks, chosen))

    def _folds_of(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.folds is None else self.folds[rows].numpy()

    def _with_left_out(self, fitted: Fitted, measured: np.ndarray) -> Fitted:
        """With what is said of the measured molecules; of those that it does not rest on by similarities."""
        if self.folds is None or fitted.process.without is None:
            return fitted
        without, folds = fitted.process.without, self.folds.numpy()
        left_out = np.full(len(folds), np.nan, np.float32)
        left_out[fitted.rows] = without.left_out
        others = np.setdiff1d(measured, fitted.rows)
        if len(others):
            kernel = self._of([each.take(fitted.rows) for each in self.fingerprints])
        for start in range(0, len(others), DENSE):
            rows = others[start : start + DENSE]
            similarities = kernel.to([each.take(rows) for each in self.fingerprints])
            said = similarities @ without.weights + without.means
            left_out[rows] = said[np.arange(len(rows)), folds[rows]]
        return fitted._replace(left_out=left_out, process=fitted.process._replace(without=None))

    def _note_the_large(self) -> None:
        n_large = int((self.n_fitted > self.most).sum())
        if n_large:
            note = (
                f"{n_large} of {len(self.n_fitted)} assays have more than {self.most:,} molecules: "
                f"{self.kind} rests on {self.most:,} of each, drawn by the seed (option most)"
            )
            self.notes = [*self.notes, note]

    def _chosen(self, values: np.ndarray, is_real: bool, seed: int, task: int) -> np.ndarray:
        """Ascending rows of at most `most` measured molecules of an assay."""
        measured = np.flatnonzero(~np.isnan(values))
        if len(measured) <= self.most:
            return measured
        mixed = np.random.default_rng([seed, task]).permutation(measured)
        if not is_real:
            is_active = values[mixed] > 0
            is_rarer = is_active if is_active.mean() < 0.5 else ~is_active
            rarer = mixed[is_rarer][: self.most // 2]
            mixed = np.concatenate([rarer, mixed[~is_rarer]])
        return np.sort(mixed[: self.most])

    def _similarities(self, chosen: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """What gives the similarities among some rows: from those among all where that is less work."""
        union = np.unique(np.concatenate([np.zeros(0, np.int64), *chosen]))
        if len(union) > WHOLE or len(union) ** 2 > sum(len(rows) ** 2 for rows in chosen):
            return lambda rows: self._among([each.take(rows) for each in self.fingerprints])
        whole = self._among([each.take(union) for each in self.fingerprints])

        def part(rows: np.ndarray) -> np.ndarray:
            places = np.searchsorted(union, rows)
            return whole[places[:, None], places]

        return part

    def _fit_values(
        self,
        inputs: np.ndarray,
        answer: np.ndarray,
        seed: int,
        sides: np.ndarray | None = None,
        folds: np.ndarray | None = None,
    ) -> Posterior:
        """The process of the values [n] of molecules with similarities [n, n]; the rest as in `posterior`."""
        is_exact = np.ones(len(answer), bool) if sides is None else sides == 0
        of_noise = np.flatnonzero(is_exact if is_exact.sum() >= FEW else ~np.isnan(answer))
        drawn = np.sort(np.random.default_rng(seed).permutation(of_noise)[:LEARNS_FROM])
        noise = noise_of(inputs[drawn[:, None], drawn], answer[drawn])
        return posterior(inputs, answer, noise, sides, folds)

    def _fit_one(
        self, inputs: np.ndarray, answer: np.ndarray, seed: int, folds: np.ndarray | None = None
    ) -> Posterior:
        """Of classes [n]: the process of -1 and 1, made logits by a line."""
        process = self._fit_values(inputs, 2.0 * answer - 1, seed, folds=folds)
        slope, offset = line_of(process.left_out, answer)
        return _shifted(process.times(slope), offset)

    def _of(self, fingerprints: Sequence[Counts]) -> MinMax:
        return MinMax(fingerprints, FALLING if self.counts == "log" else EVEN)

    def _among(self, fingerprints: Sequence[Counts]) -> np.ndarray:
        """Similarities [n, n] of n molecules to one another."""
        return self._of(fingerprints).to(fingerprints)

    def _keep(self, fitted: dict[int, Fitted], n_tasks: int) -> None:
        if self.folds is not None:
            said = np.tile(self.base.numpy(), (len(self.folds), 1))
            for task, each in fitted.items():
                said[:, task] = each.left_out
            self.left_out = self._bounded(torch.from_numpy(said))
        lengths = np.zeros(n_tasks, np.int64)
        lengths[list(fitted)] = [len(each.rows) for each in fitted.values()]
        rows = np.concatenate([np.zeros(0, np.int64), *(each.rows for each in fitted.values())])
        weights = np.concatenate([np.zeros(0), *(each.process.weights for each in fitted.values())])
        used, molecules = np.unique(rows, return_inverse=True)
        self.fingerprints = [each.take(used) for each in self.fingerprints]
        self.first, self.molecules = ragged.bounds(lengths), molecules.astype(np.int32)
        self.weights = weights.astype(np.float32)
        self.mean, self.scale, self.noise = self.base.clone(), torch.ones(n_tasks), torch.ones(n_tasks)
        for task, each in fitted.items():
            self.mean[task], self.scale[task] = each.process.mean, each.process.scale
            self.noise[task] = each.process.noise
        self._prepare_to_predict()

    def _prepare_to_predict(self) -> None:
        shape = (len(self.first) - 1, len(self.fingerprints[0]))
        self._weights = csr_array((self.weights, self.molecules, self.first), shape)
        self._kernel = self._of(self.fingerprints)
        self._factors: dict[int, np.ndarray] = {}

    def _logits(self, inputs: Tensor) -> Tensor:
        means = [self._means(similarities) for similarities in self._similar(inputs)]
        return torch.cat([torch.zeros(0, len(self.mean)), *means])

    def predict_sd(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Standard deviations [n, T] float32 of what `predict` gives for the molecules `rows`.

        Of a real value, that of a measurement in standard deviations of the training values, its noise
        included; of a class that of the logit. 1 where an assay has its base rate. The first call of a
        restored baseline decomposes the similarities of every assay once more, n^3 / 3 steps.
        """
        return self.predict_with_sd(store, rows, batch_size=batch_size)[1]

    def predict_with_sd(
        self, store: GraphStore, rows: Tensor, *, batch_size: int = 512
    ) -> tuple[Tensor, Tensor]:
        """`predict` and `predict_sd`: similarities, the larger part of the work, are made once."""
        store = store.with_vectors(self.vectors)
        means, deviations = [torch.zeros(0, len(self.mean))], [torch.zeros(0, len(self.mean))]
        for part in rows.split(batch_size):
            for similarities in self._similar(store.batch(part).vectors):
                means.append(self._means(similarities))
                deviations.append(self._deviations(similarities))
        return self._bounded(torch.cat(means)), torch.cat(deviations)

    def _similar(self, inputs: Tensor) -> Iterator[np.ndarray]:
        """Similarities [some, n] of some molecules at a time to all that any assay rests on."""
        step = max(1, CELLS // max(1, len(self.fingerprints[0])))
        for group in inputs.split(step):
            yield self._kernel.to([Counts.of([part]) for part in self._split(group)])

    def _means(self, similarities: np.ndarray) -> Tensor:
        return torch.from_numpy((self._weights @ similarities.T).T) + self.mean

    def _deviations(self, similarities: np.ndarray) -> Tensor:
        variance, is_fitted = np.ones((len(similarities), len(self.mean))), np.diff(self.first) > 0
        for task in np.flatnonzero(is_fitted).tolist():
            molecules = self._molecules_of(task)
            variance[:, task] = variances(self._factor(task), similarities[:, molecules])
        variance += (self.noise * self.is_real).numpy() * is_fitted  # a logit has none: it is no measurement
        return torch.from_numpy(np.sqrt(variance * self.scale.numpy())).float()

    def _molecules_of(self, task: int) -> np.ndarray:
        return self.molecules[self.first[task] : self.first[task + 1]]

    def _factor(self, task: int) -> np.ndarray:
        """The triangle of an assay, kept for the next call while there is room."""
        if task not in self._factors:
            molecules = self._molecules_of(task)
            similarity = self._among([each.take(molecules) for each in self.fingerprints])
            factor = factor_of(similarity, float(self.noise[task]))
            if sum(each.size for each in self._factors.values()) + factor.size > KEPT:
                return factor
            self._factors[task] = factor
        return self._factors[task]

    def _arrays(self) -> dict[str, Tensor]:
        arrays = {
            f"fingerprints.{number}.{name}": array
            for number, counts in enumerate(self.fingerprints)
            for name, array in counts._asdict().items()
        }
        arrays |= {"first": self.first, "molecules": self.molecules, "weights": self.weights}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        numbers = {name: getattr(self, name) for name in ("widths", "mean", "scale", "noise")}
        return {**tensors, **numbers}

    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        self._use(blocks)
        self.notes = ()
        if not torch.equal(taken(state, "widths", (len(blocks),), torch.int64), self.widths):
            raise BundleError("a baseline was fitted on other vectors than these. " + AGAIN)
        for name in ("mean", "scale", "noise"):
            setattr(self, name, taken(state, name, (n_tasks,), torch.float32))
        if not ((self.scale >= 0) & (self.noise >= LEAST_NOISE * 0.99)).all():
            raise BundleError("a baseline's variances are not above 0. " + AGAIN)
        self.fingerprints = [
            _counts_taken(state, f"fingerprints.{number}", columns.stop - columns.start)
            for number, columns in enumerate(self._columns)
        ]
        n_molecules = len(self.fingerprints[0])
        if any(len(each) != n_molecules for each in self.fingerprints):
            raise BundleError("a baseline's fingerprints are of unequal numbers of molecules. " + AGAIN)
        self.first = _bounds_taken(state, "first", n_tasks)
        size = (int(self.first[-1]),)
        self.weights = taken(state, "weights", size, torch.float32).numpy()
        self.molecules = taken(state, "molecules", size, torch.int32).numpy()
        owners = ragged.owners(np.diff(self.first))
        is_ascending = np.diff(self.molecules) > 0
        if not _are_below(self.molecules, n_molecules) or not (is_ascending | (np.diff(owners) > 0)).all():
            raise BundleError("a baseline's molecules are not there or not in order. " + AGAIN)
        self._prepare_to_predict()


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _shifted(process: Posterior, by: float) -> Posterior:
    """With a mean that is so much higher."""
    without = process.without
    if without is not None:
        without = without._replace(left_out=without.left_out + by, means=without.means + by)
    return process._replace(mean=process.mean + by, without=without)


def _counts_taken(state: dict[str, Tensor], name: str, width: int) -> Counts:
    """The counts of a fingerprint of so many columns, from a file."""
    first = _bounds_taken(state, f"{name}.first")
    size = (int(first[-1]),)
    columns = taken(state, f"{name}.columns", size, torch.int16).numpy()
    values = taken(state, f"{name}.values", size, torch.uint8).numpy()
    if not _are_below(columns, width) or not (values > 0).all():
        raise BundleError(f"a baseline's array '{name}' counts what is not there. " + AGAIN)
    return Counts(first, columns, values)


def _bounds_taken(state: dict[str, Tensor], name: str, n_rows: int | None = None) -> np.ndarray:
    """Where rows of a ragged array begin, from a file; of whatever number where none is given."""
    array = state.get(name)
    shape = tuple(array.shape) if n_rows is None and array is not None else ((n_rows or 0) + 1,)
    bounds = taken(state, name, shape, torch.int64).numpy()
    if bounds.ndim != 1 or not len(bounds) or not ragged.are_bounds(bounds, int(bounds[-1])):
        raise BundleError(f"a baseline's array '{name}' does not say where rows begin. " + AGAIN)
    return bounds


def _are_below(numbers: np.ndarray, most: int) -> bool:
    return bool(((numbers >= 0) & (numbers < most)).all())
