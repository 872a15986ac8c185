"""Families of equals (balancers, encoders, featurizers, splits) by name, with did-you-mean."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .errors import ConfigError
from .plain_yaml import typed, written

Item = TypeVar("Item", bound=Callable[..., Any])


LISTED = 60
"""Names that a message lists at most: every family, but not every assay of ToxCast."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence that lists the known names, the nearest first if one is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{hint}Known: {', '.join(names[:LISTED]) or 'none'}{more}."


class Registry(Generic[Item]):
    """Classes or functions of one family, each under a lower-case name."""

    def __init__(self, family: str, members: str | tuple[str, ...] = ()) -> None:
        """`members`: packages whose files register the family, imported when a name is first asked for."""
        self.family = family
        self._items: dict[str, Item] = {}
        self._members = (members,) if isinstance(members, str) else members

    def _load_members(self) -> None:
        packages, self._members = self._members, ()
        for package in packages:
            import_module(package)

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorator that enters a class or function under `name`."""

        def enter(item: Item) -> Item:
            if name in self._items:
                raise ValueError(f"{self.family} '{name}' is registered twice")
            self._items[name] = item
            return item

        return enter

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load_members()
        return sorted(self._items)

    def get(self, name: str) -> Item:
        """The item of that name.

        Raises
        ------
        ConfigError : the name is not known; the message lists those that are.
        """
        self._load_members()
        if name not in self._items:
            raise ConfigError(f"There is no {self.family} '{name}'. {did_you_mean(name, self._items)}")
        return self._items[name]

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options a config may set: the item's keyword-only parameters."""
        parameters = inspect.signature(self.get(name)).parameters
        return {key: p for key, p in parameters.items() if p.kind is p.KEYWORD_ONLY}

    def check(self, name: str, options: Iterable[str]) -> None:
        """Raise ConfigError if one of `options` is not an option of the item."""
        known = self.options(name)
        for option in options:
            if option not in known:
                raise ConfigError(
                    f"{self.family} '{name}' has no option '{option}'. {did_you_mean(option, known)}"
                )

    def check_values(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise ConfigError for an unknown name or option, or a value of the wrong type; nothing is built."""
        self.check(name, options)
        try:
            _converted(self.get(name), options)
        except ValueError as problem:
            raise ConfigError(f"{self.family} '{name}': {problem}") from problem

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
