"""The training loop: plain steps, early stopping on the macro mean over assays, exact resume.

Every epoch seeds its own order and dropout from (seed, epoch), so a run that goes on from the
checkpoint of an epoch takes the same steps as one that was never stopped. Several processes draw the same
numbers as one (dropout.py), and so do what one does but for rounding.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..balancing.affinity import Affinity, Batch
from ..balancing.contract import Balancer
from ..balancing.gradients import Gradients, Look
from ..balancing.place_choice import AUTO, PlaceChoice
from ..balancing.places import Settings
from ..config_sections import Gradients as GradientSettings
from ..config_sections import Grouping, Train
from ..data.assay_kinds import labels_of
from ..errors import ConfigError, ScreeningError, listed
from ..features.store import GraphBatch, GraphStore
from ..metrics.concordance import concordance
from ..models.dropout import Share, drawing_for
from ..models.losses import Loss
from ..models.network import ScreeningModel
from ..runtime import distributed
from ..runtime.progress import duration, progress
from .affinities import Affinities
from .checkpoints import write_checkpoint
from .devices import choose_device
from .history import Epoch, EpochSums, History
from .label_rows import Labels
from .optimizer import FusedAdamW
from .run_folder import damaged_checkpoint
from .sampling import Actives, batches
from .schedule import decay_matrices_only, is_in_stages, rates_at
from .snapshots import snapshot_epochs


class Examples(NamedTuple):
    """Molecules of one split part."""

    store: GraphStore
    labels: Labels
    """[n, T] float32 of all molecules of the store, NaN = not measured, real ones standardised; or their
    bounds [n, T, 2], where a table has censored values."""
    rows: Tensor
    """int64, the molecules of this part."""


class Trainer:
    """Fits a model; owns the optimiser, the balancer and the running mean of the weights.

    Parameters
    ----------
    loss, balancer : of the T tasks, built; the loss says where the heads start.
    labels : [n, T], or bounds [n, T, 2], of the molecules of the training part, NaN = not measured.
    is_real : bool [T], which assays have real values; None = all are of two classes.
    settings, gradients, grouping : sections of a config; None = their defaults.
    place : where the tasks are compared, chosen from the table; None = by `gradients.at`, features if auto.
    seed : of order and dropout.

    `trainer_of` builds one from a config.
    """

    def __init__(
        self,
        model: ScreeningModel,
        loss: Loss,
        balancer: Balancer,
        labels: Tensor,
        tasks: tuple[str, ...],
        *,
        is_real: Tensor | None = None,
        settings: Train | None = None,
        gradients: GradientSettings | None = None,
        place: PlaceChoice | None = None,
        grouping: Grouping | None = None,
        seed: int = 0,
    ) -> None:
        self.settings = settings or Train()
        self.seed = seed
        self.tasks = tasks
        self.is_real = np.zeros(len(tasks), bool) if is_real is None else is_real.numpy()
        self.device = choose_device(self.settings.device)
        self.autocast = self.settings.bf16 is True or (
            self.settings.bf16 == "auto" and self.device.type == "cuda"
        )
        self.model = model.to(self.device)
        self.loss = loss.to(self.device)
        self._start_heads(labels.to(self.device))
        self.balancer = balancer.to(self.device)
        where = gradients or GradientSettings()
        self.place = place or PlaceChoice("features" if where.at == AUTO else where.at)
        places = Settings(where.chunk, where.memory, where.sketch)
        self.gradients = Gradients(
            self.model.heads,
            self.balancer,
            at=self.place.at,
            encoder=self.model.encoder,
            settings=places,
            loss=self.loss,
        )
        grouping = grouping or Grouping()
        self.affinities = (
            Affinities(self.model, len(tasks), grouping, places, self.loss).to(self.device)
            if grouping.affinity != "none"
            else None
        )
        self.trained = [*self.model.parameters(), *self.loss.parameters()]
        self.optimizer = FusedAdamW(self._groups(), lr=self.settings.lr)
        self.average = (
            AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.settings.average))
            if self.settings.average
            else None
        )
        self.history = History()
        self._best: dict[str, Tensor] = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self._seconds: list[float] = []
        self._actives: Actives | None = None
        self._n_steps = 0

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups; with stages those of the encoder are apart, and last."""
        decay = self.settings.weight_decay
        if not is_in_stages(self.settings):
            return decay_matrices_only(self.trained, decay)
        encoder = list(self.model.encoder.parameters())
        inside = set(map(id, encoder))
        others = [parameter for parameter in self.trained if id(parameter) not in inside]
        return [*decay_matrices_only(others, decay), *decay_matrices_only(encoder, decay, is_encoder=True)]

    def _start_heads(self, labels: Tensor) -> None:
        """At the best constants, and their spreads at those of the loss."""
        heads = self.model.heads
        heads.start_at(self.loss.start(labels))
        if heads.heteroscedastic and self.loss.takes_spreads:
            heads.start_spreads_at(self.loss.log_spreads())

    @property
    def judged(self) -> ScreeningModel:
        """The model that is evaluated and kept: the running mean where there is one."""
        return cast(ScreeningModel, self.average.module) if self.average is not None else self.model

    @property
    def affinity(self) -> Affinity | None:
        """What was collected; None unless `grouping.affinity` asks for it."""
        return None if self.affinities is None else self.affinities.affinity

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of another network (`state_dict`) instead of random ones."""
        self.model.load_state_dict(weights)
        if self.average is not None:
            self.average.module.load_state_dict(weights)

    def fit(
        self,
        train: Examples,
        valid: Examples,
        *,
        checkpoint: Path | None = None,
        origin: Mapping[str, Any] | None = None,
        resume: bool = False,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> History:
        """Train until the last epoch or until patience ends; leaves the best weights in `model`.

        Parameters
        ----------
        checkpoint : written after every epoch under a temporary name, then renamed.
        origin : kept in the checkpoint, to say later what it was trained on.
        resume : go on from `checkpoint` where it exists.

        Raises
        ------
        ConfigError : the checkpoint is damaged, or of another network; there are no actives to draw.
        DataError : it cannot be written.
        ScreeningError : a loss is not finite; says epoch, step and assays.
        """
        if resume and checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)
        if self.settings.sampler == "actives":
            self._actives = Actives.of(train.labels, train.rows, self.is_real)
        while len(self.history) < self.settings.epochs and not self._is_over():
            epoch = self._epoch(train, valid)
            self.history.append(epoch)
            if epoch.number in snapshot_epochs(self.settings):
                self.snapshots[epoch.number] = self._weights()
            if checkpoint is not None and distributed.is_main():
                self._save(checkpoint, origin or {})
            on_epoch(epoch)
        self.model.load_state_dict(self._best)
        return self.history

    def _epoch(self, train: Examples, valid: Examples) -> Epoch:
        started = time.perf_counter()
        number = len(self.history)
        torch.manual_seed(mixed(self.seed, number))
        steps = batches(train.rows, self.settings, self._actives)
        tally = EpochSums(len(self.tasks), self.device)
        self.model.train()
        lr = 0.0
        self._n_steps = self.settings.epochs * len(steps)
        left = self._seconds_left(self.settings.epochs - number)
        with progress(f"epoch {number + 1} of {self.settings.epochs}", len(steps)) as advance:
            advance(0, "" if math.isnan(left) else f"at most {duration(left)} for all epochs")
            for index, rows in enumerate(steps):
                step = number * len(steps) + index
                lr = self._set_lr(step, self._n_steps)
                with drawing_for(self._share(train.store, rows)):
                    self._step(train, valid, rows, number, step, tally)
                advance()
        if self.affinities is not None:
            self.affinities.end_epoch()
        losses = tally.loss()
        self.balancer.end_epoch(losses.nan_to_num(0.0), losses.isfinite())
        scores = self.judged.predict(valid.store, valid.rows).numpy()
        labels, censored = labels_of(valid.labels[valid.rows].numpy())
        measured = concordance(labels, scores, is_real=self.is_real, censored=censored)
        seconds = time.perf_counter() - started
        self._seconds.append(seconds)
        epoch = Epoch(
            number,
            losses.cpu(),
            tally.weight().cpu(),
            torch.from_numpy(np.asarray(measured, np.float32)),
            lr,
            seconds,
            False,
            self.settings.epochs,
            self._seconds_left(self.settings.epochs - number - 1),
            "concordance" if self.is_real.any() else "ROC-AUC",
        )
        return self._judge(epoch)

    def _seconds_left(self, n_epochs: int) -> float:
        """For so many epochs, as the latest ones went; NaN before the first."""
        latest = self._seconds[-5:]
        return n_epochs * sum(latest) / len(latest) if latest else math.nan

    def _step(
        self, train: Examples, valid: Examples, rows: Tensor, epoch: int, step: int, tally: "EpochSums"
    ) -> None:
        batch, labels = self._batch(train, rows)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            features = self.model.encoder(batch)
        look = self.gradients.look(features.float(), labels, epoch=epoch, step=step)
        self._check_finite(look.step.losses, epoch, step)
        if self.affinities is not None and self.affinities.is_due(step, self._n_steps):
            self._collect(self.affinities, look, Batch(batch, labels), rows, train, valid)
        decision = self.balancer.decide(look.step)
        self.optimizer.zero_grad(set_to_none=True)
        look.backward(decision)
        distributed.sum_gradients(self.trained)
        if self.settings.clip is not None:
            self.optimizer.clip(self.settings.clip)
        self.optimizer.step()
        if self.balancer.second_look:
            self._look_again(batch, labels, epoch, step)
        if self.average is not None:
            self.average.update_parameters(self.model)
        tally.add(look.step.losses, look.step.counts, decision.weights)

    def _batch(self, examples: Examples, rows: Tensor) -> Batch:
        """The molecules among `rows` that this process works on, and their labels."""
        mine = rows[distributed.rank() :: distributed.world_size()]
        return Batch(examples.store.batch(mine).to(self.device), examples.labels[mine].to(self.device))

    def _share(self, store: GraphStore, rows: Tensor) -> Share | None:
        """What of the molecules `rows` this process works on; None if it works alone."""
        if distributed.world_size() == 1:
            return None
        mine = torch.arange(len(rows))[distributed.rank() :: distributed.world_size()]
        return Share.of(mine, *store.sizes(rows)).to(self.device)

    def _collect(
        self,
        affinities: Affinities,
        look: Look,
        batch: Batch,
        rows: Tensor,
        train: Examples,
        valid: Examples,
    ) -> None:
        """Count what a step on the molecules `rows` says about the pairs of assays."""
        part = valid if affinities.grouping.batch == "valid" else train
        judged = affinities.judged(rows, part.rows, look.step.step, self.settings.batch_size)
        if judged is None or len(judged):
            other = None if judged is None else self._batch(part, judged)
            affinities.add(look, batch, self.optimizer.param_groups[0]["lr"], other)

    def _look_again(self, batch: GraphBatch, labels: Tensor, epoch: int, step: int) -> None:
        """Show the balancer the losses of the same batch after the update."""
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            features = self.model.encoder(batch)
        look = self.gradients.look(features.float(), labels, epoch=epoch, step=step)
        self.balancer.look_again(look.step)

    def _set_lr(self, step: int, total: int) -> float:
        """As `rates_at`; gives back that of the heads."""
        rates = rates_at(step, total, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rates.encoder if group.get("is_encoder") else rates.heads
        return rates.heads

    def _judge(self, epoch: Epoch) -> Epoch:
        """Keep the weights if this epoch is the best, or if no epoch can be judged."""
        scores = [past.macro for past in self.history if not math.isnan(past.macro)]
        score = epoch.macro
        is_best = not scores if math.isnan(score) else score > max(scores, default=-math.inf)
        if is_best:
            self._best = self._weights()
        return epoch._replace(is_best=is_best)

    def _weights(self) -> dict[str, Tensor]:
        """A copy of those that are judged."""
        return {name: value.detach().clone() for name, value in self.judged.state_dict().items()}

    def _is_over(self) -> bool:
        if self.settings.patience is None or not self.history:
            return False
        return len(self.history) - 1 - self.history.best_epoch >= self.settings.patience

    def _check_finite(self, losses: Tensor, epoch: int, step: int) -> None:
        finite = losses.isfinite()
        if not bool(finite.all()):
            names = [self.tasks[i] for i in (~finite).nonzero().squeeze(1).tolist()]
            raise ScreeningError(
                f"The loss is not finite in epoch {epoch + 1}, step {step + 1}, assays "
                f"{listed(names, 5, mark='')}. "
                "Lower train.lr, or set train.clip, then train again."
            )

    def _save(self, path: Path, origin: Mapping[str, Any]) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "balancer": self.balancer.state_dict(),
            "loss": self.loss.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "affinity": self.affinities.state_dict() if self.affinities is not None else {},
            "best": self._best,
            "snapshots": self.snapshots,
            "history": [tuple(epoch) for epoch in self.history],
            "origin": dict(origin),
        }
        write_checkpoint(path, state)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.balancer.load_state_dict(state["balancer"])
            self.loss.load_state_dict(state.get("loss", {}))  # older ones have none, and no loss with state
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            if self.affinities is not None:
                self.affinities.load_state_dict(state["affinity"])
            history = History(Epoch(*(_on_cpu(value) for value in epoch)) for epoch in state["history"])
            snapshots = state.get("snapshots", {})
            for weights in (state["best"], *snapshots.values()):
                self._check_restored(weights, history)
        except Exception as problem:
            raise ConfigError(damaged_checkpoint(path, problem)) from problem
        self._best, self.history = state["best"], history
        self.snapshots = snapshots

    def _check_restored(self, best: Mapping[str, Tensor], history: History) -> None:
        shapes = {name: value.shape for name, value in self.judged.state_dict().items()}
        if {name: value.shape for name, value in best.items()} != shapes:
            raise ValueError("its best weights, or those of a snapshot, are not those of this network")
        if not history or [epoch.number for epoch in history] != list(range(len(history))):
            raise ValueError("its epochs are not those from the first on")


def mixed(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch of every run."""
    return (seed * 1_000_003 + epoch + 1) % 2**63


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value
