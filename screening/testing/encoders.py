"""What must hold for every encoder of molecules."""

from functools import cache

import torch
from torch import Tensor

from ..balancing.chain import build_balancer
from ..balancing.gradients import Gradients
from ..balancing.places import Settings, places
from ..balancing.places.contract import norms_after_last_layer
from ..features.store import FeatureSet, GraphStore, featurize
from ..models.dropout import Share, drawing_for
from ..models.encoders import Encoder, encoders
from ..models.heads import TaskHeads
from ..models.network import inputs_of
from .subjects import DRUGS, ODD, Check, Subject

FEATURES = FeatureSet("atom_codes", ("ecfp_counts", "rdkit_fast"))
"""What encoders are checked on: a graph, counts, and real numbers some of which are missing."""
TOLERANCE = 1e-5
"""Of a number in a representation, absolute and relative."""


@cache
def _store(structures: tuple[str, ...]) -> GraphStore:
    return featurize(list(structures), FEATURES, workers=0)


def build(subject: Subject, store: GraphStore) -> Encoder:
    """The encoder for the features of a store, with the same weights each time, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder: Encoder = encoders.build(subject.name, inputs_of(store), **subject.options)
    encoder.fit(store, torch.arange(len(store)))
    return encoder.eval()


def is_declared(subject: Subject) -> None:
    """The class is documented, and `width` is that of finite float32 representations [B, d]."""
    assert encoders.get(subject.name).__doc__, "the class has no docstring"
    store = _store((*DRUGS, *ODD))
    encoder = build(subject, store)
    features = encoder(store.batch(range(len(store))))
    shape = (len(store), encoder.width)
    assert features.shape == shape, f"representations are {tuple(features.shape)}: expected {shape}"
    assert features.dtype == torch.float32, f"representations are {features.dtype}"
    broken = [(*DRUGS, *ODD)[row] for row in (~features.isfinite().all(1)).nonzero().flatten().tolist()]
    assert not broken, f"representations are not finite for {', '.join(broken)}"


def representation_does_not_depend_on_the_batch(subject: Subject) -> None:
    """A molecule has the same representation alone as among others."""
    store = _store((*ODD, *DRUGS))
    encoder = build(subject, store)
    together = encoder(store.batch(range(len(store))))
    for row, structure in enumerate((*ODD, *DRUGS)):
        _assert_same(encoder(store.batch([row]))[0], together[row], f"{structure} alone and among others")


def order_of_atoms_does_not_matter(subject: Subject) -> None:
    """Another spelling of a molecule has the same representation."""
    pairs = ("CC(=O)Nc1ccc(O)cc1", "Oc1ccc(NC(C)=O)cc1", "N#CCC(=O)OCC", "CCOC(=O)CC#N")
    store = _store(pairs)
    features = build(subject, store)(store.batch(range(len(pairs))))
    for first in (0, 2):
        _assert_same(features[first], features[first + 1], f"{pairs[first]} and {pairs[first + 1]}")


def processes_draw_what_one_draws(subject: Subject) -> None:
    """In training two processes with halves of a batch compute what one computes with the whole."""
    store = _store((*DRUGS, *ODD))
    encoder, rows = build(subject, store).train(), torch.arange(len(store))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        whole, after = encoder(store.batch(rows)), torch.rand(1)
        for mine in (rows[::2], rows[1::2]):
            torch.manual_seed(1)
            with drawing_for(Share.of(mine, *store.sizes(rows))):
                half = encoder(store.batch(mine))
            hint = "normalise by row (LayerNorm), and draw with screening.models.dropout"
            _assert_same(half, whole[mine], f"half a batch and the whole, in training ({hint})")
            assert torch.equal(torch.rand(1), after), f"a half draws another number of random values: {hint}"


def every_weight_gets_a_gradient(subject: Subject) -> None:
    """No parameter is left out of the computation."""
    store = _store((*DRUGS, *ODD))
    encoder = build(subject, store).train()
    encoder(store.batch(range(len(store)))).square().sum().backward()
    idle = [name for name, value in encoder.named_parameters() if value.grad is None or not value.grad.any()]
    assert not idle, f"no gradient reaches {', '.join(idle)}"


def what_follows_the_last_layer_is_as_told(subject: Subject) -> None:
    """By `norms_after_last_layer`, if given, a task's gradient there is that of a backward pass."""
    store = _store((*DRUGS, *ODD))
    encoder = build(subject, store).train()
    if norms_after_last_layer(encoder) is None:
        return
    labels = torch.tensor([[1.0, torch.nan, 0.0], [torch.nan, 1.0, 1.0]]).repeat(len(store), 1)[: len(store)]
    place = places.get("last_layer")(encoder, Settings())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        heads, equal = TaskHeads(encoder.width, 3), build_balancer("equal", ["a", "b", "c"])
        cut = Gradients(heads, equal).look(encoder(store.batch(range(len(store)))), labels).cut
    weight = encoder.last_layer.weight
    sums = (cut.slopes * heads(cut.features)).sum(0)
    expected = [torch.autograd.grad(each, weight, retain_graph=True)[0].flatten() for each in sums]
    what = "gradients at last_layer by cells and by backward passes (leave norms_after_last_layer out)"
    _assert_same(place.rows(cut), torch.stack(expected), what)


def batch_may_be_empty(subject: Subject) -> None:
    """A batch without molecules has representations [0, d] that can be differentiated."""
    store = _store((*DRUGS, *ODD))
    encoder = build(subject, store).train()
    features = encoder(store.batch([]))
    assert features.shape == (0, encoder.width), f"representations of nothing are {tuple(features.shape)}"
    features.sum().backward()


def saved_and_loaded_gives_the_same(subject: Subject) -> None:
    """All that decides a representation is in the state: weights and fitted scales."""
    store = _store((*DRUGS, *ODD))
    encoder = build(subject, store)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        other: Encoder = encoders.build(subject.name, inputs_of(store), **subject.options)
    other.load_state_dict(encoder.state_dict())
    batch = store.batch(range(len(store)))
    _assert_same(other.eval()(batch), encoder(batch), "before and after saving")


def _assert_same(one: Tensor, other: Tensor, what: str) -> None:
    away = float((one - other).detach().abs().max()) if one.numel() else 0.0
    assert torch.allclose(one, other, TOLERANCE, TOLERANCE), f"{what} differ by up to {away:.3g}"


CHECKS: tuple[Check, ...] = (
    is_declared,
    representation_does_not_depend_on_the_batch,
    order_of_atoms_does_not_matter,
    processes_draw_what_one_draws,
    every_weight_gets_a_gradient,
    what_follows_the_last_layer_is_as_told,
    batch_may_be_empty,
    saved_and_loaded_gives_the_same,
)
