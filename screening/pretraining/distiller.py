"""The loop that teaches an encoder what is computed of molecules: masked regression, exact resume.

Every block of every epoch seeds its own order, dropout and masks, so that a run that goes on behind a block
takes the same steps as one that was never stopped.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ..config import Config
from ..errors import ConfigError, ScreeningError
from ..features.store import FeatureSet, GraphStore
from ..models.network import ScreeningModel
from ..runtime.progress import duration, progress
from ..training.checkpoints import write_checkpoint
from ..training.devices import choose_device
from ..training.optimizer import FusedAdamW
from ..training.run_folder import damaged_checkpoint
from ..training.schedule import decay_matrices_only, share_at
from ..training.trainer import mixed
from .blocks import Blocks, shuffled, view
from .targets import TargetScales, masked, mean_square

SECONDS = 30.0
"""Between two checkpoints, at least."""
HELD_OUT, MOST_HELD_OUT = 0.05, 10_000
"""Share of the molecules, and number at most, that are not learned from but tell how well the others were."""


class Report(NamedTuple):
    """What an epoch gave."""

    epoch: int
    """From 0."""
    epochs: int
    loss: float
    """Mean over its steps, in squared standard deviations of the targets."""
    explained: dict[str, float]
    """Of each set: share of the variance that is explained in the molecules held out."""
    seconds: float

    def __str__(self) -> str:
        sets = ", ".join(f"{name} {value:.3f}" for name, value in self.explained.items())
        took = duration(self.seconds)
        return f"epoch {self.epoch + 1:3} of {self.epochs}  loss {self.loss:.4f}  explained: {sets}  {took}"


class Distiller:
    """Teaches a model the targets of the molecules of blocks.

    Parameters
    ----------
    model : of the features `inputs`, with an output per target.
    answers : the values [n, F] of the targets of some rows of a block, by its number; NaN = not defined.
    """

    def __init__(
        self,
        config: Config,
        model: ScreeningModel,
        inputs: FeatureSet,
        blocks: Blocks,
        targets: TargetScales,
        answers: Callable[[int, Tensor], Tensor],
    ) -> None:
        self.settings, self.train, self.seed = config.pretrain, config.train, config.seed
        self.device = choose_device(config.train.device)
        self.model, self.blocks, self.targets, self.answers = model.to(self.device), blocks, targets, answers
        self.stores: list[GraphStore] = [view(store, inputs) for store in blocks.stores]
        self.learned, self.held_out = _parts(blocks)
        groups = decay_matrices_only(self.model.parameters(), config.train.weight_decay)
        self.optimizer = FusedAdamW(groups, lr=self.settings.lr)
        self.done = 0
        """Blocks that were learned, over all epochs."""
        self.sums: list[float] = []
        """Losses of the steps of the epoch so far, and their number."""
        self.reports: list[Report] = []
        self.seconds_between = SECONDS

    def fit(
        self, checkpoint: Path, origin: Mapping[str, Any], on_epoch: Callable[[Report], None], *, resume: bool
    ) -> None:
        """Learn all epochs; `resume` goes on from `checkpoint` where it exists.

        Raises
        ------
        ConfigError : the checkpoint is damaged, or of another network.
        ScreeningError : the loss is not finite.
        """
        if resume and checkpoint.exists():
            self._restore(checkpoint)
        epochs, n_blocks = self.settings.epochs, len(self.learned)
        saved = time.monotonic()
        while self.done < epochs * n_blocks:
            epoch, began = self.done // n_blocks, time.monotonic()
            n_rows = sum(map(len, self.learned))
            with progress(f"epoch {epoch + 1} of {epochs}", n_rows) as advance:
                for number in self._order(epoch)[self.done % n_blocks :]:
                    for n_molecules in self._learn(number):
                        advance(n_molecules)
                    self.done += 1
                    if self.done % n_blocks and time.monotonic() - saved >= self.seconds_between:
                        self._save(checkpoint, origin)
                        saved = time.monotonic()
            loss = sum(self.sums) / max(len(self.sums), 1)
            self.reports.append(Report(epoch, epochs, loss, self.explained(), time.monotonic() - began))
            self.sums = []
            self._save(checkpoint, origin)
            on_epoch(self.reports[-1])

    def _order(self, epoch: int) -> list[int]:
        """The blocks of an epoch, in random order."""
        generator = torch.Generator().manual_seed(mixed(self.seed, -epoch - 2))
        order: list[int] = torch.randperm(len(self.learned), generator=generator).tolist()
        return order

    def _learn(self, number: int) -> Iterator[int]:
        """One pass over a block; tells the molecules of each step."""
        torch.manual_seed(mixed(self.seed, self.done))
        self.model.train()
        size = self.settings.batch_size
        for rows in shuffled(self.learned[number]).split(size) if len(self.learned[number]) else ():
            self._step(number, rows)
            yield len(rows)

    def _step(self, number: int, rows: Tensor) -> None:
        targets = self.targets.of(self.answers(number, rows)).to(self.device)
        outputs = self.model(self.stores[number].batch(rows).to(self.device))
        losses, total = [], 0.0
        for each, place in zip(self.targets.sets, self.targets.places, strict=True):
            counts = masked(targets[:, place], each.share(self.settings.share))
            losses.append(each.weight * mean_square(outputs[:, place], targets[:, place], counts))
            total += each.weight
        loss = torch.stack(losses).sum() / total
        if not bool(loss.isfinite()):
            raise ScreeningError(
                f"The loss is not finite in block {self.done + 1}. Lower pretrain.lr, then start again."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.train.clip is not None:
            self.optimizer.clip(self.train.clip)
        self._set_rate()
        self.optimizer.step()
        self.sums.append(float(loss.detach()))

    def _set_rate(self) -> None:
        """Linear warm-up, then half a cosine, over all steps of all epochs."""
        per_epoch = sum(-(-len(rows) // self.settings.batch_size) for rows in self.learned)
        step = len(self.reports) * per_epoch + len(self.sums)
        share = share_at(step, self.settings.epochs * per_epoch, self.train.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * share

    @torch.inference_mode()
    def explained(self) -> dict[str, float]:
        """Of each set the share of the variance of its targets that is explained in the molecules held out.

        NaN where none of its targets is defined.
        """
        self.model.eval()
        off = torch.zeros(len(self.targets.sets), 2, dtype=torch.float64)
        for number, held_out in enumerate(self.held_out):
            for rows in held_out.split(512):
                targets = self.targets.of(self.answers(number, rows))
                outputs = self.model(self.stores[number].batch(rows).to(self.device)).cpu()
                for place, part in enumerate(self.targets.places):
                    of_set = targets[:, part].double()
                    off[place, 0] += (outputs[:, part] - of_set).square().nansum()
                    off[place, 1] += of_set.square().nansum()
        shares = (1 - off[:, 0] / off[:, 1]).tolist()
        return {each.name: share for each, share in zip(self.targets.sets, shares, strict=True)}

    def table(self) -> pd.DataFrame:
        """Epoch (from 0), loss, and `explained:SET` of each set."""
        rows = [
            {"epoch": each.epoch, "loss": each.loss}
            | {f"explained:{name}": value for name, value in each.explained.items()}
            for each in self.reports
        ]
        return pd.DataFrame(rows)

    def _save(self, path: Path, origin: Mapping[str, Any]) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "sums": self.sums,
            "reports": [tuple(each) for each in self.reports],
            "origin": dict(origin),
        }
        write_checkpoint(path, state)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.done, self.sums = int(state["done"]), [float(each) for each in state["sums"]]
            self.reports = [Report(*each) for each in state["reports"]]
        except Exception as problem:
            raise ConfigError(damaged_checkpoint(path, problem)) from problem


def _parts(blocks: Blocks) -> tuple[list[Tensor], list[Tensor]]:
    """Rows of each block that are learned, and those held out: the last ones of the sample."""
    rows = [used.nonzero().squeeze(1) for used in blocks.used]
    left = min(round(HELD_OUT * blocks.n_used), MOST_HELD_OUT)
    learned, held_out = [], []
    for each in reversed(rows):
        n_out = min(left, len(each))
        left -= n_out
        learned.append(each[: len(each) - n_out])
        held_out.append(each[len(each) - n_out :])
    return learned[::-1], held_out[::-1]
