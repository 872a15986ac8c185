"""Plug-ins on the command line: the option `--plugin` of every command, and the command `check`."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..registry import did_you_mean
from .console import tell
from .endings import FAULT
from .grid import NAME, Column, print_table

if TYPE_CHECKING:
    from ..testing import Finding

Plugins = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="Module or .py file of yours that registers balancers, encoders, ...; may be given again.",
        show_default=False,
    ),
]


def with_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the option `--plugin`, whose modules are imported before it runs."""

    @wraps(command)
    def run(*words: Any, plugin: list[str] | None = None, **options: Any) -> Any:
        from ..plugins import load_plugins

        load_plugins(plugin or [])
        return command(*words, **options)

    signature = inspect.signature(command)
    option = inspect.Parameter("plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Plugins)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "plugin": Plugins}
    return run


def check(
    module: Annotated[str, typer.Argument(help="Module, or .py file, that registers members of families.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME.OPTION=VALUE]...", help="Options of a member, such as mine.power=2."),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="Only the members of one family, such as balancers.", show_default=False),
    ] = None,
) -> None:
    """Check what a plug-in registers by the rules of its families."""
    from ..plugins import load_plugins
    from ..testing import check_plugin
    from .families import registry_of

    families = [] if family is None else [registry_of(family).family]
    (plugin,) = load_plugins([module])
    members = {name: each for each, names in plugin.members().items() for name in names}
    options = _options_of(settings or [], members)
    findings = list(check_plugin(plugin, options, families))
    if not findings:
        what = "nothing that is checked" if family is None else f"none of the {family}"
        raise ConfigError(f"{module} registers {what}, but {_listed(plugin.members())}.")
    _print_findings(module, findings)


def _options_of(settings: list[str], members: dict[str, str]) -> dict[str, dict[str, str]]:
    """Options by the name of the member, from NAME.OPTION=VALUE."""
    options: dict[str, dict[str, str]] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        name, dot, option = key.rpartition(".")
        if not equals or not dot:
            raise ConfigError(f"'{text}' is no option of a member: expected NAME.OPTION=VALUE.")
        if name not in members:
            raise ConfigError(f"'{text}': the plug-in has no member '{name}'. {did_you_mean(name, members)}")
        options.setdefault(name, {})[option] = value
    return options


def _listed(members: dict[str, list[str]]) -> str:
    return "; ".join(f"{family} {', '.join(names)}" for family, names in members.items())


def _print_findings(module: str, findings: "list[Finding]") -> None:
    """One row per check; exit code 1 where one fails."""
    columns = [Column("member", folds=NAME), Column("what must hold", folds=NAME)]
    columns += [Column("result", folds=NAME)]
    rows = [
        (f"{finding.family} {finding.member}" * is_first, finding.check, finding.problem or "ok")
        for is_first, finding in zip(_begins(findings), findings, strict=True)
    ]
    print_table(module, columns, rows)
    failed = sum(bool(finding.problem) for finding in findings)
    tell(f"{len(findings) - failed} of {len(findings)} checks hold.")
    if failed:
        raise typer.Exit(FAULT)


def _begins(findings: "list[Finding]") -> list[bool]:
    """Whether each finding is the first of its member."""
    members = [(finding.family, finding.member) for finding in findings]
    return [one != other for one, other in zip(members, [None, *members], strict=False)]
