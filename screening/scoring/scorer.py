"""A bundle in memory: what a block of molecules becomes, as a table or as a part file.

Streams, folders and restarts are in `scoring`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from ..bundle.bundle import Bundle
from ..bundle.prediction import Prediction
from ..data.assay_kinds import Assay, are_real, in_units, limits_in_units
from ..errors import ConfigError, listed
from ..features.packing import pack_all
from ..features.store import GraphStore, featurize
from ..registry import did_you_mean
from ..uncertainty.conformal import SETS
from ..uncertainty.structure_domain import Domain, Fingerprints, fingerprints_of, with_fingerprints
from .choices import DTYPES, NO_EXTRAS, Extras, check_error, check_threshold
from .columns import HIGH, LOW, OURS, SET, SPREAD, assay_column, input_columns
from .entries import read_entries
from .library import Piece
from .part_files import PartFolder, Tally

BATCH = 4096
"""Molecules per batch; in large ones, more surroundings of atoms occur twice (see `environments`)."""


class Scorer:
    """A bundle in memory, ready to score.

    Parameters
    ----------
    assays : name of the one wanted, or several, in this order; None = all. A text that is no assay's name is
        taken as names with commas between.
    spread : add `<assay>:spread` for the assays that several networks predict: their standard deviation; of
        a real assay on the scale of training, such as -log10 mol/l.
    domain : add similarity and name of the nearest training molecule, the distance from the training part
        in the networks' representation (about 1 for a training molecule; not with baselines, more than 20
        networks or a bundle written before it existed), and whether the molecule is inside the applicability
        domain: near enough by both, where there are both.
    conformal : add `<assay>:set`, the labels that cannot be ruled out at this error (see `conformal`), and
        of a real assay `<assay>:low` and `<assay>:high`, the ends of an interval (see `intervals`).
    max_atoms : atoms besides hydrogen that a molecule may have; None = as in training.

    Raises
    ------
    ConfigError : the bundle has no assay of a name in `assays`, or lacks what was asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        assays: str | Iterable[str] | None = None,
        spread: bool = False,
        domain: bool = False,
        conformal: float | None = None,
        max_atoms: int | None = None,
    ) -> None:
        self.bundle = bundle.to(_device(device))
        self.tasks = bundle.tasks if assays is None else _chosen(assays, bundle.tasks)
        self.columns = tuple(map(assay_column, self.tasks))
        """The names of their scores in written tables, see `columns`."""
        self._columns = [bundle.tasks.index(task) for task in self.tasks]
        self.assays = tuple(bundle.assays[column] for column in self._columns)
        """Kind, unit and scale of the assays, in their order."""
        if conformal is not None:
            _check_conformal(bundle, conformal, self.assays)
        self._domain = _domain(bundle) if domain else None
        self._alpha = conformal
        self._spread = _ensembled(bundle, self._columns) if spread else []
        features = bundle.features if max_atoms is None else replace(bundle.features, max_atoms=max_atoms)
        self.features = with_fingerprints(features) if domain else features
        """What is computed of a molecule: what the model sees, and the fingerprint where it is wanted."""

    @property
    def notes(self) -> list[str]:
        """What the user should know of these scores: other versions than in training, a missing column."""
        notes = [self.bundle.featurizer_warning(), *self.bundle.plugin_warnings()]
        if self._domain is not None and self.bundle.representation is None:
            notes.append(
                "No column 'distance', and in_domain goes by similarity alone: the model has no "
                "representation (a baseline, more than 20 networks, or trained before version 0.3.0)."
            )
        return [note for note in (*notes, self._note_of_limits()) if note]

    def _note_of_limits(self) -> str:
        """Which real assays have no limits at the error that was asked for; "" if all have."""
        intervals, alpha = self.bundle.intervals, self._alpha
        if intervals is None or alpha is None:
            return ""
        said = intervals.reasons(alpha)
        reasons = {self.bundle.tasks[task]: said[task] for task in self._columns if said[task]}
        if not reasons:
            return ""
        return f"No limits (infinite) for {listed(reasons, 3)}. The first has: {next(iter(reasons.values()))}"

    @classmethod
    def load(cls, path: str | PathLike[str], **options: Any) -> "Scorer":
        """From a run folder or a bundle folder; BundleError if there is none or it is damaged."""
        return cls(Bundle.load(Path(path)), **options)

    def score(self, smiles: Any, *, column: str | None = None) -> pd.DataFrame:
        """One row per molecule, in order: smiles, status (`ok` or `rejected`), reason, probability per assay,
        or value in the unit of a real one (under the name that `columns.assay_column` gives), then what else
        was asked for.

        A molecule that cannot be used, or is missing (None, NaN), has no scores (NaN) and a reason.

        Parameters
        ----------
        smiles : what `entries.read_entries` takes: a SMILES, an RDKit molecule, or an iterable of them: a
            list, a generator, an array, a pandas column, whose index the result then has; or a DataFrame.
        column : of a DataFrame, that of the structures; None = found by its name.

        Raises
        ------
        DataError, TypeError : see `entries.read_entries`.
        """
        entries = read_entries(smiles, column)
        store = featurize(entries.structures, self.features, workers=0)
        reasons = [problem or reason for problem, reason in zip(entries.problems, store.reasons, strict=True)]
        frame = pd.DataFrame(self.columns_of(store), index=entries.rows)
        frame.insert(0, "smiles", _texts(entries.shown, frame.index))
        frame.insert(1, "status", ["rejected" if reason else "ok" for reason in reasons])
        frame.insert(2, "reason", reasons)
        return frame

    def columns_of(self, store: GraphStore) -> dict[str, np.ndarray]:
        """All result columns of n molecules whose features are `features`, [n] each, by name (see `columns`).

        Numbers are float32, NaN where the molecule is not usable; sets and names are then None.
        """
        rows = torch.from_numpy(np.flatnonzero(store.usable))
        model_store, domain = self._of_model(store), self._domain
        prediction = self.bundle.predict(model_store, rows, batch_size=BATCH, distance=domain is not None)
        scores = in_units(prediction.scores[:, self._columns], self.assays)
        columns = dict(zip(self.columns, scores.T, strict=True))
        if prediction.spread is not None:
            spread = prediction.spread
            columns |= {assay_column(self.bundle.tasks[t]) + SPREAD: spread[:, t] for t in self._spread}
        if self._alpha is not None:
            columns |= self._guaranteed(prediction, self._alpha)
        if domain is not None:
            molecules = fingerprints_of(store).take(rows.numpy())
            columns |= self._neighbours(molecules, domain, prediction.distance)
        return {name: _spaced(column, rows.numpy(), len(store)) for name, column in columns.items()}

    def _guaranteed(self, prediction: Prediction, alpha: float) -> dict[str, np.ndarray]:
        """Sets of labels of the binary assays, and both ends of an interval of the real ones."""
        columns: dict[str, np.ndarray] = {}
        bundle, is_real = self.bundle, are_real(self.assays)
        if bundle.conformal is not None and not is_real.all():
            sets = np.array(SETS, object)[bundle.conformal.sets(prediction.raw, alpha)]
            binary = zip(self.columns, self._columns, is_real.tolist(), strict=True)
            columns |= {name + SET: sets[:, task] for name, task, real in binary if not real}
        if bundle.intervals is not None and is_real.any():
            limits = bundle.intervals.limits(prediction.scores, alpha, prediction.sd)
            low, high = (end[:, self._columns] for end in limits)
            ends = limits_in_units(low, high, self.assays)
            for place in np.flatnonzero(is_real).tolist():
                name = self.columns[place]
                columns |= {name + LOW: ends[0][:, place], name + HIGH: ends[1][:, place]}
        return columns

    def probabilities(self, store: GraphStore) -> np.ndarray:
        """Probabilities, of real assays values on the scale of training: [n, T] float32.

        NaN rows where the molecule is not usable.
        """
        rows = torch.from_numpy(np.flatnonzero(store.usable))
        scores = np.full((len(store), len(self.tasks)), np.nan, np.float32)
        scores[rows.numpy()] = self.bundle.predict(self._of_model(store), rows, batch_size=BATCH).scores[
            :, self._columns
        ]
        return scores

    def _of_model(self, store: GraphStore) -> GraphStore:
        """The store without the fingerprint that the model does not know."""
        features = self.bundle.features
        return replace(store, features=features, vectors=store.vectors[: len(features.vectors)])

    def _neighbours(
        self, molecules: Fingerprints, domain: Domain, distance: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The columns `columns.NEIGHBOUR`, as far as the bundle has them."""
        nearest, representation = domain.nearest(molecules), self.bundle.representation
        columns, inside = {"similarity": nearest.similarity}, domain.is_inside(nearest.similarity)
        if distance is not None and representation is not None:
            columns["distance"], inside = distance, inside & representation.is_inside(distance)
        columns["in_domain"] = inside
        if domain.structures is not None:
            columns["nearest"] = np.array(domain.structures.ids, object)[nearest.row]
        return columns


def _texts(entries: list[Any], rows: pd.Index) -> pd.Series:
    """As pandas holds texts; as objects where one is no text of Unicode (half of a pair of surrogates)."""
    try:
        return pd.Series(entries, rows)
    except UnicodeEncodeError:
        return pd.Series(entries, rows, object)


def _device(name: str) -> torch.device:
    """
    Raises
    ------
    ConfigError : there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        what = str(problem).splitlines()[0].rstrip(".")
        raise ConfigError(f"device is '{name}': {what}. Expected auto, cpu or cuda.") from problem


def _spaced(column: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The values at `rows` of n; NaN, None or False elsewhere."""
    missing = {"f": np.nan, "O": None, "b": False}[column.dtype.kind]
    spaced = np.full(n, missing, column.dtype)
    spaced[rows] = column
    return spaced


def _ensembled(bundle: Bundle, columns: Sequence[int]) -> list[int]:
    served = np.bincount([column for member in bundle.members for column in member.columns])
    several = [column for column in columns if served[column] > 1]
    if not several:
        raise ConfigError(
            "`spread` needs an ensemble: every assay of this model has one network. "
            "Train several with train.ensemble=5."
        )
    return several


def _check_conformal(bundle: Bundle, alpha: float, assays: Sequence[Assay]) -> None:
    check_error(alpha)
    is_real = are_real(assays)
    if (bundle.conformal is None and not is_real.all()) or (bundle.intervals is None and is_real.any()):
        raise ConfigError("`conformal`: this model was trained without validation molecules. Train it with.")


def _domain(bundle: Bundle) -> Domain:
    if bundle.domain is None:
        raise ConfigError(
            "`domain`: this model does not know its training molecules. Train it with domain.fit=true "
            "and with validation molecules."
        )
    return bundle.domain


def _chosen(assays: str | Iterable[str], tasks: Sequence[str]) -> tuple[str, ...]:
    """Each once, in their order."""
    texts = [assays] if isinstance(assays, str) else [str(name) for name in assays]
    if not texts:
        raise ConfigError("assays is empty: name at least one, or leave it out for all.")
    return tuple(dict.fromkeys(name for text in texts for name in _named(text, tasks)))


def _named(text: str, tasks: Sequence[str]) -> list[str]:
    """The assay of this name; else those between its commas, of which a name may have some itself.

    >>> _named("a, Inhibition, 10 uM,b", ["a", "b", "Inhibition, 10 uM"])
    ['a', 'Inhibition, 10 uM', 'b']
    """
    if text in tasks:
        return [text]
    words, longest, names = text.split(","), max(name.count(",") for name in tasks) + 1, []
    while words:
        joined = {n: ",".join(words[:n]).strip() for n in range(min(longest, len(words)), 0, -1)}
        n = next((n for n, name in joined.items() if name in tasks), 0)
        if not n:
            raise ConfigError(f"The model has no assay '{joined[1]}'. {did_you_mean(joined[1], tasks)}")
        names.append(joined[n])
        words = words[n:]
    return names


@dataclass(frozen=True)
class Recipe:
    """How a block becomes a part: all that decides the bytes of a part besides the library."""

    run: Path
    """Run folder or bundle folder."""
    assays: tuple[str, ...] | None = None
    """Assays wanted, None = all."""
    threshold: float | None = None
    """Scored molecules that do not reach it in any assay are left out; of real assays in their unit."""
    dtype: str = "float32"
    """float32 or float16: the result columns of binary assays in the parts."""
    device: str = "auto"
    extras: Extras = NO_EXTRAS
    max_atoms: int | None = None
    """None = as in training."""


def _value_columns(assays: Sequence[Assay]) -> frozenset[str]:
    """Columns of values of real assays, and of their limits."""
    real = [assay_column(assay.name) for assay in assays if assay.is_real]
    return frozenset(name + ending for name in real for ending in ("", LOW, HIGH))


class PartMaker:
    """The work on a piece of a library: `prepare` computes features, `finish` scores and writes the part."""

    on_scores: Callable[[int, np.ndarray], None] | None = None
    """Told of every part: its number, and the scores [T, rows] that it holds, NaN where rejected."""

    def __init__(self, recipe: Recipe, extra: tuple[str, ...], folder: PartFolder) -> None:
        self.recipe, self.extra, self.folder = recipe, extra, folder
        self.scorer = Scorer.load(
            recipe.run,
            device=recipe.device,
            assays=recipe.assays,
            max_atoms=recipe.max_atoms,
            **asdict(recipe.extras),
        )
        check_threshold(recipe.threshold, self.scorer.assays)
        self._values = _value_columns(self.scorer.assays)
        self.prepare: Callable[[list[str]], Any] = partial(pack_all, features=self.scorer.features)
        results = self.scorer.columns_of(GraphStore.of(self.scorer.features, []))
        self._titles = input_columns(extra, results)

    def finish(self, piece: Piece, prepared: Any) -> Tally:
        """The counts of the part, which is then in the folder."""
        store = GraphStore.of(self.scorer.features, prepared)
        reasons = [problem or reason for problem, reason in zip(piece.problems, store.reasons, strict=True)]
        usable = np.array([not reason for reason in reasons], bool)
        columns = self.scorer.columns_of(store)
        results = {name: self._stored(name, column) for name, column in columns.items()}
        table = self._table(piece, reasons, usable, results)
        below = self._below(usable, results)
        if below.any():
            table = table.filter(pa.array(~below))
        counts = pd.Series(reasons).value_counts(sort=False).to_dict()
        n_below, digest = int(below.sum()), piece.digest()
        tally = Tally(piece.number, digest, counts, n_below, piece.source, piece.is_last)
        self.folder.write(table, tally)
        if self.on_scores is not None:
            stored = np.stack([results[column][~below] for column in self.scorer.columns])
            self.on_scores(piece.number, stored.astype(np.float32))
        return tally

    def _stored(self, name: str, column: np.ndarray) -> np.ndarray:
        """Values of real assays stay float32: 100 uM in nM is more than float16 can hold."""
        is_stored = column.dtype != np.float32 or name in self._values
        return column if is_stored else column.astype(DTYPES[self.recipe.dtype])

    def _below(self, usable: np.ndarray, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """[n] bool: scored, but left out."""
        least = self.recipe.threshold
        if least is None:
            return np.zeros(len(usable), bool)
        is_high_good = self.scorer.assays[0].is_high_good
        scores = (results[column] for column in self.scorer.columns)
        reached = [score >= least if is_high_good else score <= least for score in scores]
        return usable & ~np.any(reached, axis=0)

    def _table(
        self, piece: Piece, reasons: list[str], usable: np.ndarray, results: Mapping[str, np.ndarray]
    ) -> pa.Table:
        n = len(piece)
        status = np.where(usable, "ok", "rejected")
        ours = piece.rows, [piece.file] * n, piece.ids, piece.smiles, status, reasons
        columns = {
            name: pa.array(values, pa.int64() if name == "row" else pa.string())
            for name, values in zip(OURS, ours, strict=True)
        }
        for name in self.extra:
            texts = piece.extra.get(name)
            columns[self._titles[name]] = (
                pa.nulls(n, pa.string()) if texts is None else pa.array(texts, pa.string())
            )
        for name, column in results.items():
            kind = pa.string() if column.dtype == object else None
            columns[name] = pa.array(column, kind, mask=~usable)
        return pa.table(columns)
