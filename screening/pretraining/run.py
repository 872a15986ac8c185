"""Pre-training: from a config and a library, or tables, to a run that `model.encoder.init` begins with."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ..bundle.bundle import SUMS, Bundle, bundle_folder
from ..bundle.member import Member
from ..config import AnyConfig, Config, given_settings, load_config, to_yaml
from ..data.datasets import cache_folder
from ..errors import ConfigError
from ..features.store import FeatureSet
from ..models.network import ScreeningModel, inputs_of
from ..models.targets import Targets
from ..runtime.files import file_sha256
from ..scoring.library import Library, open_library
from ..training.components import check_components, plugins_in_use
from ..training.preparation import Note
from ..training.run import check_folder, clear_folder, save_bundle, versions
from ..training.run_folder import claimed_run, damaged_checkpoint, write_frame, write_text
from ..training.starting_point import begin_with, learned_skeletons, write_skeletons
from .blocks import Blocks, view
from .distiller import Distiller
from .exclusion import Excluded, excluded
from .sample import Sample, sample_of
from .tables import train_on_tables
from .targets import TEACHER, TargetScales, TargetSet, sets_of

SUFFIX = "-pretrained"
"""Behind the config's name in that of the run."""
SAMPLE = 10_000
"""Molecules that the scales of the targets are taken from."""


@dataclass(frozen=True)
class Pretrained:
    """A finished pre-training."""

    folder: Path
    molecules: int
    """That were learned from, or were held out to see how well."""
    explained: dict[str, float]
    """Of each set of targets of a library: share of its variance explained in the molecules held out."""
    reasons: dict[str, int]
    """Records of the library that could not be used, by reason, most frequent first."""


def pretrain(
    config: AnyConfig,
    library: Sequence[str | Path] = (),
    *,
    smiles: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Any], None] = lambda epoch: None,
) -> Pretrained:
    """Train the network of a config for others to begin with; all is in the run folder NAME-pretrained.

    On a library it learns what is computed of each molecule (`pretrain.targets`) and what another model says
    of it (`pretrain.teacher`); on `pretrain.tables` it learns their labels.

    Parameters
    ----------
    library : files, folders and patterns, as `score_library` takes them; () = `pretrain.tables` are given.
    smiles : column of the structures of the library; None = found by its name.
    resume : go on with a run that was stopped; the result is the same as that of an unbroken one.
    overwrite : replace an earlier run of the same name.

    Raises
    ------
    ConfigError : a setting is wrong, or the run folder is in use.
    DataError : library or tables cannot be used.
    """
    config = load_config(config)
    config = config.model_copy(update={"name": f"{config.name}{SUFFIX}"})
    _check(config, library)
    check_components(config)
    exclusion = excluded(config.pretrain.exclude, config.train.workers)
    if config.pretrain.tables:
        options: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "on_note": on_note}
        run = train_on_tables(config, exclusion, **options, on_epoch=on_epoch)
        return Pretrained(run.folder, len(pd.read_csv(run.folder / "split.csv")), {}, {})
    with claimed_run(config.folder):
        check_folder(config, resume=resume, overwrite=overwrite)
        if overwrite:
            clear_folder(config.folder)
        return _Distillation(config, library, smiles, exclusion, on_note).carried_out(resume, on_epoch)


def _check(config: Config, library: Sequence[str | Path]) -> None:
    settings = config.pretrain
    if bool(library) == bool(settings.tables):
        what = "both" if library else "neither"
        raise ConfigError(
            f"Pre-training goes over a library or over pretrain.tables; {what} was given. One after the "
            "other: the second with model.encoder.init=runs/NAME-pretrained of the first."
        )
    if library and config.recipe and not given_settings(config) & {"model.encoder", "model.encoder.name"}:
        raise ConfigError(
            f"The recipe {config.recipe} chooses by an assay table, and pre-training on a library reads "
            "none: set model.encoder and features, or take a config that has them."
        )
    if not config.model.has_network or config.model.single_task:
        raise ConfigError("Pre-training is for one network: leave model.baseline, blend and single_task out.")
    if settings.tables and settings.teacher is not None:
        raise ConfigError("pretrain.teacher says what it thinks of a library: leave it out, or tables.")
    if library and not settings.targets and settings.teacher is None:
        raise ConfigError("There is nothing to learn: set pretrain.targets, pretrain.teacher, or both.")
    twice = set(settings.targets) & set(config.features.vectors)
    if library and twice:
        raise ConfigError(
            f"The encoder would be asked for what it has: {', '.join(sorted(twice))} in features.vectors "
            "and in pretrain.targets. Leave them out of one."
        )


class _Distillation:
    """One pre-training on a library, in a folder that is ours."""

    def __init__(
        self,
        config: Config,
        library: Sequence[str | Path],
        smiles: str | None,
        exclusion: Excluded,
        on_note: Note,
    ) -> None:
        self.config, self.exclusion, self.on_note = config, exclusion, on_note
        teacher = config.pretrain.teacher
        self.teacher = None if teacher is None else Bundle.load(teacher)
        section = config.features
        self.inputs = self._features(section.graph, section.vectors)
        self.features = self._all_features()
        self.files = open_library(library, smiles=smiles)
        if self.files.is_stream:
            raise ConfigError("Pre-training reads a library many times: give files, not standard input.")
        self.origin = self._origin(self.files)

    def carried_out(self, resume: bool, on_epoch: Callable[[Any], None]) -> Pretrained:
        """The whole of it."""
        checkpoint = self.config.folder / "checkpoint.pt"
        if resume and checkpoint.exists():
            _check_origin(checkpoint, self.origin)
        write_text(self.config.folder / "config.yaml", to_yaml(self.config))
        sample = sample_of(self.files, self.config.pretrain.molecules, self.config.seed)
        self.on_note(
            f"{sample.records:,} records, {len(sample.texts):,} molecules; repeated {sample.repeated:,}, "
            f"left out {sample.left_out:,}, not usable {sample.reasons.total():,}"
        )
        blocks = Blocks(sample.texts, self.features, cache_folder(), self.config.train.workers)
        n_excluded = blocks.leave_out(self.exclusion.keys) if self.exclusion.keys else 0
        self.on_note(f"{blocks.reasons.total():,} molecules without features, {n_excluded:,} excluded")
        distiller = self._distiller(blocks)
        distiller.fit(checkpoint, self.origin, on_epoch, resume=resume)
        return self._written(distiller, blocks, sample, n_excluded)

    def _features(self, graph: str | None, vectors: Sequence[str]) -> FeatureSet:
        data = self.config.data
        return FeatureSet(graph, tuple(dict.fromkeys(vectors)), data.standardize, data.max_atoms)

    def _all_features(self) -> FeatureSet:
        """What encoder, targets and teacher need, computed once."""
        section, settings = self.config.features, self.config.pretrain
        graph, vectors = section.graph, [*section.vectors, *settings.targets]
        if self.teacher is not None:
            theirs = self.teacher.features
            for what, there, here in (
                ("features.graph", theirs.graph, graph or theirs.graph),
                ("data.standardize", theirs.standardize, self.config.data.standardize),
            ):
                if there not in (None, here):
                    raise ConfigError(
                        f"pretrain.teacher: {what} is {there} there and {here} here: set it here."
                    )
            graph, vectors = graph or theirs.graph, [*vectors, *theirs.vectors]
        return self._features(graph, vectors)

    def _origin(self, library: Library) -> dict[str, Any]:
        """What the result rests on, beside the settings in config.yaml; plain values."""
        teacher, settings = self.config.pretrain.teacher, self.config.pretrain.model_dump(mode="json")
        init = self.config.model.encoder.init
        sums = library.sums()
        return {
            "pretrain": {key: value for key, value in settings.items() if key != "teacher"},
            "library": {
                name: sums[number] for number, name in zip(library.numbers, library.names, strict=True)
            },
            "exclude": self.exclusion.sums,
            "teacher": None if teacher is None else file_sha256(bundle_folder(teacher) / SUMS),
            "init": None if init is None else file_sha256(bundle_folder(init) / SUMS),
            "features": self.features.key(),
        }

    def _distiller(self, blocks: Blocks) -> Distiller:
        answers = self._answers(blocks)
        first = blocks.used[0].nonzero().squeeze(1)[:SAMPLE]
        if not len(first):
            raise ConfigError("No molecule of the first block of the library can be used: see the notes.")
        scales = TargetScales(self._sets(), answers(0, first), self.config.pretrain.clip)
        torch.manual_seed(self.config.seed)
        store = view(blocks.stores[0], self.inputs)
        model = ScreeningModel(self.config.model, inputs_of(store), len(scales.mean))
        model.encoder.fit(store, first)
        begin_with(model.encoder, self.config, self.inputs, 0)
        return Distiller(self.config, model, self.inputs, blocks, scales, answers)

    def _sets(self) -> list[TargetSet]:
        """What is learned: of featurizers, then of the teacher."""
        sets = sets_of(self.config.pretrain.targets)
        if self.teacher is None:
            return sets
        return [*sets, TargetSet(TEACHER, "real", self.teacher.tasks, self.config.pretrain.teacher_weight)]

    def _answers(self, blocks: Blocks) -> Callable[[int, Tensor], Tensor]:
        """The values [n, F] of all targets of some rows of a block."""
        scores = [] if self.teacher is None else [self._scores(blocks, n) for n in range(len(blocks))]
        names, stores = self.config.pretrain.targets, []
        if names:
            computed = self._features(self.inputs.graph, names)
            stores = [view(store, computed) for store in blocks.stores]

        def answers(number: int, rows: Tensor) -> Tensor:
            parts = [stores[number].batch(rows).vectors] if stores else []
            return torch.cat([*parts, *(each[rows] for each in scores[number : number + 1])], dim=1)

        return answers

    def _scores(self, blocks: Blocks, number: int) -> Tensor:
        """Logits, and values of real assays, of the teacher [n, T]; NaN for molecules without features."""
        teacher = self.teacher
        assert teacher is not None

        def work_out() -> Tensor:
            rows = torch.from_numpy(blocks.stores[number].usable).nonzero().squeeze(1)
            said = teacher.predict(view(blocks.stores[number], teacher.features), rows).raw
            values = torch.full((len(blocks.stores[number]), len(teacher.tasks)), torch.nan)
            is_real = torch.tensor([assay.is_real for assay in teacher.assays])
            outputs = torch.from_numpy(said)
            values[rows] = torch.where(is_real, outputs, outputs.double().logit(eps=1e-9).float())
            return values

        return blocks.kept("teacher", number, self.origin["teacher"], work_out)

    def _written(self, distiller: Distiller, blocks: Blocks, sample: Sample, n_excluded: int) -> Pretrained:
        """Write the results; the manifest last, so that a folder with one is complete."""
        folder, scales = self.config.folder, distiller.targets
        reasons = dict((sample.reasons + blocks.reasons).most_common())
        about = self._about(distiller, blocks, sample, n_excluded, reasons)
        assays = scales.assays()
        bundle = Bundle(
            (Member(distiller.model.cpu().eval(), tuple(range(len(assays)))),),
            self.config.model.by_itself,
            inputs_of(view(blocks.stores[0], self.inputs)),
            self.inputs,
            tuple(assay.name for assay in assays),
            about,
            plugins=plugins_in_use(self.config),
            kinds=assays,
            targets=Targets(
                torch.ones(len(assays), dtype=torch.bool).numpy(),
                scales.mean.double().numpy(),
                scales.deviation.double().numpy(),
            ),
        )
        write_frame(folder / "pretraining.csv", distiller.table())
        frame = pd.DataFrame({"reason": list(reasons), "molecules": list(reasons.values())})
        write_frame(folder / "reasons.csv", frame)
        write_skeletons(folder, self._learned())
        save_bundle(bundle, folder / "bundle")
        write_text(folder / "manifest.json", json.dumps({**about, "finished": True}, indent=1) + "\n")
        explained = distiller.reports[-1].explained
        return Pretrained(folder, blocks.n_used, explained, reasons)

    def _learned(self) -> frozenset[str]:
        """Skeletons of structures whose labels are in the weights: those of the teacher, and of the start."""
        keys = frozenset[str]()
        for run in (self.config.pretrain.teacher, self.config.model.encoder.init):
            if run is None:
                continue
            learned = learned_skeletons(run, workers=self.config.train.workers)
            if learned is None:
                self.on_note(f"{run} does not say whose labels it has learned from: leaks will not be found")
            keys |= learned or frozenset()
        return keys

    def _about(
        self,
        distiller: Distiller,
        blocks: Blocks,
        sample: Sample,
        n_excluded: int,
        reasons: dict[str, int],
    ) -> dict[str, Any]:
        counts = {"records": sample.records, "repeated": sample.repeated, "left_out": sample.left_out}
        counts |= {"rejected": sum(reasons.values()), "excluded": n_excluded, "used": blocks.n_used}
        teacher = self.teacher
        return {
            "name": self.config.name,
            "seed": self.config.seed,
            "source": ", ".join(self.files.names),
            "pretraining": {
                **self.origin,
                "molecules": counts,
                "reasons": reasons,
                "exclude": self.exclusion.tables,
                "teacher_name": None if teacher is None else teacher.about.get("name"),
                "explained": distiller.reports[-1].explained,
            },
            "features_key": self.inputs.key(),
            "versions": versions(),
        }


def _check_origin(path: Path, origin: dict[str, Any]) -> None:
    """Raise ConfigError unless the checkpoint is of the same library, targets, teacher and start."""
    try:
        before = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["origin"]
    except Exception as problem:
        raise ConfigError(damaged_checkpoint(path, problem)) from problem
    changed = [key for key in origin if before.get(key) != origin[key]]
    if changed:
        raise ConfigError(
            f"{path} was made with something else than is given now. Different: {', '.join(changed)}. Put "
            "back what it started with, start anew with `overwrite`, or choose another name=..."
        )
