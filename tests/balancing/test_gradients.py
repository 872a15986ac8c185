"""The Gramian is that of explicit gradients, and the backward pass that of the loss one would write."""

import pytest
import torch
from plain_losses import Losses, per_task_losses
from torch import Tensor, nn

from screening.balancing.chain import build_balancer
from screening.balancing.contract import Balancer
from screening.balancing.gradients import Gradients
from screening.balancing.step import Decision, Step
from screening.errors import ConfigError
from screening.models.heads import TaskHeads
from screening.models.losses import label_counts

NAN = float("nan")
B, D, T = 12, 6, 4
TASKS = [f"assay {task}" for task in range(T)]


class Needs(Balancer):
    """Weights as given; asks for whatever the test wants to look at."""

    def __init__(self, needs: str, weights: Tensor | None = None, weighs_heads: bool = True) -> None:
        super().__init__(TASKS)
        self.needs = needs  # type: ignore[assignment]
        self.weights, self.weighs_heads = weights, weighs_heads

    def weigh_present(self, step: Step) -> Tensor:
        assert self.weights is not None
        return self.weights[step.tasks].double()


def make(hidden: int = 0, dropout: float = 0.0) -> tuple[nn.Module, TaskHeads, Tensor, Tensor]:
    torch.manual_seed(3)
    encoder = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, D))
    heads = TaskHeads(D, T, hidden=hidden, dropout=dropout)
    labels = (torch.rand(B, T) < 0.4).float()
    labels[torch.rand(B, T) < 0.4] = NAN
    return encoder, heads, torch.randn(B, 5), labels


def explicit_losses(encoder: nn.Module, heads: TaskHeads, inputs: Tensor, labels: Tensor) -> Losses:
    return per_task_losses(heads(encoder(inputs)), labels, label_counts(labels))


def gradients_of(*modules: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for module in modules for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("absent", [[], [2], [0, 1, 2, 3]])
def test_gramian_is_that_of_autograd(hidden: int, absent: list[int]) -> None:
    encoder, heads, inputs, labels = make(hidden)
    labels[:, absent] = NAN
    look = Gradients(heads, Needs("rows")).look(encoder(inputs), labels)
    features = encoder(inputs).detach().requires_grad_()
    losses = per_task_losses(heads(features), labels, label_counts(labels)).values
    rows = torch.stack([torch.autograd.grad(loss, features, retain_graph=True)[0] for loss in losses])
    expected = rows.flatten(1).double() @ rows.flatten(1).double().T
    assert look.step.gram is not None
    assert look.step.rows is not None
    torch.testing.assert_close(look.step.gram, expected, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(look.step.rows, rows.flatten(1))
    assert not look.step.gram[absent].any()
    assert torch.equal(look.step.gram, look.step.gram.T)


def test_gramian_of_private_layers_in_parts_is_that_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, heads, inputs, labels = make(hidden=3)
    gradients = Gradients(heads, Needs("gram"))
    whole = gradients.look(encoder(inputs), labels).step.gram
    monkeypatch.setattr("screening.balancing.places.products.NUMBERS_AT_ONCE", {"cpu": 5 * T * D})
    torch.testing.assert_close(gradients.look(encoder(inputs), labels).step.gram, whole)


def test_gramian_with_dropout_is_that_of_the_same_pass() -> None:
    encoder, heads, inputs, labels = make(hidden=8, dropout=0.5)
    look = Gradients(heads, Needs("gram")).look(encoder(inputs), labels)
    rows = [
        torch.autograd.grad(look.cut.logits, look.cut.leaf, slopes, retain_graph=True)[0].flatten()
        for slopes in torch.diag_embed(look.cut.slopes).transpose(0, 1)
    ]
    expected = torch.stack(rows).double() @ torch.stack(rows).double().T
    torch.testing.assert_close(look.step.gram, expected, rtol=1e-5, atol=1e-8)


def test_step_knows_what_was_asked_and_no_more() -> None:
    encoder, heads, inputs, labels = make()
    labels[:, 1] = NAN
    step = Gradients(heads, Needs("losses")).look(encoder(inputs), labels, epoch=2, step=7).step
    losses = explicit_losses(encoder, heads, inputs, labels)
    torch.testing.assert_close(step.losses, losses.values.detach().double(), rtol=1e-6, atol=0)
    assert torch.equal(step.present, losses.present)
    assert torch.equal(step.counts, label_counts(labels))
    assert (step.gram, step.rows, step.epoch, step.step) == (None, None, 2, 7)


@pytest.mark.parametrize("hidden", [0, 3])
def test_a_second_look_needs_no_graph_of_the_encoder(hidden: int) -> None:
    encoder, heads, inputs, labels = make(hidden)
    gradients = Gradients(heads, Needs("gram"))
    with torch.no_grad():
        again = gradients.look(encoder(inputs), labels).step
    step = gradients.look(encoder(inputs), labels).step
    assert torch.equal(again.losses, step.losses)
    torch.testing.assert_close(again.gram, step.gram)


def test_variances_are_those_of_the_losses_of_molecules() -> None:
    encoder, heads, inputs, labels = make()
    labels[1:, 1] = NAN  # one label or none
    variances = Gradients(heads, Needs("losses")).look(encoder(inputs), labels).step.variances
    assert variances is not None
    assert variances[1] == 0
    for task in (0, 2, 3):
        there = ~labels[:, task].isnan()
        cells = nn.functional.binary_cross_entropy_with_logits(
            heads(encoder(inputs))[there, task], labels[there, task], reduction="none"
        )
        torch.testing.assert_close(variances[task], cells.var().detach().double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("hidden", [0, 3])
def test_backward_is_that_of_the_weighted_mean(hidden: int) -> None:
    encoder, heads, inputs, labels = make(hidden)
    labels[:, 2] = NAN
    weights = torch.tensor([0.5, 2.0, 9.0, 0.5])
    losses = explicit_losses(encoder, heads, inputs, labels)
    ((weights * losses.values)[losses.present].sum() / 3).backward()
    expected = gradients_of(encoder, heads)
    encoder.zero_grad()
    heads.zero_grad()
    balancer = Needs("losses", weights)
    look = Gradients(heads, balancer).look(encoder(inputs), labels)
    look.backward(balancer.decide(look.step))
    torch.testing.assert_close(gradients_of(encoder, heads), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("hidden", [0, 3])
def test_heads_keep_their_own_gradient_when_only_the_encoder_is_balanced(hidden: int) -> None:
    encoder, heads, inputs, labels = make(hidden)
    labels[:, 2] = NAN
    weights = torch.tensor([0.5, -2.0, 9.0, 0.5])
    losses = explicit_losses(encoder, heads, inputs, labels).values
    shared = torch.autograd.grad((weights * losses).sum() / 3, list(encoder.parameters()), retain_graph=True)
    own = torch.autograd.grad(losses.sum() / 3, list(heads.parameters()))
    balancer = Needs("losses", weights, weighs_heads=False)
    look = Gradients(heads, balancer).look(encoder(inputs), labels)
    look.backward(balancer.decide(look.step))
    torch.testing.assert_close(gradients_of(encoder, heads), [*shared, *own], rtol=1e-5, atol=1e-7)


def test_a_direction_goes_to_the_encoder_as_it_is() -> None:
    encoder, heads, inputs, labels = make()
    weights = torch.tensor([0.5, 2.0, 1.0, 0.5])
    balancer = Needs("rows", weights)
    gradients = Gradients(heads, balancer)
    look = gradients.look(encoder(inputs), labels)
    look.backward(balancer.decide(look.step))
    expected = gradients_of(encoder, heads)
    encoder.zero_grad()
    heads.zero_grad()
    look = gradients.look(encoder(inputs), labels)
    assert look.step.rows is not None
    look.backward(Decision(torch.zeros(T), weights, weights @ look.step.rows))
    torch.testing.assert_close(gradients_of(encoder, heads), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["equal", "pcgrad"])
def test_gradients_accumulate(name: str) -> None:
    encoder, heads, inputs, labels = make()
    balancer = build_balancer(name, TASKS)
    gradients = Gradients(heads, balancer)
    parameters = [*encoder.parameters(), *heads.parameters()]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    look = gradients.look(encoder(inputs), labels)
    decision = balancer.decide(look.step)
    look.backward(decision)
    once = gradients_of(encoder, heads)
    for _ in range(2):
        gradients.look(encoder(inputs), labels).backward(decision, scale=0.5)
    for now, before in zip(gradients_of(encoder, heads), once, strict=True):
        torch.testing.assert_close(now - before, before - 1, rtol=1e-4, atol=1e-6)


def test_batch_without_labels_adds_nothing() -> None:
    encoder, heads, inputs, labels = make()
    balancer = build_balancer("pcgrad", TASKS)
    look = Gradients(heads, balancer).look(encoder(inputs), torch.full_like(labels, NAN))
    look.backward(balancer.decide(look.step))
    assert not any(gradient.any() for gradient in gradients_of(encoder, heads))


def test_frozen_parts_stay_without_gradient() -> None:
    encoder, heads, inputs, labels = make()
    balancer = build_balancer("pcgrad", TASKS)
    encoder.requires_grad_(False)
    look = Gradients(heads, balancer).look(encoder(inputs), labels)
    look.backward(balancer.decide(look.step))
    assert gradients_of(encoder) == []
    assert len(gradients_of(heads)) == 2
    encoder.requires_grad_(True)
    heads.requires_grad_(False).zero_grad(set_to_none=True)
    look = Gradients(heads, balancer).look(encoder(inputs), labels)
    look.backward(balancer.decide(look.step))
    assert gradients_of(heads) == []
    assert len(gradients_of(encoder)) == 6


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("name", ["equal", "pcgrad"])
def test_autocast_changes_little(name: str, hidden: int) -> None:
    encoder, heads, inputs, labels = make(hidden)
    balancer = build_balancer(name, TASKS)
    gradients = Gradients(heads, balancer)
    decision = balancer.decide(gradients.look(encoder(inputs), labels).step)
    gradients.look(encoder(inputs), labels).backward(decision)
    expected = torch.cat([gradient.flatten() for gradient in gradients_of(encoder, heads)])
    encoder.zero_grad()
    heads.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        look = gradients.look(encoder(inputs), labels)
    assert look.cut.features.dtype == torch.bfloat16
    assert look.step.losses.dtype == torch.float64
    look.backward(decision)
    got = torch.cat([gradient.flatten() for gradient in gradients_of(encoder, heads)])
    assert torch.linalg.norm(got - expected) < 0.02 * torch.linalg.norm(expected)


def test_unknown_place_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="features"):
        Gradients(TaskHeads(D, T), Needs("gram"), at="feature")


def test_balancer_that_cannot_work_there_says_where_it_can() -> None:
    balancer = Needs("rows")
    balancer.places = ("encoder", "last_layer")
    with pytest.raises(ConfigError, match="it can with encoder or last_layer"):
        Gradients(TaskHeads(D, T), balancer)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_of_any_model_is_a_set_of_heads(bias: bool) -> None:
    """The layer's own parameters get what the same numbers get as `TaskHeads`."""
    encoder, heads, inputs, labels = make()
    layer = nn.Linear(D, T, bias=bias)
    with torch.no_grad():
        heads.weight.copy_(layer.weight)
        heads.bias.copy_(layer.bias if bias else torch.zeros(T))
    balancer = build_balancer("pcgrad", TASKS)
    results = []
    for either in (heads, layer):
        encoder.zero_grad()
        look = Gradients(either, balancer).look(encoder(inputs), labels)
        balancer.draws.zero_()
        look.backward(balancer.decide(look.step))
        results.append([*gradients_of(encoder), either.weight.grad])
    torch.testing.assert_close(*results)
    assert bias == (layer.bias is not None and bool(layer.bias.grad.any()))


def test_a_graph_network_of_torch_geometric_learns_with_pcgrad() -> None:
    """A plain loop around somebody else's network: two opposed tasks and one that is seldom measured."""
    models = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    network, layer = models.GCN(3, 8, num_layers=2, out_channels=8), nn.Linear(8, 3)
    nodes, edges = torch.randn(40, 3), torch.stack([torch.arange(40), torch.arange(40).roll(1)])
    molecule = torch.arange(40) // 4
    labels = torch.stack([torch.arange(10) % 2, 1 - torch.arange(10) % 2, torch.arange(10) % 2], 1).float()
    labels[3:, 2] = NAN
    balancer = build_balancer("pcgrad", ["this", "its opposite", "seldom"])
    gradients = Gradients(layer, balancer)
    optimizer = torch.optim.Adam([*network.parameters(), *layer.parameters()], lr=0.05)
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        features = models.global_mean_pool(network(nodes, edges), molecule)
        look = gradients.look(features, labels, step=step)
        look.backward(balancer.decide(look.step))
        optimizer.step()
        losses.append(look.step.losses.sum().item())
    assert losses[-1] < 0.3 * losses[0]
