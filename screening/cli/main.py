"""The command line: words to calls, results to tables, errors to exit codes.

Exit codes: 0 done, 1 a fault of the program or an interruption, 2 a mistake in what was given.
Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from . import data
from .console import name_options, tell
from .endings import ended, prepare_streams
from .extending import check, with_plugins
from .library import export, hits, score, verify
from .listing import list_family
from .pretrain import pretrain
from .project import init
from .results import compare, evaluate, explain, report
from .settings import option_hint
from .train import benchmark, group, train, tune

app = typer.Typer(
    name="screening",
    help="Virtual screening with one model for all assays.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Assay tables: the catalogue, and what is in a file.", invoke_without_command=True
)
app.add_typer(data_app, name="data")

FIRST_STEP = """
First step: screening train alerts     (a table that comes along; five minutes, no network)
Your table: screening init mine --table assays.csv, then what mine/README.md says"""


def main() -> None:
    """Entry point of the `screening` command."""
    # Threads of torch that wait without turning: on a busy machine an epoch took half the time or less.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    prepare_streams()
    sys.exit(ended(_call))


def _call() -> int:
    """What was typed, as a call; typer's own `main` would swallow interruptions."""
    command = typer.main.get_command(app)
    name_options(dict(_options_of(command)))
    if "_SCREENING_COMPLETE" in os.environ:
        command(prog_name="screening")
    try:
        with command.make_context("screening", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except Exception as problem:
        hint = option_hint(problem, sys.argv[1:])
        if hint is None:
            raise
        raise ConfigError(hint) from problem
    return 0


def _options_of(command: Any) -> Iterator[tuple[str, str]]:
    """Name in Python and flag of every option of a command and of those below it."""
    flags = (flag for parameter in command.params for flag in parameter.opts if flag.startswith("--"))
    yield from ((flag[2:].replace("-", "_"), flag) for flag in flags)
    for each in getattr(command, "commands", {}).values():
        yield from _options_of(each)


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Virtual screening with one model for all assays."""
    if version:
        from .. import __version__

        tell(f"screening {__version__}")
        raise typer.Exit
    _help_alone(context, f"\n{FIRST_STEP}")


@data_app.callback()
def start_data(context: typer.Context) -> None:
    """Assay tables: the catalogue, and what is in a file."""
    _help_alone(context, "")


def _help_alone(context: typer.Context, more: str) -> None:
    if context.invoked_subcommand is None:
        tell(context.get_help() + more)
        raise typer.Exit


COMMANDS: dict[str, Callable[..., None]] = {
    **{"train": train, "pretrain": pretrain, "tune": tune},
    **{"benchmark": benchmark, "group": group, "init": init},
    **{"evaluate": evaluate, "compare": compare, "report": report, "explain": explain},
    **{"score": score, "hits": hits, "export": export, "verify": verify, "check": check, "list": list_family},
}
DATA_COMMANDS: dict[str, Callable[..., None]] = {
    **{"list": data.catalogue, "describe": data.describe, "join": data.join, "merge": data.merge},
    **{"fetch": data.fetch},
}
for _app, _commands in ((app, COMMANDS), (data_app, DATA_COMMANDS)):
    for _name, _command in _commands.items():
        _app.command(_name)(with_plugins(_command))
