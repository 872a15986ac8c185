"""From the scores of a library to compounds one would order: filtered, diverse, and beside known good ones.

Reads the part files of `scoring`; writes hits.csv, hits.sdf and hits.html (`hits_page`). Called by
`screening hits`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rdkit.Chem import Mol, MolToSmiles, SDWriter, rdMolDescriptors
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.SimDivFilters.rdSimDivPickers import LeaderPicker, MaxMinPicker

from ..bundle.bundle import Bundle
from ..data.assay_kinds import Assay
from ..data.layout import lay_out
from ..data.molecules import read_molecules
from ..errors import ConfigError, DataError
from ..evaluation.known_molecules import count_known, known_parts
from ..registry import did_you_mean
from ..runtime.csv_cells import csv_of
from ..runtime.files import half_written, sweep, write_atomically
from ..runtime.folders import claimed, explained
from ..runtime.numbers import short
from ..runtime.progress import progress
from ..scoring.columns import ENDINGS, HIGH, LOW, NEIGHBOUR, OURS, assay_column, property_names
from ..scoring.part_files import PartFolder
from ..scoring.top_k import Leaders, rows_at
from ..sizes import LARGEST
from ..uncertainty.structure_domain import fingerprints
from .explained_networks import networks_of
from .explanation import explain as explain_molecules
from .filters import filters as known_filters
from .hits_page import Quality, Records, hits_page, links_to, score_column

Diversity = Literal["spheres", "maxmin", "none"]
INSTEAD = "give another folder with `out`"
_HALF = half_written(r"hits\.\w+")
DIVERSITIES = ("spheres", "maxmin", "none")


@dataclass(frozen=True)
class Hits:
    """What was chosen."""

    folder: Path
    """hits.csv, hits.sdf and hits.html."""
    assay: str
    table: pd.DataFrame
    """One row per hit, best first: rank (among the candidates), id, smiles, probability, further columns of
    the library, flags, weight, logp, donors, acceptors, polar_surface; where the bundle knows the training
    part, training_similarity (Tanimoto of ECFP4 to the nearest molecule), in_domain (as scored with
    `domain`, else by that similarity), nearest_active, nearest_active_smiles and similarity (to it); where
    the run says what it was trained on, known (a key of `known.OF_KNOWN`, or ""). Of a real assay `value` in
    place of the probability, in the assay's unit, `low` and `high` where it was scored with `conformal`,
    `nearest_active` among the best training molecules, and its `nearest_value`."""
    candidates: int
    """The best of the library that were looked at."""
    repeated: int
    """Candidates left out because a better one has the same structure."""
    flagged: dict[str, int]
    """Candidates per filter that speaks against them."""
    left_out: int
    """Candidates left out because of filters."""
    alike: int
    """Candidates passed over because they resemble a hit, or because there were hits enough."""
    notes: list[str]
    about: Assay
    """Kind, unit and good end of the assay."""

    def lines(self) -> list[str]:
        """What a user should read, in a few lines."""
        flags = ", ".join(f"{name} {count:,}" for name, count in self.flagged.items())
        lines = [
            f"{self.candidates:,} candidates: {self.repeated:,} repeat a structure, "
            f"{self.left_out:,} left out by filters, {self.alike:,} too like a hit or not needed, "
            f"{len(self.table):,} hits"
        ]
        lines += [f"filters speak against: {flags}"] if flags else []
        if self.about.is_real:
            lines += _value_lines(self.table, self.about)
        else:
            expected = self.table["probability"].sum()
            lines.append(f"expected actives among the hits (sum of their probabilities): {expected:.1f}")
        return [*lines, *self.notes, f"Page: {self.folder / 'hits.html'}"]


def _value_lines(table: pd.DataFrame, about: Assay) -> list[str]:
    """How good the hits of a real assay are."""
    if not len(table):
        return []
    first, last = (short(value) for value in table["value"].iloc[[0, -1]])
    unit, good = f" {about.unit}" if about.unit else "", "high" if about.is_high_good else "low"
    return [f"values of the hits: {first} to {last}{unit}; {good} values are good"]


def choose_hits(
    run: str | PathLike[str],
    scores: str | PathLike[str],
    out: str | PathLike[str] = "hits",
    *,
    assay: str,
    n: int = 100,
    candidates: int = 2000,
    threshold: float | None = None,
    filters: Sequence[str] = (),
    keep_flagged: bool = False,
    diversity: str = "spheres",
    distance: float = 0.4,
    explain: bool = False,
    csv_safe: bool = False,
) -> Hits:
    """Choose among the best molecules of a scored library for one assay.

    Parameters
    ----------
    run : the run whose scores they are: its bundle knows the training molecules.
    scores : folder that `screening score` wrote.
    n, candidates : hits at most, and how many of the best are looked at.
    threshold : only those that reach this probability, or this value in a real assay's unit, are looked at.
    filters : names of `filters.filters`; a candidate that one of them speaks against is left out.
    keep_flagged : keep such candidates, and only say what speaks against them.
    diversity : `spheres` goes down the ranking and passes over what is nearer than `distance` to a hit;
        `maxmin` starts from the best and takes the candidate farthest from all hits; `none` = the best.
    distance : Tanimoto distance of ECFP4, 0 to 1.
    explain : also explain the hits, in the folder `explained` of `out`; the page links to it in any case.
    csv_safe : no cell of hits.csv, and of what the page saves, is run by a spreadsheet (see `cells`).

    Raises
    ------
    ConfigError : no such assay, filter or way to be diverse, a number out of range, nothing to explain.
    DataError : no scores there, or the folder cannot be written.

    References
    ----------
    R. Taylor, J. Chem. Inf. Comput. Sci. 35, 59, 1995 (spheres); M. Ashton et al., Quant. Struct.-Act. Relat.
    21, 598, 2002 (MaxMin); as RDKit has them.
    """
    _check(n, candidates, filters, diversity, distance)
    bundle = Bundle.load(Path(run))
    if explain:
        networks_of(bundle, assay)
    about = next((each for each in bundle.assays if each.name == assay), Assay(assay))
    best, mols = _readable(_best(Path(scores), about, bundle.tasks, candidates, threshold), bundle)
    single = _first_of_each([MolToSmiles(mol) for mol in mols])
    flags = dict(zip(single, _flags([mols[row] for row in single], filters), strict=True))
    passed = [row for row in single if keep_flagged or not any(flags[row].values())]
    picked = [passed[place] for place in _diverse([mols[row] for row in passed], n, diversity, distance)]
    chosen = [mols[row] for row in picked]
    described = _described(best.iloc[picked], chosen, [flags[row] for row in picked])
    table, notes = _beside_known(described, chosen, bundle, assay, Path(run))
    left_out, alike, repeated = len(single) - len(passed), len(passed) - len(picked), len(mols) - len(single)
    flagged = {name: sum(bool(each[name]) for each in flags.values()) for name in filters}
    hits = Hits(Path(out), assay, table, len(mols), repeated, flagged, left_out, alike, notes, about)
    _write(hits, chosen, bundle, Path(run), explain=explain, csv_safe=csv_safe)
    return hits


def _beside_known(
    table: pd.DataFrame, mols: list[Mol], bundle: Bundle, assay: str, run: Path
) -> tuple[pd.DataFrame, list[str]]:
    """With the nearest active, and with what the run knows of each molecule; what to say of them."""
    table, notes = _beside_actives(table, bundle, bundle.tasks.index(assay))
    parts = known_parts(run, [MolToSmiles(mol) for mol in mols])
    if parts is None:
        return table, notes
    return table.assign(known=parts), [*notes, *count_known(parts)]


def _check(n: int, candidates: int, filters: Sequence[str], diversity: str, distance: float) -> None:
    for name in filters:
        known_filters.get(name)
    if diversity not in DIVERSITIES:
        raise ConfigError(f"There is no diversity '{diversity}'. {did_you_mean(diversity, DIVERSITIES)}")
    if n < 1 or candidates < 1 or not 0 <= distance <= 1:
        raise ConfigError(
            f"{n} hits of {candidates} at distance {distance}: expected at least 1, at least 1 and 0 to 1."
        )


def _readable(best: pd.DataFrame, bundle: Bundle) -> tuple[pd.DataFrame, list[Mol]]:
    """The candidates that can be read, and their structures as the model sees them."""
    structures = [(text.split() or [""])[0] for text in best["smiles"]]  # without names and notes
    read = read_molecules(structures, standardize=bundle.features.standardize, max_atoms=LARGEST)
    mols = [mol for mol, _ in read]
    return best[[mol is not None for mol in mols]].reset_index(drop=True), [mol for mol in mols if mol]


def _reaching(best: pd.DataFrame, about: Assay, threshold: float | None) -> pd.DataFrame:
    """The molecules on the good side of a threshold, itself counted in."""
    if threshold is None:
        return best
    scores = best[score_column(about)]
    reached = scores >= threshold if about.is_high_good else scores <= threshold
    return best[reached].reset_index(drop=True)


def _best(folder: Path, about: Assay, tasks: Sequence[str], k: int, threshold: float | None) -> pd.DataFrame:
    """The k best molecules that reach a threshold, in constant memory; ties in the library's order."""
    assay = about.name
    parts = PartFolder(folder)
    numbers = parts.numbers()
    if not numbers:
        raise DataError(f"{folder} has no scores. Make some: screening score RUN LIBRARY --out {folder}")
    schema = pq.read_schema(parts.part(numbers[0]))
    names = schema.names
    scored = [task for task in tasks if assay_column(task) in names]
    if assay not in scored:
        raise ConfigError(f"{folder} has no scores for '{assay}'. {did_you_mean(assay, scored)}")
    results = [assay_column(task) + ending for task in tasks for ending in ("", *ENDINGS)]
    ours, score = {*OURS, *NEIGHBOUR, *results}, assay_column(assay)
    others = [name for name in names if name not in ours]
    limits = [name for name in (score + LOW, score + HIGH) if about.is_real and name in names]
    domain = [field.name for field in schema if field.name == "in_domain" and pa.types.is_boolean(field.type)]
    columns = ["id", "smiles", score, *limits, *others, *domain]
    best = Leaders(parts, (about,), k, ()).complete(numbers)
    places = best.places[best.is_filled]
    if not len(places):
        raise DataError(f"{folder}: no molecule has a score for '{assay}'.")
    titles = {score: score_column(about), **{name: f"library:{name}" for name in others}}
    titles |= {name: name.removeprefix(score + ":") for name in limits}
    table = rows_at(places, partial(parts.read, columns=columns)).to_pandas().rename(columns=titles)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return _reaching(table, about, threshold)


def _first_of_each(structures: list[str]) -> list[int]:
    return list({structure: row for row, structure in reversed(list(enumerate(structures)))}.values())[::-1]


def _flags(mols: list[Mol], filters: Sequence[str]) -> list[dict[str, list[str]]]:
    """What each filter says of each molecule."""
    with progress("filtering", len(mols)) as advance:
        flags = []
        for mol in mols:
            flags.append({name: known_filters.get(name)(mol) for name in filters})
            advance(1)
    return flags


def _diverse(mols: list[Mol], n: int, how: str, distance: float) -> list[int]:
    """Rows of at most n molecules, ascending; molecules come best first."""
    if how == "none" or not mols:
        return list(range(min(n, len(mols))))
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(mol) for mol in mols]
    if how == "spheres":
        picked = LeaderPicker().LazyBitVectorPick(prints, len(prints), distance, min(n, len(prints)))
    else:
        picked = MaxMinPicker().LazyBitVectorPick(prints, len(prints), min(n, len(prints)), [0], 0)
    return sorted(picked)


def _described(best: pd.DataFrame, mols: list[Mol], flags: list[dict[str, list[str]]]) -> pd.DataFrame:
    """With flags and properties."""
    said = [
        "; ".join(f"{name}: {what}" for name, whats in by_filter.items() for what in whats)
        for by_filter in flags
    ]
    return best.reset_index(drop=True).assign(
        flags=said,
        weight=[rdMolDescriptors.CalcExactMolWt(mol) for mol in mols],
        logp=[rdMolDescriptors.CalcCrippenDescriptors(mol)[0] for mol in mols],
        donors=[rdMolDescriptors.CalcNumHBD(mol) for mol in mols],
        acceptors=[rdMolDescriptors.CalcNumHBA(mol) for mol in mols],
        polar_surface=[rdMolDescriptors.CalcTPSA(mol) for mol in mols],
    )


def _beside_actives(table: pd.DataFrame, bundle: Bundle, task: int) -> tuple[pd.DataFrame, list[str]]:
    """With the nearest active of the training part, and how near the training part is at all."""
    domain = bundle.domain
    if domain is None or not len(table):
        return table, [] if len(table) else ["No hit is left."]
    prints = fingerprints(table["smiles"].tolist(), standardize=domain.standardize, workers=0)
    similarity = domain.nearest(prints).similarity
    inside = table.pop("in_domain").astype(bool) if "in_domain" in table else domain.is_inside(similarity)
    table = table.assign(training_similarity=similarity, in_domain=inside)
    if domain.structures is None:
        return table, [
            "The run keeps no training structures (domain.structures): nearest actives are not shown."
        ]
    near, kept, about = domain.nearest_active(prints, task), domain.structures, bundle.assays[task]
    is_there = near.row >= 0
    table = table.assign(
        nearest_active=[
            kept.ids[row] if there else "" for row, there in zip(near.row, is_there, strict=True)
        ],
        nearest_active_smiles=[
            kept.smiles[row] if there else "" for row, there in zip(near.row, is_there, strict=True)
        ],
        similarity=np.where(is_there, near.similarity, np.nan),
    )
    if about.is_real and kept.active_values is not None:
        values = np.append(about.in_unit(domain.values_of(task)), np.nan)
        table = table.assign(nearest_value=values[near.row])
    return table, []


def _write(hits: Hits, mols: list[Mol], bundle: Bundle, run: Path, *, explain: bool, csv_safe: bool) -> None:
    folder, table = hits.folder, hits.table
    lines = _lines(table, csv_safe=csv_safe)
    records = Records(lines[0], lines[1:], _records(table, mols))
    with claimed(folder, INSTEAD), explained(folder, instead=INSTEAD):
        sweep(folder, _HALF)
        write_atomically(folder / "hits.csv", "".join(lines))
        write_atomically(folder / "hits.sdf", "".join(records.molecules))
        if explain and len(table):
            source, out = folder / "hits.csv", folder / "explained"
            explain_molecules(run, source, out, assay=hits.assay, limit=len(table), smiles="smiles", id="id")
        page = hits_page(
            table,
            mols,
            records,
            quality=Quality.of(run, hits.assay),
            links=links_to(folder, "explained", hits.assay, table),
            hits=hits,
            model=f"Model {bundle.about.get('name', run.name)}",
            is_calibrated=bundle.calibration is not None and bundle.calibration.method != "none",
        )
        write_atomically(folder / "hits.html", page)


def _lines(table: pd.DataFrame, *, csv_safe: bool = False) -> list[str]:
    """The lines of hits.csv; a cell may have line breaks."""
    rows = [table.head(0), *(table.iloc[[row]] for row in range(len(table)))]
    return [csv_of(part, header=not number, csv_safe=csv_safe) for number, part in enumerate(rows)]


def _records(table: pd.DataFrame, mols: list[Mol]) -> list[str]:
    """The records of hits.sdf, with 2D coordinates and every column as a property, on one line each."""
    records, names = [], property_names(map(str, table.columns), "_")
    for number, (row, mol) in enumerate(zip(table.to_dict("records"), mols, strict=True), start=1):
        drawn = Mol(mol)
        lay_out(drawn)
        drawn.SetProp("_Name", " ".join(str(row["id"]).split()))
        for name, value in zip(names, row.values(), strict=True):
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            drawn.SetProp(name, " ".join(text.split()))
        records.append(SDWriter.GetText(drawn, molid=number))
    return records
