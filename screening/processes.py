"""Work on blocks in several processes: results in order, bounded memory, clear errors.

Processes are spawned, not forked (threads of torch and pyarrow do not survive a fork), so `function`
must be importable and its module should import quickly.
"""

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from .errors import ScreeningError
from .progress import progress

PATIENCE = 4.0  # seconds; starting two processes that import RDKit takes about one

Block = TypeVar("Block")
Result = TypeVar("Result")


def default_workers() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_processes(
    function: Callable[[Block], Result],
    blocks: Iterable[Block],
    *,
    workers: int | None = None,
    title: str = "",
    seconds: float = math.inf,
) -> Iterator[Result]:
    """Yield `function(block)` for every block, in order.

    Blocks are taken from the iterable only as fast as results are collected, so a stream stays a stream.
    An exception of `function` is raised here.

    Parameters
    ----------
    workers : processes; None = one per processor; 0 or 1, a single block, or a caller that is itself
        a process of a pool = no process is started.
    title : text of the progress bar, which counts what is in the blocks.
    seconds : roughly what all the work takes on one processor; where it is short, `workers=None` starts
        no process.

    Raises
    ------
    ScreeningError : a process died.
    """
    n_workers = workers
    if n_workers is None:
        n_workers = default_workers() if seconds > PATIENCE else 1
    total = None
    if isinstance(blocks, list):
        n_workers = min(n_workers, len(blocks))
        total = sum(_size(block) for block in blocks)
    with progress(title, total) as advance:
        if n_workers <= 1 or multiprocessing.current_process().daemon:
            for block in blocks:
                yield function(block)
                advance(_size(block))
        else:
            for result, size in _pooled(function, blocks, n_workers):
                yield result
                advance(size)


def _pooled(
    function: Callable[[Block], Result], blocks: Iterable[Block], n_workers: int
) -> Iterator[tuple[Result, int]]:
    pool = ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    waiting: deque[tuple[Future[Result], int]] = deque()
    try:
        for block in blocks:
            waiting.append((pool.submit(function, block), _size(block)))
            if len(waiting) > 2 * n_workers:
                future, size = waiting.popleft()
                yield future.result(), size
        while waiting:
            future, size = waiting.popleft()
            yield future.result(), size
    except BrokenProcessPool as problem:
        raise ScreeningError(
            "A worker process ended before its work was done: it was killed (often for want of memory) or "
            "could not start. Use fewer workers (workers: 1 works in this process alone); in a script of "
            "your own, put the call under `if __name__ == '__main__':`."
        ) from problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _size(block: object) -> int:
    return len(block) if isinstance(block, Sized) else 1


def _start_worker() -> None:
    """Leave Ctrl-C to the parent and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
