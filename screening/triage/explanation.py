"""Why a run gives molecules their score in an assay, as tables; the page is that of `explanation_page`.

The numbers come from `contributions`. Called by `screening explain`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rdkit.Chem import Mol
from scipy.stats import spearmanr

from ..bundle.bundle import Bundle
from ..bundle.reference import Reference
from ..data.assay_kinds import Assay
from ..data.tables import Rejected, TableReader, open_frame, open_table
from ..errors import BundleError, ConfigError
from ..features.store import GraphStore
from ..models.network import ScreeningModel
from ..registry import did_you_mean
from ..runtime.csv_cells import csv_of
from ..runtime.files import half_written, sweep, write_atomically
from ..runtime.folders import claimed, explained
from ..runtime.progress import progress
from ..scoring.entries import read_entries
from .chosen_molecules import Chosen, choose_molecules
from .contributions import METHODS, Contributions, other_columns
from .explained_networks import networks_of, told_by, without_baselines
from .explanation_page import NO_REFERENCE, SOURCES, explanation_card, explanation_page, pictures_of, share

INSTEAD = "give another folder with `out`"
_HALF = half_written(r"(molecule-\d+|molecules|rejected|contributions|descriptors|index)\.\w+")
MOSTLY = 0.5  # the share that belongs to no atom and is worth a note
NO_ATOMS = (
    "Most of the score comes from what belongs to no atom: colours show the smaller part, the descriptors "
    "below each picture the larger. A model without them (features.vectors=[ecfp_counts]) is explained by "
    "its atoms alone."
)
AT_ONCE = 100  # molecules explained together


@dataclass(frozen=True, repr=False)
class Explanation:
    """What was found; a notebook shows it as a card for each molecule."""

    about: Assay
    """The assay; of a real one contributions are on its scale of training (`Assay.scale`)."""
    method: str
    molecules: pd.DataFrame
    """One row per molecule: molecule (from 1), id, smiles, assay, probability, logit (of a real assay value,
    in its unit, and trained, the same on the scale of training), baseline (that of the reference), atoms (sum
    of their contributions), of that `graph`, `fingerprint` and `described`, elsewhere (no atom's), of that
    `absent` and `descriptors`, error (of completeness), agreement (rank correlation with the other method,
    NaN unless asked for)."""
    atoms: pd.DataFrame
    """One row per atom: molecule, id, atom, symbol, contribution, of it graph, fingerprint, described."""
    descriptors: pd.DataFrame
    """One row per molecule and descriptor, strongest first: molecule, id, descriptor, value, contribution."""
    rejected: list[Rejected]
    notes: list[str]
    mols: list[Mol]
    """As the features see them, one per molecule."""
    folder: Path | None = None
    """Where `write` put it."""

    @property
    def assay(self) -> str:
        """Its name."""
        return self.about.name

    @property
    def sum_of(self) -> str:
        """What contributions add up to, with the reference: a column of `molecules`."""
        return "trained" if self.about.is_real else "logit"

    @cached_property
    def pictures(self) -> list[str]:
        """An SVG of each molecule, its atoms coloured by what they contribute."""
        return pictures_of(self, self.atoms, self.mols)

    def __repr__(self) -> str:
        return "\n  ".join([f"Explanation of {self.assay}", *self.lines()])

    def _repr_html_(self) -> str:
        return explanation_card(self, self.pictures)

    def write(self, out: str | PathLike[str]) -> "Explanation":
        """Put it into a folder: contributions.parquet, molecules.csv, descriptors.parquet, rejected.csv,
        index.html and an SVG for each molecule; files of these names in it are replaced.

        Raises
        ------
        DataError : the folder cannot be written.
        """
        written = replace(self, folder=Path(out))
        _write(written, Path(out))
        return written

    def lines(self) -> list[str]:
        """What a user should read, in a few lines."""
        molecules, errors = self.molecules, self.molecules["error"].abs()
        what = "value" if self.about.is_real else "logit"
        lines = [f"{len(molecules):,} molecules explained, {len(self.rejected):,} rejected", *self.notes]
        lines += [f"  row {each.row}, {each.id}: {each.reason}" for each in self.rejected[:10]]
        if errors.notna().all():
            lines.append(
                f"completeness: the contributions miss the {what} difference by {errors.median():.3f} "
                f"(median) to {errors.max():.3f} (worst)"
            )
            shares = ", ".join(f"{share(molecules, source):.0%} {name}" for source, name in SOURCES.items())
            lines.append(f"contributions come from: {shares}")
        if molecules["agreement"].notna().any():
            lines.append(
                f"rank correlation with the other method: {molecules['agreement'].mean():.2f} (mean)"
            )
        return lines if self.folder is None else [*lines, f"Page: {self.folder / 'index.html'}"]


def explain(
    run: str | PathLike[str],
    source: str | PathLike[str],
    out: str | PathLike[str] = "explained",
    *,
    assay: str,
    method: str = "integrated_gradients",
    check: bool = False,
    limit: int = 200,
    smiles: str | None = None,
    id: str | None = None,
) -> Explanation:
    """What each atom contributes to the logit, or the value, of one assay, for the molecules of a file.

    Told against the mean training molecule (`reference`). Of an ensemble, the mean logit of its networks is
    explained; calibration, which comes after the logit and keeps the order, is not part of it. Of a blend its
    networks are explained, with a note. Values are on the scale of training, such as -log10 M.

    Parameters
    ----------
    run : run folder or bundle folder.
    out : folder for the results; files of the same names in it are replaced.
    check : also explain by the other method and say how far the atoms' ranks agree.
    limit : read so many records at most.

    Raises
    ------
    ConfigError : no such assay or method, or the assay is served by a baseline.
    BundleError, DataError : no usable model or no usable molecule, or `out` cannot be written.
    """
    _check_method(method)
    bundle = Bundle.load(run)
    networks_of(bundle, assay)  # before a file is opened
    reader = open_table(Path(source), smiles=smiles, id=id, block_size=min(limit, 8192))
    return _explained(bundle, reader, assay, method, check=check, limit=limit).write(out)


def explain_molecules(
    bundle: Bundle,
    molecules: Any,
    *,
    assay: str,
    method: str = "integrated_gradients",
    check: bool = False,
    limit: int = 200,
    column: str | None = None,
) -> Explanation:
    """The same for molecules in memory; nothing is written.

    Parameters
    ----------
    molecules : a SMILES, an RDKit molecule, or a list, array, column or table of them.
    column : of a table, that of the structures; None = found by its name.
    """
    _check_method(method)
    if not isinstance(molecules, pd.DataFrame):
        entries = read_entries(molecules, column)
        texts = ["" if entry is None else str(entry) for entry in entries.shown]
        molecules, column = pd.DataFrame({"smiles": texts}), "smiles"
    return _explained(bundle, open_frame(molecules, smiles=column), assay, method, check=check, limit=limit)


def _check_method(name: str) -> None:
    if name not in METHODS:
        raise ConfigError(f"There is no method '{name}'. {did_you_mean(name, METHODS)}")


def _explained(
    bundle: Bundle, reader: TableReader, assay: str, method: str, *, check: bool, limit: int
) -> Explanation:
    networks = networks_of(bundle, assay)
    chosen = choose_molecules(reader, bundle, assay, limit)
    reference, notes = _reference(bundle, chosen.store)
    told = _contributions(networks, chosen, method, reference)
    other = next(name for name in METHODS if name != method)
    second = _contributions(networks, chosen, other, reference) if check else None
    column = bundle.tasks.index(assay)
    if bundle.targets is not None and bundle.targets.is_real[column]:
        scale = float(bundle.targets.mean[column]), float(bundle.targets.deviation[column])
        told = told.as_values(*scale)
    molecules, atoms = _tables(bundle, assay, chosen, told, second)
    notes = [*chosen.notes, *notes] if method == "integrated_gradients" else chosen.notes
    if share(molecules, "absent") + share(molecules, "descriptors") > MOSTLY:
        notes = [*notes, NO_ATOMS]
    notes = [*notes, *without_baselines(bundle, column)]
    descriptors = _descriptors(chosen, told)
    about = bundle.assays[column]
    return Explanation(about, method, molecules, atoms, descriptors, chosen.rejected, notes, chosen.mols)


def _reference(bundle: Bundle, store: GraphStore) -> tuple[Reference, list[str]]:
    """The bundle's, or that of the structures it keeps; else nothing, with a note."""
    reference = bundle.reference
    if reference is None and bundle.domain is not None and bundle.domain.structures is not None:
        reference = Reference.of_structures(bundle.domain.structures.smiles, bundle.features)
    if reference is None:
        return Reference.nothing(store), [NO_REFERENCE]
    if not reference.fits(store):
        raise BundleError("The bundle's mean training molecule is not one of its features. Train again.")
    return reference, []


def _contributions(
    networks: list[tuple[ScreeningModel, int, float]], chosen: Chosen, method: str, reference: Reference
) -> Contributions:
    """Means over the networks, of all molecules."""
    blocks, shares = [], [share for _, _, share in networks]
    with progress(f"explaining by {method.replace('_', ' ')}", len(chosen.mols)) as advance:
        for start in range(0, len(chosen.mols), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            rows, mols = chosen.rows[block], chosen.mols[block]
            told = [
                told_by(METHODS[method], model, column, chosen.store, rows, mols, reference)
                for model, column, _ in networks
            ]
            means = (np.average(arrays, axis=0, weights=shares) for arrays in zip(*told, strict=True))
            blocks.append(Contributions(*means))
            advance(len(rows))
    return Contributions(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))


def _tables(
    bundle: Bundle, assay: str, chosen: Chosen, told: Contributions, second: Contributions | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per molecule, and one row per atom."""
    n_atoms = np.array([mol.GetNumAtoms() for mol in chosen.mols])
    number = np.arange(1, len(n_atoms) + 1)
    owner = np.repeat(number - 1, n_atoms)
    sums = {
        name: np.bincount(owner, getattr(told, name), len(n_atoms))
        for name in ("atoms", "graph", "fingerprint", "described")
    }
    column = bundle.tasks.index(assay)
    scores, about = bundle.predict(chosen.store, chosen.rows).scores[:, column], bundle.assays[column]
    if about.is_real:
        said = {"value": about.in_unit(scores.astype(np.float64)), "trained": told.logits}
    else:
        said = {"probability": scores, "logit": told.logits}
    molecules = pd.DataFrame(
        {
            "molecule": number,
            "id": chosen.ids,
            "smiles": chosen.smiles,
            "assay": assay,
            **said,
            "baseline": told.baseline,
            **sums,
            "elsewhere": told.elsewhere,
            "absent": told.absent,
            "descriptors": told.descriptors,
            "error": told.errors(n_atoms),
            "agreement": _agreements(told, second, n_atoms),
        }
    )
    atoms = pd.DataFrame(
        {
            "molecule": number[owner],
            "id": np.repeat(np.array(chosen.ids, object), n_atoms),
            "atom": np.concatenate([np.arange(n) for n in n_atoms]),
            "symbol": [atom.GetSymbol() for mol in chosen.mols for atom in mol.GetAtoms()],
            "contribution": told.atoms,
            "graph": told.graph,
            "fingerprint": told.fingerprint,
            "described": told.described,
        }
    )
    return molecules, atoms


def _descriptors(chosen: Chosen, told: Contributions) -> pd.DataFrame:
    """One row per molecule and descriptor, the largest contribution of each molecule first."""
    places, names = other_columns(chosen.store)
    n, size = told.columns.shape
    values = torch.cat([chosen.store.batch(rows).vectors[:, places] for rows in chosen.rows.split(1024)])
    order = np.argsort(-np.abs(told.columns), axis=1, kind="stable")
    return pd.DataFrame(
        {
            "molecule": np.repeat(np.arange(1, n + 1), size),
            "id": np.repeat(np.array(chosen.ids, object), size),
            "descriptor": np.array(names, object)[order].ravel(),
            "value": np.take_along_axis(values.numpy(), order, 1).ravel(),
            "contribution": np.take_along_axis(told.columns, order, 1).ravel(),
        }
    )


def _agreements(told: Contributions, second: Contributions | None, n_atoms: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation over the atoms of each molecule; NaN below three atoms or if all equal.

    Of what comes through the graph and circular fingerprints: occlusion leaves descriptors as they are.
    """
    values = np.full(len(n_atoms), np.nan)
    if second is None:
        return values
    ends, (ours, theirs) = np.cumsum(n_atoms), (each.graph + each.fingerprint for each in (told, second))
    for number, (end, n) in enumerate(zip(ends, n_atoms, strict=True)):
        one, other = ours[end - n : end], theirs[end - n : end]
        if n > 2 and np.ptp(one) > 0 and np.ptp(other) > 0:
            values[number] = spearmanr(one, other).statistic
    return values


def _write(result: Explanation, folder: Path) -> None:
    with claimed(folder, INSTEAD), explained(folder, instead=INSTEAD):
        sweep(folder, _HALF)
        for old in folder.glob("molecule-*.svg"):
            old.unlink()
        for number, picture in enumerate(result.pictures, start=1):
            write_atomically(folder / f"molecule-{number:04d}.svg", picture)
        write_atomically(folder / "molecules.csv", csv_of(result.molecules))
        rejected = pd.DataFrame(result.rejected, columns=Rejected._fields)
        write_atomically(folder / "rejected.csv", csv_of(rejected))
        write_atomically(folder / "contributions.parquet", result.atoms.to_parquet(index=False))
        write_atomically(folder / "descriptors.parquet", result.descriptors.to_parquet(index=False))
        write_atomically(folder / "index.html", explanation_page(result, result.pictures))
