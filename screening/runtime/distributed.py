"""Distributed training: the rank of a process, and sums over all of them (all-reduce).

For one process every function here does nothing, so callers need no special case. Start several with
`torchrun`; there is no DDP wrapper, because the balancers differentiate parts of the graph themselves.
"""

import os
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch import distributed as processes

from ..errors import ConfigError


def join_processes() -> None:
    """Join the group of processes `torchrun` has started; without torchrun, do nothing.

    Raises
    ------
    ConfigError : `WORLD_SIZE` is set but the group cannot be formed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or processes.is_initialized():
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    try:
        processes.init_process_group(backend)
    except (ValueError, RuntimeError) as problem:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the processes cannot find each other: {problem} "
            "Start them with 'torchrun --nproc-per-node N -m screening train ...', or unset WORLD_SIZE."
        ) from problem


def leave_processes() -> None:
    """Leave the group of processes, if there is one."""
    if _several():
        processes.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0."""
    return processes.get_rank() if _several() else 0


def world_size() -> int:
    """How many processes train together."""
    return processes.get_world_size() if _several() else 1


def is_main() -> bool:
    """True in the one process that writes files and shows progress."""
    return rank() == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if _several():
        processes.barrier()


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of a tensor of the same shape over all processes; `values` itself stays as it is."""
    if world_size() == 1:
        return values
    total = values.detach().clone(memory_format=torch.contiguous_format)
    processes.all_reduce(total)
    return total


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every `.grad` by its sum over all processes, sent as one buffer.

    Call it once per optimiser step, before clipping, with the same parameters in the same order
    everywhere. A sum and no mean: each process has divided by the label counts of the whole batch.
    A parameter that no process has a gradient for keeps `.grad` None.
    """
    if world_size() == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        return
    used = torch.tensor([parameter.grad is not None for parameter in trained], device=trained[0].device)
    parts = [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten().float() for p in trained]
    total = sum_over_processes(torch.cat([*parts, used.float()]))
    *sums, used_by = total.split([part.numel() for part in parts] + [len(trained)])
    for parameter, gradient, n_users in zip(trained, sums, used_by.tolist(), strict=True):
        if n_users:
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype)


def _several() -> bool:
    return processes.is_available() and processes.is_initialized()
