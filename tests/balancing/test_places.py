"""Every place gives what an explicit loop over the tasks gives, for every encoder."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import small
import torch
from encoder_options import VARIANTS
from plain_losses import per_task_losses
from torch import Tensor, multiprocessing, nn
from torch import distributed as processes

from screening.balancing.chain import Choice, build_balancer
from screening.balancing.contract import Balancer
from screening.balancing.gradients import Gradients
from screening.balancing.methods.graddrop import GradDrop
from screening.balancing.places import Settings, places
from screening.balancing.step import Decision, Step
from screening.errors import ConfigError
from screening.models.encoders import Encoder, encoders
from screening.models.heads import TaskHeads
from screening.models.losses import label_counts
from screening.models.network import inputs_of
from screening.runtime.distributed import sum_gradients

B, T = 24, 5
TASKS = [f"assay {task}" for task in range(T)]
SIX = [f"assay {task}" for task in range(6)]
EXACT = ["encoder", "last_layer", "last_norm"]


class Needs(Balancer):
    """Asks for whatever the test wants to look at."""

    weighs_heads = False

    def __init__(self, needs: str) -> None:
        super().__init__(TASKS)
        self.needs = needs  # type: ignore[assignment]

    def weigh_present(self, step: Step) -> Tensor:
        return torch.ones_like(step.losses)


class Perceptron(Encoder):
    """More inputs than molecules in a batch, as with fingerprints."""

    def __init__(self, inputs: int = 40) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(inputs, 8), nn.Linear(8, 6), nn.LayerNorm(6)
        self.width = 6

    @property
    def last_layer(self) -> nn.Linear:
        return self.second

    @property
    def last_norm(self) -> nn.LayerNorm:
        return self.norm

    def forward(self, batch: Tensor) -> Tensor:  # type: ignore[override]
        return torch.tanh(self.norm(self.second(torch.relu(self.first(batch)))))


def labels_of(n_molecules: int = B) -> Tensor:
    """A third missing, and one task without any."""
    torch.manual_seed(1)
    labels = (torch.rand(n_molecules, T) < 0.4).float()
    labels[torch.rand(n_molecules, T) < 0.3] = torch.nan
    labels[:, 3] = torch.nan
    return labels


def real(name: str, options: dict) -> tuple[Encoder, Callable[[], Tensor]]:
    """A registered encoder on small molecules; every pass draws the same dropout."""
    store = small.store()
    torch.manual_seed(0)
    encoder, batch = encoders.build(name, inputs_of(store), **options).train(), store.batch(range(B))

    def run() -> Tensor:
        torch.manual_seed(5)
        return encoder(batch)

    return encoder, run


def loop(parameters: list[nn.Parameter], features: Tensor, heads: TaskHeads, labels: Tensor) -> Tensor:
    """The gradients [T, P], one backward pass per task."""
    losses = per_task_losses(heads(features), labels, label_counts(labels)).values
    rows = []
    for loss in losses:
        found = torch.autograd.grad(
            loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return torch.stack(rows)


def seen(at: str, encoder: Encoder) -> list[nn.Parameter]:
    if at == "last_layer":
        return [encoder.last_layer.weight]
    return list(encoder.last_norm.parameters() if at == "last_norm" else encoder.parameters())


@pytest.fixture
def no_slow_batching():
    """An operation without a batching rule is an error, not a loop."""
    torch._C._functorch._set_vmap_fallback_enabled(False)
    yield
    torch._C._functorch._set_vmap_fallback_enabled(True)


@pytest.mark.usefixtures("no_slow_batching")
@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("chunk", [1, 3, None])
@pytest.mark.parametrize("at", EXACT)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gradients_are_those_of_a_loop(name: str, options: dict, at: str, chunk: int, hidden: int) -> None:
    encoder, run = real(name, options)
    if at == "last_norm" and type(encoder).last_norm is Encoder.last_norm:
        pytest.skip(f"{name} has no normalisation: refused, see the tests of encoders")
    heads, labels = TaskHeads(encoder.width, T, hidden=hidden), labels_of()
    rows = loop(seen(at, encoder), run(), heads, labels)
    gram = rows.double() @ rows.double().T
    settings = Settings(chunk=chunk)
    for needs in ("rows", "gram"):
        gradients = Gradients(heads, Needs(needs), at=at, encoder=encoder, settings=settings)
        step = gradients.look(run(), labels).step
        assert step.gram is not None
        torch.testing.assert_close(step.gram, gram, rtol=1e-4, atol=1e-5 * float(gram.diagonal().max()))
        assert not step.gram[3].any()
        if needs == "rows":
            torch.testing.assert_close(step.rows, rows, rtol=1e-3, atol=1e-5 * float(rows.abs().max()))


@pytest.mark.parametrize("at", EXACT)
@pytest.mark.parametrize("inputs", [40, 10])
def test_memory_for_one_layer_at_a_time_is_enough(at: str, inputs: int) -> None:
    encoder, batch = Perceptron(inputs), torch.randn(B, inputs)
    heads, labels = TaskHeads(6, T), labels_of()
    rows = loop(seen(at, encoder), encoder(batch), heads, labels)
    for memory in (1.0, 4 * T * 24 * 8 / 2**30):
        settings = Settings(memory=memory if inputs == 40 else max(memory, 4 * T * 80 / 2**30))
        gradients = Gradients(heads, Needs("gram"), at=at, encoder=encoder, settings=settings)
        step = gradients.look(encoder(batch), labels).step
        torch.testing.assert_close(step.gram, rows.double() @ rows.double().T, rtol=1e-5, atol=1e-8)


def test_too_little_memory_is_explained() -> None:
    encoder, heads = Perceptron(), TaskHeads(6, T)
    tiny = Settings(memory=1e-7)
    for needs in ("rows", "gram"):
        gradients = Gradients(heads, Needs(needs), at="encoder", encoder=encoder, settings=tiny)
        with pytest.raises(ConfigError, match=r"of 5 tasks by .* parameters take .*gradients\.memory"):
            gradients.look(encoder(torch.randn(B, 40)), labels_of())


@pytest.mark.parametrize("hidden", [0, 3])
def test_a_sketch_is_right_on_average(hidden: int) -> None:
    encoder, batch, labels = Perceptron(), torch.randn(B, 40), labels_of()
    heads = TaskHeads(6, T, hidden=hidden)
    rows = loop(list(encoder.parameters()), encoder(batch), heads, labels)
    expected = rows.double() @ rows.double().T
    gradients = Gradients(heads, Needs("gram"), at="sketch", encoder=encoder, settings=Settings(sketch=8))
    grams = torch.stack([gradients.look(encoder(batch), labels, step=step).step.gram for step in range(400)])  # type: ignore[misc]
    lengths = expected.diagonal().sqrt()
    scale = lengths[:, None] * lengths + 1e-12
    assert ((grams.mean(0) - expected) / scale).abs().max() < 5 * (2 / 8 / 400) ** 0.5
    there = lengths > 0
    spread = (grams.diagonal(dim1=1, dim2=2).std(0) / expected.diagonal())[there]
    torch.testing.assert_close(spread, torch.full_like(spread, 0.5), rtol=0.15, atol=0)
    assert (torch.linalg.matrix_rank(grams[0]) <= 8).all()


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_sketch_multiplies_directions_with_the_gradients(name: str, options: dict) -> None:
    """Every encoder, dropout on: G = DD' / K with D = rows times the same directions."""
    encoder, run = real(name, options)
    heads, labels = TaskHeads(encoder.width, T), labels_of()
    rows = loop(list(encoder.parameters()), run(), heads, labels)
    gradients = Gradients(heads, Needs("gram"), at="sketch", encoder=encoder, settings=Settings(sketch=3))
    gram = gradients.look(run(), labels, step=7).step.gram
    generator = torch.Generator().manual_seed(7)
    directions = [
        torch.cat([torch.randn(p.shape, generator=generator).flatten() for p in encoder.parameters()])
        for _ in range(3)
    ]
    products = (rows @ torch.stack(directions).T).double()
    expected = products @ products.T / 3
    torch.testing.assert_close(gram, expected, rtol=1e-3, atol=1e-4 * float(expected.diagonal().max()))


def test_a_sketch_has_no_rows() -> None:
    with pytest.raises(ConfigError, match="encoder or features or last_layer"):
        Gradients(TaskHeads(6, T), Needs("rows"), at="sketch", encoder=Perceptron())


@pytest.mark.parametrize("at", ["last_layer", "last_norm"])
@pytest.mark.parametrize("encoder", [Encoder(), nn.Sequential(nn.Linear(3, 6))], ids=["ours", "theirs"])
def test_an_encoder_that_does_not_name_the_place_is_refused(encoder: nn.Module, at: str) -> None:
    with pytest.raises(
        ConfigError, match=f"needs an encoder with the property {at}; {type(encoder).__name__}"
    ):
        Gradients(TaskHeads(6, T), Needs("gram"), at=at, encoder=encoder)


@pytest.mark.parametrize("at", EXACT)
def test_a_direction_goes_where_its_gradients_were_taken(at: str) -> None:
    """The weighted rows as a direction are the weighted losses; without it the weights apply."""
    encoder, batch, labels = Perceptron(), torch.randn(B, 40), labels_of()
    heads = TaskHeads(6, T)
    gradients = Gradients(heads, Needs("rows"), at=at, encoder=encoder)
    weights = torch.tensor([0.5, 2.0, 1.0, 0.0, 0.5])
    gradients.look(encoder(batch), labels).backward(Decision(weights, weights))
    expected = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
    for _ in range(2):
        look = gradients.look(encoder(batch), labels)
        assert look.step.rows is not None
        look.backward(Decision(weights, weights, weights @ look.step.rows), scale=0.5)
    for parameter, once in zip(encoder.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, 2 * once, rtol=1e-4, atol=1e-7)
    encoder.zero_grad()
    look = gradients.look(encoder(batch), labels)
    look.backward(Decision(weights, weights, torch.full_like(look.step.rows[0], 4.0)))  # type: ignore[index]
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        is_seen = any(parameter is other for other in seen(at, encoder))
        assert bool((parameter.grad == 1).all()) is is_seen  # 4 present tasks


@pytest.mark.parametrize("choice", ["graddrop", {"name": "graddrop", "leak": 0.3}, ["slaw", "graddrop"]])
@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("labels", [labels_of(), torch.full((B, T), torch.nan)], ids=["some", "none"])
def test_outer_products_are_the_rows_written_out(choice: Choice, hidden: int, labels: Tensor) -> None:
    encoder, batch, heads = Perceptron(), torch.randn(B, 40), TaskHeads(6, T, hidden=hidden)
    directions = []
    for takes_outer in (True, False):
        balancer = build_balancer(choice, TASKS)
        assert balancer.takes_outer
        balancer.takes_outer = takes_outer
        step = Gradients(heads, balancer, at="features").look(encoder(batch), labels).step
        assert step.gram is None
        assert (step.rows is None) is takes_outer
        assert (step.outer is None) is not takes_outer
        directions.append(balancer.decide(step).direction)
    if labels.isnan().all():
        assert directions == [None, None]
    else:
        torch.testing.assert_close(*directions, rtol=1e-5, atol=1e-7)


def test_a_task_whose_outer_products_are_not_finite_is_left_out() -> None:
    encoder, batch, heads, balancer = Perceptron(), torch.randn(B, 40), TaskHeads(6, T), GradDrop(TASKS)
    with torch.no_grad():
        heads.weight[1] = torch.inf
        step = Gradients(heads, balancer, at="features").look(encoder(batch).detach(), labels_of()).step
    decision = balancer.decide(step)
    assert decision.weights.tolist() == [1, 0, 1, 0, 1]
    assert decision.direction is not None
    assert decision.direction.isfinite().all()


@pytest.mark.parametrize("at", places.names())
def test_training_works_at_every_place(at: str) -> None:
    encoder, batch, labels = Perceptron(), torch.randn(B, 40), labels_of()
    heads, balancer = TaskHeads(6, T), build_balancer("pcgrad", TASKS)
    gradients = Gradients(heads, balancer, at=at, encoder=encoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *heads.parameters()], lr=0.02)
    losses = []
    for step in range(60):
        look = gradients.look(encoder(batch), labels, step=step)
        losses.append(float(look.step.losses.sum()))
        optimizer.zero_grad()
        look.backward(balancer.decide(look.step))
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("at", places.names())
@pytest.mark.parametrize("frozen", ["encoder", "layer", "nothing to see"])
def test_what_is_frozen_or_absent_gives_zeros(at: str, frozen: str) -> None:
    encoder, batch, labels = Perceptron(), torch.randn(B, 40), labels_of()
    if frozen == "nothing to see":
        labels = torch.full_like(labels, torch.nan)
    else:
        (encoder if frozen == "encoder" else encoder.second).requires_grad_(False)
    balancer = build_balancer("pcgrad", TASKS)
    look = Gradients(TaskHeads(6, T), balancer, at=at, encoder=encoder).look(encoder(batch), labels)
    look.backward(balancer.decide(look.step))
    assert look.step.gram is not None
    assert look.step.gram.isfinite().all()
    assert encoder.second.weight.grad is None or frozen == "nothing to see"


def test_the_running_mean_of_a_model_can_be_made_after_its_gradients() -> None:
    encoder = Perceptron()
    gradients = Gradients(TaskHeads(6, T), Needs("gram"), at="encoder", encoder=encoder)
    with torch.no_grad():
        copy.deepcopy(encoder)(torch.randn(2, 40))
    gradients.look(encoder(torch.randn(B, 40)), labels_of())
    copy.deepcopy(encoder)


def test_autocast_changes_little() -> None:
    encoder, batch, labels = Perceptron(), torch.randn(B, 40), labels_of()
    for at in places.names():
        gradients = Gradients(TaskHeads(6, T), Needs("gram"), at=at, encoder=encoder)
        expected = gradients.look(encoder(batch), labels).step.gram
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = encoder(batch)
        gram = gradients.look(features.float(), labels).step.gram
        assert expected is not None
        assert gram is not None
        assert torch.linalg.norm(gram - expected) < 0.05 * torch.linalg.norm(expected), at


def gram_of(rows: slice, at: str) -> Tensor:
    """Gramian of this process's part of a batch, and the gradient after a step."""
    torch.manual_seed(0)
    encoder, heads = Perceptron().double(), TaskHeads(6, len(SIX)).double()
    batch, labels = torch.randn(20, 40).double(), (torch.rand(20, len(SIX)) < 0.4).float()
    labels[torch.rand(20, len(SIX)) < 0.5] = torch.nan
    labels[10:, 5] = torch.nan
    balancer = build_balancer("graddrop" if at != "sketch" else "pcgrad", SIX)
    balancer.without_gram = False
    look = Gradients(heads, balancer, at=at, encoder=encoder).look(encoder(batch[rows]), labels[rows])
    look.backward(balancer.decide(look.step))
    sum_gradients(encoder.parameters())
    assert look.step.gram is not None
    parts = [p.grad.flatten() for p in encoder.parameters() if p.grad is not None]
    return torch.cat([look.step.gram.flatten(), *parts])


def one_of_two(process: int, folder: str) -> None:
    torch.set_num_threads(1)
    processes.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=process, world_size=2)
    half = slice(0, 10) if process == 0 else slice(10, 20)
    torch.save({at: gram_of(half, at) for at in [*EXACT, "sketch"]}, f"{folder}/{process}.pt")
    processes.barrier()
    processes.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    for process in range(2):
        half = torch.load(tmp_path / f"{process}.pt", weights_only=True)
        for at, got in half.items():
            torch.testing.assert_close(got, gram_of(slice(0, 20), at), rtol=1e-6, atol=1e-8)
