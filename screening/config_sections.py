"""What can be set for an experiment: the sections of a config, their defaults and the checks on them.

A component's own options (depth of an encoder, beta of a balancer) are not declared here: they are
the keyword-only arguments of its constructor and are checked by its registry. Files are read in `config`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_serializer,
    model_validator,
)

from .config_assays import AssaySettings as AssaySettings
from .config_assays import LongColumns as LongColumns
from .config_model import NETWORK as NETWORK
from .config_model import Heads as Heads
from .config_model import Model as Model
from .config_parts import AChain, AComponent, Positive, Share, by_name
from .config_parts import Component as Component
from .config_parts import EncoderChoice as EncoderChoice
from .config_parts import Section as Section
from .config_studies import Benchmark, LearningCurve, Tune
from .plain_yaml import option
from .registry import did_you_mean
from .sizes import LARGEST, MOST_ATOMS


def _as_files(value: Any) -> Any:
    """One name as it is; of a list the names, and of a list of one that one."""
    if not isinstance(value, list | tuple):
        if not isinstance(value, str):
            raise ValueError("expected the name of a file or table, or a list of them")
        return value
    return str(value[0]) if len(value) == 1 else tuple(map(str, value))


Files = Annotated[str | tuple[str, ...], BeforeValidator(_as_files), Field(min_length=1)]


class Table(Section):
    """How a table is read."""

    source: Files
    """Name in the catalogue (`screening data list`) or path of a CSV, TSV, Parquet or SDF file; of several
    files a list, [a.csv, b.sdf]: they are read one by one and joined by structure."""
    smiles: str | None = None
    """Column of the structures; found by its name if not given."""
    id: str | None = None
    """Column of the identifiers; found by its name if not given."""
    tasks: tuple[str, ...] | None = None
    """Columns that are assays; all columns of 0, 1 and empty if not given."""
    labels: dict[str, Literal[0, 1] | None] = {}
    """What other texts mean, such as {active: 1, inactive: 0, NA: null}; null = not measured."""
    assays: dict[str, AssaySettings] = {}
    """What columns with other values than 0 and 1 are, by name or pattern: {"pIC50_*": {kind: real}}."""
    format: Literal["auto", "wide", "long"] = "auto"
    """`wide` = a row per structure, repeated measurements aside; `long` = a row per structure and assay;
    `auto` = found from names and content, and asked about where they do not tell."""
    long: LongColumns = LongColumns()
    """What the columns of a long table hold: {assay: target, value: pIC50}."""


def _as_tables(value: Any) -> Any:
    """A name, or the settings of a table, or a list of these."""
    many = value if isinstance(value, list | tuple) else [value] if value else []
    is_whole = (Mapping, Table)
    sources = [one if isinstance(one, (*is_whole, list, tuple)) else str(one) for one in many]
    return [one if isinstance(one, is_whole) else {"source": one} for one in sources]


class Data(Table):
    """Where the assay table is and how to read it."""

    standardize: Literal["none", "cleanup", "fragment", "neutral"] = "none"
    """Preparation of structures, in training and in scoring alike."""
    max_atoms: Annotated[int, Field(ge=1, le=LARGEST)] = MOST_ATOMS
    """Atoms besides hydrogen that a molecule may have, in training and, unless another limit is given, in
    scoring; one with more is rejected."""
    duplicates: Literal["error", "keep", "merge"] = "merge"
    """Rows with the same structure; merging leaves contradicting labels empty."""
    keep_apart: str | None = None
    """Column whose different texts keep rows of one structure apart, such as the parts of a split that is of
    measurements; null = all rows of a structure are one molecule."""
    auxiliary: Annotated[tuple[Table, ...], BeforeValidator(_as_tables)] = ()
    """Other tables whose assays a network learns beside those of `source`, such as [toxcast]: names, or
    mappings of source, tasks and so on. Compounds of the validation and test parts are taken out of them."""
    auxiliary_weight: Annotated[float, Field(gt=0)] | None = None
    """Weight of an assay of `source` in training where one of an auxiliary table has 1; null = those of
    `source` together weigh as much as all auxiliary ones, and each at least as much as one of them."""
    keep_auxiliary: bool = False
    """Keep the assays of auxiliary tables in bundle and results; else the network's heads for them are
    dropped after training."""


class Features(Section):
    """What the encoder sees of a molecule."""

    graph: str | None = "atom_codes"
    """Featurizer of atoms and bonds; null for none."""
    vectors: tuple[str, ...] = ()
    """Featurizers that give one vector per molecule, such as ecfp_counts."""


class Loss(Section):
    """What the assays are trained on: cross-entropy, or another loss by its name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "cross_entropy"
    """One of `screening list losses`; its options stand beside it, such as {name: focal, gamma: 2}."""
    positive_weight: Literal["none", "balanced"] = "none"
    """Of cross_entropy and focal: `balanced` weighs actives by inactives / actives in training."""
    cap: Annotated[float, Field(ge=1)] = 20.0
    """Largest weight of an active."""

    @model_validator(mode="before")
    @classmethod
    def _as_component(cls, value: Any) -> Any:
        value = by_name(value)
        if not isinstance(value, Mapping):
            return value
        return {key: item if key in cls.model_fields else option(item) for key, item in value.items()}

    @model_validator(mode="after")
    def _has_no_options_of_others(self) -> "Loss":
        if self.name == "cross_entropy" and self.model_extra:
            key = next(iter(self.model_extra))
            hint = did_you_mean(key, type(self).model_fields)
            raise ValueError(
                f"cross_entropy has no option '{key}'. {hint} Another loss goes by its name, such as "
                "loss.name=focal"
            )
        return self

    @property
    def options(self) -> dict[str, Any]:
        """For `Registry.build`: all of cross-entropy's own, of another loss those that are given."""
        own = ("positive_weight", "cap")
        given = own if self.name == "cross_entropy" else [key for key in own if key in self.model_fields_set]
        return {key: getattr(self, key) for key in given} | (self.model_extra or {})

    @property
    def is_plain(self) -> bool:
        """Whether it can be compared with the entropy of the base rate."""
        return self.name == "cross_entropy" and self.positive_weight == "none"

    @model_serializer
    def _as_it_was_written(self) -> dict[str, Any]:
        """Cross-entropy without its name, as when it was the only one."""
        return self.options if self.name == "cross_entropy" else {"name": self.name, **self.options}


class Gradients(Section):
    """Where gradient-based balancers compare the tasks."""

    at: str = "auto"
    """`auto` = at the features where the assays of a batch have common molecules, else at the last layer;
    `features` = at the shared representation, nearly free; `last_norm` = at gain and bias of the last shared
    normalisation, nearly free; `last_layer` = at the weights of the last shared linear layer, cheap where
    labels are few; `encoder` = at all of its parameters, one backward pass per assay; `sketch` = at all of
    its parameters, estimated."""
    chunk: Positive | None = None
    """Assays differentiated at once at `last_layer` and `encoder`; null = chosen from their size."""
    memory: Annotated[float, Field(gt=0)] = 5.0
    """GiB that the gradients of all assays may take there."""
    sketch: Positive = 32
    """Random directions K of `sketch`; a squared norm then has a relative standard deviation of sqrt(2/K)."""


class Grouping(Section):
    """Task grouping (TAG): how assays affect each other, collected while training; and training in groups."""

    affinity: Literal["none", "linear", "exact"] = "none"
    """`exact` = a step on every assay alone and a look at all losses, for a handful of assays; `linear` = its
    limit of small steps from inner products of gradients, cheap for hundreds."""
    every: Positive | None = None
    """Collect at every n-th step; null = at every one for `linear`, at every tenth for `exact`."""
    skip: Share = 0.2
    """Share of all steps, the first ones, that are left out: the network does not know the assays yet."""
    at: str = "auto"
    """Where `linear` takes its gradients, as in `gradients.at`; `auto` = `last_norm`, or `last_layer` of an
    encoder without one; with `batch: train`, `features`."""
    batch: Literal["other", "train", "valid"] = "other"
    """What a step on a batch is judged by: `other` training molecules; `train` = those of the batch, whose
    noise it shares; with `exact`, `valid` = those of the validation part."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Size of the step; null = the learning rate of the moment."""
    file: str | None = None
    """groups.yaml: train a network for every group in it."""
    start: Literal["scratch", "joint"] = "scratch"
    """Weights that the networks of groups begin with: random ones, or those of a joint model."""
    joint: str | None = None
    """Run folder of that joint model."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Grouping":
        if self.affinity == "linear" and self.batch == "valid":
            raise ValueError("batch: valid needs affinity: exact; linear knows training batches only")
        if self.start == "joint" and (self.file is None or self.joint is None):
            raise ValueError("start: joint needs file: groups.yaml, and the run folder of the model as joint")
        if self.start == "scratch" and self.joint is not None:
            raise ValueError("joint is given, and start is scratch: set start: joint, or leave joint out")
        return self


class Train(Section):
    """The training loop."""

    epochs: Positive = 30
    """At most so many passes over the training part; see `patience`."""
    ensemble: Positive = 1
    """Networks that differ in their seed alone; scores are their mean."""
    batch_size: Positive = 128
    """Molecules per step, over all processes."""
    sampler: Literal["random", "actives"] = "random"
    """`random` = every molecule once in an epoch; `actives` = beside that, part of each batch are actives, of
    all assays of two classes in turn, so that the few of a rare assay are seen again and again."""
    active_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of a batch that the sampler `actives` draws."""
    snapshots: Positive = 1
    """Snapshots of a network, evenly spaced until the last epoch, whose mean scores; 1 = the best epoch."""
    snapshots_used: Positive | None = None
    """Snapshots that score an assay, its best by validation ROC-AUC, where not all do (null)."""
    cycles: Positive = 1
    """Times that the learning rate rises and falls again; a snapshot ensemble has as many as `snapshots`."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate, reached after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Of AdamW, on weight matrices alone."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of all steps in which the learning rate rises; it then falls as a cosine."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; null = no clipping."""
    heads_first: Share = 0.0
    """Share of all steps in which the heads learn alone and the encoder stands still; for one that begins
    with trained weights (`model.encoder.init`)."""
    encoder_rate: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Learning rate of the encoder as a multiple of `lr`; for one that begins with trained weights."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of a running mean of the weights that is evaluated and saved; 0 = none."""
    patience: Positive | None = 10
    """Stop after so many epochs without a better macro mean validation ROC-AUC; null = never."""
    device: str = "auto"
    """`auto` = CUDA where there is one, else the CPU."""
    bf16: bool | Literal["auto"] = "auto"
    """bfloat16 autocast; `auto` = on CUDA only."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that featurise; null = chosen from the machine."""


class Pretrain(Section):
    """What `screening pretrain` learns: of a library what is computed, or of tables their labels."""

    targets: tuple[str, ...] = ("rdkit_descriptors", "ecfp_counts")
    """Featurizers of vectors whose numbers are learned of the molecules of a library."""
    teacher: str | None = None
    """Run folder or bundle whose logits, and values of real assays, are learned beside them."""
    teacher_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the teacher's set in the loss; each featurizer of `targets` has 1."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Share of the targets of a molecule, drawn in each step, that count; of a teacher's all do."""
    clip: Annotated[float, Field(gt=0)] = 6.0
    """Standard deviations from the mean that a target may be off; what is further off counts as so far."""
    molecules: Positive = 1_000_000
    """At most so many, drawn at random from the library."""
    epochs: Positive = 5
    """Passes over the library; with tables `train.epochs` counts."""
    batch_size: Positive = 256
    """Molecules of the library per step."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate on the library; warm-up, clip and weight decay are those of `train`."""
    tables: Annotated[tuple[Table, ...], BeforeValidator(_as_tables)] = ()
    """In place of a library: tables whose assays are learned by one network, by name or path, or each as
    {source: ..., smiles: ..., tasks: ...} with settings that `data` knows."""
    exclude: tuple[str, ...] = ()
    """Tables, by name or path, to be tested on: all their structures are left out, by skeleton (first block
    of the parent's InChIKey)."""


class Domain(Section):
    """What the bundle keeps of the training molecules, to say how far others are from them."""

    fit: bool = True
    """Keep their fingerprints, and where they lie in the representation of the network."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 5.0
    """Share in % of the validation molecules that count as outside: by similarity, and again by distance."""
    structures: bool = True
    """Keep names, structures and actives too, to show the nearest active; false if nobody may see them."""


class Config(Section):
    """One experiment; `seed` decides split, initial weights, order and dropout."""

    name: str
    """Name of the run and its folder."""
    data: Data
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Decides split, initial weights, order and dropout."""
    runs: str = "runs"
    """Folder in which the run folder `<runs>/<name>` is made."""
    plugins: tuple[str, ...] = ()
    """Modules, or paths of .py files, that register further balancers, encoders and so on; imported before a
    name is looked up."""
    recipe: Literal["best", "fast"] | None = None
    """Chooses model, features and training, as far as they are not set here, from the table: `best` = a
    blend of networks, trees and Gaussian process, `fast` = one network; see the run's config.yaml."""
    split: AComponent = Component(name="scaffold")
    """Which molecules train, validate and test: `screening list splits`."""
    features: Features = Features()
    model: Model = Model()
    loss: Loss = Loss()
    real_loss: AComponent = Component(name="censored_gaussian")
    """What real-valued assays are trained on: one of `screening list losses` that is for real values."""
    balancer: AChain = (Component(name="equal"),)
    """How the losses of the assays are weighed against each other; several in a row are a chain: `screening
    list balancers`."""
    gradients: Gradients = Gradients()
    grouping: Grouping = Grouping()
    train: Train = Train()
    calibration: AComponent = Component(name="platt")
    """From scores to probabilities, fitted on the validation part: platt, temperature, isotonic or none."""
    domain: Domain = Domain()
    pretrain: Pretrain = Pretrain()
    benchmark: Benchmark | None = None
    tune: Tune | None = None
    learning_curve: LearningCurve | None = None

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError("a run's name has letters, digits, '.', '_' and '-' only")
        return name

    @model_validator(mode="after")
    def _has_networks_to_group(self) -> "Config":
        asked = [
            f"grouping.{key}"
            for key in ("affinity", "file")
            if getattr(self.grouping, key) not in (None, "none")
        ]
        alone = [key for key in ("baseline", "single_task") if getattr(self.model, key)]
        alone += ["blend"] * (not self.model.has_network and not alone)
        if asked and alone:
            raise ValueError(f"{asked[0]} needs networks that assays share: leave model.{alone[0]} out")
        return self

    @model_validator(mode="after")
    def _has_what_a_blend_needs(self) -> "Config":
        if self.model.is_weighed and self.data.auxiliary and self.data.keep_auxiliary:
            raise ValueError(
                "data.keep_auxiliary is set, and model.blending.weights is fitted: these are of the main "
                "assays. Leave one of them out"
            )
        for part in self.model.blend:
            for name in part.vectors or ():
                if name not in self.features.vectors:
                    raise ValueError(
                        f"'{part.label}' of model.blend sees the vectors {name}, which are not among "
                        f"features.vectors ({', '.join(self.features.vectors) or 'none'}): add them there"
                    )
        return self

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.runs) / self.name
