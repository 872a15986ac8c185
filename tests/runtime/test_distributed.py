"""Two processes with half a batch each are one process with the whole batch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as processes

from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients
from screening.errors import ConfigError
from screening.models.heads import TaskHeads
from screening.models.losses import CrossEntropy, Loss, losses
from screening.models.losses.mixed import Mixed
from screening.runtime.distributed import (
    is_main,
    join_processes,
    rank,
    sum_gradients,
    sum_over_processes,
    wait_for_all,
    world_size,
)

BALANCERS = ["equal", "slaw", "pcgrad"]
TASKS = [f"assay {task}" for task in range(6)]


IS_REAL = torch.tensor([False, True, False, True, True, False])


def mixed_loss() -> Loss:
    """Classes, and values of which some are bounds, with a spread that is learned."""
    values = losses.build("censored_gaussian", torch.randn(9, 3, generator=torch.Generator().manual_seed(2)))
    return Mixed(CrossEntropy(), values, IS_REAL).double()


def with_bounds(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Labels [B, T, 2]: the real ones drawn anew, every third an upper bound alone."""
    values = torch.randn(labels.shape, generator=generator)
    exact = torch.where(IS_REAL & ~labels.isnan(), values, labels)
    is_open = IS_REAL & ~labels.isnan() & (torch.arange(len(labels)) % 3 == 0)[:, None]
    low = torch.where(is_open, -torch.inf, exact)
    return torch.stack([low, exact], dim=2)


def train(rows: slice, name: str, hidden: int, is_mixed: bool = False) -> dict[str, Tensor]:
    """Weights and gradients of each of three steps, for this process's `rows` of the batch.

    In float64: the standard deviation of two nearly equal losses, as SLAW takes it, has few digits left.
    """
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "encoder": nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 4)),
            "heads": TaskHeads(4, len(TASKS), hidden=hidden),
            "unused": nn.Linear(2, 2),
        }
    )
    model.double()
    balancer = build_balancer(name, TASKS)
    if is_mixed:
        model["loss"] = mixed_loss()
    loss = model["loss"] if is_mixed else None
    gradients = Gradients(model["heads"], balancer, loss=loss)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    generator = torch.Generator().manual_seed(1)
    seen = {}
    for number in range(3):
        inputs = torch.randn(20, 5, generator=generator, dtype=torch.float64)
        labels = (torch.rand(20, len(TASKS), generator=generator) < 0.4).float()
        labels[torch.rand(20, len(TASKS), generator=generator) < 0.5] = float("nan")
        labels[:, number] = float("nan")  # absent everywhere
        labels[10:, 5] = float("nan")  # absent in one process
        labels = with_bounds(labels, generator) if is_mixed else labels
        look = gradients.look(model["encoder"](inputs[rows]), labels[rows], step=number)
        decision = balancer.decide(look.step)
        optimizer.zero_grad()
        look.backward(decision)
        sum_gradients(model.parameters())
        seen[f"weights {number}"] = decision.weights
        seen |= {
            f"{key} {number}": p.grad.clone() for key, p in model.named_parameters() if p.grad is not None
        }
        optimizer.step()
    return seen


def one_of_two(process: int, folder: str) -> None:
    torch.set_num_threads(1)
    processes.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=process, world_size=2)
    assert (rank(), world_size(), is_main()) == (process, 2, process == 0)
    values = torch.tensor([1.0 + process])
    assert sum_over_processes(values).item() == 3
    assert values.item() == 1 + process
    rows = slice(0, 10) if process == 0 else slice(10, 20)
    seen = {f"{name} {hidden}": train(rows, name, hidden) for name in BALANCERS for hidden in (0, 3)}
    seen |= {f"{name} mixed": train(rows, name, 0, is_mixed=True) for name in BALANCERS}
    torch.save(seen, f"{folder}/{process}.pt")
    wait_for_all()
    processes.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    halves = [torch.load(tmp_path / f"{process}.pt", weights_only=True) for process in range(2)]
    for name in BALANCERS:
        for variant in ("0", "3", "mixed"):
            is_mixed = variant == "mixed"
            whole = train(slice(0, 20), name, 0 if is_mixed else int(variant), is_mixed)
            assert any("loss" in key for key in whole) == is_mixed
            for half in halves:
                got = half[f"{name} {variant}"]
                assert got.keys() == whole.keys()
                for key, value in whole.items():
                    torch.testing.assert_close(got[key], value, rtol=1e-6, atol=1e-6, msg=f"{name} {key}")


def test_one_process_is_alone() -> None:
    values = torch.ones(3)
    assert (rank(), world_size(), is_main()) == (0, 1, True)
    assert sum_over_processes(values) is values
    join_processes()
    wait_for_all()
    assert world_size() == 1


def test_processes_that_cannot_meet_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun"):
        join_processes()
