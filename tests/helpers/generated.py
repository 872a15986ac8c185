"""The parts of docs/*.md that are read off the code: settings, members of families, where something is.

`make docs` writes them between the lines `<!-- NAME -->` and `<!-- end -->` of a page.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

from pages import PAGES, README, ROOT, Page

from screening.cli.families import COST_OF, FAMILIES, Member, family
from screening.config import Config
from screening.config_sections import Component, Section

HOUSE = ROOT / "screening"
PLACE = re.compile(r"^<!-- (?P<name>[\w-]+(?: [\w-]+)?) -->\n.*?^<!-- end -->$", re.S | re.M)
QUESTION = re.compile(r"^(\| Where .*\?.*? \| `(?P<name>[\w.]+)` \| ).*\|$", re.M)
"""A row of `Where is ...?`: question, name of what answers it, and its file."""


def current(page: Page) -> str:
    """The page with each generated part as the code has it today."""
    text = QUESTION.sub(lambda match: f"{match[1]}{_home(match['name'])} |", page.text)
    return PLACE.sub(lambda match: f"<!-- {match['name']} -->\n{_part(match['name'])}\n<!-- end -->", text)


def _home(name: str) -> str:
    """A link to the file that defines a function, a class or a method of that name."""
    files = [path for path in sorted(HOUSE.rglob("*.py")) if name in _definitions(path)]
    if len(files) != 1:
        places = ", ".join(str(path.relative_to(ROOT)) for path in files) or "no file"
        raise ValueError(f"'{name}' is defined in {places}: expected one. Mend docs/architecture.md.")
    place = files[0].relative_to(ROOT)
    return f"[{place}](../{place})"


@cache
def _definitions(path: Path) -> set[str]:
    """Names of the functions, classes and methods of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names |= {node.name, *(f"{node.name}.{each.name}" for each in inner if hasattr(each, "name"))}
    return names


def _part(name: str) -> str:
    kind, _, subject = name.partition(" ")
    return PARTS[kind](subject) if subject else PARTS[kind]()


def settings() -> str:
    """A table of the settings of each section of a config."""
    return "\n\n".join(
        [
            _heading("Of the whole", Config) + _settings(Config, ""),
            *(_heading(f"`{path}`", kind) + _settings(kind, f"{path}.") for path, kind in _sections(Config)),
        ]
    )


def settings_without_meaning() -> list[str]:
    """Settings without a docstring."""
    sections = [("", Config), *((f"{path}.", kind) for path, kind in _sections(Config))]
    inside = {path for path, _ in _sections(Config)}
    names = [
        f"{before}{name}"
        for before, kind in sections
        for name in set(kind.model_fields) - set(_meanings(kind))
    ]
    return sorted(set(names) - inside)


def options_without_meaning() -> list[str]:
    """Options of registered members without an entry in their docstring."""
    return [
        f"{name}: {of}.{option}"
        for name in FAMILIES
        for of, option, _, meaning in _options(name, [member.name for member in _ours(name)])
        if not meaning
    ]


def _ours(name: str) -> list[Member]:
    """The members of a family that come along, without those of plug-ins."""
    return [member for member in family(name) if member.source == "screening"]


def members(name: str) -> str:
    """A table of a family, and one of the options of its members."""
    ours = _ours(name)
    costs = [COST_OF[name]] if name in COST_OF else []
    rows = [(f"`{member.name}`", member.summary, *[member.cost for _ in costs]) for member in ours]
    options = list(_options(name, [member.name for member in ours]))
    tables = [_table(("name", "what it is", *costs), rows)]
    return "\n\n".join([*tables, _table(OPTIONS, options)] if options else tables)


def balancers() -> str:
    """Tables of the balancers in the families of the README, and one of their options."""
    listed = {member.name: member for member in _ours("balancers")}
    parts = []
    for title, names in balancer_families():
        rows = [(f"`{name}`", listed[name].summary, listed[name].cost, _paper(name)) for name in names]
        head = title[0].upper() + title[1:]
        parts.append(f"### {head}\n\n{_table(('name', 'what it does', 'cost of a step', 'paper'), rows)}")
    options = _table(OPTIONS, _options("balancers", sorted(listed)))
    return "\n\n".join([*parts, f"### Options of the balancers\n\n{options}"])


def balancer_families() -> list[tuple[str, list[str]]]:
    """The families of the README's table, each with its balancers."""
    table = Page(README).text.partition("\n## Balancers by family\n")[2].partition("\n\n`")[0]
    rows = re.findall(r"^\| (?!family|-)([^|]+?) \| ([^|]+) \|$", table, re.M)
    return [(title, re.findall(r"`(\w+)`", names)) for title, names in rows]


def faces() -> str:
    """A table of the packages and the names that their faces have."""
    packages = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py"))
    rows = [(f"`screening.{name}`", _face(f"screening.{name}")) for name in packages]
    return _table(("package", "names"), [row for row in rows if row[1]])


def _face(package: str) -> str:
    """The names of a package's face; methods of balancing in a word."""
    listed = dir(import_module(package)) if hasattr(import_module(package), "__all__") else []
    names = [name for name in listed if not name.startswith("_")]
    methods = [name for name in names if ".methods." in getattr(_member(package, name), "__module__", "")]
    texts = [f"`{name}`" for name in names if name not in methods]
    return ", ".join([*texts, "the class of every method"] if methods else texts)


def _member(package: str, name: str) -> Any:
    return getattr(import_module(package), name)


PARTS: dict[str, Callable[..., str]] = {
    "settings": settings,
    "members": members,
    "balancers": balancers,
    "faces": faces,
}
OPTIONS = ("of", "option", "default", "meaning")


def _sections(section: type[Section], before: str = "") -> Iterator[tuple[str, type[Section]]]:
    """The sections inside a section, each with its path; lists of sections are settings."""
    for name, field in section.model_fields.items():
        if get_origin(field.annotation) is tuple:
            continue
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield f"{before}{name}", kind
                yield from _sections(kind, f"{before}{name}.")


def _heading(title: str, section: type[Section]) -> str:
    return f"### {title}\n\n{inspect.getdoc(section)}\n\n"


def _settings(section: type[Section], before: str) -> str:
    meanings = _meanings(section)
    schema = section.model_json_schema()["properties"]
    inside = {path for path, _ in _sections(section)}
    rows = [
        (f"`{before}{name}`", _default(field), _values(schema[name]), meanings.get(name, ""))
        for name, field in section.model_fields.items()
        if name not in inside
    ]
    return _table(("setting", "default", "values", "meaning"), rows)


def _meanings(section: type[Section]) -> dict[str, str]:
    """The docstring below each field of a section, and of those that it is made from."""
    kinds = [kind for kind in reversed(section.__mro__) if issubclass(kind, Section)]
    return {name: text for kind in kinds for name, text in _own_meanings(kind).items()}


def _own_meanings(section: type[Section]) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _default(field: Any) -> str:
    return "" if field.is_required() else f"`{_written(field.default)}`"


def _written(value: Any) -> str:
    """A value as a config or the command line has it."""
    if isinstance(value, Component):
        return value.name if not value.options else _written(value.model_dump())
    if isinstance(value, tuple | list):
        return _written(value[0]) if _is_one(value) else f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    return str(value) if not (value is None or isinstance(value, bool)) else WORDS[value]


WORDS = {None: "null", True: "true", False: "false"}


def _is_one(values: Any) -> bool:
    return len(values) == 1 and isinstance(values[0], Component)


def _values(schema: dict[str, Any]) -> str:
    """In words what a field takes, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_values(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{_written(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{_written(schema['const'])}`"
    if "$ref" in schema or "allOf" in schema:
        return COMPONENT
    if schema.get("type") == "array":
        return _values_of_list(schema["items"])
    return KINDS.get(schema.get("type", ""), "") + _range(schema)


def _values_of_list(items: dict[str, Any]) -> str:
    if items.get("type") == "array":
        return f"a list of these: {_values(items)}"
    if items.get("$ref", "").endswith("/Table"):
        return "a name, or {source: ..., tasks: ...}, or a list of these"
    of_many = {
        "": "a list of values",
        "a text": "a list of texts",
        COMPONENT: f"{COMPONENT}, or a list of these",
    }
    return of_many.get(_values(items), f"a list of these: {_values(items)}")


COMPONENT = "a name, or {name: ..., OPTION: ...}"
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "a text",
    "boolean": "`true`, `false`",
    "null": "`null`",
    "object": "{key: value, ...}",
}


def _range(schema: dict[str, Any]) -> str:
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    texts = [
        f"{sign} {schema[key]:g}" for key, sign in limits.items() if key in schema and schema[key] < 2**31
    ]
    return " " + ", ".join(texts) if texts else ""


def _options(name: str, of: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """A row for each option of each member of a family."""
    registry = FAMILIES[name][0]
    for member in of:
        meanings = _parameters(inspect.getdoc(registry.get(member)) or "")
        for option, parameter in registry.options(member).items():
            if option != "seed":
                default = parameter.default
                text = "" if default is parameter.empty else f"`{_written(default)}`"
                yield f"`{member}`", f"`{option}`", text, meanings.get(option, "")


def _parameters(docstring: str) -> dict[str, str]:
    """The meaning of each name under `Parameters` in a docstring."""
    text = docstring.partition("Parameters\n----------\n")[2]
    text = re.split(r"\n\n[A-Z]\w+\n---", text)[0]
    entries = re.findall(r"^(\w[\w, ]*?) ?: (.*(?:\n[ \n].*)*)", text, re.M)
    return {
        name.strip(): " ".join(meaning.split()) for names, meaning in entries for name in names.split(",")
    }


def _paper(name: str) -> str:
    """The first reference of a balancer as a link."""
    references = (inspect.getdoc(FAMILIES["balancers"][0].get(name)) or "").partition("References\n")[2]
    text = " ".join(references.lstrip("-\n").split())
    match = re.match(r"(.*?)(?: \([^()]*)?,? (https?://[^\s,;)]+)", text)
    if match is None:
        return ""
    authors, colon, title = match[1].partition(": ")
    names = authors.split(", ")
    first = authors if len(names) < 3 else f"{names[0]} et al."
    return f"[{first}{colon}{title}]({match[2].rstrip('.')})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text for a cell: a bar would end it, angle brackets would be a tag outside of code."""
    shown = text if "`" in text else re.sub(r"<(?=[\w/!])", "&lt;", text)
    return shown.replace("|", "\\|")


if __name__ == "__main__":
    for each in PAGES:
        each.path.write_text(current(each), encoding="utf-8")
