"""The command that begins a project: init. Joined to the command line by `main`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .console import progress_shown, say, tell


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="How to read the table, as in a config: data.id=CID."),
    ] = None,
    table: Annotated[
        str, typer.Option(help="Your table, or a name of 'screening data list'; alerts is made here.")
    ] = "alerts",
) -> None:
    """Write a project folder for a table: config, commands, notebook."""
    from ..config import data_settings
    from ..training.project import write_project

    given = data_settings(table, settings or [], fixed={"source": "--table names the table"})
    with progress_shown():
        project = write_project(folder, table, settings=given)
    for note in project.table.notes:
        say(note)
    tell(f"Written: {', '.join(map(str, project.files))}")
    tell(f"Next: cd {shlex.quote(str(folder))} && screening train config.yaml")
