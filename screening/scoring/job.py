"""Score libraries of any size: a stream of blocks, one part file each, in shards, restarted where it stopped.

`Scorer`, for molecules in memory, is in `scorer`.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ..bundle.bundle import SUMS
from ..data.assay_kinds import Assay, units_in_words
from ..errors import ConfigError, DataError, listed
from ..runtime.files import file_sha256
from ..runtime.progress import progress
from .choices import AS_FOUND, NO_EXTRAS, Engine, Extras, Input, Output, check_counts, check_places
from .columns import OURS
from .engines import Reading, run_pool, run_ray
from .library import BLOCKS, Library, Piece, Portion, Shard, open_library
from .part_files import MANIFEST, PartFolder, Tally, merged
from .scorer import PartMaker, Recipe, Scorer
from .top_k import Leaders, write_top
from .whole_files import write_whole

__all__ = ["OURS", "Engine", "Extras", "Input", "Output", "ScoreReport", "Scorer", "score_library"]

Choice = TypeVar("Choice")

BLOCK = 4096
"""Molecules per block: one part file each, and the unit that is done again after a stop."""

MOST_BEST = 50_000_000
"""Molecules that `top` lists, of all assays together: they take some 2 GB."""


@dataclass(frozen=True)
class ScoreReport:
    """What became of the rows of a library, or of one shard of it."""

    read: int
    scored: int
    rejected: int
    below: int
    """Of the scored, those left out because no score reached the threshold."""
    reasons: dict[str, int]
    """Rejected rows per reason, most frequent first."""
    parts: int
    skipped: int
    """Parts found finished from an earlier start."""
    folder: Path
    top: Path | None
    """The table of the best molecules, if it was asked for."""
    notes: list[str]
    """What the user should know: how the files were read, other versions than in training."""


def score_library(
    run: str | PathLike[str],
    library: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    assays: str | Sequence[str] | None = None,
    top: int = 0,
    threshold: float | None = None,
    limit: int | None = None,
    shard: str | None = None,
    workers: int | None = None,
    block_size: int = BLOCK,
    overwrite: bool = False,
    input: Input = AS_FOUND,
    extras: Extras = NO_EXTRAS,
    output: str | Output = "parquet",
    engine: str | Engine = "pool",
) -> ScoreReport:
    """Score files of molecules into the folder `out`; what was read is what was scored and what was rejected.

    Parameters
    ----------
    run : run folder or bundle folder.
    library : SMILES, CSV, TSV, SDF or Parquet files, also gzipped; patterns, folders, "-" = standard input;
        a pipe such as <(zcat x) is read once, like it.
    out : folder for `part-FILE-BLOCK.parquet`, `_manifest.json`, `top.csv` and `scores.csv` or `scores.sdf`.
    assays : those wanted, as `Scorer` takes them; None = all.
    top : best molecules per assay (of a real one, those at its good end) to list in `top.csv`; taken from the
        parts, with what a threshold leaves of them and in the precision of `output`; ties by place.
    threshold : keep only those that reach this probability (value, in their one unit) in one of the assays.
    shard : "I/N" = the I-th of N portions: whole files where there are at least N (and no limit), else every
        N-th block. Shards may share a folder; the same call without `shard` then finishes the whole job.
    limit, workers : most records to read; processes (None = one per processor, 0 = this process alone).
    block_size : molecules of a part file, the unit that is done again after a stop.
    overwrite : remove the scores of an earlier job from `out` first.
    input, extras, output, engine : how the library is read, more columns, what is written, what computes; of
        the latter two the name alone will do, such as output="csv".

    Raises
    ------
    BundleError : no usable model in `run`.
    ConfigError : an option that is not possible.
    DataError : `out` holds another job or cannot be written, or the library is damaged (from there on).
    """
    check_counts(threshold, top, limit, workers, block_size)
    output, engine = _named(output, Output), _named(engine, Engine)
    sources = [library] if isinstance(library, str | Path) else list(library)
    part = None if shard is None else Shard.parse(shard)
    check_places(sources, out, engine.name)
    files = open_library(sources, smiles=input.smiles, id=input.id, block_size=block_size, limit=limit)
    names = (assays,) if isinstance(assays, str) else None if assays is None else tuple(assays)
    recipe = Recipe(Path(run), names, threshold, output.dtype, engine.device, extras, input.max_atoms)
    folder = PartFolder(Path(out))
    with folder.claimed(part):  # before the model, which takes seconds
        maker = PartMaker(recipe, files.extra, folder)
        job = _job(maker, files, block_size, input)
        if overwrite:
            folder.clear()
        folder.check_job(job)
        return _carried_out(folder, files, maker, job, part, top, output, engine, workers)


def _named(choice: str | Choice, kind: Callable[[str], Choice]) -> Choice:
    """The record of a choice, of which the name alone will do."""
    return kind(choice) if isinstance(choice, str) else choice


def _carried_out(
    folder: PartFolder,
    files: Library,
    maker: PartMaker,
    job: dict[str, Any],
    part: Shard | None,
    top: int,
    output: Output,
    engine: Engine,
    workers: int | None,
) -> ScoreReport:
    """A job in a folder that is ours: blocks without a sound part file are scored, then all is summed up."""
    portion = files.portion(part)
    finished = folder.finished(portion.has)
    damaged = [number for number in folder.numbers() if portion.has(number) and number not in finished]
    _check_sources(folder, files, finished)
    leaders = _leaders(folder, maker.scorer.assays, top, finished) if top else None
    if engine.name == "ray":
        make = partial(PartMaker, maker.recipe, files.extra, folder)
        readings = _readings(files, portion, finished)
        results = run_ray(make, readings, address=engine.address, workers=workers)
    else:
        maker.on_scores = None if leaders is None else leaders.add
        results = run_pool(maker, _unfinished(files, portion, finished), workers=workers)
    tallies = _collected(results, finished, folder, files)
    report = _finish(folder, {**finished, **tallies}, maker, files, job, part, leaders, output, workers)
    notes = [*_about_damaged(folder, damaged), *report.notes]
    return replace(report, skipped=len(finished), notes=notes)


def _collected(
    results: Iterator[tuple[Tally, float | None]],
    finished: Mapping[int, Tally],
    folder: PartFolder,
    files: Library,
) -> dict[int, Tally]:
    """The tallies of new parts, by number; parts of files that changed meanwhile are removed."""
    tallies: dict[int, Tally] = {}
    try:
        for tally in _watched(results, sum(tally.read for tally in finished.values())):
            tallies[tally.number] = tally
    finally:
        changed = _discard_changed(folder, files, tallies)
    _check_unchanged(files, changed)
    return tallies


def _check_sources(folder: PartFolder, files: Library, finished: Mapping[int, Tally]) -> None:
    """DataError where a file is not what its finished parts were made of."""
    sources = {(number // BLOCKS, tally.source) for number, tally in finished.items()}
    begun = files.subset({file for file, _ in sources})
    sums = begun.sums()
    changed = {file for file, source in sources if source != sums[file]}
    if changed:
        raise DataError(
            f"{folder.path} holds the scores of another job: the library changed since then "
            f"({', '.join(files.subset(changed).names)}). Give another folder with `out`, or replace the old "
            "scores with `overwrite`."
        )


def _discard_changed(folder: PartFolder, files: Library, tallies: Mapping[int, Tally]) -> Library:
    """The files that are not what the new parts say they were made of; those parts are removed."""
    sums = {number // BLOCKS: tally.source for number, tally in tallies.items()}
    changed = files.subset(sums).changed(sums)
    for number in tallies:
        if number // BLOCKS in changed.numbers:
            folder.part(number).unlink(missing_ok=True)
    return changed


def _check_unchanged(files: Library, changed: Library) -> None:
    """DataError where a file of the library is not what it was when the job began."""
    for source in (*changed.sources, *files.sources):
        source.check()
    if changed.names:
        raise DataError(
            f"The library changed while it was scored ({listed(changed.names, 5)}). Wait until it is "
            "complete, and start again with `overwrite`."
        )


def _left(files: Library, portion: Portion, finished: Mapping[int, Tally]) -> Library:
    """The files of the portion of which parts are missing; all of them where they are read in order."""
    if files.is_in_order:
        return files
    n_parts = Counter(number // BLOCKS for number in finished)
    n_blocks = {number // BLOCKS: number % BLOCKS + 1 for number, tally in finished.items() if tally.is_last}
    return files.subset(file for file in portion.files if n_parts[file] < n_blocks.get(file, BLOCKS + 1))


def _unfinished(files: Library, portion: Portion, finished: Mapping[int, Tally]) -> Iterator[Piece]:
    """Pieces without a part; what a part was made of must be what is read now (standard input has no sum)."""
    left = _left(files, portion, finished)
    if not files.is_stream:
        yield from _pieces(left, portion, finished)
        return
    for piece in left.pieces(portion.has):
        if piece.number not in finished:
            yield piece
        elif piece.digest() != finished[piece.number].digest:
            raise DataError(
                f"The library changed since the first start: a block of {piece.file} (from record "
                f"{piece.rows[0]}) is not what its part was made of. Give another folder with `out`, or "
                "replace the old scores with `overwrite`."
            )


def _readings(files: Library, portion: Portion, finished: Mapping[int, Tally]) -> list[Reading]:
    """What can be read at the same time: each file, or all of them where they are read in order."""
    left = _left(files, portion, finished)
    done: dict[int, set[int]] = defaultdict(set)
    for number in finished:
        done[number // BLOCKS].add(number)
    if files.is_in_order:
        return [Reading(partial(_pieces, left, portion, frozenset(finished)), 1.0)]
    sizes = dict(zip(left.numbers, left.sizes().values(), strict=True))
    total = max(sum(size or 0 for size in sizes.values()), 1)
    return [
        Reading(partial(_pieces, left.subset([file]), portion, frozenset(done[file])), (size or 0) / total)
        for file, size in sizes.items()
    ]


def _pieces(files: Library, portion: Portion, finished: Container[int]) -> Iterator[Piece]:
    return files.pieces(lambda number: portion.has(number) and number not in finished)


def _watched(results: Iterator[tuple[Tally, float | None]], before: int) -> Iterator[Tally]:
    """The tallies, with molecules, rate and remaining time shown."""
    start, done, shown, offset = time.monotonic(), 0, 0.0, None
    with progress("scoring", 100) as advance:
        for tally, share in results:
            yield tally
            done += tally.read
            seconds = max(time.monotonic() - start, 1e-3)
            note = f"{before + done:,} molecules, {done / seconds:,.0f} a second"
            if share is not None:
                offset = share if offset is None else offset
                if share > offset and share < 1:
                    note += f", {_duration(seconds * (1 - share) / (share - offset))} left"
                advance(max(100 * share - shown, 0.0), note)
                shown = max(shown, 100 * share)
            else:
                advance(0, note)


def _duration(seconds: float) -> str:
    """
    >>> _duration(42), _duration(3700)
    ('0:42', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _finish(
    folder: PartFolder,
    tallies: dict[int, Tally],
    maker: PartMaker,
    files: Library,
    job: dict[str, Any],
    part: Shard | None,
    leaders: Leaders | None,
    output: Output,
    workers: int | None,
) -> ScoreReport:
    """Write what stands for the whole job: manifest, best molecules, other formats."""
    suffix = "" if part is None else f"-{part.index}-of-{part.of}"
    folder.check_all_there(tallies)
    with folder.explained():
        limits = maker.recipe.extras.conformal is not None
        top, sums = _write_others(folder, sorted(tallies), leaders, suffix, output, workers, limits=limits)
    reasons = merged(tallies)
    scored = reasons.pop("", 0)
    rejected = reasons.total()
    report = ScoreReport(
        read=scored + rejected,
        scored=scored,
        rejected=rejected,
        below=sum(tally.below for tally in tallies.values()),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        parts=len(tallies),
        skipped=0,
        folder=folder.path,
        top=top,
        notes=[
            *([] if tallies else [f"There are no records in {', '.join(files.names)}."]),
            *files.notes(),
            *maker.scorer.notes,
            *filter(None, [units_in_words(maker.scorer.assays)]),
        ],
    )
    counts = {key: asdict(report)[key] for key in ("read", "scored", "rejected", "below", "reasons", "parts")}
    sources = {number // BLOCKS: tally.source for number, tally in tallies.items()}
    library = {name: sources.get(file) for file, name in zip(files.numbers, files.names, strict=True)}
    folder.write_json(MANIFEST.format(suffix), {**job, "library": library, **counts, "files": sums})
    return report


def _write_others(
    folder: PartFolder,
    numbers: list[int],
    leaders: Leaders | None,
    suffix: str,
    output: Output,
    workers: int | None,
    *,
    limits: bool,
) -> tuple[Path | None, dict[str, str]]:
    """The table of the best, if it is wanted, and SHA-256 by name of all that is written."""
    top = None if leaders is None else folder.path / f"top{suffix}.csv"
    if leaders is not None and top is not None:
        leaders.complete(numbers)
        write_top(leaders, top, limits=limits, csv_safe=output.csv_safe)
    whole = write_whole(folder, numbers, output.format, suffix, workers=workers, csv_safe=output.csv_safe)
    return top, {path.name: file_sha256(path) for path in (top, whole) if path is not None}


def _about_damaged(folder: PartFolder, numbers: list[int]) -> list[str]:
    """A sentence about parts that were there and had to be made again."""
    if not numbers:
        return []
    parts = listed((folder.part(number).name for number in numbers), 3)
    return [f"Damaged since they were written, made again: {len(numbers):,} of the parts ({parts})."]


def _leaders(folder: PartFolder, assays: Sequence[Assay], top: int, finished: Mapping[int, Tally]) -> Leaders:
    most = MOST_BEST // len(assays)
    if top > most:
        raise ConfigError(
            f"`top` is {top}: expected at most {most:,} for {len(assays):,} assays. The parts have all "
            "scores."
        )
    return Leaders(folder, assays, top, finished)


def _job(maker: PartMaker, files: Library, block_size: int, input: Input) -> dict[str, Any]:
    """What makes two starts the same job."""
    recipe, scorer = maker.recipe, maker.scorer
    return {
        "model": _sum_of_bundle(recipe.run),
        "assays": list(scorer.tasks),
        "features": replace(scorer.bundle.features, max_atoms=scorer.features.max_atoms).key(),
        "library": files.sizes(),
        "smiles": input.smiles,
        "id": input.id,
        "limit": files.limit,
        "threshold": recipe.threshold,
        "dtype": recipe.dtype,
        **asdict(recipe.extras),
        "block_size": block_size,
    }


def _sum_of_bundle(run: Path) -> str:
    """SHA-256 of the checksums of the bundle's files."""
    paths = [run / SUMS, run / "bundle" / SUMS]
    return file_sha256(next(path for path in paths if path.is_file()))
