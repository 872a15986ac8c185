"""The checks find what is broken: one member with one fault each, as a plug-in could bring it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plugged
import pytest
import torch
from rdkit.Chem import Mol
from torch import Tensor, nn

from screening.balancing.contract import Balancer, balancers
from screening.data.splits import splits
from screening.features.featurizers import VectorFeaturizer, featurizers
from screening.metrics.contract import register as register_metric
from screening.models.encoders import Encoder, Inputs, encoders
from screening.models.losses import CrossEntropy, Loss, losses
from screening.models.losses.focal import Focal
from screening.models.losses.gaussian import Gaussian
from screening.models.losses.real_values import bounds, misses
from screening.models.losses.squared import Squared
from screening.testing import Subject, check_member
from screening.testing.running import FAMILIES
from screening.uncertainty.calibration import Calibration, calibrations


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with plugged.restored():
        yield


def problems(family: str, name: str) -> dict[str, str]:
    """What fails, by the beginning of the sentence that must hold."""
    findings = list(check_member(family, Subject(name)))
    assert len(findings) >= 5
    return {finding.check: finding.problem for finding in findings if finding.problem}


def balancer(weigh: Callable[[Any, Any], Tensor]) -> None:
    """Register a balancer with these weights."""

    @balancers.register("broken")
    class Broken(Balancer):
        """With a fault."""

        def __init__(self, tasks: Any) -> None:
            super().__init__(tasks)
            self.register_buffer("seen", torch.zeros(self.n_tasks, dtype=torch.float64))

        def weigh_present(self, step: Any) -> Tensor:
            return weigh(self, step)


def remembering(balancer: Any, step: Any) -> Tensor:
    balancer.seen += 1
    return torch.ones_like(step.losses)


def reading_places(balancer: Any, step: Any) -> Tensor:
    return torch.arange(1.0, len(step.losses) + 1)


def dividing_by_nothing(balancer: Any, step: Any) -> Tensor:
    return 1 / (step.losses - step.losses.mean()).abs()


@pytest.mark.parametrize(
    ("weigh", "fails"),
    [
        (lambda balancer, step: -torch.ones_like(step.losses), "Where all gradients agree"),
        (lambda balancer, step: -step.losses, "A small network trained with it"),
        (reading_places, "Tasks in another order"),
        (dividing_by_nothing, "Weights are finite for one task"),
        (lambda balancer, step: step.losses * len(balancer.tasks), "Without the absent tasks"),
        (remembering, "What is remembered of a task"),
    ],
)
def test_a_broken_balancer(weigh: Callable[[Any, Any], Tensor], fails: str) -> None:
    balancer(weigh)
    assert any(check.startswith(fails) for check in problems("balancer", "broken"))


def test_an_undocumented_option_of_a_balancer() -> None:
    @balancers.register("broken")
    class Broken(Balancer):
        """With a fault."""

        def __init__(self, tasks: Any, *, power: float = 1.0) -> None:
            super().__init__(tasks)

        def weigh_present(self, step: Any) -> Tensor:
            return torch.ones_like(step.losses)

    (problem,) = problems("balancer", "broken").values()
    assert "'power : ...'" in problem


class Flipped(CrossEntropy):
    """Its slopes have the wrong sign."""

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -super().cell_slopes(logits, labels)


class Doubled(CrossEntropy):
    """A factor of its values is missing in its slopes."""

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return 2 * super().cell_values(logits, labels)


class Detached(CrossEntropy):
    """Autograd does not see a factor of its values, nor do its slopes."""

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().cell_values(logits, labels) * (1 + torch.sigmoid(logits).detach())

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().cell_slopes(logits, labels) * (1 + torch.sigmoid(logits))


class Centred(CrossEntropy):
    """A molecule's loss depends on the others of its batch."""

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().cell_values(logits - logits.mean(0), labels)


class Overflowing(CrossEntropy):
    """Written with logarithms of probabilities."""

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -torch.log(torch.where(labels == 1, torch.sigmoid(logits), 1 - torch.sigmoid(logits)))


class Hollow(Focal):
    """It only says that it is convex."""

    is_convex = True


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        (Flipped, "Slopes in closed form equal"),
        (Flipped, "Values are at least 0; more of the right answer"),
        (Doubled, "Slopes in closed form equal"),
        (Detached, "Slopes equal differences of values"),
        (Centred, "A molecule's cells do not depend"),
        (Overflowing, "Values and slopes are finite"),
        (Hollow, "If it says `is_convex`"),
    ],
)
def test_a_broken_loss(kind: type[Loss], fails: str) -> None:
    losses.register("broken")(kind)
    assert any(check.startswith(fails) for check in problems("loss", "broken"))


class Short(Squared):
    """It looks at the lower bound alone."""

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits - bounds(labels)[0]) ** 2 / 2

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits - bounds(labels)[0]


class Likelihood(Gaussian):
    """A density as it is, which is above 1 where the noise is small."""

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        return super().cell_values(logits, labels, log_spreads) + math.log(self.spreads.smallest)


class Frozen(Gaussian):
    """The spread that it learns gets no gradient of the cells where it matters."""

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        values = super().cell_values(logits, labels, log_spreads)
        return values.detach() + misses(logits, *bounds(labels)) ** 2 / 2 + 0 * values


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        (Short, "Values and slopes are finite"),
        (Likelihood, "Values are at least 0"),
        (Frozen, "Gradients of what a loss learns"),
    ],
)
def test_a_broken_loss_of_real_values(kind: type[Loss], fails: str) -> None:
    losses.register("broken")(kind)
    assert any(check.startswith(fails) for check in problems("loss", "broken"))


class Plain(Encoder):
    """A layer on the vectors."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        size = sum(len(block.columns) for block in inputs.vectors)
        self.linear, self.norm, self.width = nn.Linear(size, 8), nn.LayerNorm(8), 8

    def forward(self, batch: Any) -> Tensor:
        return torch.relu(self.norm(self.linear(batch.vectors.float().nan_to_num())))


class Mixing(Plain):
    """It takes the mean of a batch off."""

    def forward(self, batch: Any) -> Tensor:
        values = super().forward(batch)
        return values - values.mean(0) if len(values) else values


class Drawing(Plain):
    """Dropout of torch's own."""

    def forward(self, batch: Any) -> Tensor:
        return nn.functional.dropout(super().forward(batch), 0.5, self.training)


class Idle(Plain):
    """A layer that nothing goes through."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.more = nn.Linear(2, 2)


class Misled(Plain):
    """It forgets the normalisation behind its last layer."""

    @property
    def last_layer(self) -> nn.Linear:
        return self.linear

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return ()


class Forgetful(Plain):
    """What it is fitted to is not in its state."""

    scale = 1.0

    def fit(self, store: Any, rows: Tensor) -> None:
        self.scale = 7.0

    def forward(self, batch: Any) -> Tensor:
        return self.scale * super().forward(batch)


class Ordered(Plain):
    """The first atom counts."""

    def forward(self, batch: Any) -> Tensor:
        values = super().forward(batch)
        first = torch.searchsorted(batch.molecule, torch.arange(len(values)))
        return values + (batch.atoms[first, :1] if len(values) else 0)


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        (Plain, ""),
        (Mixing, "A molecule has the same representation alone"),
        (Drawing, "In training two processes"),
        (Idle, "No parameter is left out"),
        (Misled, "By `norms_after_last_layer`"),
        (Forgetful, "All that decides a representation"),
        (Ordered, "Another spelling"),
    ],
)
def test_a_broken_encoder(kind: type[Encoder], fails: str) -> None:
    encoders.register("broken")(kind)
    failing = problems("encoder", "broken")
    assert not failing if not fails else any(check.startswith(fails) for check in failing)


def losing(molecules: Any, generator: Any) -> tuple[np.ndarray, list[str]]:
    """Every fifth structure is in no part."""
    codes = np.where(np.arange(len(molecules.first)) % 5 == 4, -1, 0)
    return codes[molecules.structure], []


def torn(molecules: Any, generator: Any) -> tuple[np.ndarray, list[str]]:
    """Copies are apart."""
    return generator.integers(0, 3, len(molecules.structure)), []


def restless(molecules: Any, generator: Any) -> tuple[np.ndarray, list[str]]:
    """Random numbers of its own."""
    return np.random.default_rng().integers(0, 3, len(molecules.first))[molecules.structure], []


def short(molecules: Any, generator: Any) -> tuple[np.ndarray, list[str]]:
    """A part per structure and not per row."""
    return np.zeros(len(molecules.first), np.int64), []


def dated(molecules: Any, generator: Any) -> tuple[np.ndarray, list[str]]:
    """By the date of the row and not of the structure."""
    return np.digitize(np.array(molecules.table.extra["date"]) >= "2021-06-01", [1]), []


@pytest.mark.parametrize(
    ("function", "fails"),
    [
        (losing, "Each row is in train"),
        (torn, "Rows with the same structure"),
        (restless, "The same seed"),
        (short, "Each row is in train"),
        (dated, "Rows with the same structure"),
    ],
)
def test_a_broken_split(function: Any, fails: str) -> None:
    splits.register("broken")(function)
    assert any(check.startswith(fails) for check in problems("split", "broken"))


def read(values: Any) -> Any:
    return np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values


def fragile(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """It divides by the number of actives."""
    return np.nansum(labels * scores, axis=0) / np.nansum(labels, axis=0) - 0.5


def greedy(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """It reads scores where nothing was measured."""
    return scores.mean(axis=0) + np.nanmean(labels * scores, axis=0)


def relative(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """It compares with the other assays."""
    values = np.nanmean(labels * scores, axis=0)
    return values - values.mean()


def reversed_order(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """It rewards what is wrong."""
    return np.nanmean((1 - labels) * scores, axis=0)


def single(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """It gives one number."""
    return np.nanmean(labels * scores)


@pytest.mark.parametrize(
    ("function", "fails"),
    [
        (fragile, "Tables without rows, labels or one"),
        (greedy, "Scores of molecules without a label"),
        (relative, "The value of an assay does not depend"),
        (reversed_order, "Right predictions have a better value"),
        (single, "Values are float64 [T]"),
    ],
)
@pytest.mark.parametrize(("kind", "reads"), [("binary", "probabilities"), ("real", "values")])
@pytest.mark.filterwarnings("ignore")
def test_a_broken_metric(function: Any, fails: str, kind: str, reads: Any) -> None:
    register_metric("broken", better="higher", needs="a label", reads=reads, kinds=[kind])(function)
    assert any(check.startswith(fails) for check in problems("metric", "broken"))


def vector(values: Callable[[Mol], Any], **more: Any) -> None:
    """Register a featurizer of two counts."""
    declared = {"name": "broken", "version": 1, "rate": 1000, "kind": "counts", "columns": ("one", "two")}
    called = {"__call__": lambda self, mol: read(values(mol)), "__doc__": "Two counts."}
    featurizers.register("broken")(type("Broken", (VectorFeaturizer,), {**declared, **called, **more}))


@pytest.mark.parametrize(
    ("values", "more", "fails"),
    [
        (lambda mol: np.array([1, 2, 3], np.uint8), {}, "Codes are below"),
        (lambda mol: np.array([1.0, 2.0]), {}, "Codes are below"),
        (lambda mol: np.array([1, np.inf], np.float32), {"kind": "real"}, "Codes are below"),
        (lambda mol: np.array([mol.GetAtomWithIdx(0).GetAtomicNum(), 0], np.uint8), {}, "Another order"),
        (
            lambda mol: np.random.default_rng().integers(0, 9, 2).astype(np.uint8),
            {},
            "A molecule has the same",
        ),
        (lambda mol: np.array([1, 2], np.uint8), {"name": "other"}, "Name, version"),
        (lambda mol: 1 / (mol.GetNumAtoms() - 1), {}, "A table of molecules"),
    ],
)
def test_a_broken_featurizer(values: Any, more: dict[str, Any], fails: str) -> None:
    vector(values, **more)
    assert any(check.startswith(fails) for check in problems("featurizer", "broken"))


def test_a_sound_featurizer() -> None:
    vector(lambda mol: np.array([mol.GetNumAtoms(), mol.GetNumBonds()], np.uint8))
    assert not problems("featurizer", "broken")


def test_a_broken_calibration() -> None:
    @calibrations.register("broken")
    def broken(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
        """It turns the order round, and says that it is another."""
        fitted: Calibration = calibrations.build("platt", probabilities, labels)
        fitted.slope[:] *= -1
        return fitted

    failing = problems("calibration", "broken")
    assert any(check.startswith("A higher score never") for check in failing)
    assert any(check.startswith("The function is documented") for check in failing)


def test_an_option_without_a_default_is_asked_for() -> None:
    (finding,) = check_member("split", Subject("column"))
    assert "column.column=..." in finding.problem


def test_an_option_that_there_is_not_is_told_once() -> None:
    (finding,) = check_member("loss", Subject("focal", {"gama": 2}))
    assert "Did you mean 'gamma'" in finding.problem


def test_another_error_is_told_with_its_place() -> None:
    balancer(lambda balancer, step: step.no_such_thing)
    told = set(problems("balancer", "broken").values())
    assert any(
        problem.startswith("AttributeError at") and "test_broken_members.py:" in problem for problem in told
    )


def test_our_own_members_go_through_the_checks_of_every_family() -> None:
    """A family that plug-ins are checked in and ours are not would be a promise to others only."""
    texts = [path.read_text() for path in (Path(__file__).parent.parent).rglob("test_*.py")]
    for file in FAMILIES.values():
        assert any(f"from screening.testing.{file} import CHECKS" in text for text in texts), file
