"""Work in processes: results in order, errors after what came before them, dead workers replaced."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from screening.errors import DataError, ScreeningError
from screening.runtime.processes import map_in_processes


def squares(block: list[int]) -> list[int]:
    return [number**2 for number in block]


def killed(block: list[int], marks: Path, times: int, victim: int) -> list[int]:
    """Squares; but the process that meets `victim` is killed, the first `times` times."""
    done = len(list(marks.iterdir()))
    if victim in block and done < times:
        (marks / str(done)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(block)


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order(workers: int) -> None:
    blocks = [[n, n + 1] for n in range(20)]
    assert list(map_in_processes(squares, iter(blocks), workers=workers)) == [squares(b) for b in blocks]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_stream_comes_after_the_results_before_it(workers: int) -> None:
    def stream() -> Iterator[list[int]]:
        yield from ([n] for n in range(4))
        raise DataError("cut off")

    results: list[list[int]] = []
    with pytest.raises(DataError, match="cut off"):
        results.extend(map_in_processes(squares, stream(), workers=workers))
    assert results == [[0], [1], [4], [9]]


@pytest.mark.parametrize("victim", [0, 7, 19])
def test_the_block_of_a_killed_worker_is_done_again(tmp_path: Path, victim: int) -> None:
    blocks = [[n] for n in range(20)]
    work = partial(killed, marks=tmp_path, times=1, victim=victim)
    assert list(map_in_processes(work, iter(blocks), workers=2)) == [squares(b) for b in blocks]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_block_that_kills_every_worker_is_an_error_after_the_results_before_it(tmp_path: Path) -> None:
    work = partial(killed, marks=tmp_path, times=99, victim=5)
    results: list[list[int]] = []
    with pytest.raises(ScreeningError, match="again and again"):
        results.extend(map_in_processes(work, iter([[n] for n in range(12)]), workers=2))
    assert results == [squares([n]) for n in range(5)]
