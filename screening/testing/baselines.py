"""What must hold for every baseline: a model per assay on vector features."""

import json
from functools import cache

import torch
from torch import Tensor

from ..features.store import FeatureSet, GraphStore, featurize
from ..models.baselines import Baseline, baselines, restore
from .subjects import DRUGS, ODD, Check, Subject

T = 4


@cache
def _store() -> GraphStore:
    return featurize([*DRUGS, *ODD] * 3, FeatureSet(None, ("ecfp_counts", "rdkit_fast")), workers=0)


def _labels() -> Tensor:
    """[n, T] with gaps: two assays that can be learnt, one of inactives, one without labels."""
    texts = [*DRUGS, *ODD] * 3
    columns = [[float("c1" in text) for text in texts], [float("O" in text) for text in texts]]
    labels = torch.tensor([*columns, [0.0] * len(texts), [torch.nan] * len(texts)]).T.clone()
    labels[::4, 0] = torch.nan
    return labels


def build(subject: Subject, seed: int = 0) -> Baseline:
    """The baseline, fitted to two thirds of the molecules."""
    rows = torch.arange(len(_labels()) * 2 // 3)
    baseline: Baseline = baselines.build(subject.name, **subject.options)
    return baseline.fit(_store(), _labels(), rows, seed=seed, workers=1)


def _predicted(baseline: Baseline) -> Tensor:
    return baseline.predict(_store(), torch.arange(len(_labels())))


def is_declared(subject: Subject) -> None:
    """The class is documented and its kind is the registered name."""
    kind = baselines.get(subject.name)
    assert kind.__doc__, "the class has no docstring"
    assert kind.kind == subject.name, f"its kind is {kind.kind!r}: expected {subject.name!r}"


def logits_are_finite(subject: Subject) -> None:
    """Logits are finite float32 [n, T], also of assays without labels or with one class."""
    logits = _predicted(build(subject))
    assert logits.shape == (len(_labels()), T), f"logits are {tuple(logits.shape)}"
    assert logits.dtype == torch.float32, f"logits are {logits.dtype}"
    broken = (~logits.isfinite()).any(0).nonzero().flatten().tolist()
    assert not broken, f"logits of the assays {broken} are not finite"


def it_learns(subject: Subject) -> None:
    """Actives get higher logits than inactives on the molecules it was fitted to."""
    logits, labels = _predicted(build(subject)), _labels()
    for task in (0, 1):
        active, inactive = (float(logits[labels[:, task] == label, task].mean()) for label in (1, 0))
        assert active > inactive, f"mean logit {active:.3g} of actives and {inactive:.3g} of inactives"


def prediction_does_not_depend_on_the_batch(subject: Subject) -> None:
    """Predictions one by one are those of all together, and the same again with the same seed."""
    baseline = build(subject)
    whole, rows = _predicted(baseline), torch.arange(6)
    alone = baseline.predict(_store(), rows, batch_size=1)
    away = float((alone - whole[rows]).abs().max())
    assert away <= 1e-4, f"alone and together differ by {away:.3g}"
    away = float((_predicted(build(subject)) - whole).abs().max())
    assert away <= 1e-5, f"two fits with the same seed differ by {away:.3g}"


def saved_and_restored_gives_the_same(subject: Subject) -> None:
    """Options and arrays, which go into the bundle, say it all."""
    baseline = build(subject)
    options = json.loads(json.dumps(baseline.describe()["options"]))
    state = {name: value.clone() for name, value in baseline.state_dict().items()}
    again = restore(subject.name, options, state, _store().vector_blocks, T)
    away = float((_predicted(again) - _predicted(baseline)).abs().max())
    assert away == 0, f"predictions differ by {away:.3g} once restored"


CHECKS: tuple[Check, ...] = (
    is_declared,
    logits_are_finite,
    it_learns,
    prediction_does_not_depend_on_the_batch,
    saved_and_restored_gives_the_same,
)
