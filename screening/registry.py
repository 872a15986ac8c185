"""Families of equals (balancers, encoders, featurizers, splits) by name, with did-you-mean.

Members of ours are imported when a name is first asked for. A name that is then not there may come from a
plug-in (`plugins`), and is asked for there before it is called unknown.
"""

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints
from weakref import WeakSet

from pydantic import TypeAdapter, ValidationError

from .errors import ConfigError, listed
from .plain_yaml import typed, written

Item = TypeVar("Item", bound=Callable[..., Any])


LISTED = 60
"""Names that a message lists at most: every family, but not every assay of ToxCast."""


def did_you_mean(name: object, choices: Iterable[str]) -> str:
    """The sentence that lists the known names, the nearest first if one is near."""
    names = sorted(choices)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known: {listed(names, LISTED, mark='') or 'none'}."


class Registration(NamedTuple):
    """Where a member of a family was registered."""

    module: str
    """Module in which the decorator stands."""
    file: str
    line: int
    item: str
    """Qualified name of the class or function."""
    plugin: str | None
    """The plug-in that was being imported, None outside of one."""

    @property
    def is_ours(self) -> bool:
        """Whether the member comes along with screening."""
        return self.module.partition(".")[0] == _HOUSE

    @property
    def source(self) -> str:
        """What the member comes with: screening, or the plug-in."""
        return _HOUSE if self.is_ours else self.plugin or self.module

    def is_again(self, other: "Registration") -> bool:
        """Whether this is the same item once more: of a reloaded module, or of a cell that ran again."""
        same_place = self.module == other.module or self.file == other.file
        return same_place and self.item == other.item and not self.is_ours

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


_HOUSE = __name__.partition(".")[0]
_registries: "WeakSet[Registry[Any]]" = WeakSet()
_importing: list[str] = []


@contextmanager
def registering(plugin: str) -> Iterator[None]:
    """What is registered inside belongs to the plug-in, also from modules that it imports."""
    _importing.append(plugin)
    try:
        yield
    finally:
        _importing.pop()


def registries() -> "list[Registry[Any]]":
    """All families that were imported so far, by name."""
    return sorted(_registries, key=lambda registry: registry.family)


class Registry(Generic[Item]):
    """Classes or functions of one family, each under a lower-case name."""

    def __init__(self, family: str, members: str | tuple[str, ...] = ()) -> None:
        """`members`: packages whose files register the family, imported when a name is first asked for."""
        self.family = family
        self._items: dict[str, Item] = {}
        self._members = (members,) if isinstance(members, str) else members
        self._registrations: dict[str, Registration] = {}
        _registries.add(self)

    def _load_members(self) -> None:
        packages, self._members = self._members, ()
        for package in packages:
            import_module(package)

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorator that enters a class or function under `name`.

        Raises
        ------
        ValueError : another item has the name; says where both stand.
        """

        def enter(item: Item) -> Item:
            registration = _registration(item, sys._getframe(1))
            if not registration.is_ours:
                self._load_members()  # so that a name of ours is refused here, and not when ours are imported
            before = self._registrations.get(name)
            if before is not None and not registration.is_again(before):
                raise ValueError(
                    f"{self.family} '{name}' is registered twice: in {before} and in {registration}. "
                    "Give the second one another name."
                )
            self._items[name], self._registrations[name] = item, registration
            return item

        return enter

    def names(self) -> list[str]:
        """All names, sorted; those of installed plug-ins too."""
        self._load_members()
        _import_plugins()
        return sorted(self._items)

    def has(self, name: str) -> bool:
        """Whether there is a member of that name."""
        self._load_members()
        if name not in self._items:
            _import_plugins()
        return name in self._items

    def get(self, name: str) -> Item:
        """The item of that name.

        Raises
        ------
        ConfigError : the name is not known; the message lists those that are.
        """
        if not self.has(name):
            choices = did_you_mean(name, self._items)
            yours = "" if choices.startswith("Did") else " One of a plug-in needs its module in plugins."
            raise ConfigError(f"There is no {self.family} '{name}'. {choices}{yours}")
        return self._items[name]

    def registration(self, name: str) -> Registration:
        """Where the item of that name was registered; ConfigError as `get`."""
        self.get(name)
        return self._registrations[name]

    def registrations(self) -> dict[str, Registration]:
        """Where each member that was imported so far was registered, by name."""
        return dict(self._registrations)

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options a config may set: the item's keyword-only parameters."""
        parameters = inspect.signature(self.get(name)).parameters
        return {key: p for key, p in parameters.items() if p.kind is p.KEYWORD_ONLY}

    def check(self, name: str, options: Iterable[str]) -> None:
        """Raise ConfigError if one of `options` is not an option of the item."""
        parameters = self.options(name)
        for option in options:
            if option not in parameters:
                raise ConfigError(
                    f"{self.family} '{name}' has no option '{option}'. {did_you_mean(option, parameters)}"
                )

    def check_values(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise ConfigError for an unknown name or option, or a value of the wrong type; nothing is built."""
        self.check(name, options)
        try:
            _converted(self.get(name), options)
        except ValueError as problem:
            raise ConfigError(f"{self.family} '{name}': {problem}") from problem

    def values(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options with the values that `build` would use; left out are required ones not given."""
        self.check_values(name, options)
        defaults = {key: p.default for key, p in self.options(name).items() if p.default is not p.empty}
        return defaults | _converted(self.get(name), options)

    def build(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        """Call the item with positional `arguments` from the program and `options` from the user.

        Options are converted to the annotated type of the parameter ("4" becomes 4), so a config
        file and a command line give the same object.

        Raises
        ------
        ConfigError : unknown name or option, wrong type, or a value the item refuses with ValueError.
        """
        self.check(name, options)
        item = self.get(name)
        where = f"{self.family} '{name}'"
        try:
            return item(*arguments, **_converted(item, options))
        except ValueError as problem:
            raise ConfigError(f"{where}: {problem}") from problem


def _import_plugins() -> None:
    """Import installed plug-ins, and in a worker process those of its parent, unless that was done before."""
    from .plugins import import_expected

    import_expected()


def _registration(item: object, frame: FrameType) -> Registration:
    """The statement that registers: the decorator, or the call of a decorator of ours around it."""
    while _is_wrapper(frame) and frame.f_back is not None:
        frame = frame.f_back
    inner = getattr(item, "function", item)  # a record of a function, as that of a metric
    named = getattr(inner, "__qualname__", type(inner).__qualname__)
    module, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
    is_ours = module.partition(".")[0] == _HOUSE  # a plug-in may be the first to ask for members of ours
    plugin = _importing[-1] if _importing and not is_ours else None
    return Registration(module, file, frame.f_lineno, named, plugin)


def _is_wrapper(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] == _HOUSE and frame.f_code.co_name != "<module>"


def _converted(item: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(item.__init__ if inspect.isclass(item) else item, include_extras=True)
    converted = {}
    for option, value in options.items():
        hint = hints.get(option, Any)
        adapter = TypeAdapter(hint)
        try:
            converted[option] = adapter.validate_python(_text_of(typed(value, hint), hint))
        except ValidationError as problem:
            raise ValueError(f"option '{option}' is {value!r}: {problem.errors()[0]['msg']}.") from problem
    return converted


def _text_of(value: Any, hint: Any) -> Any:
    """The text that was typed where the option is a text and the config holds a number, true or null."""
    is_text = hint in (str, Path) and not isinstance(value, str | Path)
    return written(value) if is_text and isinstance(value, int | float | None) else value
