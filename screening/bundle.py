"""A trained model on disk: a folder of JSON and safetensors with checksums; no code, no pickle.

`bundle.json` says what the model is, `model.safetensors` holds its weights, `SHA256SUMS` the sums of
both. Loading checks format, sums, featurizer versions and shapes before anything is used.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .config import Model
from .encoders import Inputs
from .errors import BundleError, ConfigError
from .graphs import FeatureSet, VectorBlock
from .model import ScreeningModel

FORMAT = 1
FILES = ("bundle.json", "model.safetensors")
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Bundle:
    """All that scoring needs."""

    model: ScreeningModel
    """Encoder and heads, on the CPU, in evaluation mode after `load`."""
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

    def save(self, folder: Path) -> None:
        """Write the bundle; an older one in the same place is replaced as a whole."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            weights = {name: value.contiguous() for name, value in self.model.state_dict().items()}
            save_file(weights, work / "model.safetensors")
            (work / "bundle.json").write_text(
                json.dumps(self._description(), indent=1, sort_keys=True) + "\n"
            )
            (work / SUMS).write_text("".join(f"{_sha256(work / name)}  {name}\n" for name in FILES))
            work.chmod(0o755)
            if folder.exists():
                folder.rename(old := work.with_name(work.name + "-old"))
                work.rename(folder)
                shutil.rmtree(old)
            else:
                work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _description(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tasks": list(self.tasks),
            "model": self.settings.model_dump(mode="json"),
            "features": {
                "graph": self.features.graph,
                "vectors": list(self.features.vectors),
                "standardize": self.features.standardize,
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
        }

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a bundle, or the bundle inside a run folder.

        Raises
        ------
        BundleError : no bundle there, a file missing, changed or of a newer format, weights that
            do not fit, or a featurizer this version does not have.
        """
        folder = _bundle_folder(Path(folder))
        _check_sums(folder)
        try:
            description = json.loads((folder / "bundle.json").read_text())
            if description["format"] != FORMAT:
                raise BundleError(
                    f"{folder} has bundle format {description['format']}, this version reads {FORMAT}. "
                    "Use the version of screening that wrote it (bundle.json, 'about')."
                )
            return cls._restore(folder, description)
        except (
            KeyError,
            TypeError,
            json.JSONDecodeError,
            ConfigError,
            SafetensorError,
            RuntimeError,
        ) as problem:
            raise BundleError(f"{folder} is not a complete bundle: {problem}. Train again.") from problem

    @classmethod
    def _restore(cls, folder: Path, description: dict[str, Any]) -> "Bundle":
        features = FeatureSet(
            graph=description["features"]["graph"],
            vectors=tuple(description["features"]["vectors"]),
            standardize=description["features"]["standardize"],
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
        tasks = tuple(description["tasks"])
        model = ScreeningModel(settings, inputs, len(tasks))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        if not all(value.isfinite().all() for value in model.state_dict().values()):
            raise BundleError(f"{folder}: the model has weights that are not finite. Train again.")
        return cls(model.eval(), settings, inputs, features, tasks, description["about"])

    def featurizer_warning(self) -> str:
        """What differs between the featurisation of training and of this machine; "" if nothing."""
        trained = self.about.get("features_key", "")
        here = self.features.key()
        if trained in ("", here):
            return ""
        return f"The model was trained with the features {trained}; here they are {here}: scores may differ."


def _bundle_folder(path: Path) -> Path:
    for folder in (path, path / "bundle"):
        if (folder / "bundle.json").is_file():
            return folder
    raise BundleError(
        f"There is no trained model in {path}: expected {path / 'bundle' / 'bundle.json'}. "
        "Train one first: screening train CONFIG."
    )


def _check_sums(folder: Path) -> None:
    expected = {}
    try:
        for line in (folder / SUMS).read_text().splitlines():
            total, _, name = line.partition("  ")
            expected[name] = total
    except (OSError, UnicodeDecodeError) as problem:
        raise BundleError(f"{folder / SUMS} cannot be read: {problem}. Copy the bundle again.") from problem
    for name in FILES:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path} is missing. Copy the bundle again, with all its files.")
        if expected.get(name) != _sha256(path):
            raise BundleError(f"{path} was changed after it was written (checksum). Copy the bundle again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
