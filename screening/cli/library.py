"""Commands about compound libraries: score, hits, verify, export. Joined to the command line by `main`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.numbers import short
from .console import progress_shown, say, tell
from .endings import goes_on
from .grid import print_frame
from .options import IdColumn, RunOrBundle, SmilesColumn
from .settings import CsvSafe

if TYPE_CHECKING:
    import pandas as pd

    from ..scoring.job import ScoreReport

LibraryFiles = Annotated[
    list[str],
    typer.Argument(
        help="SMILES, CSV, TSV, SDF or Parquet files, also gzipped; folders; patterns; '-' = standard "
        "input; 'alerts-library' = the ChEMBL compounds that come with RDKit."
    ),
]
Format = Annotated[str, typer.Option("--format", help="parquet; csv or sdf for one such file as well.")]
Top = Annotated[
    int, typer.Option(help="Write the best N molecules of every assay to top.csv; 3 assays are printed.")
]
Assays = Annotated[
    list[str] | None,
    typer.Option(help="An assay wanted, or several with commas between; may be given again. Else all."),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Keep only molecules that reach this probability (or value, in its unit) in an assay."),
]
InDomain = Annotated[
    bool,
    typer.Option(
        help="Add the nearest training molecule, the distance from the training part in the network's "
        "representation, and whether the molecule is near enough by both: in the domain."
    ),
]
Conformal = Annotated[
    float | None,
    typer.Option(
        help="Add the labels that cannot be ruled out at this error, such as 0.1; of values the lower and "
        "upper end of an interval."
    ),
]
MaxAtoms = Annotated[
    int | None,
    typer.Option(
        help="Reject molecules of more atoms besides hydrogen; as in training if not given (1,000 unless "
        "data.max_atoms said otherwise).",
        show_default=False,
    ),
]
ShardOf = Annotated[
    str | None, typer.Option(help="I/N: of N jobs, the I-th; it takes whole files where there are N.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="Ray cluster that runs already; one is started if not given.")
]


def score(
    run: RunOrBundle,
    library: LibraryFiles,
    out: Annotated[Path, typer.Option(help="Folder for the scores.")] = Path("scores"),
    output: Format = "parquet",
    top: Top = 0,
    assays: Assays = None,
    threshold: Threshold = None,
    spread: Annotated[bool, typer.Option(help="Add the spread of an ensemble's networks.")] = False,
    domain: InDomain = False,
    conformal: Conformal = None,
    max_atoms: MaxAtoms = None,
    dtype: Annotated[str, typer.Option(help="Of the scores in the parts: float32 or float16.")] = "float32",
    limit: Annotated[int | None, typer.Option(help="Read only the first N records.")] = None,
    shard: ShardOf = None,
    engine: Annotated[str, typer.Option(help="pool (processes of this machine) or ray.")] = "pool",
    ray_address: RayAddress = None,
    smiles: SmilesColumn = None,
    id_column: IdColumn = None,
    workers: Annotated[int | None, typer.Option(help="Featurising processes.", show_default=False)] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace the scores of an earlier job in the folder.")
    ] = False,
    csv_safe: CsvSafe = False,
) -> None:
    """Score compound libraries with a trained model.

    A stopped job goes on when started again.
    """
    from ..data.alerts_table import alerts_library
    from ..scoring.job import Engine, Extras, Input, Output, score_library

    with progress_shown(), goes_on(lambda: f"Every finished part is kept in {out}."):
        report = score_library(
            run,
            [alerts_library() if name == "alerts-library" else name for name in library],
            out,
            assays=assays or None,
            top=top,
            threshold=threshold,
            limit=limit,
            shard=shard,
            workers=workers,
            overwrite=overwrite,
            input=Input(smiles, id_column, max_atoms),
            extras=Extras(spread, domain, conformal),
            output=Output(output, dtype, csv_safe),
            engine=Engine(engine, ray_address),
        )
    _print_scores(report)
    if shard is None:
        _check_scored(report)


def _check_scored(report: "ScoreReport") -> None:
    """Raise DataError if there were records, and none was a molecule."""
    if report.read and not report.scored:
        from ..errors import DataError

        raise DataError(
            f"None of the {report.read:,} records could be read as a molecule: nothing was scored. Expected "
            "in each line of a list: a SMILES, a blank or tab, a name; in a table: a header line, and the "
            "structures in the column that --smiles names."
        )


def _print_scores(report: "ScoreReport") -> None:
    tell(f"{report.read:,} molecules read, {report.scored:,} scored, {report.rejected:,} rejected")
    for reason, count in list(report.reasons.items())[:10]:
        tell(f"  {count:>8,}  {reason}")
    if report.below:
        tell(f"  {report.below:>8,}  scored, below the threshold in every assay, left out")
    for note in report.notes:
        say(note)
    if report.top is not None:
        import pandas as pd

        ends = {name: [""] for name in ("low", "high")}
        texts = dict.fromkeys(("assay", "id", "smiles", "unit"), str)
        table = pd.read_csv(report.top, dtype=texts, keep_default_na=False, na_values=ends)
        for assay, rows in list(table.groupby("assay", sort=False))[:3]:
            print_frame(*_best_of(str(assay), rows.drop(columns=["assay", "row", "file"]).head(10)))
    tell(f"Scores: {report.folder}")


def _best_of(assay: str, best: "pd.DataFrame") -> tuple["pd.DataFrame", str]:
    """What to print of the best of an assay, and the title; of a real assay with its unit."""
    if "unit" not in best:
        return best, f"Best for {assay}"
    unit, best = best["unit"].iloc[0], best.drop(columns="unit").dropna(axis=1, how="all")
    if unit == "probability":
        return best.rename(columns={"value": unit}), f"Best for {assay}"
    numbers = [name for name in ("value", "low", "high") if name in best]
    best = best.assign(**{name: best[name].map(short) for name in numbers})
    return best, f"Best for {assay}" + (f", {unit}" if unit else "")


def hits(
    run: RunOrBundle,
    scores: Annotated[Path, typer.Argument(help="Folder that 'screening score RUN ...' wrote.")],
    assay: Annotated[str, typer.Option(help="Assay whose best molecules are wanted.")],
    out: Annotated[Path, typer.Option(help="Folder for hits.csv, hits.sdf and hits.html.")] = Path("hits"),
    number: Annotated[int, typer.Option("--n", min=1, help="Hits at most.")] = 100,
    top: Annotated[int, typer.Option(min=1, help="Choose among so many of the best molecules.")] = 2000,
    threshold: Annotated[
        float | None,
        typer.Option(help="Only those that reach this probability, or this value in the assay's unit."),
    ] = None,
    filters: Annotated[
        str, typer.Option(help="Such as pains,brenk,lipinski: see 'screening list filters'.")
    ] = "",
    keep_flagged: Annotated[bool, typer.Option(help="Only mark what a filter speaks against.")] = False,
    diverse: Annotated[str, typer.Option(help="spheres, maxmin or none.")] = "spheres",
    distance: Annotated[
        float, typer.Option(min=0, max=1, help="Tanimoto distance between hits (spheres).")
    ] = 0.4,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also explain the hits; the page links to the pictures.")
    ] = False,
    csv_safe: CsvSafe = False,
) -> None:
    """Choose compounds to order from the scores of a library.

    They are filtered, diverse, and shown beside known actives.
    """
    from ..triage.hits import choose_hits

    with progress_shown():
        chosen = choose_hits(
            run,
            scores,
            out,
            assay=assay,
            n=number,
            candidates=top,
            threshold=threshold,
            filters=[name.strip() for name in filters.split(",") if name.strip()],
            keep_flagged=keep_flagged,
            diversity=diverse,
            distance=distance,
            explain=explain,
            csv_safe=csv_safe,
        )
    for line in chosen.lines():
        tell(line)


def verify(
    folder: Annotated[
        Path, typer.Argument(help="Run folder, bundle folder, folder of scores, or name of a public table.")
    ],
) -> None:
    """Check that a model, scores or a public table are whole.

    A run and the scores of a library by their checksums, byte by byte; a table of `screening data list` by
    its rows, assays, labels and actives.
    """
    from ..errors import DataError
    from ..scoring.verification import verify as look_at

    with progress_shown():
        findings = look_at(folder)
    for finding in findings:
        if finding.is_sound:
            tell(finding.text)
    faults = [finding.text for finding in findings if not finding.is_sound]
    if faults:
        repair = f" {_REPAIR}" if folder.is_dir() else ""
        raise DataError(f"{folder} is damaged. {' '.join(faults)}{repair}")


_REPAIR = (
    "Parts are made again by the same 'screening score'; a model has to be copied from where it is whole, "
    "or trained again."
)


def export(
    run: RunOrBundle,
    out: Annotated[Path, typer.Option(help="File to write: .onnx, or .pt2 for torch.export.")],
    calibrate: Annotated[
        bool, typer.Option(help="With the calibration: the probabilities of `screening score`.")
    ] = True,
) -> None:
    """Write the networks for other programs, checked against ours."""
    from ..bundle.exporting import export as export_network

    exported = export_network(run, out, calibrate=calibrate)
    what = "scores (values in standard deviations)" if exported.has_values else "probabilities"
    tell(
        f"{exported.path}: differs from our {what} by at most {exported.difference:.0e} on "
        f"{exported.molecules:,} molecules; inputs: {exported.description}"
    )
