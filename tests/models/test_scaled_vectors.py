"""Working on the numbers that are not 0 is the same as working on all: values, derivatives, dropout."""

import copy

import pytest
import small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from screening.features.store import GraphBatch, GraphStore, PackedVectors
from screening.models.encoders import encoders
from screening.models.layers import VectorScale
from screening.models.network import inputs_of
from screening.models.scaled_vectors import ScaledVectors, VectorLinear

SETS = [
    ("ecfp_counts",),
    ("ecfp_bits",),
    ("rdkit_fast",),
    ("ecfp_counts", "rdkit_fast"),
    ("rdkit_fast", "ecfp_counts", "atom_pairs"),
    ("ecfp6_counts", "fcfp_counts", "atom_pairs", "torsions"),
]
WITH_VECTORS = {"fingerprint": {"widths": (16, 8)}, "hybrid": {"depth": 2, "width": 8, "hidden": 16}}


def dense(batch: GraphBatch) -> GraphBatch:
    return batch.with_vectors(batch.vectors)


def relative(one: Tensor, other: Tensor) -> float:
    """Largest difference, as a share of the largest value."""
    return float((one - other).detach().abs().max() / other.detach().abs().max().clamp(min=1e-30))


def plain(layer: VectorLinear) -> nn.Linear:
    """The same layer, as torch has it."""
    linear = nn.Linear(layer.in_features, layer.out_features)
    linear.load_state_dict(layer.state_dict())
    return linear


@st.composite
def inputs(draw: st.DrawFn) -> ScaledVectors:
    """Vectors with empty rows, empty columns, no rows, no counts or no real values among them."""
    n_rows, n_counts, n_real = draw(st.integers(0, 6)), draw(st.integers(0, 9)), draw(st.integers(0, 3))
    cells = [(row, column) for row in range(n_rows) for column in range(n_counts)]
    chosen = sorted(draw(st.sets(st.sampled_from(cells)))) if cells else []
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    rows, columns = torch.tensor(chosen, dtype=torch.int64).reshape(-1, 2).unbind(1)
    value = torch.rand(len(chosen), generator=generator) * 5
    return ScaledVectors(rows, columns, value, torch.randn(n_rows, n_real, generator=generator), n_counts)


@settings(max_examples=80, deadline=None)
@given(inputs())
def test_layer_gives_what_a_dense_one_gives(given_: ScaledVectors) -> None:
    whole = given_.dense()
    if not whole.shape[1]:
        return
    torch.manual_seed(0)
    layer = VectorLinear(whole.shape[1], 4)
    other, slopes = plain(layer), torch.randn(len(whole), 4)
    torch.testing.assert_close(layer(given_), other(whole), rtol=1e-6, atol=1e-6)
    layer(given_).backward(slopes)
    other(whole).backward(slopes)
    torch.testing.assert_close(layer.weight.grad, other.weight.grad, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(layer.bias.grad, other.bias.grad, rtol=1e-6, atol=1e-6)


def test_layer_starts_as_torch_does_and_keeps_its_layout() -> None:
    torch.manual_seed(3)
    ours = VectorLinear(7, 5)
    torch.manual_seed(3)
    theirs = nn.Linear(7, 5)
    assert torch.equal(ours.weight, theirs.weight)
    copied = copy.deepcopy(ours)
    copied.load_state_dict(theirs.state_dict())
    for layer in (ours, copied, ours.double()):
        assert layer.weight.t().is_contiguous()
    store = small.store(vectors=("ecfp_counts",))
    layer = VectorLinear(2048, 5)
    layer(VectorScale(store.vector_blocks)(store.batch([0, 1]).columns)).sum().backward()
    assert layer.weight.grad.stride() == layer.weight.stride(), "no copy between backward pass and optimiser"


@pytest.mark.parametrize("sets", SETS, ids="+".join)
def test_scale_gives_what_it_gives_of_dense_vectors(sets: tuple[str, ...]) -> None:
    store = small.store(vectors=sets)
    scale = VectorScale(store.vector_blocks).eval()
    scale.fit(store, torch.arange(100))
    batch = store.batch([5, 3, 3, 0])
    assert torch.equal(scale(batch.columns).dense(), scale(batch.vectors))


@pytest.mark.parametrize("sets", SETS[3:5], ids="+".join)
def test_dropout_leaves_counts_out_and_raises_the_others(sets: tuple[str, ...]) -> None:
    store = small.store(vectors=sets)
    scale = VectorScale(store.vector_blocks, count_dropout=0.25).train()
    batch = store.batch(range(100))
    torch.manual_seed(0)
    disturbed = scale(batch.columns)
    whole = scale.eval()(batch.columns)
    kept = disturbed.value != 0
    torch.testing.assert_close(disturbed.value[kept], whole.value[kept] / 0.75)
    n = len(kept)
    assert abs(kept.float().mean() - 0.75) < 4 * (0.25 * 0.75 / n) ** 0.5
    assert torch.equal(disturbed.real, whole.real)


@pytest.mark.parametrize("sets", SETS, ids="+".join)
@pytest.mark.parametrize("name", WITH_VECTORS)
def test_encoders_take_either(name: str, sets: tuple[str, ...]) -> None:
    """Representations and gradients of all parameters, without dropout and noise."""
    store = small.store(vectors=sets)
    torch.manual_seed(0)
    encoder = encoders.build(name, inputs_of(store), **WITH_VECTORS[name]).eval()
    encoder.fit(store, torch.arange(100))
    batch = store.batch(range(60))
    slopes = torch.randn(60, encoder.width)
    seen = []
    for each in (batch, dense(batch)):
        encoder.zero_grad()
        features = encoder(each)
        features.backward(slopes)
        seen.append((features.detach(), [parameter.grad for parameter in encoder.parameters()]))
    (ours, gradients), (theirs, dense_gradients) = seen
    assert relative(ours, theirs) < 1e-6
    for gradient, dense_gradient in zip(gradients, dense_gradients, strict=True):
        assert relative(gradient, dense_gradient) < 1e-5


@pytest.mark.parametrize("name", WITH_VECTORS)
def test_dropout_of_counts_with_the_same_mask(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sparse way left out, left out of dense vectors beforehand, gives the same."""
    store = small.store(vectors=("ecfp_counts", "rdkit_fast"))
    torch.manual_seed(0)
    options = WITH_VECTORS[name] | {"real_dropout": 0, "real_noise": 0, "dropout": 0, "count_dropout": 0.4}
    options |= {"graph_dropout": 0, "branch_dropout": 0} if name == "hybrid" else {}
    encoder = encoders.build(name, inputs_of(store), **options).train()
    scale = next(module for module in encoder.modules() if isinstance(module, VectorScale))
    seen: list[ScaledVectors] = []
    hook = scale.register_forward_hook(lambda module, given, output: seen.append(output))
    batch = store.batch(range(40))
    ours = encoder(batch)
    hook.remove()
    assert (seen[0].value == 0).any()
    scale.register_forward_hook(lambda module, given, output: seen[0].dense())
    assert relative(ours, encoder(dense(batch))) < 1e-6


def test_batch_has_the_numbers_of_its_molecules(store: GraphStore) -> None:
    """Against the dense vectors of each molecule alone, a row twice and in another order."""
    rows = torch.tensor([7, 2, 2, 11])
    packed = store.batch(rows).columns
    assert isinstance(packed, PackedVectors)
    assert bool((packed.molecule[1:] >= packed.molecule[:-1]).all())
    assert bool((packed.value > 0).all())
    alone = torch.cat([store.batch([row]).vectors for row in rows.tolist()])
    torch.testing.assert_close(packed.dense(), alone, rtol=0, atol=0, equal_nan=True)
    n_atoms, n_bonds, n_counts = store.sizes(rows)
    assert torch.equal(n_counts, torch.bincount(packed.molecule, minlength=4))
    assert torch.equal(n_atoms, torch.bincount(store.batch(rows).molecule, minlength=4))
    assert int(n_bonds.sum()) * 2 == len(store.batch(rows).source)


@pytest.fixture(scope="module")
def store() -> GraphStore:
    return small.store(vectors=("ecfp_counts", "rdkit_fast", "atom_pairs"))
