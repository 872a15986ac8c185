"""What must hold for every baseline: a model per assay on vector features."""

import json
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..features.store import FeatureSet, GraphStore, featurize
from ..models.baselines import Baseline, baselines, restore
from .subjects import DRUGS, ODD, Check, Subject


class Example(NamedTuple):
    """Assays of the kinds that a baseline is for."""

    labels: Tensor
    """[n, T] with gaps: of each kind two assays that can be learnt, one of a single value, one without."""
    is_real: Tensor
    """bool [T]"""


@cache
def _store() -> GraphStore:
    return featurize([*DRUGS, *ODD] * 3, FeatureSet(None, ("ecfp_counts", "rdkit_fast")), workers=0)


def _example(subject: Subject) -> Example:
    """Classes, values, or both, in the order of the kinds' names."""
    kinds = sorted(baselines.get(subject.name).kinds & {"binary", "real"})
    labels = torch.cat([_classes() if kind == "binary" else _values() for kind in kinds], dim=1)
    return Example(labels, torch.tensor([kind == "real" for kind in kinds]).repeat_interleave(4))


def _classes() -> Tensor:
    texts = [*DRUGS, *ODD] * 3
    columns = [[float("c1" in text) for text in texts], [float("O" in text) for text in texts]]
    labels = torch.tensor([*columns, [0.0] * len(texts), [torch.nan] * len(texts)]).T.clone()
    labels[::4, 0] = torch.nan
    return labels


def _values() -> Tensor:
    texts = [*DRUGS, *ODD] * 3
    columns = [[float(text.count("c")) for text in texts], [-float(text.count("O")) for text in texts]]
    learnt = torch.tensor(columns).T
    learnt = (learnt - learnt.mean(0)) / learnt.std(0)
    rest = torch.tensor([[0.5, torch.nan]]).expand(len(texts), 2)
    labels = torch.cat([learnt, rest], dim=1)
    labels[::4, 0] = torch.nan
    return labels


def build(subject: Subject, seed: int = 0) -> Baseline:
    """The baseline, fitted to two thirds of the molecules."""
    labels, is_real = _example(subject)
    rows = torch.arange(len(labels) * 2 // 3)
    baseline: Baseline = baselines.build(subject.name, **subject.options)
    return baseline.fit(_store(), labels, rows, is_real=is_real, seed=seed, workers=1)


def _predicted(baseline: Baseline) -> Tensor:
    return baseline.predict(_store(), torch.arange(len(_classes())))


def is_declared(subject: Subject) -> None:
    """The class is documented, its kind is the registered name, and it says for which assays it is."""
    kind = baselines.get(subject.name)
    assert kind.__doc__, "the class has no docstring"
    assert kind.kind == subject.name, f"its kind is {kind.kind!r}: expected {subject.name!r}"
    assert kind.kinds, "kinds is empty: expected some of binary, real"
    assert kind.kinds <= {"binary", "real"}, f"kinds is {set(kind.kinds)}: expected some of binary, real"


def logits_are_finite(subject: Subject) -> None:
    """Logits, or values, are finite float32 [n, T], also of assays without labels or with one class."""
    logits, expected = _predicted(build(subject)), _example(subject).labels.shape
    assert logits.shape == expected, f"logits are {tuple(logits.shape)}: expected {tuple(expected)}"
    assert logits.dtype == torch.float32, f"logits are {logits.dtype}"
    broken = (~logits.isfinite()).any(0).nonzero().flatten().tolist()
    assert not broken, f"logits of the assays {broken} are not finite"


def it_learns(subject: Subject) -> None:
    """Actives get higher logits than inactives on the molecules it was fitted to; values are near."""
    logits, (labels, is_real) = _predicted(build(subject)), _example(subject)
    fitted = slice(0, len(labels) * 2 // 3)
    for task in (task for task in range(len(is_real)) if task % 4 < 2):
        there = ~labels[fitted, task].isnan()
        answers, predicted = labels[fitted, task][there], logits[fitted, task][there]
        if is_real[task]:
            left = float(((predicted - answers) ** 2).mean() / answers.var())
            assert left < 0.5, f"values of assay {task} keep {left:.2f} of their variance: expected below 0.5"
        else:
            active, inactive = (float(predicted[answers == label].mean()) for label in (1, 0))
            assert active > inactive, f"mean logit {active:.3g} of actives and {inactive:.3g} of inactives"


def a_single_value_is_kept(subject: Subject) -> None:
    """A real assay of one value gets that value, but for the weight of two molecules; one without, 0."""
    (labels, is_real), logits = _example(subject), _predicted(build(subject))
    if is_real.any():
        single, unmeasured = logits[:, -2], logits[:, -1]
        expected = 0.5 * (rows := len(labels) * 2 // 3) / (rows + 2)
        away = float((single - expected).abs().max())
        assert away < 1e-5, f"{away:.3g} from {expected:.3g}, the mean of a single value"
        assert not unmeasured.any(), "an assay without values is not 0, the mean once standardised"


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
    again = restore(subject.name, options, state, _store().vector_blocks, len(_example(subject).is_real))
    away = float((_predicted(again) - _predicted(baseline)).abs().max())
    assert away == 0, f"predictions differ by {away:.3g} once restored"


CHECKS: tuple[Check, ...] = (
    is_declared,
    logits_are_finite,
    it_learns,
    a_single_value_is_kept,
    prediction_does_not_depend_on_the_batch,
    saved_and_restored_gives_the_same,
)
