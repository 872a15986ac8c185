"""Plug-ins on the command line: the option `--plugin` of every command."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

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
