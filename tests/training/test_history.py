"""What is said of epochs, and why a training ended."""

import math

import pytest
import torch

from screening.training.history import Epoch, History


def history(*scores: float, of: int = 20) -> History:
    """Epochs with these macro means; the best so far are marked, as the trainer does."""
    epochs = History()
    for number, score in enumerate(scores):
        is_best = math.isnan(score) or score > max(scores[:number], default=-1)
        values = torch.tensor([score, math.nan])
        epochs.append(Epoch(number, values, values, values, 1e-3, 4.0, is_best, of, 4.0 * (of - 1 - number)))
    return epochs


def test_an_epoch_says_which_of_how_many_and_how_long_the_rest_takes() -> None:
    first, last = history(0.7, *[0.6] * 19)[2::17]
    assert str(first).startswith("epoch   3 of 20  loss 0.6000  valid ROC-AUC 0.6000")
    assert str(first).endswith("4.0 s, at most 1 min left")
    assert str(last).endswith("4.0 s")


def test_early_stopping_says_that_it_stopped_when_and_what_is_kept() -> None:
    text = history(0.6, 0.8, 0.7, 0.7).ending(20, 2)
    assert text.startswith("stopped early, after epoch 4 of 20: no better validation ROC-AUC for 2 epochs")
    assert text.endswith("kept is the best, epoch 2 (validation ROC-AUC 0.8000)")


@pytest.mark.parametrize("patience", [None, 2])
def test_the_last_epoch_is_no_early_stop(patience: int | None) -> None:
    text = history(0.6, 0.8, 0.7, 0.7, of=4).ending(4, patience)
    assert text == "all 4 epochs trained; kept is the best, epoch 2 (validation ROC-AUC 0.8000)"


def test_without_a_judge_the_last_epoch_is_kept_and_that_is_said() -> None:
    text = history(math.nan, math.nan, of=2).ending(2, 1)
    assert "kept is the last epoch: no assay has both classes in the validation part" in text
