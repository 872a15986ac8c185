"""Gradients at the last layer over labelled cells are those of autograd, and see across molecules."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients, Look
from screening.balancing.places import Settings, places
from screening.balancing.places.labelled_cells import LabelledCells
from screening.balancing.places.last_layer import AtLastLayer
from screening.models.encoders import Encoder
from screening.models.heads import TaskHeads


class Inputs:
    """Rows of molecules of different sizes, as the atoms of a graph are."""

    def __init__(self, rows: Tensor, molecule: Tensor) -> None:
        self.rows, self.molecule = rows, molecule


class OnAtoms(Encoder):
    """A layer at each row, its norm, and the mean and the sum over a molecule with a norm behind."""

    width = 6

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.inner, self.outer = nn.Linear(5, 3), nn.LayerNorm(3), nn.LayerNorm(6)
        for norm in (self.inner, self.outer):
            nn.init.normal_(norm.weight)

    @property
    def last_layer(self) -> nn.Linear:
        return self.layer

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return self.inner, self.outer

    def forward(self, batch: Inputs) -> Tensor:  # type: ignore[override]
        atoms = torch.relu(self.inner(self.layer(batch.rows))) + batch.rows[:, :3]
        counts = batch.molecule.bincount()
        total = atoms.new_zeros(len(counts), 3).index_add(0, batch.molecule, atoms)
        return torch.tanh(self.outer(torch.cat([total / counts[:, None], total], dim=1)))


class OnMolecules(Encoder):
    """The same where a row is a molecule; `inputs` above or below the size of a batch."""

    width = 4

    def __init__(self, inputs: int, has_gain: bool) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(inputs, 4), nn.LayerNorm(4, elementwise_affine=has_gain)

    @property
    def last_layer(self) -> nn.Linear:
        return self.layer

    @property
    def norms_after_last_layer(self) -> tuple[nn.LayerNorm, ...]:
        return (self.norm,)

    def forward(self, batch: Tensor) -> Tensor:  # type: ignore[override]
        return nn.functional.silu(self.norm(self.layer(batch)))


def drawn(kind: str, n: int, n_tasks: int, missing: float, seed: int) -> tuple[Encoder, object, Tensor]:
    """An encoder, a batch for it and labels of which a share is missing."""
    torch.manual_seed(seed)
    labels = (torch.rand(n, n_tasks) < 0.4).double()
    labels[torch.rand(n, n_tasks) < missing] = torch.nan
    if kind == "atoms":
        molecule = torch.arange(n).repeat_interleave(torch.randint(1, 5, (n,)))
        return OnAtoms().double(), Inputs(torch.randn(len(molecule), 5).double(), molecule), labels
    size = {"wide": 40, "narrow": 3, "no gain": 5}[kind]
    encoder = OnMolecules(size, has_gain=kind != "no gain")
    return encoder.double(), torch.randn(n, size).double(), labels


def by_autograd(look: Look, weight: Tensor, labels: Tensor) -> Tensor:
    """[T, P], one backward pass per task from its mean loss."""
    cells = nn.functional.binary_cross_entropy_with_logits(
        look.cut.heads(look.cut.features), labels.nan_to_num(0.0), reduction="none"
    )
    there = ~labels.isnan()
    losses = torch.where(there, cells, 0.0).sum(0) / there.sum(0).clamp(min=1)
    return torch.stack([torch.autograd.grad(loss, weight, retain_graph=True)[0].flatten() for loss in losses])


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["atoms", "wide", "narrow", "no gain"]),
    n=st.integers(1, 12),
    n_tasks=st.integers(1, 6),
    hidden=st.sampled_from([0, 2]),
    missing=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_both_forms_are_the_gradients_of_autograd(
    kind: str, n: int, n_tasks: int, hidden: int, missing: float, seed: int
) -> None:
    """Whatever is missing: a task without labels, a molecule without any, all of them."""
    encoder, batch, labels = drawn(kind, n, n_tasks, missing, seed)
    heads = TaskHeads(encoder.width, n_tasks, hidden=hidden).double()
    tasks = [f"assay {number}" for number in range(n_tasks)]
    place = places.get("last_layer")(encoder, Settings())
    assert isinstance(place, AtLastLayer)
    look = Gradients(heads, build_balancer("equal", tasks)).look(encoder(batch), labels)
    rows = by_autograd(look, encoder.last_layer.weight, labels)
    cells = place._cells(look.cut, place.tape.take())
    assert cells is not None
    torch.testing.assert_close(cells.rows(), rows, rtol=1e-8, atol=1e-12)
    for gram in (cells.gram(), cells._gram_by_pairs(), cells._gram_by_rows()):
        torch.testing.assert_close(gram, rows @ rows.T, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["atoms", "wide"])
def test_in_float32_both_forms_are_exact_to_rounding(kind: str) -> None:
    """Many cells, over several blocks of pairs: 1e-5 of the lengths."""
    encoder, batch, labels = drawn(kind, 100, 30, 0.8, 0)
    heads, encoder = TaskHeads(encoder.width, 30), encoder.float()
    batch = batch.float() if isinstance(batch, Tensor) else Inputs(batch.rows.float(), batch.molecule)  # type: ignore[attr-defined]
    place = places.get("last_layer")(encoder, Settings())
    assert isinstance(place, AtLastLayer)
    look = Gradients(heads, build_balancer("equal", list(map(str, range(30))))).look(
        encoder(batch), labels.float()
    )
    rows = by_autograd(look, encoder.last_layer.weight, labels.float()).double()
    cells = place._cells(look.cut, place.tape.take())
    assert isinstance(cells, LabelledCells)
    lengths = rows.norm(dim=1)
    for gram in (cells._gram_by_pairs(), cells._gram_by_rows()):
        assert ((gram - rows @ rows.T) / (lengths * lengths[:, None])).abs().max() < 1e-5


def test_opposite_rules_on_disjoint_molecules_are_a_conflict_at_the_last_layer_alone() -> None:
    """One assay wants the sign of the first input, the other the reverse, on the other half of a batch."""
    torch.manual_seed(0)
    encoder, heads = OnMolecules(8, has_gain=True), TaskHeads(4, 2)
    with torch.no_grad():
        heads.weight[1] = heads.weight[0]
    inputs = torch.randn(200, 8)
    labels = torch.full((200, 2), torch.nan)
    labels[:100, 0], labels[100:, 1] = (inputs[:100, 0] > 0).float(), (inputs[100:, 0] <= 0).float()
    cosines, weights = {}, {}
    for at in ("features", "last_layer"):
        balancer = build_balancer("pcgrad", ["this", "that"])
        look = Gradients(heads, balancer, at=at, encoder=encoder).look(encoder(inputs), labels)
        assert look.step.gram is not None
        gram = look.step.gram
        cosines[at] = float(gram[0, 1] / (gram[0, 0] * gram[1, 1]).sqrt())
        weights[at] = balancer.decide(look.step).weights
    assert cosines["features"] == 0
    assert weights["features"].tolist() == [1, 1]
    assert cosines["last_layer"] < -0.5
    assert (weights["last_layer"] > 1).all()


def test_an_encoder_that_does_not_say_what_follows_gives_the_same_by_backward_passes() -> None:
    class Silent(OnMolecules):
        norms_after_last_layer = Encoder.norms_after_last_layer

    encoder, batch, labels = drawn("wide", 12, 5, 0.5, 3)
    silent = Silent(40, has_gain=True).double()
    silent.load_state_dict(encoder.state_dict())
    heads, grams = TaskHeads(4, 5).double(), []
    for each in (encoder, silent):
        balancer = build_balancer("pcgrad", list("abcde"))
        look = Gradients(heads, balancer, at="last_layer", encoder=each).look(each(batch), labels)
        assert look.step.gram is not None
        grams.append(look.step.gram)
    torch.testing.assert_close(*grams, rtol=1e-9, atol=1e-12)


def test_a_layer_that_is_called_twice_is_left_to_backward_passes() -> None:
    class Twice(OnMolecules):
        def forward(self, batch: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(batch) + super().forward(2 * batch)

    encoder = Twice(5, has_gain=True).double()
    _, _, labels = drawn("wide", 12, 5, 0.5, 3)
    heads, batch = TaskHeads(4, 5).double(), torch.randn(12, 5).double()
    balancer = build_balancer("pcgrad", list("abcde"))
    look = Gradients(heads, balancer, at="last_layer", encoder=encoder).look(encoder(batch), labels)
    rows = by_autograd(look, encoder.last_layer.weight, labels)
    torch.testing.assert_close(look.step.gram, rows @ rows.T, rtol=1e-9, atol=1e-12)
