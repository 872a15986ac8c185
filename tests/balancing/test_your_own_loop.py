"""Balancers in somebody else's training loop: the texts that README and docs show, run as they stand."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pages import loops_of_others
from torch import Tensor, nn
from torch.nn import functional

from screening.balancing import PCGrad, Step, WPCGrad

GRAPHS, IMAGES = loops_of_others()


def run(text: str, seed: int = 0, **given: Any) -> dict[str, Any]:
    """The names that the text leaves behind."""
    torch.manual_seed(seed)
    names = dict(given)
    exec(text, names)
    return names


def before_the_loop(text: str, **given: Any) -> dict[str, Any]:
    """The same model, untrained."""
    return run(text[: text.index("for epoch")], **given)


def update(losses: list[Tensor | None], features: Tensor, shared: nn.Module, balancer: Any) -> list[Tensor]:
    """The gradient of the shared part, the long way: every task's gradients, then their weighted mean."""
    present = torch.tensor([loss is not None for loss in losses])
    there = [loss for loss in losses if loss is not None]
    rows = torch.zeros(len(losses), features.numel(), dtype=torch.float64)
    rows[present] = torch.stack(
        [torch.autograd.grad(loss, features, retain_graph=True)[0].flatten().double() for loss in there]
    )
    values = torch.zeros(len(losses)).masked_scatter(present, torch.stack(there).detach())
    weights = balancer.weigh(Step(values, present, present.float(), gram=rows @ rows.T))
    assert (weights[present] > 1.001).any()  # some gradients conflict: else every method gives the sum
    parts = [torch.autograd.grad(loss, list(shared.parameters()), retain_graph=True) for loss in there]
    return [
        sum(w * part for w, part in zip(weights[present], of_tasks, strict=True)) / len(there)
        for of_tasks in zip(*parts, strict=True)
    ]


@pytest.mark.parametrize("text", [GRAPHS, IMAGES])
def test_texts_are_short(text: str) -> None:
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    assert max(map(len, text.splitlines())) <= 100


# --- a graph network of torch-geometric ---------------------------------------------------------------------

TASKS = ["AhR", "ER", "p53", "never measured"]


def a_graph(generator: torch.Generator) -> Any:
    """A ring of six to ten atoms; the labels say which of the features are common in it. Some are missing."""
    data = pytest.importorskip("torch_geometric.data")
    n = int(torch.randint(6, 11, (1,), generator=generator))
    x = (torch.rand(n, 9, generator=generator) < torch.rand(9, generator=generator)).float()
    around = torch.arange(n)
    edges = torch.cat([torch.stack([around, (around + 1) % n]), torch.stack([(around + 1) % n, around])], 1)
    y = (x.mean(0)[:4] > 0.5).float()
    y[torch.rand(4, generator=generator) < 0.3] = float("nan")
    y[3] = float("nan")
    return data.Data(x=x, edge_index=edges, y=y[None])


def batches(n: int) -> list[Any]:
    loader = pytest.importorskip("torch_geometric.loader")
    generator = torch.Generator().manual_seed(0)
    return list(loader.DataLoader([a_graph(generator) for _ in range(32 * n)], batch_size=32))


def cross_entropies(features: Tensor, heads: nn.Linear, labels: Tensor) -> list[Tensor | None]:
    logits, measured = heads(features), ~labels.isnan()
    return [
        functional.binary_cross_entropy_with_logits(logits[here, task], labels[here, task])
        if here.any()
        else None
        for task, here in enumerate(measured.T)
    ]


def test_a_network_of_torch_geometric_learns() -> None:
    loader = batches(3)
    first = run(GRAPHS, tasks=TASKS, loader=loader, epochs=1)["look"].step
    last = run(GRAPHS, tasks=TASKS, loader=loader, epochs=20)["look"].step
    assert first.present.tolist() == [True, True, True, False]
    assert (last.losses[:3] < 0.7 * first.losses[:3]).all()


def test_gradients_of_a_network_of_torch_geometric_are_the_explicit_ones() -> None:
    (batch,) = batches(1)
    names = run(GRAPHS, tasks=TASKS, loader=[batch], epochs=1)
    untrained = before_the_loop(GRAPHS, tasks=TASKS)
    pool = names["global_add_pool"]
    features = pool(untrained["encoder"](batch.x, batch.edge_index), batch.batch)
    losses = cross_entropies(features, untrained["heads"], batch.y)
    expected = update(losses, features, untrained["encoder"], PCGrad(TASKS))
    for parameter, gradient in zip(names["encoder"].parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    (own,) = torch.autograd.grad(losses[1], untrained["heads"].weight)
    torch.testing.assert_close(names["heads"].weight.grad[1], own[1] / 3, rtol=1e-4, atol=1e-6)


# --- a network of pictures with a head, and a kind of loss, per task ----------------------------------------


def of_pictures(n: int = 64) -> SimpleNamespace:
    """Small pictures with a bright spot: its kind, its angle and its depth; and a network for them."""
    torch.manual_seed(1)
    images = 0.3 * torch.randn(n, 1, 8, 8)
    kinds = torch.arange(n) % 3
    images[torch.arange(n), 0, kinds, kinds] += 3
    depth = images.mean((1, 2, 3))
    targets = [kinds, torch.stack([kinds.float().sin(), kinds.float().cos()], 1), 5 * depth]
    torch.manual_seed(2)
    return SimpleNamespace(
        backbone=nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, 32),
            nn.ReLU(),
        ),
        heads=nn.ModuleList(
            [nn.Linear(32, 3), nn.Linear(32, 2), nn.Sequential(nn.Linear(32, 1), nn.Flatten(0))]
        ),
        loss_functions=[functional.cross_entropy, functional.mse_loss, functional.smooth_l1_loss],
        loader=[(images, targets)],
    )


def test_a_network_with_several_heads_learns() -> None:
    first = run(IMAGES, epochs=1, **vars(of_pictures()))["losses"]
    last = run(IMAGES, epochs=80, **vars(of_pictures()))["losses"]
    assert all(after < 0.7 * before for before, after in zip(first, last, strict=True))


def test_gradients_of_a_network_with_several_heads_are_the_explicit_ones() -> None:
    names = run(IMAGES, epochs=1, **vars(of_pictures()))
    fresh = of_pictures()
    ((images, targets),) = fresh.loader
    features = fresh.backbone(images)
    heads = zip(fresh.loss_functions, fresh.heads, targets, strict=True)
    losses = [loss(head(features), target) for loss, head, target in heads]
    expected = update(losses, features, fresh.backbone, WPCGrad(["kind", "angle", "depth"]))
    for parameter, gradient in zip(names["backbone"].parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
