"""Whether the files of a run, a bundle or a folder of scores are as they were written: by their checksums.

Of public tables no sums are known: they are compared with what is known of their content. Called by
`screening verify`.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle.bundle import DESCRIPTION, SUMS, Bundle
from ..data.catalogue import catalogue
from ..data.datasets import verify_table
from ..errors import DataError, ScreeningError
from ..runtime.files import file_sha256
from ..runtime.progress import progress
from .part_files import JOB, MANIFEST, PartFolder, Tally, merged

COUNTS = ("read", "scored", "rejected", "below", "parts")
"""What a manifest counts."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    text: str
    """A sentence."""
    is_sound: bool = True


def verify(folder: str | PathLike[str]) -> list[Finding]:
    """Look at everything with a checksum in a run folder, a bundle, or a folder of scores.

    The bundle of a run and folders of scores in it are looked at too. The name of a table of the catalogue
    stands for its file on this machine, unless there is a folder of that name.

    Raises
    ------
    DataError : there is nothing with checksums in the folder, or the table is not on this machine.
    """
    place = Path(folder)
    if str(folder) in catalogue and not place.exists():
        return [_of_table(str(folder))]
    if not place.is_dir():
        raise DataError(
            f"{folder} is not a folder. Name a run folder, a bundle, a folder of scores, or a public table."
        )
    inside = sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
    findings = [finding for path in (place, *inside) for finding in _of_one_folder(path)]
    if not findings:
        raise DataError(
            f"{folder} holds nothing with checksums: expected a run folder, a bundle or a folder of scores "
            "(those of versions before 0.4 have none)."
        )
    return findings


def _of_table(name: str) -> Finding:
    path, differences = verify_table(name)
    if not differences:
        return Finding(f"{path}: the table '{name}', as it is known.")
    return Finding(
        f"{path} is not the known table '{name}': {'; '.join(differences)}. Remove it, and get it again: "
        f"screening data fetch {name}",
        False,
    )


def _of_one_folder(path: Path) -> Iterator[Finding]:
    if any((path / name).exists() for name in (DESCRIPTION, SUMS)):
        yield _of_bundle(path)
    if (path / JOB).exists() or any(path.glob(MANIFEST.format("*"))):
        yield from _of_scores(PartFolder(path))


def _of_bundle(path: Path) -> Finding:
    """Loading it checks sums, shapes and weights."""
    try:
        bundle = Bundle.load(path)
    except ScreeningError as problem:
        return Finding(str(problem), False)
    return Finding(f"{path}: a model of {len(bundle.tasks):,} assays, as it was written.")


def _of_scores(folder: PartFolder) -> Iterator[Finding]:
    numbers = folder.numbers()
    tallies, damaged = _parts(folder, numbers)
    yield from damaged
    if not damaged:
        yield Finding(f"{folder.path}: as they were written: {len(numbers):,} parts.")
    manifests = sorted(folder.path.glob(MANIFEST.format("*")))
    for name in (JOB, *(path.name for path in manifests)):
        try:
            values = folder.read_json(name)
        except DataError as problem:
            yield Finding(str(problem), False)
            continue
        if name != JOB:
            yield from _of_files(folder, name, values.get("files"))
        if name == MANIFEST.format(""):
            yield from _of_manifest(folder, values, tallies, len(numbers))
    if not manifests:
        yield Finding(f"{folder.path}: no {MANIFEST.format('')}: the job is not finished.")


def _parts(folder: PartFolder, numbers: list[int]) -> tuple[dict[int, Tally], list[Finding]]:
    """The tallies of the parts that are sound, and what is wrong with the others."""

    def look(number: int) -> Tally | str:
        try:
            return folder.checked(number)
        except DataError as problem:
            return str(problem)

    tallies, damaged = {}, []
    with ThreadPoolExecutor(4) as threads, progress("checking parts", len(numbers)) as advance:
        for number, tally in zip(numbers, threads.map(look, numbers), strict=True):
            if isinstance(tally, Tally):
                tallies[number] = tally
            else:
                damaged.append(Finding(f"{folder.part(number)}: {tally}.", False))
            advance(1)
    return tallies, damaged


def _of_files(folder: PartFolder, manifest: str, sums: Any) -> Iterator[Finding]:
    """Files beside the parts, such as top.csv, by their sums in a manifest."""
    if not isinstance(sums, Mapping):
        yield Finding(f"{folder.path / manifest} has no checksums of files: it was changed.", False)
        return
    for name, total in sums.items():
        path = folder.path / Path(name).name
        try:
            is_sound = file_sha256(path) == total
        except OSError as problem:
            yield Finding(f"{path}: it cannot be read ({problem.strerror}).", False)
            continue
        fault = f"{path}: its bytes changed after it was written (checksum)."
        yield Finding(f"{path}: as it was written." if is_sound else fault, is_sound)


def _of_manifest(
    folder: PartFolder, manifest: Mapping[str, Any], tallies: Mapping[int, Tally], n_parts: int
) -> Iterator[Finding]:
    """Whether the counts of the whole job are those of its parts."""
    where = folder.path / MANIFEST.format("")
    if manifest.get("parts") != n_parts:
        yield Finding(f"{where} counts {manifest.get('parts')} parts, there are {n_parts:,}.", False)
    elif len(tallies) == n_parts:
        counts = _counted(tallies)
        wrong = [name for name in COUNTS if manifest.get(name) != counts[name]]
        if wrong:
            said = ", ".join(f"{name} {manifest.get(name)} for {counts[name]}" for name in wrong)
            yield Finding(f"{where} does not count what its parts hold: {said}.", False)


def _counted(tallies: Mapping[int, Tally]) -> dict[str, int]:
    """The counts of a manifest from the parts, by `COUNTS`."""
    reasons = merged(tallies)
    scored, read = reasons[""], reasons.total()
    below = sum(tally.below for tally in tallies.values())
    return dict(zip(COUNTS, (read, scored, read - scored, below, len(tallies)), strict=True))
