"""A pool of worker processes for blocks of work: results in order, bounded memory, clear errors.

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
from typing import Generic, TypeVar

from ..errors import ScreeningError
from ..plugins import Plugin, expect, loaded
from .progress import progress

PATIENCE = 4.0  # seconds; starting two processes that import RDKit takes about one
RETRIES = 3  # attempts at a block after its process died; the first of them meets the broken pool

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
    An exception of `function` or `blocks` is raised here, after the results of the blocks before it. The
    blocks of a process that died are done again.

    Parameters
    ----------
    workers : processes; None = one per processor; 0 or 1, a single block, or a caller that is itself
        a process of a pool = no process is started.
    title : text of the progress bar, which counts what is in the blocks.
    seconds : roughly what all the work takes on one processor; where it is short, `workers=None` starts
        no process.

    Raises
    ------
    ScreeningError : a process died again and again on the same block.
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
    """Results in order, with the size of each block; an exception of `blocks` comes after them."""
    crew = _Crew(function, n_workers)
    waiting: deque[tuple[Future[Result], Block]] = deque()
    faults: list[Exception] = []
    try:
        for block in _until_fault(blocks, faults):
            waiting.append((crew.submit(block), block))
            if len(waiting) > 2 * n_workers:
                yield _collected(crew, *waiting.popleft())
        while waiting:
            yield _collected(crew, *waiting.popleft())
        if faults:
            raise faults[0]
    finally:
        crew.close()


def _until_fault(blocks: Iterable[Block], faults: list[Exception]) -> Iterator[Block]:
    try:
        yield from blocks
    except Exception as fault:
        faults.append(fault)


def _collected(crew: "_Crew[Block, Result]", future: Future[Result], block: Block) -> tuple[Result, int]:
    try:
        return future.result(), _size(block)
    except BrokenProcessPool:
        return crew.again(block), _size(block)


class _Crew(Generic[Block, Result]):
    """A pool of processes that is started again when one of them dies, which breaks the whole pool."""

    def __init__(self, function: Callable[[Block], Result], n_workers: int) -> None:
        self.function, self.n_workers = function, n_workers
        self._start()

    def submit(self, block: Block) -> Future[Result]:
        try:
            return self.pool.submit(self.function, block)
        except BrokenProcessPool as problem:
            future: Future[Result] = Future()
            future.set_exception(problem)
            return future

    def again(self, block: Block) -> Result:
        """The result of a block whose pool broke; the last attempt has a fresh pool for itself.

        So a block that kills its process is found out, and those beside it are not blamed.
        """
        last_problem: BrokenProcessPool | None = None
        for _ in range(RETRIES):
            try:
                return self.submit(block).result()
            except BrokenProcessPool as problem:
                last_problem = problem
                self.close()
                self._start()
        raise ScreeningError(
            "A worker process ended before its work was done, again and again on the same block: it was "
            "killed (often for want of memory) or could not start. Use fewer workers (workers: 1 works in "
            "this process alone); in a script of your own, put the call under `if __name__ == '__main__':`."
        ) from last_problem

    def close(self) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.n_workers, spawn, _start_worker, (loaded(),))


def _size(block: object) -> int:
    return len(block) if isinstance(block, Sized) else 1


def _start_worker(plugins: tuple[Plugin, ...]) -> None:
    """Know the parent's plug-ins, leave Ctrl-C to it and end with it, however it ends."""
    expect(plugins)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
