"""The embedded table `alerts`: real molecules with COMPUTED labels, made on this machine without a download.

Molecules: the NCI compounds that the rdkit wheel ships. Assays: about 100 structural alerts and
thresholds on descriptors, worked out by RDKit. No label here was measured: the table is for
tests and demonstrations, and a figure on it says nothing about biology.
"""

import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..runtime.csv_bytes import csv_text, packed_csv
from ..runtime.files import write_atomically
from ..runtime.progress import progress
from .molecules import read_molecule

VERSION = 1
"""Raised when the rules below change, so that a table in the cache is made again."""

SEED = 20_240_517
"""Of the hidden labels; nothing else here is random."""

SETS = {
    "PAINS_A": "PAINS_A",
    "PAINS_B": "PAINS_B",
    "ZINC": "ZINC",
    "BRENK": "BRENK",
    "NIH": "NIH",
    "Glaxo": "CHEMBL_Glaxo",
    "Inpharmatica": "CHEMBL_Inpharmatica",
    "LINT": "CHEMBL_LINT",
    "MLSMR": "CHEMBL_MLSMR",
    "SureChEMBL": "CHEMBL_SureChEMBL",
}
"""Our name -> RDKit's FilterCatalog. CHEMBL_BMS repeats NIH, CHEMBL_Dundee repeats BRENK; PAINS_C is
409 patterns for 40 actives."""

WHOLE_SETS = ("PAINS_A", "PAINS_B", "ZINC")
"""Sets that hit fewer than a fifth of the molecules: "any alert of the set" is a panel too."""

SHARE = (0.005, 0.20)
"""Smallest and largest share of actives of a panel, before labels are hidden."""

FEWEST_ACTIVES = 25
"""Actives a panel must keep after labels are hidden."""

SEEN = 3
"""Hits among every fifth molecule for an alert to be looked for in all; FEWEST_ACTIVES are 5 of these."""

ALIKE = 0.6
"""A panel is left out if its actives overlap this much (Jaccard) with those of an earlier panel."""

MISSING = (0.30, 0.97)
"""Smallest and largest share of hidden labels of a panel. In PCBA it is 0.06 to 0.98, on average 0.39."""

DELIVERIES = 40
"""Blocks of neighbouring molecules that are measured together, like deliveries of a screening library."""


class Panel(NamedTuple):
    """What one assay of the table is."""

    name: str
    """Name of the assay (column of the table)."""
    kind: str
    """"substructure" (active = the pattern occurs), "repeated" (it occurs at least so many times), "rule"
    (an alert of several patterns), "set" (any alert of a set) or "threshold" (on a descriptor)."""
    smarts: str
    """The pattern of a "substructure" or "repeated"; "" for the others."""
    rule: str
    """The rule in words."""


class Threshold(NamedTuple):
    """A panel on one descriptor."""

    name: str
    module: str
    function: str
    sign: str
    value: float


THRESHOLDS = (
    Threshold("logP_above_4", "Crippen", "MolLogP", ">", 4.0),
    Threshold("logP_above_5", "Crippen", "MolLogP", ">", 5.0),
    Threshold("logP_below_minus_1", "Crippen", "MolLogP", "<", -1.0),
    Threshold("refractivity_above_110", "Crippen", "MolMR", ">", 110.0),
    Threshold("weight_above_330", "rdMolDescriptors", "CalcExactMolWt", ">", 330.0),
    Threshold("weight_above_400", "rdMolDescriptors", "CalcExactMolWt", ">", 400.0),
    Threshold("weight_below_120", "rdMolDescriptors", "CalcExactMolWt", "<", 120.0),
    Threshold("tpsa_above_120", "rdMolDescriptors", "CalcTPSA", ">", 120.0),
    Threshold("tpsa_below_5", "rdMolDescriptors", "CalcTPSA", "<", 5.0),
    Threshold("qed_above_08", "QED", "qed", ">", 0.8),
    Threshold("qed_below_025", "QED", "qed", "<", 0.25),
    Threshold("rotatable_bonds_above_6", "rdMolDescriptors", "CalcNumRotatableBonds", ">", 6),
    Threshold("donors_above_4", "rdMolDescriptors", "CalcNumHBD", ">", 4),
    Threshold("acceptors_above_7", "rdMolDescriptors", "CalcNumHBA", ">", 7),
    Threshold("rings_above_4", "rdMolDescriptors", "CalcNumRings", ">", 4),
    Threshold("aromatic_rings_above_3", "rdMolDescriptors", "CalcNumAromaticRings", ">", 3),
    Threshold("aromatic_heterocycles", "rdMolDescriptors", "CalcNumAromaticHeterocycles", ">", 0),
    Threshold("saturated_rings_above_1", "rdMolDescriptors", "CalcNumSaturatedRings", ">", 1),
    Threshold("heteroatoms_above_9", "rdMolDescriptors", "CalcNumHeteroatoms", ">", 9),
    Threshold("fraction_sp3_above_08", "rdMolDescriptors", "CalcFractionCSP3", ">", 0.8),
    Threshold("stereocentres_above_3", "rdMolDescriptors", "CalcNumAtomStereoCenters", ">", 3),
    Threshold("bridgeheads_above_1", "rdMolDescriptors", "CalcNumBridgeheadAtoms", ">", 1),
    Threshold("amides_above_1", "rdMolDescriptors", "CalcNumAmideBonds", ">", 1),
    Threshold("kappa3_above_5", "rdMolDescriptors", "CalcKappa3", ">", 5.0),
)


class _Molecules(NamedTuple):
    ids: list[str]
    smiles: list[str]
    mols: list[Any]


def make_alerts(folder: Path) -> Path:
    """Path of the table in `folder`; made there (some seconds on two cores) if it is not there yet.

    Columns: mol_id, smiles, then one per panel: 1, 0 or empty (hidden). `alerts-panels...csv` beside it
    holds the panels. Both names carry our version and RDKit's; same versions, same bytes.
    """
    table, panels = _paths(folder)
    if not (table.exists() and panels.exists()):
        molecules = _nci_molecules()
        candidates, active = _panels(molecules)
        labels = hide_labels(active, np.random.default_rng(SEED))
        kept = (labels == 1).sum(axis=0) >= FEWEST_ACTIVES
        kept_panels = [panel for panel, keep in zip(candidates, kept, strict=True) if keep]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(panels, csv_text([Panel._fields, *kept_panels]).encode())
        names = [panel.name for panel in kept_panels]
        write_atomically(table, _table_bytes(molecules, names, labels[:, kept]))
    return table


def alerts_library() -> Path:
    """The library to score with a model of `alerts`: 100 ChEMBL actives, a SMILES file of the rdkit wheel."""
    from rdkit import RDConfig

    return _shipped(Path(RDConfig.RDContribDir) / "fraggle" / "data" / "ChEMBL_11265_actives.smi")


def hide_labels(active: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Labels float32 [n, T] with 30 to 97 % per task hidden (NaN), as uneven as in PCBA.

    Half of the decision falls for a whole block of neighbouring molecules, half for each molecule. The
    share is drawn per task, up to where about FEWEST_ACTIVES of its actives would be left.

    Parameters
    ----------
    active : [n, T], boolean.
    """
    n, n_tasks = active.shape
    most = np.clip(1 - 1.2 * FEWEST_ACTIVES / np.maximum(active.sum(axis=0), 1), *MISSING)
    missing = MISSING[0] + (most - MISSING[0]) * generator.beta(0.7, 0.9, n_tasks)
    delivery = np.arange(n) * DELIVERIES // max(n, 1)
    turn = generator.random((DELIVERIES, n_tasks))[delivery] + generator.random((n, n_tasks))
    rank = turn.argsort(axis=0).argsort(axis=0)
    return np.where(rank < np.round(missing * n), np.nan, active).astype(np.float32)


def _nci_molecules() -> _Molecules:
    """The readable molecules of the file, each structure once, in its order; SMILES as in the file."""
    from rdkit import Chem, RDConfig

    path = _shipped(Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi")
    molecules: dict[str, tuple[str, str, Any]] = {}
    for line in path.read_text().splitlines():
        smiles, name = line.split()
        mol, _ = read_molecule(smiles)
        if mol is not None:
            molecules.setdefault(Chem.MolToSmiles(mol), (f"NCI-{name}", smiles, mol))
    ids, texts, mols = zip(*molecules.values(), strict=True)
    return _Molecules(list(ids), list(texts), list(mols))


def _panels(molecules: _Molecules) -> tuple[list[Panel], np.ndarray]:
    """All panels with enough actives, and who is active, bool [n, T]."""
    candidates = [*_threshold_panels(molecules), *_alert_panels(molecules)]
    panels: list[Panel] = []
    columns: list[np.ndarray] = []
    for panel, active in candidates:
        share = active.mean()
        if SHARE[0] <= share <= SHARE[1] and active.sum() >= FEWEST_ACTIVES / (1 - MISSING[0]):
            alike = [(active & other).sum() / (active | other).sum() for other in columns]
            if max(alike, default=0) < ALIKE:
                panels.append(panel)
                columns.append(active)
    return panels, np.stack(columns, axis=1)


def _threshold_panels(molecules: _Molecules) -> list[tuple[Panel, np.ndarray]]:
    @functools.cache
    def values(module: str, function: str) -> np.ndarray:
        call: Callable[[Any], float] = getattr(_rdkit_module(module), function)
        return np.array([call(mol) for mol in molecules.mols], dtype=float)

    panels = []
    for name, module, function, sign, value in THRESHOLDS:
        numbers = values(module, function)
        active = numbers > value if sign == ">" else numbers < value
        panels.append((Panel(name, "threshold", "", f"RDKit {function} {sign} {value:g}"), active))
    return panels


def _rdkit_module(name: str) -> Any:
    from rdkit.Chem import QED, Crippen, rdMolDescriptors

    return {"QED": QED, "Crippen": Crippen, "rdMolDescriptors": rdMolDescriptors}[name]


def _alert_panels(molecules: _Molecules) -> list[tuple[Panel, np.ndarray]]:
    """One panel per alert, in the order of SETS, then one per whole set.

    The 900 patterns are looked for in every fifth molecule first, and only those with SEEN hits in all.
    """
    panels = []
    whole = []
    with progress("making the table 'alerts' (computed labels)", len(SETS)) as advance:
        for name, catalogue in SETS.items():
            entries = _entries(catalogue)
            sample = _hits(entries, molecules.smiles[::5])
            chosen = (sample.sum(axis=0) >= SEEN) | (name in WHOLE_SETS)
            hits = _hits(
                [entry for entry, keep in zip(entries, chosen, strict=True) if keep], molecules.smiles
            )
            for column, entry in zip(hits.T, np.array(entries, dtype=object)[chosen], strict=True):
                if column.any():
                    example = molecules.mols[int(column.argmax())]
                    panels.append((_panel_of(name, entry, example), column))
            if name in WHOLE_SETS:
                rule = f"any alert of RDKit's FilterCatalog {catalogue}"
                whole.append((Panel(f"{name}_any", "set", "", rule), hits.any(axis=1)))
            advance()
    return panels + whole


def _entries(catalogue: str) -> list[Any]:
    """The alerts of a set whose description is not used twice in it."""
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    alerts = FilterCatalog(FilterCatalogParams(FilterCatalogParams.FilterCatalogs.names[catalogue]))
    entries = [alerts.GetEntryWithIdx(row) for row in range(alerts.GetNumEntries())]
    descriptions = [entry.GetDescription() for entry in entries]
    return [entry for entry in entries if descriptions.count(entry.GetDescription()) == 1]


def _hits(entries: Sequence[Any], smiles: Sequence[str]) -> np.ndarray:
    """Which molecule has which alert, bool [n, alerts]; one pass over the molecules in C++ threads."""
    from rdkit import rdBase
    from rdkit.Chem.FilterCatalog import FilterCatalog, RunFilterCatalog  # type: ignore[attr-defined]

    catalogue = FilterCatalog()
    for entry in entries:
        catalogue.AddEntry(entry)
    column = {entry.GetDescription(): index for index, entry in enumerate(entries)}
    hits = np.zeros((len(smiles), len(entries)), dtype=bool)
    with rdBase.BlockLogs():
        matches = RunFilterCatalog(catalogue, list(smiles), numThreads=min(4, os.cpu_count() or 1))
    for row, matched in enumerate(matches):
        hits[row, [column[entry.GetDescription()] for entry in matched]] = True
    return hits


def _panel_of(name: str, entry: Any, example: Any) -> Panel:
    """The panel of one alert; its pattern is read from its match in `example`."""
    from rdkit import Chem

    description = entry.GetDescription()
    words = re.sub(r"[^A-Za-z0-9]+", "_", description).strip("_")
    matches = entry.GetFilterMatches(example)
    matcher = matches[0].filterMatch
    if len(matches) != 1 or not hasattr(matcher, "GetPattern") or matcher.GetMaxCount() < 2**32 - 1:
        return Panel(f"{name}_{words}", "rule", "", f"RDKit FilterCatalog {SETS[name]}: {description}")
    least = matcher.GetMinCount()
    kind = "substructure" if least == 1 else "repeated"
    rule = f"RDKit FilterCatalog {SETS[name]}: {description}" + f", at least {least} times" * (least > 1)
    return Panel(f"{name}_{words}", kind, Chem.MolToSmarts(matcher.GetPattern()), rule)


def _paths(folder: Path) -> tuple[Path, Path]:
    from rdkit import rdBase

    stem = f"v{VERSION}-rdkit{rdBase.rdkitVersion}"
    return folder / f"alerts-{stem}.csv.gz", folder / f"alerts-panels-{stem}.csv"


def _shipped(path: Path) -> Path:
    if not path.exists():
        raise DataError(
            f"{path} is not there: this RDKit comes without its data files, and the table 'alerts' is made "
            "from them. Install RDKit with pip (the wheel has them), or train on a table of your own."
        )
    return path


def _table_bytes(molecules: _Molecules, names: list[str], labels: np.ndarray) -> bytes:
    """The gzipped CSV; the same table has the same bytes."""
    texts = np.where(np.isnan(labels), "", np.where(labels == 1, "1", "0"))
    rows = [
        [name, smiles, *row] for name, smiles, row in zip(molecules.ids, molecules.smiles, texts, strict=True)
    ]
    return packed_csv([["mol_id", "smiles", *names], *rows])
