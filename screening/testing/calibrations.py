"""What must hold for every calibration."""

import numpy as np

from ..uncertainty.calibration import Calibration, calibrations
from .subjects import Check, Subject

T = 5


def _table(
    n: int = 300, missing: float = 0.3, seed: int = 0, slope: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of an overconfident model [n, T], and labels whose logit is `slope` times theirs."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 3, (n, T))
    labels = (random.random((n, T)) < 1 / (1 + np.exp(-slope * logits))).astype(np.float32)
    labels[random.random((n, T)) < missing] = np.nan
    return 1 / (1 + np.exp(-logits)), labels


def build(subject: Subject, probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """The calibration, fitted to a table."""
    fitted: Calibration = calibrations.build(subject.name, probabilities, labels, **subject.options)
    return fitted


def is_declared(subject: Subject) -> None:
    """The function is documented and gives a `Calibration` of its name."""
    assert calibrations.get(subject.name).__doc__, "the function has no docstring"
    fitted = build(subject, *_table())
    assert isinstance(fitted, Calibration), f"it gives a {type(fitted).__name__}: expected a Calibration"
    assert fitted.method == subject.name, f"its method is {fitted.method!r}: expected {subject.name!r}"


def order_of_molecules_stays(subject: Subject) -> None:
    """A higher score never gets a lower probability, also where the model is worse than chance."""
    probabilities, labels = _table(missing=0.7)
    labels[:, ::2] = 1 - labels[:, ::2]
    applied = build(subject, probabilities, labels).apply(probabilities)
    falls = np.diff(np.take_along_axis(applied, probabilities.argsort(0), 0), axis=0).min()
    assert falls >= -1e-12, f"a probability falls by {-falls:.3g} where the score rises"


def odd_assays_are_calibrated(subject: Subject) -> None:
    """Assays without labels, of one class or of few labels get finite probabilities."""
    probabilities, labels = _table(missing=0)
    labels[:, 0], labels[:, 1], labels[:, 2], labels[8:, 3] = np.nan, 0, 1, np.nan
    probabilities[:2] = [[0.0], [1.0]]
    applied = build(subject, probabilities, labels).apply(probabilities)
    broken = np.flatnonzero(~((applied >= 0) & (applied <= 1)).all(0))
    kinds = ("without labels", "of inactives", "of actives", "of 8 labels", "of labels for all")
    assert not len(broken), f"probabilities outside of 0 to 1 for the assay {kinds[broken[0]]}"
    for shape in ((0, T), (1, T)):
        applied = build(subject, np.full(shape, 0.3), np.full(shape, np.nan)).apply(np.full((2, T), 0.3))
        assert np.isfinite(applied).all(), f"not finite where the table has {shape[0]} rows"


def new_molecules_are_not_predicted_worse(subject: Subject) -> None:
    """On other molecules of an overconfident model the log-loss does not rise."""
    fitted = build(subject, *_table(n=1000))
    probabilities, labels = _table(n=2000, seed=1)
    before, after = (_log_loss(values, labels) for values in (probabilities, fitted.apply(probabilities)))
    assert after <= before * 1.001, f"log-loss {before:.4f} before and {after:.4f} after"


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    likely = np.where(labels == 1, probabilities, 1 - probabilities)
    return float(-np.log(likely[~np.isnan(labels)].clip(1e-12)).mean())


def state_gives_the_same_back(subject: Subject) -> None:
    """Saved and restored it gives the same probabilities; assays can be taken out."""
    probabilities, labels = _table()
    fitted = build(subject, probabilities, labels)
    expected = fitted.apply(probabilities)
    again = Calibration.restore(fitted.state()).apply(probabilities)
    assert np.array_equal(again, expected), f"differs by {np.abs(again - expected).max():.3g} once restored"
    columns = [4, 0]
    taken = fitted.take(columns).apply(probabilities[:, columns])
    away = np.abs(taken - expected[:, columns]).max()
    assert away <= 1e-10, f"two assays taken out differ by {away:.3g}"


CHECKS: tuple[Check, ...] = (
    is_declared,
    order_of_molecules_stays,
    odd_assays_are_calibrated,
    new_molecules_are_not_predicted_worse,
    state_gives_the_same_back,
)
