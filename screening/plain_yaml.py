"""YAML in which an unquoted word stays the text that was typed until the type of its setting decides.

YAML reads Yes, NULL, 007, 1e3 or 12:30 as a truth value, nothing or a number. Columns, assays, runs and
labels have such names, so `yaml_tree` keeps the text. Used by `config`, `groups` and `registry`.
"""

import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml

MOST_NODES = 100_000
"""Values in a document, aliases counted as often as they are used; a config has some hundred."""

NOTHING = ("null", "~")
"""Words for None where a setting takes a text or None; elsewhere NULL and Null too."""


class Plain(str):
    """An unquoted text that YAML takes for a number, a truth value or nothing."""

    __slots__ = ("value",)
    value: Any
    """What YAML takes it for."""

    def __new__(cls, text: str, value: Any) -> "Plain":
        plain = super().__new__(cls, text)
        plain.value = value
        return plain

    def __getnewargs__(self) -> tuple[str, Any]:  # type: ignore[override]
        return str(self), self.value


def yaml_tree(text: str) -> Any:
    """The document as dictionaries with texts as keys, lists, texts and `Plain` texts.

    Raises
    ------
    yaml.YAMLError : not YAML, a key twice, or a value of a type that is not plain data.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Tree(loader).of(node)
    except RecursionError as problem:
        raise yaml.YAMLError("it is nested too deeply, or an alias stands inside of itself") from problem
    finally:
        loader.dispose()


def one_text(text: str) -> str:
    """The whole text, signs of YAML and all; `Plain` where YAML takes it for something else.

    Examples
    --------
    >>> one_text("#RO5"), one_text("007").value
    ('#RO5', 7)
    """
    try:
        value = yaml_tree(text) if text[:1] not in tuple("#!&*") else text
    except yaml.YAMLError:
        return text
    if value is None:
        return Plain(text, None)
    return value if isinstance(value, Plain) and value == text else text


def typed(value: Any, kind: Any) -> Any:
    """The value with its `Plain` texts as texts where the type `kind` takes texts, else as YAML reads them.

    Inside of a class with fields nothing is changed: it does so itself. Keys of mappings become texts.

    Examples
    --------
    >>> tree = yaml_tree("{No: 1, 007: null}")
    >>> typed(tree, dict[str, int | None])
    {'No': 1, '007': None}
    >>> typed(yaml_tree("[No, 1851]"), tuple[str, ...])
    ['No', '1851']
    """
    kinds = _alternatives(kind)
    if isinstance(value, Plain):
        return _typed_scalar(value, kinds)
    if any(_has_fields(one) for one in kinds) or kinds == [Any]:
        return value
    if isinstance(value, Mapping):
        inner = _argument(kinds, Mapping)
        return {_key_text(key): typed(item, inner) for key, item in value.items()}
    if isinstance(value, list | tuple):
        inner = _argument(kinds, Sequence)
        return [typed(item, inner) for item in value]
    return value


def option(value: Any) -> Any:
    """A value whose type is not known yet: as YAML reads it where that loses nothing of the text.

    Examples
    --------
    >>> [option(one) for one in yaml_tree("[5, 0.5, true, null, 007, Yes]")]
    [5, 0.5, True, None, '007', 'Yes']
    """
    if isinstance(value, Plain):
        return value.value if written(value.value) == value else value
    if isinstance(value, Mapping):
        return {_key_text(key): option(item) for key, item in value.items()}
    return [option(item) for item in value] if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """A value of Python as a document would hold it: numbers and arrays of NumPy, paths and tuples too.

    Examples
    --------
    >>> plain({"source": Path("a.csv"), "fractions": (0.8, 0.2)})
    {'source': 'a.csv', 'fractions': [0.8, 0.2]}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # a number or an array of NumPy
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def written(value: Any) -> str:
    """How YAML writes a number, a truth value or nothing."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def as_texts(value: Any) -> Any:
    """The tree with all `Plain` texts as texts."""
    if isinstance(value, Mapping):
        return {key: as_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_texts(item) for item in value]
    return str(value) if isinstance(value, str) else value


def dump(value: Any, *, in_one_line: bool = False) -> str:
    """YAML that `yaml_tree` reads back equal: `Plain` texts as typed, others quoted where needed."""
    layout = {"width": 2**31 - 1} if in_one_line else {}
    return yaml.dump(
        value, Dumper=_Dumper, default_flow_style=in_one_line, allow_unicode=True, sort_keys=False, **layout
    )


# --- types --------------------------------------------------------------------------------------------


def _alternatives(kind: Any) -> list[Any]:
    """The types that a value may have: the members of a union, without their annotations."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _alternatives(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [one for member in get_args(kind) for one in _alternatives(member)]
    return [kind]


def _has_fields(kind: Any) -> bool:
    return hasattr(kind, "model_fields")


def _argument(kinds: list[Any], family: type) -> Any:
    """The type of what is inside a mapping or a sequence of one of these types; Any if none is one."""
    for kind in kinds:
        origin = get_origin(kind)
        if isinstance(origin, type) and issubclass(origin, family):
            inner = [one for one in get_args(kind) if one is not Ellipsis]
            return inner[-1] if family is Mapping else Union[tuple(inner)]  # noqa: UP007
    return Any


def _typed_scalar(text: Plain, kinds: list[Any]) -> Any:
    if kinds == [Any]:
        return text
    takes_none = type(None) in kinds
    if text == "" or (takes_none and text in NOTHING):
        return None
    words = {word for one in kinds if get_origin(one) is Literal for word in get_args(one)}
    if str in kinds or Path in kinds or str(text) in words:
        return str(text)
    if any(_has_fields(one) for one in kinds):
        return None if takes_none and text.value is None else str(text)
    return text.value


def _key_text(key: Any) -> Any:
    """A key as text; numbers as Python writes them, truth values as YAML does."""
    if isinstance(key, bool):
        return written(key)
    return str(key) if isinstance(key, int | float | str) else key


# --- reading and writing ------------------------------------------------------------------------------

_FLOAT = re.compile(
    r"^(?:[-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
"""Numbers with a point or an exponent; YAML 1.1 alone takes 1e3 for a text."""

_PREFIX = "tag:yaml.org,2002:"
_TYPED = {_PREFIX + name for name in ("int", "float", "bool", "null")}


class _Loader(yaml.SafeLoader):
    """Plain data only; exponents are numbers, dates are texts."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in (_PREFIX + "timestamp", _PREFIX + "value")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_PREFIX + "float", _FLOAT, list("-+0123456789."))


class _Tree:
    """Nodes of a document to data."""

    def __init__(self, loader: _Loader) -> None:
        self.loader, self.n_nodes = loader, 0

    def of(self, node: yaml.Node) -> Any:
        self.n_nodes += 1
        if self.n_nodes > MOST_NODES:
            raise yaml.YAMLError(f"it has more than {MOST_NODES:,} values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [self.of(inner) for inner in node.value]
        if node.tag == _PREFIX + "str":
            return node.value
        value = self.loader.construct_object(node, deep=True)
        return Plain(node.value, value) if node.tag in _TYPED and node.style is None else value

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        if node.tag != _PREFIX + "map":
            return self.loader.construct_object(node, deep=True)
        own = [_key(key) for key, _ in node.value]
        twice = next((key for key in own if own.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                "while reading a mapping", node.start_mark, f"found the key {twice!r} twice", node.start_mark
            )
        self.loader.flatten_mapping(node)
        return {_key(key): self.of(value) for key, value in node.value}


def _key(node: yaml.Node) -> str:
    """The text of a key; "?" alone, which YAML takes for the mark of an empty key, is the text "?"."""
    mark = node.start_mark
    is_empty = not node.value and getattr(node, "style", "") is None  # "&a" is read as a name of nothing
    if is_empty and mark.buffer and mark.buffer[mark.pointer - 1] == "?":
        return "?"
    if not isinstance(node, yaml.ScalarNode) or is_empty or node.tag.startswith("!"):
        raise yaml.constructor.ConstructorError(
            "while reading a mapping", mark, "expected a text as a key", mark
        )
    return str(node.value)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Texts that `_Loader` would take for something else in single quotation marks."""


def _text_node(dumper: Any, text: str) -> yaml.Node:
    is_text = _Loader("").resolve(yaml.ScalarNode, text, (True, False)) == _PREFIX + "str"
    return dumper.represent_scalar(_PREFIX + "str", text, style=None if is_text else "'")


def _plain_node(dumper: Any, text: Plain) -> yaml.Node:
    return dumper.represent_scalar(
        dumper.resolve(yaml.ScalarNode, str(text), (True, False)), str(text), style=None
    )


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(Plain, _plain_node)
_Dumper.add_representer(tuple, lambda dumper, values: dumper.represent_list(values))
_Dumper.ignore_aliases = lambda dumper, value: True
