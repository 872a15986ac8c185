"""What a trained model uses of plug-ins: recorded in its bundle, looked for before it is loaded.

A record names modules and has their sums; a bundle carries no code, and none that lies beside it is run.
"""

import importlib.util
import warnings
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import BundleError, ConfigError
from ..plugins import Plugin, load_plugin, make_importable, plugin_of, sum_of_module
from ..registry import Registration, Registry, registries

TRAINING_ONLY = {"balancer", "loss", "metric", "split"}
"""Families that a trained model does not ask for any more."""


@dataclass(frozen=True)
class Needed:
    """What a trained model uses of a plug-in, for its description."""

    module: str
    sha256: str
    path: str | None
    distribution: str | None
    """Installed package that it comes with; None for a file of one's own."""
    version: str | None
    members: Mapping[str, list[str]]
    """Names in use, by family."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "Needed":
        """What `as_dict` gave; TypeError or ValueError for something else."""
        record = cls(**values)
        texts = [text for text in (record.module, record.sha256) if isinstance(text, str)]
        if len(texts) < 2 or not isinstance(record.members, dict):
            raise ValueError(f"{values!r} is no record of a plug-in")
        return record


def needed(used: Iterable[tuple[Registry[Any], str]]) -> tuple[Needed, ...]:
    """The records of the plug-ins that members in use come from; members of ours need none."""
    names: dict[str, dict[str, list[str]]] = {}
    sources: dict[str, Registration] = {}
    for registry, name in used:
        at = registry.registration(name)
        if not at.is_ours:
            module = at.source
            sources.setdefault(module, at)
            listed = names.setdefault(module, {}).setdefault(registry.family, [])
            listed += [name] * (name not in listed)
    return tuple(_record(module, at, names[module]) for module, at in sources.items())


def require(plugins: Iterable[Needed], folder: Path) -> None:
    """Import what a trained model in `folder` needs for scoring and what is not here yet.

    A plug-in is looked for where Python looks for modules, in the working directory, and under the path that
    the training named; never inside the folder of the model.

    Raises
    ------
    BundleError : one is missing, cannot be imported, or has not a name any more; says which and what to do.
    """
    for plugin in plugins:
        if _missing(plugin) and not _import_recorded(plugin, folder):
            raise BundleError(_about_missing(plugin, folder))
        lacking = _missing(plugin)
        if lacking:
            here = plugin_of(plugin.module)
            place = plugin.module if here is None else here.file
            raise BundleError(
                f"{folder} was trained with {lacking} of the plug-in {plugin.module}; the one that is here "
                f"({place}) does not register it. Use the plug-in as it was in training."
            )


def offer_metrics(plugins: Iterable[Needed], folder: Path) -> None:
    """Import metrics of plug-ins that a run was evaluated with, as `require` does; warn if one is missing."""
    for plugin in plugins:
        if not _missing(plugin, {"metric"}):
            continue
        try:
            is_here = _import_recorded(plugin, folder)
            problem = "" if is_here else _about_missing(plugin, folder, {"metric"})
        except BundleError as refusal:
            problem = str(refusal)
        if problem:
            warnings.warn(f"{problem} Results are without its metrics.")


def changes(plugins: Iterable[Needed]) -> list[str]:
    """A note for each plug-in in use that is not what it was in training."""
    pairs = [(plugin, plugin_of(plugin.module)) for plugin in plugins]
    return [
        f"The plug-in {then.module} ({here.file}) was changed since the model was trained: scores may differ."
        for then, here in pairs
        if here is not None and here.sha256 != then.sha256
    ]


def _record(module: str, at: Registration, names: Mapping[str, list[str]]) -> Needed:
    plugin = plugin_of(module) or Plugin(module, at.file, sum_of_module(at.file))
    top = module.partition(".")[0]
    distribution = next(iter(metadata.packages_distributions().get(top, [])), None)
    version = None if distribution is None else metadata.version(distribution)
    return Needed(module, plugin.sha256, plugin.path, distribution, version, names)


def _missing(plugin: Needed, families: Container[str] | None = None) -> str:
    """The first name that is not registered, of these families or all that scoring needs; "" if none."""
    for family, names in plugin.members.items():
        if family not in TRAINING_ONLY if families is None else family in families:
            registry = next((each for each in registries() if each.family == family), None)
            for name in names:
                if registry is None or not registry.has(name):
                    return f"{family} '{name}'"
    return ""


def _import_recorded(plugin: Needed, folder: Path) -> bool:
    """Import a plug-in from where it is found by its name or path; False if it is nowhere.

    Raises
    ------
    BundleError : it is there, and its import failed; or it lies in the folder of the model.
    """
    file = Path(plugin.path).resolve() if plugin.path and Path(plugin.path).exists() else None
    if file is None:
        make_importable(Path.cwd())
        spec = importlib.util.find_spec(plugin.module.partition(".")[0])
        if spec is None or plugin.module == "__main__":
            return False
        source = None if spec.origin is None else Path(spec.origin)
    else:
        source = file
    run = folder.parent if folder.name == "bundle" else folder
    if source is not None and run.resolve() in source.resolve().parents:
        raise BundleError(
            f"{folder} needs the plug-in {plugin.module}, and {source} lies in its folder: code that comes "
            f"with a model is not run unasked. If you trust it: --plugin {source}, in Python "
            f"load_plugins(['{source}'])."
        )
    try:
        load_plugin(plugin.path) if file is not None and plugin.path else load_plugin(plugin.module)
    except ConfigError as problem:
        raise BundleError(f"{folder} needs a plug-in. {problem}") from problem
    return True


def _about_missing(plugin: Needed, folder: Path, families: Container[str] | None = None) -> str:
    missing = _missing(plugin, families)
    if plugin.module == "__main__":
        return (
            f"{folder} was trained with {missing}, which a script or notebook of its training "
            "registered. Move that into a module, and name it: --plugin my_module.py, in Python "
            "load_plugins(['my_module.py'])."
        )
    inside = Path(plugin.path).name if plugin.path else f"{plugin.module.replace('.', '/')}.py"
    file = f"path/to/{inside}"
    then = f" (in training: {plugin.path})" if plugin.path else ""
    from_package = f" (of {plugin.distribution} {plugin.version})" if plugin.distribution else ""
    install = f", or install it: pip install {plugin.distribution}" if plugin.distribution else ""
    return (
        f"{folder} was trained with {missing} of the plug-in {plugin.module}{from_package}, which "
        f"is not here{then}. Name its file: --plugin {file}, in Python load_plugins(['{file}']); or put its "
        f"folder on PYTHONPATH{install}."
    )
