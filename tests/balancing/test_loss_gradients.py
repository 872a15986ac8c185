"""Losses of any model: the same decisions and gradients as explicit loops, as `Gradients`, and as TorchJD."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from screening.balancing.chain import build_balancer
from screening.balancing.contract import balancers
from screening.balancing.gradients import Gradients
from screening.balancing.loss_gradients import LossGradients
from screening.errors import ConfigError, DataError
from screening.models.heads import TaskHeads
from screening.models.losses import label_counts

NAN = float("nan")
B, D, T = 16, 6, 5
TASKS = [f"assay {task}" for task in range(T)]
REQUIRED = {"wpcgrad": {"priorities": {"assay 1": 2.0}}, "cr_mogm": {"of": "pcgrad"}}


def a_model() -> tuple[nn.Module, TaskHeads, Tensor, Tensor]:
    torch.manual_seed(7)
    encoder = nn.Sequential(nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, D), nn.LayerNorm(D))
    labels = (torch.rand(B, T) < 0.4).float()
    labels[torch.rand(B, T) < 0.3] = NAN
    labels[:, 3] = NAN
    return encoder, TaskHeads(D, T), torch.randn(B, 5), labels


def losses_of(heads: nn.Module, features: Tensor, labels: Tensor) -> list[Tensor | None]:
    """Means over the labels that are there; None for a task without any."""
    logits = heads(features)
    return [
        functional.binary_cross_entropy_with_logits(logits[there, task], labels[there, task])
        if (there := ~labels[:, task].isnan()).any()
        else None
        for task in range(T)
    ]


def flat_gradients(*modules: nn.Module) -> Tensor:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    )


@pytest.mark.parametrize("name", balancers.names())
def test_every_balancer_does_what_it_does_with_our_heads(name: str) -> None:
    """Three steps of each method, by closed form and from losses: the same gradients everywhere."""
    places = balancers.get(name).places
    at = "features" if places is None or "features" in places else "encoder"
    encoder, heads, inputs, labels = a_model()
    options = {"name": name, **REQUIRED.get(name, {})}
    one, other = build_balancer(options, TASKS), build_balancer(options, TASKS)
    closed = Gradients(heads, one, at=at, encoder=encoder)
    plain = LossGradients(other, at="parameters" if at == "encoder" else at, encoder=encoder)
    for step in range(3):
        noise = torch.randn(B, 5, generator=torch.Generator().manual_seed(step))
        results = []
        for gradients, balancer in ((closed, one), (plain, other)):
            encoder.zero_grad()
            heads.zero_grad()
            features = encoder(inputs + noise)
            if isinstance(gradients, Gradients):
                look = gradients.look(features, labels, step=step)
            else:
                counts = label_counts(labels)
                look = gradients.look(losses_of(heads, features, labels), features, counts=counts, step=step)
            look.backward(balancer.decide(look.step))
            results.append(flat_gradients(encoder, heads))
            if balancer.second_look:
                balancer.look_again(look.step)
        torch.testing.assert_close(results[1], results[0], rtol=2e-4, atol=2e-6)


class TwoHeads(nn.Module):
    """A network as of images: convolutions, then a class and a box, with another kind of loss each."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.kind, self.box = nn.Linear(16, 5), nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))


def two_losses(model: TwoHeads) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = model.encoder(torch.randn(6, 3, 9, 9, generator=generator))
    flat = features.flatten(1)
    kinds = torch.randint(5, (6,), generator=generator)
    boxes = torch.randn(6, 4, generator=generator)
    return [
        functional.cross_entropy(model.kind(flat), kinds),
        functional.mse_loss(model.box(flat), boxes),
    ], features


def test_losses_of_two_kinds_balanced_as_an_explicit_loop() -> None:
    """MGDA on a network that is not ours: the encoder gets the weighted sum, each head its own gradient."""
    torch.manual_seed(1)
    model = TwoHeads()
    balancer = build_balancer("mgda", ["kind", "box"])
    losses, features = two_losses(model)
    look = LossGradients(balancer).look(losses, features)
    decision = balancer.decide(look.step)
    rows = torch.stack(
        [torch.autograd.grad(loss, features, retain_graph=True)[0].flatten() for loss in losses]
    )
    torch.testing.assert_close(look.step.gram, rows.double() @ rows.double().T)
    shared = sum(w * row for w, row in zip(decision.weights, rows, strict=True)) / 2
    expected = torch.autograd.grad(
        features, list(model.encoder.parameters()), shared.view_as(features), retain_graph=True
    )
    own = torch.autograd.grad(
        losses[1] / 2 * decision.head_weights[1], list(model.box.parameters()), retain_graph=True
    )
    look.backward(decision)
    torch.testing.assert_close([p.grad for p in model.encoder.parameters()], list(expected))
    torch.testing.assert_close([p.grad for p in model.box.parameters()], list(own))


@pytest.mark.parametrize(
    ("name", "kind", "scale"),
    [("upgrad", "UPGrad", 1), ("mgda", "MGDA", 1), ("dualproj", "DualProj", 1), ("pcgrad", "PCGrad", 0.5)],
)
def test_encoder_gets_what_torchjd_gives_it(name: str, kind: str, scale: float) -> None:
    """At the encoder's parameters; of two tasks, so PCGrad's random order does not matter.

    TorchJD's PCGrad is a sum over the tasks, ours a mean.
    """
    autojac = pytest.importorskip("torchjd.autojac")
    aggregation = pytest.importorskip("torchjd.aggregation")
    torch.manual_seed(2)
    model = TwoHeads()
    losses, features = two_losses(model)
    autojac.mtl_backward(losses, features=features)
    autojac.jac_to_grad(model.encoder.parameters(), getattr(aggregation, kind)())
    expected = [scale * parameter.grad for parameter in model.encoder.parameters()]
    heads = [parameter.grad / 2 for parameter in (*model.kind.parameters(), *model.box.parameters())]
    model.zero_grad()
    losses, features = two_losses(model)
    balancer = build_balancer(name, ["kind", "box"])
    look = LossGradients(balancer, at="parameters", encoder=model.encoder).look(losses, features)
    look.backward(balancer.decide(look.step))
    torch.testing.assert_close([p.grad for p in model.encoder.parameters()], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close([p.grad for p in (*model.kind.parameters(), *model.box.parameters())], heads)


def test_absent_tasks_leave_no_trace() -> None:
    encoder, heads, inputs, labels = a_model()
    balancer = build_balancer("pcgrad", TASKS)
    features = encoder(inputs)
    look = LossGradients(balancer).look(losses_of(heads, features, labels), features)
    assert look.step.present.tolist() == [True, True, True, False, True]
    assert balancer.decide(look.step).weights[3] == 0
    look.backward(balancer.decide(look.step))
    assert not heads.weight.grad[3].any()


def test_a_batch_without_labels_changes_nothing() -> None:
    encoder, heads, inputs, _ = a_model()
    balancer = build_balancer("slaw", TASKS)
    look = LossGradients(balancer).look([None] * T, encoder(inputs))
    look.backward(balancer.decide(look.step))
    assert not flat_gradients(encoder, heads).any()


def test_mistakes_are_named() -> None:
    encoder, heads, inputs, labels = a_model()
    balancer = build_balancer("pcgrad", TASKS)
    features = encoder(inputs)
    losses = losses_of(heads, features, labels)
    with pytest.raises(DataError, match="assay 2 is not a finite"):
        LossGradients(balancer).look([*losses[:2], losses[2] * NAN, *losses[3:]], features)
    with pytest.raises(ValueError, match="4 losses for 5 tasks"):
        LossGradients(balancer).look(losses[:4], features)
    with pytest.raises(ValueError, match="no graph"):
        LossGradients(balancer).look(losses, features.detach())
    with pytest.raises(ConfigError, match="features or parameters"):
        LossGradients(balancer, at="heads")
    with pytest.raises(TypeError, match="need the encoder"):
        LossGradients(balancer, at="parameters")
