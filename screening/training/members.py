"""From a prepared table to one model of a bundle: networks for all assays, groups or each; baselines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from ..balancing.affinity import Affinity
from ..balancing.place_choice import PlaceChoice
from ..bundle.bundle import Bundle
from ..bundle.member import Member
from ..config import Config
from ..config_model import NETWORK, BlendPart
from ..data.sparse_cells import SparseCells, has_label, n_measured
from ..data.task_groups import read_groups
from ..errors import ConfigError, DataError, listed
from ..models.baselines import Baseline, baselines
from ..models.blends import Blend
from ..models.network import ScreeningModel, inputs_of
from .bounds_of_baselines import bounds_taken
from .building import trainer_of
from .fold_files import fold_file
from .history import Epoch
from .label_rows import labels_for
from .main_assays import of_served, priorities_of, served
from .preparation import Note, Prepared
from .snapshots import kept_networks
from .starting_point import begin_with
from .trainer import Examples, Trainer

MANY = 50  # networks that are worth a warning


class NetworkPlan(NamedTuple):
    """One network to be trained: which assays it sees, which it scores, and with which seed."""

    columns: tuple[int, ...]
    """Its assays, positions among all T."""
    serves: tuple[int, ...]
    """Those of them that it scores in the end; where groups overlap another network may score the rest."""
    seed: int
    """Of its initial weights, order and dropout."""


class Fitted(NamedTuple):
    """Trained members and what happened on the way."""

    members: tuple[Member, ...]
    history: pd.DataFrame
    """Per epoch and assay: loss, weight, validation concordance; `member` in front where several."""
    epochs: pd.DataFrame
    """Per epoch: macro means, learning rate, whether it was the best so far; `member` likewise."""
    best_epochs: list[int]
    """Of each member, from 0."""
    affinity: Affinity | None
    """Of all T assays, over all networks; None unless collected (`grouping.affinity`)."""
    blend: Blend | None = None
    """Weights of the models of a blend; None = they are equal."""
    blend_table: pd.DataFrame | None = None
    """What each of them brings, as `blending.weighed` has it."""
    place: PlaceChoice | None = None
    """Where the first network compared the gradients of its assays; None where none is asked for."""


def plans_of(config: Config, tasks: Sequence[str]) -> list[NetworkPlan]:
    """The networks a config asks for.

    `train.ensemble` networks that differ in their seed; with `model.single_task` that for every assay, with
    `grouping.file` for every group that serves an assay.

    Raises
    ------
    ConfigError : the file of groups is missing, wrong, or of other assays.
    """
    every = tuple(range(len(tasks)))
    groups = [(every, every)]
    if config.model.single_task:
        groups = [((column,), (column,)) for column in every]
    elif config.grouping.file is not None:
        chosen = read_groups(Path(config.grouping.file), tasks)
        members = enumerate(chosen.groups)
        pairs = [(group, tuple(t for t in every if chosen.serves[t] == number)) for number, group in members]
        groups = [(group, served) for group, served in pairs if served]
    return [
        NetworkPlan(columns, serves, seed) for seed in _ensemble_seeds(config) for columns, serves in groups
    ]


def _ensemble_seeds(config: Config) -> list[int]:
    return [(config.seed + 100_003 * number) % 2**31 for number in range(config.train.ensemble)]


class Course(NamedTuple):
    """How a training goes along."""

    origin: Mapping[str, Any] | None = None
    """What it rests on, kept in the checkpoints."""
    resume: bool = False
    on_note: Note = lambda note: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None


def of_part(config: Config, prepared: Prepared, part: BlendPart) -> tuple[Config, Prepared]:
    """The config and the table as one model of a blend knows them: its encoder, its vectors.

    Networks know the assays of auxiliary tables, baselines those of the main one alone.
    """
    table = prepared.trained if part.name == NETWORK else prepared
    if not config.model.blend:
        return config, table
    own = config.model_copy(update={"model": config.model.of(part.label)})
    return own, table._replace(store=table.store.with_vectors(part.vectors))


def fit_part(
    config: Config,
    prepared: Prepared,
    course: Course,
    *,
    fold: int | None = None,
    folds: np.ndarray | None = None,
) -> Fitted:
    """Train the one model that the config is about (`of_part`): its networks, or its baselines.

    Networks are trained one after the other, each with a checkpoint of its own in the run folder; baselines
    have no epochs and no checkpoint: their histories are empty.

    Parameters
    ----------
    fold : that is left out of the table; None = none is. Checkpoints have it in their name.
    folds : int64, of each molecule of the training part, for a baseline that leaves them out by itself.
    """
    if config.model.has_network:
        return _fit_networks(config, prepared, course, fold)
    return _fit_baselines(config, prepared, course.on_note, folds)


def _fit_networks(config: Config, prepared: Prepared, course: Course, fold: int | None) -> Fitted:
    """Every network that the config asks for."""
    on_note = course.on_note
    plans = plans_of(config, prepared.table.tasks)
    _check_trained(prepared, plans)
    members, histories, place = [], [], None
    affinity = Affinity(len(prepared.table.tasks)) if config.grouping.affinity != "none" else None
    for number, plan in enumerate(plans):
        trainer = make_trainer(config, prepared, plan)
        if number == 0:
            place = _place_of(trainer)
            on_note(_describe_networks(config, trainer, len(plans)))
            if config.model.single_task and len(plans) > MANY:
                on_note(f"{len(plans):,} networks are as many trainings, one after the other")
        if len(plans) > 1:
            on_note(f"network {number + 1} of {len(plans)}, {_named(prepared, plan)}")
        histories.append(
            trainer.fit(
                examples(prepared, "train", plan.columns),
                examples(prepared, "valid", plan.columns),
                checkpoint=config.folder / _checkpoint(config, number, len(plans), fold),
                origin=course.origin,
                resume=course.resume,
                on_epoch=course.on_epoch,
            )
        )
        places = [plan.columns.index(task) for task in served(config, prepared, plan.serves)]
        kept = kept_networks(trainer.model.eval(), trainer.snapshots, histories[-1], config.train, places)
        on_note(histories[-1].ending(config.train.epochs, config.train.patience, kept))
        members += [Member(one.model, tuple(plan.columns[place] for place in one.assays)) for one in kept]
        if affinity is not None and trainer.affinity is not None:
            affinity.include(trainer.affinity, plan.columns)
    frames = [
        of_served(config, prepared, history.per_task(_names(prepared, plan)))
        for history, plan in zip(histories, plans, strict=True)
    ]
    epochs = [history.per_epoch() for history in histories]
    best = [history.best_epoch for history in histories]
    return Fitted(tuple(members), joined(frames), joined(epochs), best, affinity, place=place)


def _checkpoint(config: Config, number: int, n_networks: int, fold: int | None) -> str:
    """File of a network of so many; that of a model of a blend has its name, and its fold."""
    label, words = config.model.parts[0].label, ["checkpoint"]
    if fold is not None:
        words += [fold_file(label, fold)]
    elif label != NETWORK:
        words += [label]
    return "-".join([*words, *([str(number)] if n_networks > 1 else [])]) + ".pt"


def make_trainer(config: Config, prepared: Prepared, plan: NetworkPlan | None = None) -> Trainer:
    """The network of a config, its inputs scaled on the training part, ready to fit.

    Parameters
    ----------
    plan : its assays and seed; None = the first that the config asks for.
    """
    table, store = prepared.table, prepared.store
    plan = plan or plans_of(config, table.tasks)[0]
    torch.manual_seed(plan.seed)
    _check_trained(prepared, [plan])
    rows = examples(prepared, "train", plan.columns)
    vectors = config.model.parts[0].vectors if len(config.model.parts) == 1 else None
    model = ScreeningModel(config.model, inputs_of(store), len(plan.columns), vectors)
    model.encoder.fit(store, rows.rows)
    begin_with(model.encoder, config, store.features, _ensemble_seeds(config).index(plan.seed))
    settings = config.model_copy(update={"seed": plan.seed})
    is_real = torch.from_numpy(table.is_real[list(plan.columns)])
    trainer = trainer_of(
        settings,
        model,
        rows.labels,
        _names(prepared, plan),
        rows.rows,
        is_real,
        priorities_of(config, prepared, plan.columns),
    )
    if config.grouping.joint is not None:
        trainer.start_from(_joint_weights(config, prepared, plan))
    return trainer


def _check_trained(prepared: Prepared, plans: Sequence[NetworkPlan]) -> None:
    """Raise DataError where the training part has no label for a network, before any is trained."""
    table = prepared.table
    has_label = n_measured(table.take(prepared.split.rows("train")).labels) > 0
    empty = [plan for plan in plans if not has_label[list(plan.columns)].any()]
    if not empty:
        return
    is_all = len(empty[0].columns) == len(table.tasks)
    names = dict.fromkeys(table.tasks[column] for plan in empty for column in plan.columns)
    what = "" if is_all else f" for the networks of {listed(names)}"
    raise DataError(
        f"The training part of the split has no labels{what}. Use more molecules, another split, or leave "
        "such assays out (data.tasks)."
    )


def _joint_weights(config: Config, prepared: Prepared, plan: NetworkPlan) -> dict[str, torch.Tensor]:
    """Encoder and the plan's heads of the run that a warm start names.

    Raises
    ------
    BundleError : no trained model there.
    ConfigError : it is another model, has not all assays, or learned from another table or split: what is
        test here may have been training there.
    """
    where = f"grouping.joint: {config.grouping.joint}"
    bundle, part = Bundle.load(Path(str(config.grouping.joint))), config.model.parts[0]
    settings, features, inputs = bundle.settings, bundle.features, bundle.inputs
    if part in settings.blend:
        settings, inputs = settings.of(part.label), inputs.with_vectors(part.vectors)
        features = replace(features, vectors=tuple(block.name for block in inputs.vectors))
    for what, there, here in (
        ("model", settings, config.model.by_itself),
        ("features", (features, inputs), (prepared.store.features, inputs_of(prepared.store))),
        ("table", bundle.about["file_sha256"], prepared.source.sha256),
        ("seed", bundle.about["seed"], config.seed),
        ("split", bundle.about["split"], config.split.model_dump()),
    ):
        if there != here:
            raise ConfigError(
                f"{where} was trained with another {what}. Train a joint model with this config."
            )
    names = _names(prepared, plan)
    for member in bundle.members:
        columns = {bundle.tasks[column]: place for place, column in enumerate(member.columns)}
        network = member.model.network
        if network is not None and member.part in ("", part.label) and set(names) <= set(columns):
            network.heads = network.heads.take([columns[name] for name in names])
            return network.state_dict()
    raise ConfigError(
        f"{where} has no network of all of {_named(prepared, plan)}. Give the run of a joint model."
    )


def examples(prepared: Prepared, name: str, columns: Sequence[int] | None = None) -> Examples:
    """The molecules of a split part that have a label in one of the assays (None = all assays)."""
    table, rows = prepared.table, prepared.split.rows(name)
    columns = range(len(table.tasks)) if columns is None else columns
    if len(columns) < len(table.tasks):
        table = table.select([table.tasks[column] for column in columns])
    rows = rows[has_label(table.labels)[rows]]
    targets = None
    if prepared.targets is not None and table.is_real.any():
        targets = prepared.targets.take(columns)
    labels = labels_for(table.labels, table.censored, targets)
    return Examples(prepared.store, labels, torch.from_numpy(rows))


def describe(config: Config, prepared: Prepared) -> str:
    """A line about what would be trained; everything is built, so that a wrong setting is found."""
    lines = []
    for part in config.model.parts:
        own, view = of_part(config, prepared, part)
        if part.name == NETWORK:
            n_networks = len(plans_of(own, view.table.tasks))
            lines.append(_describe_networks(own, make_trainer(own, view), n_networks))
        else:
            lines.append(_describe_baseline(own, make_baseline(part), view))
    return "; ".join(lines)


def make_baseline(part: BlendPart) -> Baseline:
    """The baseline of that name and with those options, to be fitted.

    Raises
    ------
    ConfigError : there is none of that name, or an option is wrong.
    """
    baseline: Baseline = baselines.build(part.name, **part.options)
    baseline.vectors = part.vectors
    return baseline


def _seeds(config: Config) -> list[int]:
    """Of baselines: as many as networks of the ensemble; in a blend a baseline is fitted once."""
    return _ensemble_seeds(config)[: 1 if config.model.blend else None]


def _fit_baselines(config: Config, prepared: Prepared, on_note: Note, folds: np.ndarray | None) -> Fitted:
    """One baseline for every seed of the ensemble, on all assays."""
    members = []
    rows, is_real = torch.from_numpy(prepared.split.rows("train")), torch.from_numpy(prepared.table.is_real)
    targets, table = prepared.targets, prepared.table
    labels: Any = table.labels if targets is None else targets.standardised(table.labels)
    censored: Any = table.censored
    if not isinstance(labels, SparseCells):
        labels = torch.from_numpy(labels)
        censored = None if censored is None else torch.from_numpy(np.asarray(censored))
    for number, seed in enumerate(_seeds(config)):
        baseline = make_baseline(config.model.parts[0])
        if number == 0:
            for text in (_describe_baseline(config, baseline, prepared), *bounds_taken(baseline, prepared)):
                on_note(text)
        baseline.fit(
            prepared.store,
            labels,
            rows,
            is_real=is_real,
            censored=censored,
            folds=None if folds is None else torch.from_numpy(folds),
            seed=seed,
            workers=config.train.workers,
        )
        for text in baseline.notes if number == 0 else ():
            on_note(text)
        members.append(Member(baseline, tuple(range(len(is_real)))))
    history = pd.DataFrame(columns=["epoch", "assay", "loss", "weight", "valid_concordance"])
    epochs = pd.DataFrame(columns=["epoch", "loss", "valid_macro_concordance", "lr", "is_best"])
    return Fitted(tuple(members), history, epochs, [], None)


def _describe_baseline(config: Config, baseline: Baseline, prepared: Prepared) -> str:
    options = ", ".join(f"{key}={value}" for key, value in baseline.describe()["options"].items())
    n_models = len(_seeds(config))
    times = f"{n_models} x " if n_models > 1 else ""
    return f"baseline {times}{baseline.kind} ({options}) for each of {len(prepared.table.tasks):,} assays"


def _describe_networks(config: Config, trainer: Trainer, n_networks: int) -> str:
    size = sum(value.numel() for value in trainer.model.parameters())
    names = " + ".join(part.name for part in config.balancer)
    times = f"{n_networks} x " if n_networks > 1 else ""
    encoder, place = config.model.encoder.name, _place_of(trainer)
    where = "" if place is None else f", {place.described}"
    return f"model {times}{encoder}, {size:,} weights; balancer {names}{where}; device {trainer.device}"


def _place_of(trainer: Trainer) -> PlaceChoice | None:
    """Where the balancer compares gradients; None where it asks for none."""
    return None if trainer.balancer.needs == "losses" else trainer.place


def _names(prepared: Prepared, plan: NetworkPlan) -> tuple[str, ...]:
    return tuple(prepared.table.tasks[column] for column in plan.columns)


def _named(prepared: Prepared, plan: NetworkPlan) -> str:
    names = _names(prepared, plan)
    if len(names) == len(prepared.table.tasks):
        return f"seed {plan.seed}"
    return listed(names, 3, mark="")


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One below the other; `member` in front where there are several, counted on."""
    if len(frames) == 1:
        return frames[0]
    numbered, before = [], 0
    for frame in frames:
        numbers = frame["member"] if "member" in frame else np.zeros(len(frame), np.int64)
        numbered.append(frame.assign(member=before + numbers))
        before += int(numbers.max()) + 1 if len(frame) else 0
    joined = pd.concat(numbered, ignore_index=True)
    joined.insert(0, "member", joined.pop("member"))
    return joined
