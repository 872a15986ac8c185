"""Snapshots of a network: when they are taken, which assay takes which, and what becomes of them."""

from itertools import pairwise
from pathlib import Path

import mixed
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from screening.bundle.bundle import Bundle
from screening.config import check_config
from screening.config_sections import Train
from screening.training import train
from screening.training.history import Epoch, History
from screening.training.predictions import read_predictions
from screening.training.schedule import cycled, share_at
from screening.training.snapshots import best_snapshots, snapshot_epochs

NAN = float("nan")


def history(scores: list[list[float]]) -> History:
    blank = torch.zeros(len(scores[0]))
    epochs = (
        Epoch(number, blank, blank, torch.tensor(row), 0.0, 1.0, False, len(scores), 0.0, "ROC-AUC")
        for number, row in enumerate(scores)
    )
    return History(epochs)


@pytest.mark.parametrize(
    ("epochs", "snapshots", "expected"),
    [(20, 5, [3, 7, 11, 15, 19]), (10, 3, [3, 6, 9]), (3, 9, [0, 1, 2]), (7, 1, [])],
)
def test_snapshots_are_at_even_distances(epochs: int, snapshots: int, expected: list[int]) -> None:
    assert snapshot_epochs(Train(epochs=epochs, snapshots=snapshots)) == expected


def test_each_assay_takes_its_best_by_smoothed_scores() -> None:
    """By hand: a peak of the first assay is noise, the second is best in the end, the third has no score."""
    scores = [
        [0.5, 0.5, NAN],
        [0.99, 0.5, NAN],
        [0.5, 0.5, NAN],
        [0.8, 0.6, NAN],
        [0.8, 0.7, NAN],
        [0.8, 0.8, NAN],
    ]
    taken = best_snapshots(history(scores), [1, 3, 5], 1)
    # smoothed at 1, 3, 5: (1.99, 2.1, 2.4) / (3, 3, 2) of the first, (0.5, 0.6, 0.75) of the second
    assert taken.T.tolist() == [[False, False, True], [False, False, True], [False, False, True]]
    taken = best_snapshots(history([[0.9, 0.5], [0.9, 0.5], [0.5, 0.9], [0.5, 0.9]]), [0, 3], 1)
    assert taken.T.tolist() == [[True, False], [False, True]]


def test_of_equals_the_later_is_taken() -> None:
    assert best_snapshots(history([[0.7]] * 4), [0, 1, 3], 2).T.tolist() == [[False, True, True]]
    assert best_snapshots(history([[NAN]] * 4), [0, 1, 3], 1).T.tolist() == [[False, False, True]]


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_every_assay_has_as_many(n_epochs: int, n_tasks: int, n: int, n_used: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = np.where(random.random((n_epochs, n_tasks)) < 0.3, NAN, random.random((n_epochs, n_tasks)))
    epochs = snapshot_epochs(Train(epochs=n_epochs, snapshots=n)) or [n_epochs - 1]
    taken = best_snapshots(history(scores.tolist()), epochs, n_used)
    assert (taken.sum(0) == min(n_used, len(epochs))).all()


@given(st.integers(1, 200), st.integers(1, 7), st.floats(0, 1))
def test_every_cycle_is_a_schedule_of_its_own(total: int, n_cycles: int, warmup: float) -> None:
    settings = Train(cycles=n_cycles, warmup=warmup)
    shares = [cycled(step, total, settings) for step in range(total)]
    assert all(0 <= share <= 1 for share in shares)
    bounds = [-(-total * number // min(n_cycles, total)) for number in range(min(n_cycles, total) + 1)]
    expected = [
        share_at(step, end - first, warmup) for first, end in pairwise(bounds) for step in range(end - first)
    ]
    assert shares == expected


def settings_of(folder: Path, **more: object) -> dict[str, object]:
    return {**mixed.settings(folder)["train"], "epochs": 6, "snapshots": 3, **more}


@pytest.mark.parametrize("n_used", [1, 2, None])
def test_scores_are_the_mean_of_each_assays_snapshots(n_used: int, tmp_path: Path) -> None:
    run = mixed.trained(tmp_path, train=settings_of(tmp_path, snapshots_used=n_used, cycles=3))
    members = Bundle.load(run.folder).members
    times = np.bincount([column for member in members for column in member.columns], minlength=5)
    assert times.tolist() == [n_used or 3] * 5
    weights = [member.model.network.encoder.state_dict() for member in members if member.model.network]
    assert len(weights) == len(members)
    first = [torch.cat([value.flatten().float() for value in each.values()]) for each in weights]
    assert all(not torch.equal(one, first[0]) for one in first[1:])
    assert np.isfinite(run.evaluation["concordance"]).all()


def test_resumed_snapshots_are_those_of_an_unbroken_run(tmp_path: Path) -> None:
    kept = []
    for name, stops in (("unbroken", ()), ("broken", (1, 4))):
        config = check_config(mixed.settings(tmp_path / name, train=settings_of(tmp_path, cycles=2)))
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                train(config, data=mixed.table(), resume=True, on_epoch=interrupt_after(stop))
        train(config, data=mixed.table(), resume=bool(stops))
        kept.append(read_predictions(tmp_path / name / "runs" / "mixed", part="test").scores)
    np.testing.assert_array_equal(kept[0], kept[1])


def interrupt_after(epoch: int):  # type: ignore[no-untyped-def]
    def stop(each: Epoch) -> None:
        if each.number == epoch:
            raise KeyboardInterrupt

    return stop


def test_groups_and_ensembles_have_snapshots_too(tmp_path: Path) -> None:
    train_settings = settings_of(tmp_path, epochs=2, snapshots=2, snapshots_used=1, ensemble=2)
    model = {**mixed.settings(tmp_path)["model"], "single_task": True}
    run = mixed.trained(tmp_path, train=train_settings, model=model)
    members = Bundle.load(run.folder).members
    assert sorted(column for member in members for column in member.columns) == sorted([*range(5)] * 2)
