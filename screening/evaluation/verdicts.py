"""What the numbers of a run say in words: a verdict per assay, likely reasons for a weak one, what is alike.

Tables in, tables out; the report, the model card and the notebooks show them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.special import entr, expit, logit, ndtri

from ..metrics.cells import Packing
from ..metrics.contract import Outcome
from ..metrics.paired_samples import samplers
from ..metrics.per_assay import FEW
from ..metrics.sums import sums_between
from .reasons_of_values import are_real, reasons_of_values

GOOD = 0.7
"""ROC-AUC below which a ranking is of little use in a screen (Hosmer, Lemeshow, Sturdivant, Applied Logistic
Regression, 3rd edition (2013), section 5.2.4: 0.7 to 0.8 is acceptable discrimination)."""

VERDICTS = {
    "good": f"the whole 95 % interval of ROC-AUC is above {GOOD}",
    "fair": f"better than chance, but not shown to be above {GOOD}: the whole interval is above 0.5",
    "no better than chance": "not shown to be better than chance: the interval holds 0.5",
    "worse than chance": "the whole interval is below 0.5",
    "too few to judge": f"fewer than {FEW} actives or fewer than {FEW} inactives in the evaluated part",
}
"""The verdicts on an assay and what they mean: the only words for them, on the terminal and on every page."""

_MEANINGS_OF_BOTH = (
    f"the whole 95 % interval of the concordance is above {GOOD}, and of values that of R2 above 0",
    "better than chance, but less than good: the whole interval of the concordance is above 0.5",
    VERDICTS["no better than chance"],
    VERDICTS["worse than chance"],
    f"fewer than {FEW} actives, inactives or exact values in the evaluated part",
)
_MEANINGS_OF_VALUES = (
    f"the whole 95 % interval of the concordance is above {GOOD}, and that of R2 above 0",
    *_MEANINGS_OF_BOTH[1:-1],
    f"fewer than {FEW} exact values in the evaluated part",
)

SHADES = dict(zip(VERDICTS, ("good", "fair", "chance", "worse", "few"), strict=True))
"""The colour of each verdict: a field of `svg.Colours` and a class and variable of the pages."""

FEW_TO_TEST, FEW_TO_LEARN, RARE, FEW_SHARED = 10, 30, 0.01, 30


def meanings(evaluation: pd.DataFrame) -> dict[str, str]:
    """`VERDICTS` in the words for this table: of ROC-AUC, or of concordance where it has a real assay."""
    is_real = are_real(evaluation)
    if not is_real.any():
        return VERDICTS
    words = _MEANINGS_OF_VALUES if is_real.all() else _MEANINGS_OF_BOTH
    return dict(zip(VERDICTS, words, strict=True))


def judge(evaluation: pd.DataFrame) -> np.ndarray:
    """One of `VERDICTS` for each row of a table of `evaluation.evaluate`, as an array of texts.

    An interval from a handful of actives is itself uncertain (`roc_auc.delong_interval`): it decides nothing.
    Real assays are judged by their concordance, which is the ROC-AUC of others; good is only one whose values
    are also nearer than the mean of the evaluated part for all of them, by the interval of R2. That mean fits
    better than the one of the training part could.
    """
    is_real = are_real(evaluation)
    name = "concordance" if "concordance" in evaluation.columns else "roc_auc"
    low, high = evaluation[f"{name}_low"].to_numpy(), evaluation[f"{name}_high"].to_numpy()
    too_few = (evaluation["status"].to_numpy() != "ok") | np.isnan(low)
    is_near = ~is_real | (evaluation["r2_low"].to_numpy() > 0) if is_real.any() else True
    good, fair, chance, worse, few = VERDICTS
    return np.select(
        [too_few, (low > GOOD) & is_near, low > 0.5, high < 0.5], [few, good, fair, worse], chance
    )


def count_verdicts(verdicts: np.ndarray) -> dict[str, int]:
    """How many assays have each of `VERDICTS`, in their order, zeros too."""
    return {name: int((verdicts == name).sum()) for name in VERDICTS}


def in_words(counts: dict[str, int]) -> str:
    """The verdicts that occur, as a sentence has them.

    Examples
    --------
    >>> in_words({"good": 3, "fair": 0, "too few to judge": 1})
    '3 good, 1 too few to judge'
    """
    return ", ".join(f"{n:,} {verdict}" for verdict, n in counts.items() if n)


class Macro(NamedTuple):
    """Mean ROC-AUC, or concordance, over the assays that have one, with its 95 % interval; NaN where none."""

    value: float
    low: float
    high: float
    assays: int
    """Assays in the mean."""


def macro_interval(
    labels: np.ndarray,
    scores: np.ndarray,
    is_real: np.ndarray | None = None,
    censored: np.ndarray | None = None,
    packing: Packing | None = None,
) -> Macro:
    """Macro mean ROC-AUC (of both kinds: concordance), and how far other molecules could move it.

    Assays share molecules, so their errors are not independent; `paired.delong` sums them by molecule. An
    assay with one active or one inactive has no DeLong error: its variance is at most AUC (1 - AUC)
    (Birnbaum and Klose, as in `roc_auc.delong_interval`). The interval is symmetric on the logit scale.

    Parameters
    ----------
    labels, scores, is_real, censored, packing : as `contract.Outcome`.
    """
    outcome = Outcome(labels, scores, None, is_real, censored, packing)
    sample = samplers.get("roc_auc" if outcome.is_binary.all() else "concordance")(outcome, 0)
    variances = sums_between(sample.deviations**2, sample.bounds)[:-1]
    values = sample.values[:-1]
    has = ~np.isnan(values)
    sure, n = has & np.isfinite(variances), int(has.sum())
    value = float(values[has].mean()) if n else float("nan")
    of_sure = (sample.deviations[sample.bounds[-2] :] ** 2).sum() * sure.sum() ** 2
    of_others = (values * (1 - values))[has & ~sure].sum()
    error = np.sqrt(of_sure + of_others) / max(1, n)
    if not 0 < value < 1 or not error:
        return Macro(value, float("nan"), float("nan"), n)
    half = ndtri(0.975) * error / (value * (1 - value))
    return Macro(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)), n)


def likely_reasons(
    test: pd.DataFrame,
    valid: pd.DataFrame,
    counts: pd.DataFrame,
    history: pd.DataFrame,
    *,
    plain_loss: bool = True,
) -> list[str]:
    """Why each assay of `test` may be weak, as far as a run folder shows; "" where nothing stands out.

    These are rules of thumb, checked in this order: too few to test, too few to learn from, rare actives,
    other test molecules than training molecules, not learned, memorised, little weight.

    Parameters
    ----------
    test, valid : tables of `evaluation.evaluate` with the same assays.
    counts : labels.csv of the run (assay, part, measured, actives); may be empty.
    history : history.csv of the run; may be empty.
    plain_loss : whether the training loss is a plain cross-entropy, comparable with guessing.
    """
    table = test.set_index("assay")
    trained = _trained(counts, history, table.index)
    if not plain_loss:
        trained["train_loss"] = np.nan
    of_valid = valid.set_index("assay")
    is_sure = (of_valid["status"].reindex(table.index) == "ok") & (table["status"] == "ok")
    table = table.join(trained).assign(valid_roc_auc=of_valid["roc_auc"], is_sure=is_sure)
    rows = zip(*(table[name].tolist() for name in _NEEDED), strict=True)
    reasons = np.array(["; ".join(filter(None, _reasons(*row))) for row in rows], dtype=object)
    is_real = are_real(table)
    if is_real.any():
        of_both = table.assign(valid_concordance=of_valid["concordance"])
        reasons[is_real] = reasons_of_values(of_both[is_real])
    return list(reasons)


_NEEDED = (
    *("actives", "inactives", "roc_auc", "roc_auc_high", "valid_roc_auc", "is_sure", "log_loss"),
    *("train_measured", "train_actives", "train_loss", "weight"),
)


def _trained(counts: pd.DataFrame, history: pd.DataFrame, assays: pd.Index) -> pd.DataFrame:
    """Training labels, training loss of the last epoch and relative weight of each assay; NaN = not known."""
    names = ["train_measured", "train_actives", "train_loss", "weight"]
    table = pd.DataFrame(np.nan, index=assays, columns=names)
    if len(counts):
        of_train = counts[counts["part"] == "train"].set_index("assay")
        table["train_measured"], table["train_actives"] = of_train["measured"], of_train["actives"]
    if len(history):
        last = history[history["epoch"] == history["epoch"].max()]
        table["train_loss"] = last.groupby("assay")["loss"].mean()
        weight = history.groupby("assay")["weight"].mean()
        table["weight"] = weight / weight.mean()
    return table


def _reasons(
    actives: int,
    inactives: int,
    tested: float,
    high: float,
    validated: float,
    is_sure: bool,
    log_loss: float,
    measured: float,
    active: float,
    train_loss: float,
    weight: float,
) -> list[str]:
    """What stands out of one assay, at most three reasons."""
    reasons = []
    if actives + inactives == 0:
        reasons.append("no label in the test part")
    elif min(actives, inactives) < FEW_TO_TEST:
        which = "active" if actives <= inactives else "inactive"
        reasons.append(f"only {min(actives, inactives)} {which} in the test part: the interval is wide")
    if active < FEW_TO_LEARN:
        reasons.append(f"only {active:.0f} actives to learn from")
    rate = active / measured if measured else np.nan
    if rate < RARE:
        reasons.append(f"{rate:.2%} of the training labels are active")
    test_rate = actives / max(1, actives + inactives)
    if min(actives, inactives) >= FEW_TO_TEST and rate > 0 and not 0.5 < test_rate / rate < 2:
        reasons.append(f"{test_rate:.1%} are active in the test part, {rate:.1%} in training")
    if validated - tested > 0.15 and validated > high and is_sure:
        reasons.append(f"ROC-AUC was {validated:.2f} in the validation part: test molecules are harder")
    entropy = float(entr(rate) + entr(1 - rate))
    if train_loss > 0.95 * entropy:
        reasons.append("hardly learned: the training loss is that of guessing the base rate")
    elif train_loss < 0.3 * entropy and log_loss > entropy:
        reasons.append("memorised: the training loss is low, the test loss above guessing")
    if weight < 0.3:
        reasons.append(f"the balancer gave it {weight:.2f} of the mean weight")
    return reasons[:3]


# --- which assays are alike ---------------------------------------------------------------------------------


class Likeness(NamedTuple):
    """How alike T assays are, and an order in which like stands beside like."""

    labels: np.ndarray
    """float64 [T, T], correlation of labels, or values, on molecules measured in both; NaN where too few are
    shared or all of them have the same."""
    shared: np.ndarray
    """int64 [T, T], molecules measured in both."""
    scores: np.ndarray
    """float64 [T, T], correlation of predicted log-odds, or values; 0 of one prediction for all."""
    order: np.ndarray
    """int64 [T], assays in the order of the dendrogram of `scores`."""
    clusters: np.ndarray
    """int64 [T], cluster of each assay, numbered from 1 along `order`."""
    alike: float
    """Mean correlation of predictions down to which assays join a cluster."""


def likeness(labels: np.ndarray, scores: np.ndarray, is_real: np.ndarray | None = None) -> Likeness:
    """Correlation of assays in labels and in predictions; clusters by average linkage of the predictions.

    Predictions exist for all pairs, labels do not; hence they decide the order. A model that has learned
    mostly what all assays share predicts them all alike, so assays join a cluster as long as their mean
    correlation is above halfway from the mean of all pairs to 1, and above 0.5.

    Parameters
    ----------
    labels : [n, T], 1, 0 or NaN; of real assays values, censored ones counting as their bounds.
    scores : [n, T] probabilities; of real assays values.
    is_real : bool [T], which assays have real values; None = none.
    """
    is_real = np.zeros(labels.shape[1], bool) if is_real is None else is_real
    measured = np.isfinite(labels).astype(np.float64)
    values = np.nan_to_num(_centred(labels, is_real))
    shared, both, sums = measured.T @ measured, values.T @ values, values.T @ measured
    squares = shared * ((values**2).T @ measured)
    spread = squares - sums**2
    spread[spread < 1e-9 * squares] = 0  # equal values, but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = (shared * both - sums * sums.T) / np.sqrt(spread * spread.T)
    phi[(shared < FEW_SHARED) | ~np.isfinite(phi)] = np.nan
    scale = _comparable(scores, is_real)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.nan_to_num(np.corrcoef(scale, rowvar=False).reshape(labels.shape[1], -1))
    np.fill_diagonal(correlation, 1)
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    alike = max(0.5, (1 + float(pairs.mean())) / 2) if len(pairs) else 0.5
    order, clusters = _clustered(correlation, alike)
    return Likeness(phi, shared.astype(np.int64), correlation, order, clusters, alike)


def _centred(labels: np.ndarray, is_real: np.ndarray) -> np.ndarray:
    """Labels as float64; those of real assays from their mean, for sums of squares that stay exact enough."""
    values = labels.astype(np.float64)
    if is_real.any():
        of_real = np.ma.masked_invalid(values[:, is_real])
        values[:, is_real] -= of_real.mean(axis=0).filled(0)
    return values


def _comparable(scores: np.ndarray, is_real: np.ndarray) -> np.ndarray:
    """Log-odds of classes and values of real assays, float64 [n, T]."""
    scale = scores.astype(np.float64)
    scale[:, ~is_real] = logit(np.clip(scale[:, ~is_real], 1e-7, 1 - 1e-7))
    return scale


def _clustered(correlation: np.ndarray, alike: float) -> tuple[np.ndarray, np.ndarray]:
    if len(correlation) < 2:
        return np.arange(len(correlation)), np.ones(len(correlation), np.int64)
    distance = np.clip(1 - (correlation + correlation.T) / 2, 0, 2)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    order, raw = leaves_list(tree), fcluster(tree, 1 - alike, "distance")
    _, first = np.unique(raw[order], return_index=True)
    number = np.empty(len(first) + 1, np.int64)
    number[raw[order][np.sort(first)]] = np.arange(1, len(first) + 1)
    return order, number[raw]
