"""Who does the work on a library: processes of this machine, or Ray Data on this machine or many.

An engine is given the work in two halves and knows nothing of molecules: `prepare` runs in any process
and needs no model, `finish` runs where the model is. Ray is imported here alone.
"""

import json
import logging
import math
import os
import pickle
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigError, DataError, ScreeningError
from ..plugins import expect, loaded
from ..runtime.processes import default_workers, map_in_processes
from .library import Piece
from .part_files import Tally

ENGINES = ("pool", "ray")
OBJECT_STORE = 256 * 2**20  # bytes that pieces on their way through Ray may take on this machine


ROOM = 0.48
"""Processors that an actor asks of Ray, which fills machines to one half before it turns to others: so each
gets as many as it has processors. Where they asked for whole ones, nothing could be read beside them, and
those of a lost machine would find no other: in both cases Ray waits for ever, without a word."""
READER = 0.04
"""Processors that a reading asks for. It takes a fiftieth of what scoring takes for the same SMILES."""


class Reading(NamedTuple):
    """What one process reads of a library, while others read other parts of it."""

    pieces: Callable[[], Iterator[Piece]]
    """Can be pickled. The shares of its pieces grow to 1."""
    weight: float
    """Share of the work that it is; all together 1."""


class Work(Protocol):
    """What is done with each piece of a library."""

    @property
    def prepare(self) -> Callable[[list[str]], Any]:
        """Structures to features; can be pickled and imported quickly."""

    def finish(self, piece: Piece, prepared: Any) -> Tally:
        """Features to a part file."""


def run_pool(
    work: Work, pieces: Iterator[Piece], *, workers: int | None = None
) -> Iterator[tuple[Tally, float | None]]:
    """Prepare in a pool of processes, finish in this one, in order; with the share of the library done.

    A library of one piece is not worth the start of processes.

    Parameters
    ----------
    workers : processes; None = one per processor, 0 = none.
    """
    waiting: deque[Piece] = deque()
    first = list(islice(pieces, 2))

    def structures() -> Iterator[list[str]]:
        for piece in chain(first, pieces):
            waiting.append(piece)
            yield piece.structures

    n_workers = workers if len(first) > 1 else 0
    for prepared in map_in_processes(work.prepare, structures(), workers=n_workers, seconds=math.inf):
        piece = waiting.popleft()
        yield work.finish(piece, prepared), piece.share


def run_ray(
    make_work: Callable[[], Work],
    readings: Sequence[Reading],
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[tuple[Tally, float | None]]:
    """Read in Ray tasks, prepare and finish in actors that each load the model; in any order.

    Parameters
    ----------
    make_work, readings : called in Ray's processes, so they can be pickled; on several machines, all
        of them see the library and the output folder under the same paths.
    address : of a running cluster; None = one on this machine, started and stopped here.
    workers : actors; None = one per processor of the cluster.

    Raises
    ------
    ConfigError : Ray is not installed, or there is no cluster at the address.
    ScreeningError : what went wrong in a process of Ray; parts that were finished stay.
    """
    if not readings:
        return
    data, is_ours = _started(address, workers)
    import ray

    n_actors = workers or int(ray.cluster_resources().get("CPU", 1))
    gpus = ROOM * ray.cluster_resources().get("GPU", 0) / n_actors
    rows = [{"reading": pickle.dumps(reading.pieces), "number": n} for n, reading in enumerate(readings)]
    try:
        blocks = data.from_items(rows, override_num_blocks=len(rows))
        blocks = blocks.map_batches(
            _read, batch_size=1, num_cpus=READER, compute=data.TaskPoolStrategy(size=max(n_actors // 2, 1))
        )
        blocks = blocks.map_batches(
            _actor(make_work),
            batch_size=1,
            num_cpus=ROOM,
            num_gpus=gpus or None,
            compute=data.ActorPoolStrategy(size=n_actors),
        )
        yield from _results(blocks, [reading.weight for reading in readings])
    except ray.exceptions.RayError as problem:
        raise ScreeningError(
            f"A process of Ray ended before its work was done: {str(problem).strip().splitlines()[-1]}. "
            "Parts that are there are complete: start the same command again."
        ) from problem
    finally:
        if is_ours:
            ray.shutdown()


def _started(address: str | None, workers: int | None) -> tuple[Any, bool]:
    """The module `ray.data` with a cluster behind it, and whether that was connected here.

    Quiet, and without messages to Ray's makers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        from ray import data
    except ImportError as problem:
        raise ConfigError(
            "`engine` ray needs Ray. Install it: pip install 'screening[ray]', or use `engine` pool."
        ) from problem
    is_ours = not ray.is_initialized()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"num_cpus": max(workers or default_workers(), 1), "include_dashboard": False}
        options |= {"object_store_memory": OBJECT_STORE}
    try:
        _knock(address or "")
        ray.init(address or "local", ignore_reinit_error=True, **options)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as problem:
        raise ConfigError(
            f"Ray cannot be reached at '{address or 'local'}': {str(problem).strip().rstrip('.')}. Check "
            "`ray_address` (for example auto, or host:6379), and that Ray and Python have the same versions "
            "in both places; a cluster with a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too."
        ) from problem
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"ray\.data\.")  # a library of one file has one reader
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # a piece is a row, and a row is a unit of work: never put together
    return data, is_ours


def _knock(address: str) -> None:
    """OSError if nobody answers at host:port; Ray itself would try for some minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _read(rows: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
    """The pieces of a reading as rows, and what went wrong as a last row."""
    number = [int(rows["number"][0])]
    make_pieces: Callable[[], Iterator[Piece]] = pickle.loads(rows["reading"][0])  # noqa: S301  from `run_ray`
    try:
        for piece in make_pieces():
            yield {"number": number, "piece": [pickle.dumps(piece)], "fault": [""]}
    except ScreeningError as problem:
        yield {"number": number, "piece": [b""], "fault": [_fault(problem)]}


def _fault(problem: ScreeningError) -> str:
    return json.dumps([socket.gethostname(), str(problem)])


def _actor(make_work: Callable[[], Work]) -> type:
    """A class that does the work in a process of Ray, which knows the plug-ins of this one."""
    plugins = loaded()

    class Actor:
        def __init__(self) -> None:
            self.fault = ""
            expect(plugins)
            try:
                self.work = make_work()
            except ScreeningError as problem:
                self.fault = _fault(problem)

        def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
            tally, fault = "", str(rows["fault"][0]) or self.fault
            if not fault:
                piece: Piece = pickle.loads(rows["piece"][0])  # noqa: S301  from `_read`, in this job
                try:
                    scored = self.work.finish(piece, self.work.prepare(piece.structures))
                    tally = json.dumps([scored._asdict(), piece.share])
                except ScreeningError as problem:
                    fault = _fault(problem)
            return {"number": [int(rows["number"][0])], "tally": [tally], "fault": [fault]}

    return Actor


def _results(rows: Any, weights: Sequence[float]) -> Iterator[tuple[Tally, float | None]]:
    """Tallies with the share of all that is done, and the first fault behind them."""
    faults, done = [], 0.0
    shares = [0.0] * len(weights)
    for row in rows.iter_rows():
        if row["fault"]:
            faults.append((row["number"], *json.loads(row["fault"])))
        else:
            tally, share = json.loads(row["tally"])
            more = max((share or 0.0) - shares[row["number"]], 0.0)
            shares[row["number"]] += more
            done += weights[row["number"]] * more
            yield Tally(**tally), done
    if faults:
        _, host, text = min(faults)
        elsewhere = f" (on the machine {host}, which must see the same files under the same paths)"
        raise DataError(text + elsewhere * (host != socket.gethostname()))
