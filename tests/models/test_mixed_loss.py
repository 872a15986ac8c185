"""The loss of both kinds of assay: each column as its own loss alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from screening.data.assay_kinds import bounds_of
from screening.errors import DataError
from screening.models.losses import CrossEntropy, Loss, losses
from screening.models.losses.mixed import Mixed, loss_for
from screening.testing.losses import assert_slopes_of_values

IS_REAL = torch.tensor([True, False, True, False])
REAL = [name for name in losses.names() if "real" in losses.get(name).kinds]


def example(with_bounds: bool) -> Tensor:
    """[40, 4] or [40, 4, 2]: values and classes, a third missing, some of the values censored."""
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 4)).astype(np.float32)
    values[:, [1, 3]] = values[:, [1, 3]] > 0
    values[random.random(values.shape) < 0.3] = np.nan
    if not with_bounds:
        return torch.from_numpy(values)
    censored = np.where(IS_REAL.numpy(), random.integers(-1, 2, values.shape), 0).astype(np.int8)
    return torch.from_numpy(bounds_of(values, censored))


def parts(name: str, labels: Tensor) -> tuple[Loss, Loss, Loss, Tensor]:
    """Mixed loss, its two losses, and the labels of the classes."""
    classes = labels[:, ~IS_REAL]
    classes = classes if classes.ndim == 2 else classes[..., 0]
    binary, real = CrossEntropy(classes), losses.build(name, labels[:, IS_REAL])
    return Mixed(binary, real, IS_REAL), binary, real, classes


@pytest.mark.parametrize("with_bounds", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_each_column_is_that_of_its_own_loss(name: str, with_bounds: bool) -> None:
    labels = example(with_bounds)
    mixed, binary, real, classes = parts(name, labels)
    logits = torch.randn(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for function in ("values", "slopes"):
        cells = getattr(mixed, function)(logits, labels)
        assert torch.equal(cells[:, ~IS_REAL], getattr(binary, function)(logits[:, ~IS_REAL], classes))
        of_real = getattr(real, function)(logits[:, IS_REAL], labels[:, IS_REAL])
        torch.testing.assert_close(cells[:, IS_REAL], of_real)
    assert_slopes_of_values(mixed, labels)
    starts = mixed.start(labels)
    assert torch.equal(starts[~IS_REAL], binary.start(classes))
    assert torch.equal(starts[IS_REAL], real.start(labels[:, IS_REAL]).double())


def test_labels_of_each_kind_are_checked_by_its_loss() -> None:
    labels = example(with_bounds=False)
    mixed = parts("squared", labels)[0]
    labels[5, 1] = 0.5
    with pytest.raises(DataError, match="neither"):
        mixed.values(torch.zeros(40, 4), labels)


def test_one_kind_alone_needs_no_mixture() -> None:
    binary, real = CrossEntropy(), losses.build("squared", torch.zeros(2, 2))
    assert loss_for(torch.zeros(2, dtype=torch.bool), binary, real) is binary
    assert loss_for(torch.ones(2, dtype=torch.bool), binary, real) is real
    assert isinstance(loss_for(torch.tensor([True, False]), binary, real), Mixed)
