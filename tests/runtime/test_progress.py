"""The time that is left: steady over blocks of unlike cost and results that come in bursts."""

import numpy as np
import pytest

from screening.runtime.progress import time_left

COSTS = {
    "alike": np.ones(100),
    "unlike": np.tile([1.0, 9.0], 50),
    "random": np.random.default_rng(0).lognormal(0, 1, 100),
    "bursts": np.tile([4.0, 0.0, 0.0, 0.0], 25),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_expected_end_does_not_jump(name: str) -> None:
    """From a fifth on, one more block moves the expected end by less than 15 %, and it comes true.

    The rate of the last four blocks, as a window of some seconds gives it, moves it by a half or more.
    """
    finished = COSTS[name].cumsum()
    ends = np.array([now + (time_left(done + 1, 100, now) or 0.0) for done, now in enumerate(finished)])[20:]
    assert np.abs(np.diff(ends) / ends[:-1]).max() < 0.15
    assert (np.abs(ends - finished[-1]) < 0.4 * finished[-1]).all()
    assert ends[-1] == finished[-1]


def test_nobody_knows_before_the_first_block_or_without_a_total() -> None:
    assert time_left(0, 10, 3.0) is None
    assert time_left(3, None, 3.0) is None
