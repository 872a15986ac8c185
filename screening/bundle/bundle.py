"""A trained model on disk: a folder of JSON and safetensors with checksums; no code, no pickle.

`bundle.json` says what the model is, `member-0.safetensors` and so on hold the numbers of its members,
`calibration`, `conformal`, `intervals`, `domain` and `representation.safetensors` say how far to trust it,
`SHA256SUMS` has the sums of all. Loading checks format, sums, featurizer versions and shapes before anything
is used. An ensemble, a network per group of assays and a network per assay are bundles of several members.
"""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import numpy as arrays
from safetensors.torch import save_file
from torch import Tensor

from ..config_sections import Model
from ..data.assay_kinds import Assay, are_real
from ..errors import BundleError, ConfigError, listed
from ..features.store import FeatureSet, GraphStore, VectorBlock
from ..models.blends import Blend
from ..models.encoders import Inputs
from ..models.network import ScreeningModel
from ..models.targets import Targets
from ..runtime.files import atomic_folder, file_sha256
from ..sizes import MOST_ATOMS
from ..uncertainty.calibration import Calibration
from ..uncertainty.conformal import ConformalSets
from ..uncertainty.intervals import Intervals
from ..uncertainty.latent_domain import Representation
from ..uncertainty.structure_domain import Domain
from .files import SUMS, check_sums
from .member import DESCRIPTION, Member, restored_member
from .needed_plugins import Needed, changes, require
from .prediction import Prediction, Votes, joined
from .reference import Reference

FORMAT = 2
CELLS = 2**23
"""Molecules times assays that are predicted at a time: their sums take 256 MiB."""
UNREADABLE = (
    ConfigError,
    SafetensorError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    OSError,
)
"""What comes of a description or of arrays that are not as `Bundle.save` writes them."""
OPTIONAL: dict[str, Any] = {
    "calibration": Calibration,
    "conformal": ConformalSets,
    "intervals": Intervals,
    "domain": Domain,
    "representation": Representation,
    "reference": Reference,
    "targets": Targets,
    "blend": Blend,
}
"""Optional parts, each in a file of its name."""


@dataclass(frozen=True)
class Bundle:
    """All that scoring needs."""

    members: tuple[Member, ...]
    """In evaluation mode; every assay is served by at least one."""
    settings: Model
    """The `model` section of the config it was built from."""
    inputs: Inputs
    """Sizes of the first layers."""
    features: FeatureSet
    """The featurisation, the same as in training."""
    tasks: tuple[str, ...]
    """Assay of each output, T names."""
    about: dict[str, Any]
    """Where it comes from: versions, data, seed; for people, not for programs."""
    calibration: Calibration | None = None
    """From the members' mean to a probability; None: they are the same."""
    conformal: ConformalSets | None = None
    """Sets of labels with a guaranteed error; None: there were no validation molecules, or none wanted."""
    domain: Domain | None = None
    """The training molecules, to say how far a molecule is from them; None likewise."""
    representation: Representation | None = None
    """Where they lie in the networks' representations; None likewise, and with baselines or many networks."""
    reference: Reference | None = None
    """The mean training molecule, which explanations are told against; None without a network."""
    plugins: tuple[Needed, ...] = ()
    """What it uses of plug-ins."""
    kinds: tuple[Assay, ...] = ()
    """Kind, unit and scale of each assay; () = all are of two classes."""
    targets: Targets | None = None
    """From outputs to values, where an assay is real; None: there is none."""
    intervals: Intervals | None = None
    """Of real assays, with a guaranteed error; None: none is real, or there were no validation molecules."""
    blend: Blend | None = None
    """Weights of the models of a blend, by the order of `settings.blend`; None: they are equal."""

    @property
    def assays(self) -> tuple[Assay, ...]:
        """Kind, unit and scale of the T assays."""
        return self.kinds or tuple(map(Assay, self.tasks))

    def part_of(self, member: Member) -> int:
        """The number of the model of `settings.blend` that a member belongs to; 0 without a blend."""
        labels = [part.label for part in self.settings.blend]
        return labels.index(member.part) if member.part else 0

    @property
    def alike_networks(self) -> dict[int, ScreeningModel]:
        """Those of `networks` that a `representation` is about: as wide as the first of them."""
        width = next((network.encoder.width for network in self.networks.values()), 0)
        return {number: each for number, each in self.networks.items() if each.encoder.width == width}

    @property
    def networks(self) -> dict[int, ScreeningModel]:
        """The members that are networks, by their number."""
        networks = {number: member.model.network for number, member in enumerate(self.members)}
        return {number: network for number, network in networks.items() if network is not None}

    def to(self, device: str | torch.device) -> Self:
        """Itself, with all members moved to a device."""
        for member in self.members:
            member.model.to(device)
        return self

    def predict(
        self, store: GraphStore, rows: Tensor, *, batch_size: int = 512, distance: bool = False
    ) -> Prediction:
        """Probabilities, or values, of the molecules `rows` of a store, for all T assays.

        With `distance` also their distances from the training part, where there is a `representation`: out
        of the same pass through the networks.
        """
        most = max(CELLS // max(len(self.tasks), 1) // batch_size, 1) * batch_size
        if len(rows) <= most:
            return self._predict(store, rows, batch_size, distance)
        blocks = (self._predict(store, part, batch_size, distance) for part in rows.split(most))
        return joined(blocks, len(rows))

    def _predict(self, store: GraphStore, rows: Tensor, batch_size: int, distance: bool) -> Prediction:
        """`predict` of so many molecules as the sums over members fit for."""
        count = np.bincount([column for member in self.members for column in member.columns])
        votes = Votes(len(rows), count, self.calibration, self.targets, self.blend)
        measured = self.representation if distance else None
        off: list[Tensor] = []
        for number, member in enumerate(self.members):
            model, network = member.model, member.model.network
            has_sd = self.targets is not None and model.gives_sd
            if measured is not None and network is not None and number in measured.gaussians:
                watcher = measured.watcher(number, off)
                outputs, sd = network.predict_with_sd(store, rows, batch_size=batch_size, on_features=watcher)
            elif has_sd:
                outputs, sd = model.predict_with_sd(store, rows, batch_size=batch_size)
            else:
                outputs, sd = model.predict(store, rows, batch_size=batch_size), None
            part = self.part_of(member)
            votes.add(list(member.columns), member.weight, outputs, sd if has_sd else None, part)
        return votes.prediction(None if measured is None else measured.distance(off))

    def save(self, folder: Path) -> None:
        """Write the bundle; an older one in the same place is replaced as a whole."""
        with atomic_folder(folder) as work:
            for number, member in enumerate(self.members):
                numbers = {
                    name: value.cpu().contiguous() for name, value in member.model.state_dict().items()
                }
                save_file(numbers, work / _member_file(number))
            for name, part in self._parts().items():
                whole = {key: np.ascontiguousarray(value) for key, value in part.state().items()}
                arrays.save_file(whole, work / _part_file(name))  # it writes other strides as they lie
            (work / DESCRIPTION).write_text(json.dumps(self._description(), indent=1, sort_keys=True) + "\n")
            for path in work.iterdir():
                path.chmod(0o644)  # safetensors writes files that nobody else may read
            names = sorted(path.name for path in work.iterdir())
            (work / SUMS).write_text("".join(f"{file_sha256(work / name)}  {name}\n" for name in names))
            work.chmod(0o755)

    def _parts(self) -> dict[str, Any]:
        """The optional parts that are there, by name."""
        parts = {name: getattr(self, name) for name in OPTIONAL}
        return {name: part for name, part in parts.items() if part is not None}

    def _description(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tasks": list(self.tasks),
            "members": [
                {
                    "kind": member.model.kind,
                    "columns": list(member.columns),
                    **({"weight": member.weight} if member.weight != 1 else {}),
                    **({"part": member.part} if member.part else {}),
                    **member.model.describe(),
                }
                for member in self.members
            ],
            "parts": sorted(self._parts()),
            "model": self.settings.model_dump(mode="json"),
            "features": {
                "graph": self.features.graph,
                "vectors": list(self.features.vectors),
                "standardize": self.features.standardize,
                "max_atoms": self.features.max_atoms,
                "key": self.features.key(),
            },
            "inputs": {
                "atom_sizes": list(self.inputs.atom_sizes),
                "bond_sizes": list(self.inputs.bond_sizes),
                "vectors": [
                    {"name": block.name, "kind": block.kind, "columns": list(block.columns)}
                    for block in self.inputs.vectors
                ],
            },
            "about": self.about,
            **({"assays": [assay.as_dict() for assay in self.kinds]} if self.kinds else {}),
            **({"plugins": [plugin.as_dict() for plugin in self.plugins]} if self.plugins else {}),
        }

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Bundle":
        """Read a bundle, or the bundle inside a run folder.

        Raises
        ------
        BundleError : no bundle there, a file missing, changed or of a newer format, weights that
            do not fit, or a featurizer this version does not have.
        """
        folder = bundle_folder(folder)
        summed = check_sums(folder)
        try:
            description = json.loads((folder / DESCRIPTION).read_text())
            if description["format"] != FORMAT:
                raise BundleError(
                    f"{folder} has bundle format {description['format']}, this version reads {FORMAT}. "
                    "Use the version of screening that wrote it (bundle.json, 'about')."
                )
            files = {DESCRIPTION, *map(_member_file, range(len(description["members"])))}
            files |= {_part_file(name) for name in description["parts"]}
            if summed != files:
                raise BundleError(
                    f"{folder / SUMS} lists {_listed(summed)}; expected {_listed(files)}. "
                    "Copy the bundle again, with all its files."
                )
            return cls._restore(folder, description)
        except UNREADABLE as problem:
            said = " ".join(str(problem).split())[:300] or type(problem).__name__
            raise BundleError(f"{folder} is not a complete bundle: {said}. Train again.") from problem

    @classmethod
    def _restore(cls, folder: Path, description: dict[str, Any]) -> "Bundle":
        plugins = tuple(map(Needed.from_dict, description.get("plugins", [])))
        require(plugins, folder)
        features = FeatureSet(
            graph=description["features"]["graph"],
            vectors=tuple(description["features"]["vectors"]),
            standardize=description["features"]["standardize"],
            max_atoms=description["features"].get("max_atoms", MOST_ATOMS),
        )
        inputs = Inputs(
            tuple(description["inputs"]["atom_sizes"]),
            tuple(description["inputs"]["bond_sizes"]),
            tuple(
                VectorBlock(block["name"], block["kind"], tuple(block["columns"]))
                for block in description["inputs"]["vectors"]
            ),
        )
        settings = Model.model_validate(description["model"])
        tasks, about = _checked_tasks(description["tasks"]), description["about"]
        if not isinstance(about, dict):
            raise BundleError(f"{folder / DESCRIPTION}: 'about' is no record of names and values.")
        members = tuple(
            restored_member(member, settings, inputs, len(tasks), folder / _member_file(number))
            for number, member in enumerate(description["members"])
        )
        served = {column for member in members for column in member.columns}
        if served != set(range(len(tasks))):
            raise BundleError(f"{folder}: some of the {len(tasks)} assays have no network. Train again.")
        parts = {name: _restored_part(name, folder, len(tasks)) for name in description["parts"]}
        kinds = _restored_kinds(description.get("assays", []), tasks, parts.get("targets"))
        bundle = cls(members, settings, inputs, features, tasks, about, **parts, plugins=plugins, kinds=kinds)
        bundle._check_representation(folder)
        bundle._check_intervals(folder)
        bundle._check_blend(folder)
        return bundle

    def _check_representation(self, folder: Path) -> None:
        widths = {number: network.encoder.width for number, network in self.alike_networks.items()}
        if self.representation is not None and self.representation.widths != widths:
            raise BundleError(
                f"{folder / _part_file('representation')} is about members and widths "
                f"{self.representation.widths}, the bundle has the networks {widths}. Train again."
            )

    def _check_intervals(self, folder: Path) -> None:
        is_real = are_real(self.assays)
        if self.intervals is not None and not np.array_equal(self.intervals.is_real, is_real):
            raise BundleError(
                f"{folder / _part_file('intervals')} is about other real assays than the bundle. Train again."
            )

    def _check_blend(self, folder: Path) -> None:
        if self.blend is None:
            return
        is_ours = np.array_equal(self.blend.is_real, are_real(self.assays))
        if not is_ours or len(self.blend.weight) != len(self.settings.blend):
            raise BundleError(
                f"{folder / _part_file('blend')} is of other models or assays than the bundle. Train again."
            )

    def plugin_warnings(self) -> list[str]:
        """What differs between the plug-ins of training and those of this machine."""
        return changes(self.plugins)

    def featurizer_warning(self) -> str:
        """What differs between the featurisation of training and of this machine; "" if nothing."""
        trained = self.about.get("features_key", "")
        here = self.features.key()
        if trained in ("", here):
            return ""
        return f"The model was trained with the features {trained}; here they are {here}: scores may differ."


def bundle_folder(path: str | PathLike[str]) -> Path:
    """The folder itself, or the bundle inside a run folder; BundleError where neither is one."""
    path = Path(path)
    for folder in (path, path / "bundle"):
        if (folder / DESCRIPTION).is_file():
            return folder
    raise BundleError(
        f"There is no trained model in {path}: expected {path / 'bundle' / DESCRIPTION}. "
        "Train one first: screening train CONFIG."
    )


def _member_file(number: int) -> str:
    return f"member-{number}.safetensors"


def _part_file(name: str) -> str:
    return f"{name}.safetensors"


def _restored_part(name: str, folder: Path, n_tasks: int) -> Any:
    path = folder / _part_file(name)
    if name not in OPTIONAL:
        raise BundleError(f"{path}: unknown part '{name}' of a bundle; newer than this version?")
    part = OPTIONAL[name].restore(arrays.load_file(path))
    if part.n_tasks not in (n_tasks, None):
        raise BundleError(f"{path} is about {part.n_tasks} assays, the bundle has {n_tasks}. Train again.")
    return part


def _checked_tasks(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("'tasks' is no list of names of assays")
    if len(set(names)) != len(names):
        raise ValueError("an assay is there twice in 'tasks'")
    return tuple(names)


def _restored_kinds(
    records: list[dict[str, Any]], tasks: tuple[str, ...], targets: Targets | None
) -> tuple[Assay, ...]:
    """Kind and unit of each assay, as `Assay.as_dict` wrote them; they say which assays have targets."""
    kinds = tuple(map(Assay.from_dict, records))
    if kinds and tuple(kind.name for kind in kinds) != tasks:
        raise ValueError("'assays' are not those of 'tasks'")
    is_real = [kind.is_real for kind in kinds] or [False] * len(tasks)
    if is_real != (targets.is_real.tolist() if targets is not None else [False] * len(tasks)):
        raise ValueError("'assays' and the scales of real assays do not fit")
    return kinds


def _listed(names: set[str]) -> str:
    return listed(sorted(names), 10) or "nothing"
