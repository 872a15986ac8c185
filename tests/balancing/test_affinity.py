"""Affinities are those of the formula, and collecting them changes nothing else."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from plain_losses import per_task_losses
from rdkit import Chem, RDConfig
from torch import Tensor, multiprocessing, nn
from torch import distributed as processes

from screening.balancing.affinity import Affinity, Batch, Effects, ExactEffects, collector, look_ahead
from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients, Look
from screening.balancing.pair_means import PairMeans
from screening.balancing.places import Settings
from screening.config import Config, check_config
from screening.errors import ConfigError, ScreeningError
from screening.features.store import FeatureSet, GraphStore, featurize
from screening.grouping.selection import select_groups
from screening.models.losses import Loss, label_counts, losses
from screening.models.network import ScreeningModel, inputs_of
from screening.training.building import trainer_of
from screening.training.trainer import Epoch, Examples, Trainer

NAN = float("nan")
TASKS = ("a", "b", "c", "d")


def quadratics(n: int = 5, size: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """L_t(x) = (x - c_t)' A_t (x - c_t) / 2 + 1: curvatures A [n, s, s], centres c [n, s], a start x [s]."""
    torch.manual_seed(0)
    roots = torch.randn(n, size, size, dtype=torch.float64)
    centres, start = torch.randn(n, size, dtype=torch.float64), torch.randn(size, dtype=torch.float64)
    return roots @ roots.transpose(1, 2) / size, centres, start


@pytest.mark.parametrize("rate", [1e-3, 0.1, 1.0])
def test_quadratic_losses_have_the_affinity_worked_by_hand(rate: float) -> None:
    curvatures, centres, start = quadratics()

    def losses(x: Tensor) -> Tensor:
        away = x - centres
        return torch.einsum("ti,tij,tj->t", away, curvatures, away) / 2 + 1

    def losses_at(parameters: dict[str, Tensor]) -> Tensor:
        return losses(torch.cat([parameters["first"], parameters["second"].flatten()]))

    parameters = {"first": start[:3].clone(), "second": start[3:].clone().view(2, 2)}
    present = torch.tensor([True, True, False, True, True])
    found, cosines = look_ahead(parameters, losses_at, losses_at, present, rate)
    gradients = torch.einsum("tij,tj->ti", curvatures, start - centres)
    after = torch.stack([losses(start - rate * gradient) for gradient in gradients])
    expected = 1 - after / losses(start)
    torch.testing.assert_close(found[present], expected[present], rtol=1e-12, atol=1e-12)
    sizes = gradients.norm(dim=1)
    falls = (losses(start) - after) / (rate * sizes.outer(sizes))
    torch.testing.assert_close(cosines[present][:, present], falls[present][:, present])
    assert not found[2].any()
    assert torch.equal(torch.cat([parameters["first"], parameters["second"].flatten()]), start)


def make(name: str = "gine", hidden: int = 0, seed: int = 0, **more: object) -> tuple[ScreeningModel, Batch]:
    """A model with dropout, and 40 molecules; assay d has no label, b and c none in common."""
    torch.manual_seed(seed)
    widths = {"gine": {"width": 16, "depth": 2}, "fingerprint": {"widths": (16,)}}[name]
    config = check_config(
        {
            "name": "small",
            "data": {"source": "small.csv"},
            "model": {
                "encoder": {"name": name, **widths, **more},
                "heads": {"hidden": hidden, "dropout": 0.2 if hidden else 0.0},
            },
        }
    )
    store, labels = small.store(), torch.from_numpy(small.table(missing=0.2).labels[:40]).clone()
    labels[:, 3] = NAN
    model = ScreeningModel(config.model, inputs_of(store), len(TASKS))
    return model, Batch(store.batch(torch.arange(40)), labels)


def look_of(model: ScreeningModel, batch: Batch, needs: str = "equal", at: str = "features") -> Look:
    gradients = Gradients(model.heads, build_balancer(needs, TASKS), at=at, encoder=model.encoder)
    return gradients.look(model.encoder(batch.graphs), batch.labels)


@pytest.mark.parametrize("hidden", [0, 3])
def test_exact_effects_are_those_of_a_step_with_the_optimiser(hidden: int) -> None:
    model, batch = make(hidden=hidden)
    look, rate = look_of(model, batch), 0.05
    effects = ExactEffects(model).effects(look, batch, rate)
    for task in range(3):
        moved = copy.deepcopy(model).eval()
        counts = label_counts(batch.labels)
        before = per_task_losses(moved(batch.graphs), batch.labels, counts).values
        optimizer = torch.optim.SGD(moved.encoder.parameters(), lr=rate)
        before[task].backward()
        optimizer.step()
        after = per_task_losses(moved(batch.graphs), batch.labels, counts).values
        expected = (1 - after / before)[:3].detach().double()
        torch.testing.assert_close(effects.values[task, :3], expected, rtol=1e-3, atol=1e-6)
    assert effects.seen.tolist() == [[True] * 3 + [False]] * 3 + [[False] * 4]


@pytest.mark.parametrize("name", ["gine", "fingerprint"])
@pytest.mark.parametrize("loss_name", losses.names())
def test_exact_effects_of_small_steps_are_linear(name: str, loss_name: str) -> None:
    """Z -> eta G_ij / L_j: in float64 the difference falls with the rate."""
    model, batch = make(name)
    weighted = {"positive_weight": "balanced"} if "positive_weight" in losses.options(loss_name) else {}
    loss: Loss = losses.build(loss_name, batch.labels, **weighted)
    model = model.double().eval()
    batch = batch._replace(graphs=batch.graphs.with_vectors(batch.graphs.vectors.double()))
    linear = collector("linear", model, at="encoder", across=False)
    equal = build_balancer("equal", TASKS)
    gradients = Gradients(model.heads, equal, at="encoder", encoder=model.encoder, loss=loss)
    look = gradients.look(model.encoder(batch.graphs), batch.labels)
    limit = linear.effects(look, batch, 1.0)
    errors = []
    for rate in (1e-6, 1e-7):
        exact = ExactEffects(model, loss).effects(look, batch, rate)
        assert torch.equal(exact.seen, limit.seen)
        away = (exact.cosines - limit.cosines)[limit.seen].abs().max()
        assert away < 0.01
        away = (exact.values / rate - limit.values)[limit.seen].abs().max()
        errors.append(float(away / limit.values.abs().max()))
    assert errors[0] < 0.01
    assert errors[1] < errors[0] / 5


def test_the_gramian_of_the_balancer_is_used_again_where_it_is_the_same() -> None:
    model, batch = make()
    model.eval()
    known, fresh = look_of(model, batch, "pcgrad"), look_of(model, batch)
    assert fresh.step.gram is None
    linear = collector("linear", model, across=False)
    first, second = (linear.effects(look, batch, 0.1) for look in (known, fresh))
    torch.testing.assert_close(first.values, second.values)
    elsewhere = collector("linear", model, at="last_layer", across=False)
    look = look_of(model, batch, "pcgrad")
    assert not torch.allclose(elsewhere.effects(look, batch, 0.1).values, first.values)


@pytest.mark.parametrize(
    "options", [("linear", "features"), ("linear", "encoder"), ("linear", "sketch"), ("exact", "features")]
)
@pytest.mark.parametrize("hidden", [0, 3])
def test_collecting_leaves_no_trace(options: tuple[str, str], hidden: int) -> None:
    """Parameters, buffers, gradients, optimiser, modes, random numbers: every bit as before."""
    model, batch = make(hidden=hidden)
    model.encoder.layers[0].eval()  # type: ignore[index]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model(batch.graphs).square().mean().backward()
    optimizer.step()
    how, at = options
    collects = collector(how, model, at=at, across=False)  # type: ignore[arg-type]

    def state() -> list[Tensor]:
        inside = [value for group in optimizer.state.values() for value in group.values()]
        values = [*model.state_dict().values(), *inside, torch.get_rng_state()]
        return [
            value.clone() for value in (*values, *(p.grad for p in model.parameters() if p.grad is not None))
        ]

    look = look_of(model, batch)
    before, modes = state(), [module.training for module in model.modules()]
    owners = [id(parameter) for parameter in model.parameters()]
    effects = collects.effects(look, batch, 0.1, batch)
    assert effects.values[effects.seen].any()
    for old, new in zip(before, state(), strict=True):
        assert torch.equal(old, new)
    assert owners == [id(parameter) for parameter in model.parameters()]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert modes == [module.training for module in model.modules()]
    look.backward(build_balancer("equal", TASKS).decide(look.step))  # the graph of the step is still whole


def test_a_look_ahead_that_fails_leaves_no_trace_either() -> None:
    model, batch = make()
    before, parameter = [value.clone() for value in model.parameters()], next(model.parameters())
    with pytest.raises(ScreeningError, match="neither 0, 1"):
        ExactEffects(model).effects(look_of(model, batch), batch._replace(labels=batch.labels + 5), 0.1)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert next(model.parameters()) is parameter
    assert model.training


def test_dropout_does_not_enter_a_look_ahead() -> None:
    model, batch = make("fingerprint", dropout=0.5)
    exact = ExactEffects(model)
    first, second = (exact.effects(look_of(model, batch), batch, 0.1) for _ in range(2))
    assert torch.equal(first.values, second.values)


def test_losses_of_other_molecules_can_be_looked_at() -> None:
    """The step comes from one batch, the losses from the other, each with its own labels."""
    model, batch = make()
    labels = torch.from_numpy(small.table(missing=0.2).labels[40:80]).clone()
    labels[:, 0] = NAN
    other = Batch(small.store().batch(torch.arange(40, 80)), labels)
    effects = ExactEffects(model).effects(look_of(model, batch), batch, 0.1, other)
    assert effects.seen.tolist() == [[False, True, True, True]] * 3 + [[False] * 4]
    moved = copy.deepcopy(model).eval()
    per_task_losses(moved(batch.graphs), batch.labels, label_counts(batch.labels)).values[1].backward()
    counts = label_counts(labels)
    before = per_task_losses(moved(other.graphs), labels, counts).values
    torch.optim.SGD(moved.encoder.parameters(), lr=0.1).step()
    expected = 1 - per_task_losses(moved(other.graphs), labels, counts).values / before
    torch.testing.assert_close(effects.values[1, 1:], expected[1:].detach().double(), rtol=1e-3, atol=1e-6)


def test_a_vanishing_loss_is_not_divided_by() -> None:
    model, batch = make()
    batch = batch._replace(labels=torch.where(batch.labels.isnan(), NAN, 0.0))
    with torch.no_grad():
        model.heads.bias.fill_(-40.0)
    look = look_of(model, batch)
    for how in ("linear", "exact"):
        effects = collector(how, model, across=False).effects(look, batch, 0.1)  # type: ignore[arg-type]
        values = effects.values
        assert values.isfinite().all()
        assert values.abs().max() < 1e-6


def test_pairs_never_seen_together_are_missing_and_means_go_by_pair() -> None:
    means = PairMeans(3)
    seen = torch.tensor([[True, True, False], [True, True, False], [False, False, False]])
    means.add(torch.full((3, 3), 1.0), seen)
    means.add(torch.full((3, 3), 3.0), torch.tensor([True, False, True]).outer(torch.ones(3)).bool())
    means.add(torch.tensor([[NAN, torch.inf, 8.0]]).repeat(3, 1), torch.ones(3, 3).bool())
    assert means.counts.tolist() == [[2, 2, 2], [1, 1, 1], [1, 1, 2]]
    expected = torch.tensor([[2.0, 2.0, 5.5], [1.0, 1.0, 8.0], [3.0, 3.0, 5.5]])
    assert torch.equal(means.mean(), expected.double())
    assert PairMeans(2).mean().isnan().all()
    assert means.halves()[:, 0, 1].tolist() == [1.0, 3.0]
    assert means.error()[1].isnan().all()
    torch.testing.assert_close(means.error()[0], torch.tensor([1.0, 1.0, 2.5]).double())


def test_networks_of_parts_add_up_and_a_table_names_every_pair() -> None:
    whole, part = Affinity(3), Affinity(2)
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    part.add(Effects(values, torch.ones(2, 2).bool(), values / 2))
    whole.include(part, (2, 0))
    whole.include(part, (2, 1))
    frame = whole.frame(["x", "y", "z"], np.arange(9).reshape(3, 3))
    found = frame.set_index(["source", "target"])
    assert len(found) == 9
    assert found.loc[("z", "z"), ["affinity", "count"]].tolist() == [1.0, 2]
    assert found.loc[("z", "x"), ["affinity", "count", "cosine"]].tolist() == [2.0, 1, 1.0]
    assert found.loc[("x", "z"), ["affinity", "count", "shared"]].tolist() == [3.0, 1, 2]
    assert np.isnan(found.loc[("x", "y"), "affinity"])
    assert found.loc[("x", "y"), "count"] == 0


def settings(affinity: str = "linear", epochs: int = 3, **grouping: object) -> Config:
    return check_config(
        {
            "name": "small",
            "data": {"source": "small.csv"},
            "model": {"encoder": {"name": "gine", "depth": 2, "width": 16}},
            "grouping": {"affinity": affinity, "every": 3, "skip": 0.0, **grouping},
            "train": {"epochs": epochs, "batch_size": 16, "device": "cpu", "patience": None},
        }
    )


def fit(config: Config, labels: Tensor, checkpoint: Path | None = None, **more: object) -> Trainer:
    store, rows = small.store(), torch.arange(120)
    torch.manual_seed(config.seed)
    model = ScreeningModel(config.model, inputs_of(store), labels.shape[1])
    trainer = trainer_of(config, model, labels, TASKS, rows)
    valid = Examples(store, labels, torch.arange(120, 150))
    trainer.fit(Examples(store, labels, rows), valid, checkpoint=checkpoint, **more)  # type: ignore[arg-type]
    return trainer


HOW = [
    {"affinity": "linear", "every": 1},
    {"affinity": "linear", "batch": "train"},
    {"affinity": "linear", "at": "encoder", "batch": "train"},
    {"affinity": "exact"},
    {"affinity": "exact", "batch": "train"},
    {"affinity": "exact", "batch": "valid", "rate": 0.1},
]


@pytest.mark.parametrize("how", HOW)
def test_training_is_the_same_with_and_without(how: dict) -> None:
    labels = torch.from_numpy(small.table().labels)
    plain, collecting = fit(settings("none"), labels), fit(settings(**how), labels)
    assert plain.affinity is None
    assert collecting.affinity is not None
    counts = collecting.affinity.effects.counts  # 24 steps, every 3rd; or 3 blocks of 8
    assert counts.min() == counts.max() == (3 if "every" in how else 8)
    for old, new in zip(
        plain.model.state_dict().values(), collecting.model.state_dict().values(), strict=True
    ):
        assert torch.equal(old, new)
    assert plain.history.per_task(TASKS).equals(collecting.history.per_task(TASKS))


@pytest.mark.parametrize("how", HOW)
def test_a_resumed_run_ends_with_the_same_affinity(tmp_path: Path, how: dict) -> None:
    labels = torch.from_numpy(small.table().labels)
    unbroken = fit(settings(**how), labels).affinity

    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings(**how), labels, tmp_path / "checkpoint.pt", on_epoch=stop)
    resumed = fit(settings(**how), labels, tmp_path / "checkpoint.pt", resume=True).affinity
    assert unbroken is not None
    assert resumed is not None
    for name, old in unbroken.state_dict().items():
        assert torch.equal(old, resumed.state_dict()[name])


@pytest.mark.parametrize("how", HOW[:5])
def test_assays_without_common_batches_have_no_affinity(how: dict) -> None:
    """One assay without labels, and two that are never measured in the same epoch's batch."""
    labels = torch.from_numpy(small.table().labels.copy())
    labels[:, 3] = NAN
    trainer = fit(settings(**how, epochs=1), labels)
    assert trainer.affinity is not None
    mean = trainer.affinity.effects.mean()
    assert mean[3].isnan().all()
    assert mean[:, 3].isnan().all()
    assert mean[:3, :3].isfinite().all()
    assert not trainer.affinity.effects.counts[3].any()


@pytest.mark.parametrize("at", ["features", "last_norm"])
def test_pairs_without_a_common_molecule_are_unknown_where_gradients_are_blind_to_them(at: str) -> None:
    """At the features their inner product is 0 whatever they do to each other; at parameters it is not."""
    model, batch = make()
    labels = torch.rand(40, 4).round()
    labels[:20, 0] = labels[20:, 1] = labels[:, 3] = NAN
    batch = Batch(batch.graphs, labels)
    effects = collector("linear", model, at=at, across=False).effects(look_of(model, batch), batch, 0.1)
    seen = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]).bool()
    if at == "features":
        assert effects.values[0, 1] == 0
        assert torch.equal(effects.seen, seen)
    else:
        assert effects.values[0, 1] != 0
        assert effects.seen[:3, :3].all()


def test_the_first_steps_are_left_out() -> None:
    labels = torch.from_numpy(small.table().labels)
    trainer = fit(settings("linear", every=1, skip=0.5, batch="train"), labels)
    assert trainer.affinity is not None
    assert trainer.affinity.effects.counts.unique().tolist() == [11]  # of 24, the last does not move


def test_linear_knows_no_validation_batch() -> None:
    with pytest.raises(ConfigError, match="batch: valid needs affinity: exact"):
        settings("linear", batch="valid")


class Plain(nn.Module):
    """An encoder and heads without graphs, for two processes."""

    def __init__(self) -> None:
        super().__init__()
        from screening.models.heads import TaskHeads

        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 4))
        self.heads = TaskHeads(4, len(TASKS))


def effects_of(rows: slice) -> dict[str, Tensor]:
    model = Plain().double()
    torch.manual_seed(1)
    labels = (torch.rand(20, 4) < 0.4).float()
    labels[torch.rand(20, 4) < 0.5] = NAN
    labels[10:, 2] = NAN  # absent in one process
    labels[:, 3] = NAN
    inputs = torch.randn(20, 5, dtype=torch.float64)
    batch = Batch(inputs[rows], labels[rows])  # type: ignore[arg-type]
    found = {}
    for how in ("linear", "exact"):
        collects = collector(how, model, at="encoder", settings=Settings(), across=False)  # type: ignore[arg-type]
        effects = collects.effects(look_of(model, batch), batch, 0.5)  # type: ignore[arg-type]
        found[how] = torch.where(effects.seen, effects.values, NAN)
    return found


def one_of_two(process: int, folder: str) -> None:
    torch.set_num_threads(1)
    processes.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=process, world_size=2)
    torch.save(effects_of(slice(0, 10) if process == 0 else slice(10, 20)), f"{folder}/{process}.pt")
    processes.barrier()
    processes.destroy_process_group()


def test_two_processes_collect_what_one_does(tmp_path: Path) -> None:
    multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    whole = effects_of(slice(0, 20))
    for process in range(2):
        half = torch.load(tmp_path / f"{process}.pt", weights_only=True)
        for how, expected in whole.items():
            torch.testing.assert_close(half[how], expected, rtol=1e-6, atol=1e-7, equal_nan=True)


@cache
def planted() -> tuple[GraphStore, Tensor]:
    """600 molecules and 40 assays of two kinds: each kind is another mix of substructures, with noise."""
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    texts = [line.split()[0] for line in path.read_text().splitlines()[:900]]
    texts = [text for text in texts if Chem.MolFromSmiles(text) is not None][:600]
    store = featurize(texts, FeatureSet(None, ("ecfp_counts",)), workers=0)
    generator = np.random.default_rng(0)
    counts = np.log1p(store.batch(torch.arange(len(texts))).vectors.double().numpy())
    counts = counts[:, counts.std(0) > 0.2]
    factors = counts @ generator.standard_normal((counts.shape[1], 2))
    factors = (factors - factors.mean(0)) / factors.std(0)
    scores = np.repeat(factors, 20, axis=1) + 0.3 * generator.standard_normal((len(texts), 40))
    labels = (scores > np.quantile(scores, 0.7, axis=0)).astype(np.float32)
    labels[generator.random(labels.shape) < 0.5] = np.nan
    return store, torch.from_numpy(labels)


@pytest.mark.parametrize("how", ["linear", "exact"])
def test_planted_groups_show(how: str) -> None:
    """40 assays on two latent factors: those of the same factor help each other more than the others."""
    store, labels = planted()
    config = check_config(
        {
            "name": "planted",
            "data": {"source": "planted.csv"},
            "model": {"encoder": {"name": "fingerprint", "widths": (64,), "dropout": 0.2}},
            "grouping": {"affinity": how, "every": {"linear": 1, "exact": 3}[how]},
            "train": {"epochs": 12, "batch_size": 64, "lr": 0.005, "device": "cpu", "patience": None},
        }
    )
    torch.manual_seed(0)
    tasks, rows = tuple(f"assay {task}" for task in range(40)), torch.arange(600)
    trainer = trainer_of(config, ScreeningModel(config.model, inputs_of(store), 40), labels, tasks, rows)
    trainer.fit(Examples(store, labels, rows), Examples(store, labels, rows[:0]))
    assert trainer.affinity is not None
    mean = trainer.affinity.effects.mean().fill_diagonal_(NAN)
    own = torch.stack([mean[:20, :20].nanmean(0), mean[20:, 20:].nanmean(0)]).flatten()
    other = torch.stack([mean[20:, :20].nanmean(0), mean[:20, 20:].nanmean(0)]).flatten()
    assert (own > other).double().mean() > 0.95
    assert own.mean() > 2 * other.mean().abs()
    found = select_groups(trainer.affinity.effects.mean().numpy(), 2)
    # An assay may help out in the other group too, and one that does can have its best score there.
    assert (found.serves != np.repeat([0, 1], 20)).sum() <= 2
