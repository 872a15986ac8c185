"""Plug-ins: modules outside of screening that register members of its families.

A plug-in is a Python module, or a package, whose import runs `@register(...)` of a family. It is named in a
config (`plugins: [my_module]`), with `--plugin`, with `load_plugins`, or installed with an entry point of the
group `screening.plugins`. A trained model records which it needs; it carries no code of theirs.
"""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from .errors import ConfigError
from .registry import Registration, did_you_mean, registering, registries

GROUP = "screening.plugins"
"""Entry points by which installed packages say that they are plug-ins."""

_HOUSE = Path(__file__).parent


@dataclass(frozen=True)
class Plugin:
    """A plug-in that was imported."""

    module: str
    """Name it was imported under."""
    file: str | None
    """Its file, of a package the `__init__.py`; None for a module without one."""
    sha256: str
    """Of the file as it was imported, of a package over all its Python files; "" without a file."""
    path: str | None = None
    """The path by which it was named; None for one that was named as a module."""

    def owns(self, registration: Registration) -> bool:
        """Whether a member was registered by the plug-in, or by a module that it imports."""
        inside = f"{registration.module}.".startswith(f"{self.module}.")
        return inside or registration.plugin == self.module

    def members(self) -> dict[str, list[str]]:
        """Names that it registers, by family."""
        owned = {
            registry.family: sorted(name for name, at in registry.registrations().items() if self.owns(at))
            for registry in registries()
        }
        return {family: names for family, names in owned.items() if names}


_loaded: dict[str, Plugin] = {}
_expected: dict[str, str | None] = {}
_installed: list[metadata.EntryPoint] | None = None
_is_busy = False


def load_plugins(names: Iterable[str]) -> list[Plugin]:
    """Import plug-ins, so that what they register can be named; one that was imported before stays as it is.

    Parameters
    ----------
    names : modules that can be imported from the working directory, PYTHONPATH or the installed packages; or
        paths of `.py` files or of folders of packages. What comes later may use what came before.

    Raises
    ------
    ConfigError : no such module or file, its import failed (for example because it takes a name of ours), or
        it registers nothing.
    """
    plugins = [load_plugin(name) for name in names]
    for plugin in plugins:
        if not plugin.members():
            raise ConfigError(
                f"The plug-in {plugin.path or plugin.module} registers nothing: expected a class or function "
                "under the @register(...) of a family, such as that of screening.balancing."
            )
    return plugins


def plugin_of(module: str) -> Plugin | None:
    """The plug-in that was imported under this name, None if there is none."""
    return _loaded.get(module)


def at_fault(problem: BaseException) -> Plugin | None:
    """The plug-in in whose files an error came up, the innermost if there are several; None if in none."""
    frames = traceback.extract_tb(problem.__traceback__)
    for frame in reversed(frames):
        for plugin in _loaded.values():
            if plugin.file is not None and _is_of(Path(plugin.file), Path(frame.filename)):
                return plugin
    return None


def _is_of(file: Path, other: Path) -> bool:
    """Whether a file is that of a plug-in, or one inside its package."""
    return file.parent in other.parents if file.name == "__init__.py" else file == other


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins of this process, for `expect` in another one."""
    return (*_loaded.values(), *(Plugin(module, file, "") for module, file in _expected.items()))


def expect(plugins: Iterable[Plugin]) -> None:
    """Let a worker import the plug-ins of its parent, as soon as a name is asked for that is not ours."""
    _expected.update({plugin.module: plugin.file for plugin in plugins if plugin.module not in _loaded})


def import_expected() -> None:
    """Import what `expect` announced and what is installed, once; called by the registries."""
    global _installed, _is_busy
    if _is_busy or (_installed == [] and not _expected):
        return
    _is_busy = True
    try:
        while _expected:
            module, file = next(iter(_expected.items()))
            _import_handed_over(module, file)
            del _expected[module]
        if _installed is None:
            _installed = list(metadata.entry_points(group=GROUP))
        while _installed:
            entry = _installed[0]
            _import(entry.module, None, path=None, distribution=entry.dist)
            _installed.pop(0)
    finally:
        _is_busy = False


def load_plugin(name: str) -> Plugin:
    """The plug-in of a module's name or of a path, imported now unless it was before."""
    is_path = name.endswith(".py") or "/" in name or "\\" in name
    if not is_path:
        return _loaded.get(name) or _import(name, None, path=None)
    file = _file_of(name)
    module = file.parent.name if file.name == "__init__.py" else file.stem
    if not module.isidentifier():
        raise ConfigError(
            f"The plug-in {name} cannot be imported as '{module}': give it a name such as my_module."
        )
    loaded = _loaded.get(module)
    return loaded if loaded and loaded.file == str(file) else _import(module, file, path=name)


def _file_of(name: str) -> Path:
    path = Path(name)
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        near = sorted(str(each) for each in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise ConfigError(f"There is no plug-in {file}. {did_you_mean(name, near)}")
    return file.resolve()


def _import(
    module: str, file: Path | None, *, path: str | None, distribution: metadata.Distribution | None = None
) -> Plugin:
    """Import a plug-in, from `file` where one is given.

    Raises
    ------
    ConfigError : it is not there, or its import failed.
    """
    make_importable(Path.cwd() if file is None else _folder_of(file))
    shown = path or module
    if distribution is not None:
        shown = f"{module} (installed with {distribution.name})"
    try:
        with registering(module):
            imported = import_module(module) if file is None else _from_file(module, file)
    except (Exception, SystemExit) as problem:
        raise ConfigError(_about_import(shown, module, problem)) from problem
    source = getattr(imported, "__file__", None)
    plugin = Plugin(module, source, sum_of_module(source), path)
    return _loaded.setdefault(module, plugin)


def _import_handed_over(module: str, file: str | None) -> None:
    """Import in a worker what its parent had; a module inside a package by its name."""
    if file is not None and "." in module:
        make_importable(Path(file).parents[module.count(".") + (Path(file).name == "__init__.py")])
    _import(module, Path(file) if file is not None and "." not in module else None, path=None)


def _from_file(module: str, file: Path) -> ModuleType:
    """The module of a file; one of that name that was imported from the same file before is taken."""
    there = sys.modules.get(module)
    if there is not None:
        before = getattr(there, "__file__", None)
        if before is None or Path(before).resolve() != file:
            raise ImportError(f"a module of that name was imported before ({before}); rename {file}")
        return there
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    imported = sys.modules[module] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(imported)
    except BaseException:
        del sys.modules[module]
        raise
    return imported


def make_importable(folder: Path) -> None:
    """Last on the path, so that a plug-in hides no installed package."""
    if str(folder) not in sys.path and not ("" in sys.path and folder == Path.cwd()):
        sys.path.append(str(folder))


def _folder_of(file: Path) -> Path:
    """What a file is imported from: its folder, of a package the one around it."""
    return file.parents[1] if file.name == "__init__.py" else file.parent


def _about_import(shown: str, module: str, problem: BaseException) -> str:
    last = "".join(traceback.format_exception_only(problem)).strip().splitlines()[-1]
    if isinstance(problem, ModuleNotFoundError) and f"{module}.".startswith(f"{problem.name}."):
        near = [path.stem for path in Path.cwd().glob("*.py")]
        return (
            f"There is no plug-in {shown}: no module of that name is in the working directory, on PYTHONPATH "
            f"or installed. {did_you_mean(module, near)} Or give the path of its file: plug/{module}.py."
        )
    outside = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if "importlib" not in frame.filename and _HOUSE not in Path(frame.filename).parents
    ]
    place = f" at {outside[-1].filename}:{outside[-1].lineno}" if outside else ""
    if isinstance(problem, SyntaxError):  # of a file that did not run, and so is in no frame
        place = f" at {problem.filename}:{problem.lineno}"
    end = "" if last.endswith((".", "!", "?")) else "."
    return f"The plug-in {shown} failed on import{place}: {last}{end} Correct it, or leave it out of plugins."


def sum_of_module(file: str | None) -> str:
    """SHA-256 of a module's file, of a package over all its Python files; "" if there is none."""
    if file is None or not Path(file).is_file():
        return ""
    path = Path(file)
    if path.name != "__init__.py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for each in sorted(path.parent.rglob("*.py")):
        total.update(f"{each.relative_to(path.parent).as_posix()}\n".encode() + each.read_bytes())
    return total.hexdigest()
