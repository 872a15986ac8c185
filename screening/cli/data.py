"""Commands about assay tables: list, describe, join, merge, fetch. Joined to the command line by `main`."""

from pathlib import Path
from typing import Annotated

import typer

from .console import progress_shown, tell
from .grid import NAME, Column, print_table
from .options import DataPath


def catalogue() -> None:
    """Public tables the toolkit knows."""
    from ..data import datasets

    columns = [
        Column("name"),
        Column("assays"),
        Column("molecules"),
        Column("split", 2),
        Column("metric", 3),
        Column("here", 1),
        Column("what it is", folds=NAME),
    ]
    rows = [
        [
            row.name,
            f"{row.n_tasks:,}",
            f"{row.rows:,}",
            row.split,
            row.metric,
            "yes" if datasets.is_here(row.name) else "no",
            row.summary,
        ]
        for row in datasets.catalogue.values()
    ]
    print_table("catalogue", columns, rows)


def describe(
    source: Annotated[str, typer.Argument(help="Catalogue name or file.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="How to read it, as in a config: data.id=CID."),
    ] = None,
    data: DataPath = None,
    write_config: Annotated[
        Path | None, typer.Option(help="Config to write, from which the table can be trained.")
    ] = None,
) -> None:
    """Rows, assays, labels and problems of a table."""
    from ..config import data_settings
    from ..data.describing import describe as described

    fixed = {"source": "the first argument names the table", "duplicates": "duplicates are counted"}
    given = data_settings(source, settings or [], fixed=fixed)
    with progress_shown():
        description = described(source, data=data, settings=given)
    tell(str(description))
    if write_config is not None:
        from ..training import project

        path = project.write_config(write_config, source, description)
        tell(f"Written: {path}. Check what it says of the assays, then: screening train {path.name}")


def join(
    actives: Annotated[list[Path], typer.Option(help="List of active structures; may be given repeatedly.")],
    inactives: Annotated[list[Path], typer.Option(help="List of inactive ones, or decoys; repeatedly too.")],
    out: Annotated[Path, typer.Option(help="The table to write, .csv or .csv.gz.")],
    assay: Annotated[str, typer.Option(help="Name of the assay.")] = "active",
    overwrite: Annotated[bool, typer.Option(help="Replace the table.")] = False,
) -> None:
    """Make a table of a list of actives and one of inactives.

    LIT-PCBA and DUD-E come as such lists.
    """
    from ..data.joining import join_lists

    tell(str(join_lists(actives, inactives, out, assay=assay, overwrite=overwrite)))


def merge(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE... [KEY=VALUE]...", help="Files, then data.key=value.")
    ],
    out: Annotated[Path, typer.Option(help="The table to write: .csv, .csv.gz or .parquet.")],
    overwrite: Annotated[bool, typer.Option(help="Replace the table.")] = False,
) -> None:
    """Make one table of several files, joined by structure.

    Every measurement is kept; what contradicts itself is listed beside the table.
    """
    from ..config import data_settings
    from ..data.file_merging import merge_files

    files = [text for text in sources if not text.startswith("data.")]
    fixed = {"source": "the first arguments name the files", "duplicates": "every measurement is kept"}
    given = data_settings(files, [text for text in sources if text.startswith("data.")], fixed=fixed)
    with progress_shown():
        merged = merge_files(files, out, given, overwrite=overwrite)
    tell(str(merged))


def fetch(name: Annotated[str, typer.Argument(help="Catalogue name.")]) -> None:
    """Download a public table into the cache, and check it.

    Nothing is done if it is here already.
    """
    from ..data import datasets

    with progress_shown():
        path = datasets.find(name) if name in datasets.catalogue else datasets.fetch(name)
    tell(str(path))
