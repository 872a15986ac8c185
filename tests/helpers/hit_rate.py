"""A metric as a plug-in registers it: with an interval, and unable to stand a task of one class."""

import numpy as np
import pytest

from screening.metrics import Bounds, Metric, metrics, register

NAME = "a_hit_rate"


def registered(patch: pytest.MonkeyPatch) -> Metric:
    """The metric, registered until the end of the test; so is what the test registers itself."""
    patch.setattr(metrics, "_items", {name: metrics.get(name) for name in metrics.names()})
    patch.setattr(metrics, "_registrations", dict(metrics._registrations))

    @register(NAME, better="higher", range=(0, 1), reads="probabilities", title="<hit> rate", digits=2)
    class HitRate:
        """Share of actives among the molecules with a probability above 0.5; a class, unlike others."""

        def __call__(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
            assert ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).all()
            called = ~np.isnan(labels) & (probabilities > 0.5)
            return (called & (labels == 1)).sum(axis=0) / np.maximum(called.sum(axis=0), 1)

        def interval(self, labels: np.ndarray, probabilities: np.ndarray) -> Bounds:
            return Bounds(self(labels, probabilities) / 2, np.ones(labels.shape[1]))

    return metrics.get(NAME)
