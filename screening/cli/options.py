"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that win over the file.")
]
DataPath = Annotated[
    Path | None,
    typer.Option("--data", help="The table's file, or the folder it lies in.", show_default=False),
]
RunOrBundle = Annotated[Path, typer.Argument(help="Run folder or bundle folder.")]
AllAssays = Annotated[bool, typer.Option("--all", help="Print every assay, not only 30.")]
Resume = Annotated[bool, typer.Option(help="Go on with a run that was stopped.")]
OverwriteRun = Annotated[bool, typer.Option(help="Replace the run folder of an earlier run.")]
PartOfSplit = Annotated[str, typer.Option(help="Split part: test or valid.")]
SmilesColumn = Annotated[str | None, typer.Option(help="Column of the structures.", show_default=False)]
IdColumn = Annotated[str | None, typer.Option("--id", help="Column of the names.", show_default=False)]
