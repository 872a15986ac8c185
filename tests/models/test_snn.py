"""The self-normalising encoder: units keep mean 0 and variance 1, inputs are standardised twice."""

import numpy as np
import pytest
import small
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from screening.balancing.places.contract import shared_part
from screening.errors import ConfigError
from screening.features.store import FeatureSet, GraphStore, featurize
from screening.models.encoders.snn import CHUNK, SquashedInputs
from screening.models.encoders.snn import Snn as SelfNormalising
from screening.models.network import inputs_of

VECTORS = ("ecfp_counts", "rdkit_fast")


@pytest.fixture(scope="module")
def store() -> GraphStore:
    return small.store(vectors=VECTORS)


def built(store: GraphStore, **options: float) -> SelfNormalising:
    torch.manual_seed(0)
    encoder = SelfNormalising(inputs_of(store), **options)  # type: ignore[arg-type]
    encoder.fit(store, torch.arange(40))
    return encoder


def through(layers: nn.ModuleList, units: Tensor) -> list[Tensor]:
    passed = []
    for layer in list(layers)[1:]:
        units = functional.selu(layer(units))
        passed.append(units)
    return passed


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.3, 1.3), (-0.3, 0.7)])
def test_mean_and_variance_are_drawn_to_0_and_1(store: GraphStore, mean: float, deviation: float) -> None:
    """Theorem 1: (0, 1) is a fixed point that attracts; with ReLU, as torch starts it, the signal is lost."""
    encoder = built(store, depth=20, width=768)
    start = mean + deviation * torch.randn(400, 768)
    with torch.no_grad():
        last = through(encoder.layers, start)[-1]
        shrunk = start
        for _ in range(19):
            shrunk = functional.relu(nn.Linear(768, 768)(shrunk))
    assert last.mean().item() == pytest.approx(0, abs=0.1)
    assert last.var().item() == pytest.approx(1, abs=0.2)
    assert shrunk.var().item() < 0.01


def test_alpha_dropout_does_not_move_them(store: GraphStore) -> None:
    encoder = built(store, depth=8, width=512, dropout=0.1, input_dropout=0.0).train()
    rows = torch.arange(len(store))
    with torch.no_grad():
        noisy, quiet = encoder(store.batch(rows)), encoder.eval()(store.batch(rows))
    assert not torch.allclose(noisy, quiet)
    for units in (noisy, quiet):
        assert abs(units.mean().item()) < 0.2
        assert 0.5 < units.var().item() < 1.5


def test_weights_start_with_variance_one_over_inputs(store: GraphStore) -> None:
    for layer in built(store, depth=3, width=256).layers:
        assert layer.weight.var().item() * layer.in_features == pytest.approx(1, abs=0.05)
        assert not layer.bias.any()


def test_inputs_are_standardised_squashed_and_standardised(store: GraphStore) -> None:
    scale, rows = SquashedInputs(inputs_of(store).vectors), torch.arange(40)
    scale.fit(store, rows)
    vectors = store.batch(torch.arange(len(store))).vectors
    plain = scale.vectors(vectors).double().numpy()
    first = StandardScaler().fit(plain[:40])
    squashed = np.tanh(first.transform(plain))
    expected = StandardScaler().fit(squashed[:40]).transform(squashed)
    varies = plain[:40].std(axis=0) > 1e-6
    assert 100 < varies.sum() < len(varies)
    result = scale(vectors).numpy()
    np.testing.assert_allclose(result[:, varies], expected.clip(-5, 5)[:, varies], rtol=1e-3, atol=1e-3)
    assert not result[:, ~varies].any()


def test_inputs_are_finite_whatever_a_molecule_is(store: GraphStore) -> None:
    encoder = built(store, depth=2, width=8).eval()
    odd = featurize(["C", "[Na+].[Cl-]", "C" * 900, "[He]", "FAIL"], FeatureSet("atom_codes", VECTORS))
    units = encoder(odd.batch(range(5)))
    assert units.isfinite().all()
    assert units.abs().max() < 100


def test_the_scale_is_the_same_in_chunks(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = built(store, depth=1, width=8).state_dict()
    monkeypatch.setattr("screening.models.encoders.snn.CHUNK", 7)
    assert CHUNK > 40
    for name, value in built(store, depth=1, width=8).state_dict().items():
        torch.testing.assert_close(value, whole[name], msg=name)


def test_there_is_a_last_layer_and_no_last_norm(store: GraphStore) -> None:
    encoder = built(store, depth=2, width=8)
    assert shared_part(encoder, "last_layer") is encoder.layers[-1]
    with pytest.raises(ConfigError, match=r"last_norm needs an encoder with the property.*Snn has none"):
        shared_part(encoder, "last_norm")
