"""What is in a table, for people: rows, assays of both kinds, what assays share, and problems."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from ..config import Data
from ..errors import UndeclaredError, UnitsError
from ..runtime.numbers import percent, short
from ..runtime.printable import printable
from .assay_columns import ATTENTION
from .assay_summaries import Overlap, RealSummary, median_ranges, overlap_of, real_summaries
from .assay_table import AssayTable
from .catalogue import AssayCounts, DataSet, catalogue
from .catalogue_check import count_labels
from .datasets import find, load_dataset, reading
from .declared import checked_settings
from .merging import merge_repeated, prepare
from .molecules import parents
from .tables import Rejected

MANY_SALTS = 0.01
"""Share of structures of several components from which advice is given; 3 % in Tox21."""

MOST_LINES = 1000
"""Lines of assays that are all shown."""

SCALES = {"neg_log10_molar": "-log10 M", "none": "-"}
"""Transforms as a table of assays names them; others by their names."""

FEW_LINES = 50
"""Lines that are shown of more."""


@dataclass(frozen=True)
class Description:
    """What is in a table; `str()` is the text for the terminal."""

    path: Path
    entry: DataSet | None
    """Of the catalogue."""
    n_rows: int
    """Records of the file."""
    n_unread: int
    """Records that are no row of the table (too many fields, ...)."""
    n_unusable: int
    """Rows whose structure cannot be used."""
    n_duplicates: int
    """Rows whose structure occurred before."""
    n_several: int
    """Structures of several components (salts, mixtures), each counted once."""
    assays: list[AssayCounts]
    """Before duplicates are merged."""
    real: list[RealSummary]
    """Of the real ones among them."""
    overlap: Overlap | None
    """Molecules that assays share, once duplicates are merged; None of fewer than two assays."""
    rejected: list[Rejected]
    notes: list[str]
    settings: Data
    """How it was read: as was asked, or with what was suggested for measured values that nobody declared."""

    @property
    def classes(self) -> list[AssayCounts]:
        """Those of `assays` that are of two classes."""
        real = {each.assay.name for each in self.real}
        return [assay for assay in self.assays if assay.assay not in real]

    @property
    def n_labels(self) -> int:
        """Labels and values of all assays."""
        return sum(assay.labels for assay in self.assays)

    @property
    def n_actives(self) -> int:
        return sum(assay.actives or 0 for assay in self.assays)

    @property
    def share_measured(self) -> float:
        """Labels by cells of the table, 0 where there is none."""
        return self.n_labels / max((self.n_rows - self.n_unread) * len(self.assays), 1)

    def __str__(self) -> str:
        loud = [note for note in self.notes if note.startswith(ATTENTION)]
        lines = [
            f"{self.path}" + (f" ({self.entry.name}: {self.entry.summary})" if self.entry else ""),
            *loud,
        ]
        lines.append(
            f"{self.n_rows:,} records; {self.n_unread:,} could not be read as rows, {self.n_unusable:,} have "
            f"no usable structure, {self.n_duplicates:,} repeat a structure; {self.n_several:,} structures "
            "have several components"
        )
        lines += self._counts()
        if self.entry:
            lines += [f"known defects: {self.entry.defects}", f"source: {self.entry.source}"]
            lines += [f"licence: {self.entry.licence}"]
        lines += _few(_class_lines(self.classes) if self.classes or not self.real else [])
        lines += _few(_real_lines(self.real))
        lines += [f"rejected: record {r.row}, {r.smiles[:60]!r}: {r.reason}" for r in self.rejected[:10]]
        if len(self.rejected) > 10:
            lines.append(f"rejected: {len(self.rejected) - 10:,} more")
        lines += [str(self.overlap)] if self.overlap else []
        return "\n".join([*lines, *(note for note in self.notes if note not in loud)])

    def _counts(self) -> Iterator[str]:
        classes = self.classes
        n_labels = sum(assay.labels for assay in classes)
        what = f"{len(self.assays):,} assays; {self.n_labels:,} labels, {percent(self.share_measured)} of all"
        if self.real:
            n_censored = sum(each.n_censored for each in self.real)
            n_values = sum(each.n_values for each in self.real)
            yield (
                f"{what}; {len(self.real):,} assays of real values ({n_values:,} values, {n_censored:,} "
                f"censored) and {len(classes):,} of classes"
            )
            per_assay = _spread([each.n_values for each in self.real])
            yield f"values per assay {per_assay} (fewest / median / most)"
        if classes or not self.real:
            active = f"{self.n_actives:,} active, {self.n_actives / max(n_labels, 1):.2%} of the labels"
            yield active if self.real else f"{what}; {active}"
            yield (
                f"labels per assay {_spread([assay.labels for assay in classes])}, actives per assay "
                f"{_spread([assay.actives or 0 for assay in classes])} (fewest / median / most)"
            )


def describe(
    source: str,
    *,
    data: str | Path | None = None,
    settings: Data | None = None,
    workers: int | None = None,
) -> Description:
    """Rows, assays, labels and problems of a table, by name or path; every structure is read.

    A table of measured values that no setting declares is described as it would be with the settings that are
    suggested; a note says so.

    Parameters
    ----------
    settings : how to read it, as in a config; None = by its defaults.
    """
    table, settings = _table_of(source, data, settings or Data(source=source))
    rows, unusable, _ = prepare(table, standardize=settings.standardize, duplicates="keep", workers=workers)
    merging = merge_repeated(rows, settings.keep_apart)
    merged = merging.table
    several = sum("." in text for text in merged.canonical or [])
    ranges = median_ranges(merging.combined.ranges, merging.tasks, len(table.tasks))
    return Description(
        path=find(source, data=data),
        entry=catalogue.get(source),
        n_rows=len(table) + len(table.rejected),
        n_unread=len(table.rejected),
        n_unusable=len(unusable),
        n_duplicates=len(rows) - len(merged),
        n_several=several,
        assays=count_labels(table),
        real=real_summaries(table, ranges.tolist()),
        overlap=overlap_of(merged),
        rejected=sorted([*table.rejected, *unusable]),
        notes=[
            *table.notes,
            *merging.notes,
            *_salt_notes(several, len(merged), settings.standardize),
            *_parent_notes(merged.canonical or [], workers),
        ],
        settings=settings,
    )


def _table_of(source: str, data: str | Path | None, settings: Data) -> tuple[AssayTable, Data]:
    """The table, and the settings that it was read with."""
    notes: list[str] = []
    while True:
        try:
            table = load_dataset(source, data=data, **reading(settings))
            return replace(table, notes=[*notes, *table.notes]), settings
        except UndeclaredError as problem:
            suggested = checked_settings(problem.assays)
            if suggested == settings.assays:
                raise
            settings = settings.model_copy(update={"assays": suggested})
            text = f"{problem} What follows is the table with these settings for data.assays."
        except UnitsError as problem:
            if settings.long.other_units == "leave_out":
                raise
            long = settings.long.model_copy(update={"other_units": "leave_out"})
            settings = settings.model_copy(update={"long": long})
            text = f"{problem}. What follows is the table without them."
        notes.append(ATTENTION + text)


# --- lines ---------------------------------------------------------------------------------------------


def _few(lines: list[str]) -> list[str]:
    """The lines of assays, of thousands the first ones; the first line is the heading."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: FEW_LINES + 1], f"  and {len(lines) - FEW_LINES - 1:,} more"]


def _class_lines(assays: Sequence[AssayCounts]) -> list[str]:
    names = [printable(assay.assay) for assay in assays]
    width = max(map(len, names), default=0)
    head = [f"  {'assay':<{width}} {'labels':>9} {'actives':>9}"]
    return head + [
        f"  {name:<{width}} {assay.labels:>9,} {assay.actives or 0:>9,}"
        for name, assay in zip(names, assays, strict=True)
    ]


def _real_lines(assays: Sequence[RealSummary]) -> list[str]:
    """A line per assay of real values, in the user's unit; ranges of repeats on the trained scale."""
    if not assays:
        return []
    cells: list[tuple[str, ...]] = [
        ("assay", "values", "bounds", "lowest", "median", "highest", "unit", "scale", "repeats")
    ]
    cells += [
        (
            printable(each.assay.name),
            f"{each.n_values:,}",
            f"{each.share_censored:.0%}",
            *(short(value) for value in (each.lowest, each.middle, each.highest)),
            printable(each.assay.unit) or "-",
            SCALES.get(each.assay.transform, each.assay.transform),
            short(each.replicates),
        )
        for each in assays
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *rest in cells:
        numbers = " ".join(f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True))
        lines.append(f"  {name:<{widths[0]}} {numbers}")
    return lines


# --- notes ---------------------------------------------------------------------------------------------


def _salt_notes(n_several: int, n: int, standardize: str) -> list[str]:
    """Advice where salts and mixtures are many."""
    if standardize in ("fragment", "neutral") or n_several < MANY_SALTS * n or not n_several:
        return []
    return [
        f"{n_several:,} of {n:,} structures ({n_several / n:.1%}) have several components (salts, mixtures): "
        "a salt and its parent count as two molecules, and may be trained on and tested. With the setting "
        "data.standardize=fragment the largest component stands for the molecule."
    ]


def _parent_notes(canonical: Sequence[str], workers: int | None) -> list[str]:
    """How many structures are other forms of compounds that came before."""
    structures = list(dict.fromkeys(canonical))
    forms = Counter(parents(structures, are_canonical=True, workers=workers))
    n_related = sum(forms.values()) - len(forms)
    if not n_related:
        return []
    return [
        f"{n_related:,} of {len(structures):,} structures have the parent of another (another salt, charge "
        "or stereoisomer) and are kept apart. With the setting data.standardize=neutral salts and charges "
        "count as the same structure; stereoisomers never do."
    ]


def _spread(numbers: Iterable[int]) -> str:
    values = list(numbers) or [0]
    return f"{min(values):,} / {round(median(values)):,} / {max(values):,}"
