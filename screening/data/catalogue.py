"""The public assay tables we know, a row each: what was measured, by whom, what is wrong with it.

Facts only: files are found, fetched and read in `datasets`. Labels and actives of each assay, as far as
they are known, are in `assay_counts.csv`.
"""

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

MOLECULENET = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/"
"""Where DeepChem 2.8 takes its tables from (`deepchem/molnet/load_function/`)."""


@dataclass(frozen=True)
class DataSet:
    """A table of the catalogue."""

    name: str
    summary: str
    """What was measured, in a line."""
    n_tasks: int
    rows: int
    """Rows of the table that the address gives."""
    other_rows: tuple[int, ...]
    """Rows of other copies that go round."""
    files: tuple[str, ...]
    """Names under which it is looked for; the first is what a download is called."""
    address: str | None
    """Where it is downloaded from; None = made on this machine."""
    split: str
    """Split to use unless there is a reason for another."""
    metric: str
    """Metric that the literature gives for it."""
    licence: str
    source: str
    """Who measured it, and the publication."""
    defects: str
    """What is known to be wrong or odd with it."""
    smiles: str = "smiles"
    id: str | None = None
    """Columns of structures and of identifiers in the file at the address; other copies may differ."""
    limit: int = 50
    """Largest download accepted, MB."""
    assays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What its columns of measured values are, as `data.assays` says it in a config; none = classes."""
    notice: str = ""
    """What everybody who trains on it is told."""
    is_computed: bool = False
    """Whether its labels are computed, not measured."""
    sha256: str | None = None
    """Sum of the file at the address. None = not known here, and so far it is for none: copies that go round
    are packed anew. Such a download is checked by its rows, labels and actives."""

    @property
    def tasks(self) -> tuple[str, ...] | None:
        """Names of the columns that are assays; None where the file decides (`alerts`)."""
        counts = known_counts().get((self.name, self.rows))
        return tuple(count.assay for count in counts) if counts else None


class AssayCounts(NamedTuple):
    """Labels of one assay."""

    assay: str
    labels: int
    actives: int | None
    """None = not known to the catalogue."""


@functools.cache
def known_counts() -> dict[tuple[str, int], list[AssayCounts]]:
    """Known labels and actives of each assay, by table and number of rows."""
    by_table: dict[tuple[str, int], list[AssayCounts]] = {}
    with (Path(__file__).parent / "assay_counts.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            actives = int(line["actives"]) if line["actives"] else None
            counts = AssayCounts(line["assay"], int(line["labels"]), actives)
            by_table.setdefault((line["data_set"], int(line["rows"])), []).append(counts)
    return by_table


def _row(name: str, summary: str, n_tasks: int, rows: int, file: str, **more: Any) -> DataSet:
    """A table of MoleculeNet; `file` is its name at MOLECULENET."""
    files = tuple(dict.fromkeys([file, f"{name}.csv.gz", f"{name}.csv"]))
    usual = {"other_rows": (), "split": "scaffold", "metric": "roc_auc"}
    return DataSet(name, summary, n_tasks, rows, files=files, address=MOLECULENET + file, **{**usual, **more})


_ROWS = (
    DataSet(
        "alerts",
        "embedded table of NCI compounds, labels COMPUTED by RDKit rules, not measured",
        n_tasks=110,
        rows=4_892,
        other_rows=(),
        files=("alerts.csv.gz",),
        address=None,
        split="scaffold",
        metric="average_precision",
        id="mol_id",
        licence="RDKit, BSD 3-clause: its NCI molecules (public) and its FilterCatalog alerts",
        source="made by screening/data/alerts_table.py from files of the rdkit wheel; no download",
        defects="No label was measured: a figure on this table says that the program works, and nothing of "
        "biology. Sizes are those with RDKit 2026.09.1; another version may give some panels more or less.",
        notice="the labels of this table are computed by RDKit rules, not measured.",
        is_computed=True,
    ),
    DataSet(
        "moleculeace",
        "Ki and EC50 in nM on 30 targets of ChEMBL, with activity cliffs",
        n_tasks=30,
        rows=39_178,
        other_rows=(),
        files=("moleculeace.csv.gz",),
        address=None,
        split="column",
        metric="rmse",
        id="mol_id",
        licence="ChEMBL, CC BY-SA 3.0: give credit, share alike; the package that carries it is MIT",
        source="van Tilborg, Alenicheva, Grisoni, J. Chem. Inf. Model. 62 (2022) 5938; made from a wheel by "
        "screening/data/moleculeace_table.py, no download",
        defects="48,714 values of 35,633 structures. The published split is of measurements: 3,545 "
        "structures train for one target and test for another (recipe moleculeace), which may flatter models "
        "that share what they learn; the recipe moleculeace_no_leak leaves these training values out. Values "
        "are means over laboratories, without their spread.",
        assays=MappingProxyType(
            {"CHEMBL*": {"kind": "real", "unit": "nM", "transform": "neg_log10_molar", "wanted": "high"}}
        ),
        notice="the values of this table are ChEMBL's (CC BY-SA 3.0: give credit, share alike), as in "
        "MoleculeACE (van Tilborg et al., 2022).",
    ),
    _row(
        "tox21",
        "nuclear-receptor and stress-response assays",
        n_tasks=12,
        rows=7_831,
        file="tox21.csv.gz",
        other_rows=(8_014,),
        id="mol_id",
        licence="Tox21 programme (NIH, EPA, FDA), public; via MoleculeNet (DeepChem, MIT)",
        source="Tox21 Data Challenge 2014; Wu et al., MoleculeNet, Chem. Sci. 9 (2018) 513",
        defects="Not the data of the challenge: labels were altered and imputed on the way into MoleculeNet "
        "and OGB (Ebner et al., arXiv 2511.14744), so compare with other MoleculeNet figures only. RDKit "
        "cannot read 8 structures. The 8,014-row copy has 183 duplicates, with 64 contradicting labels.",
    ),
    _row(
        "toxcast",
        "ToxCast in-vitro assay endpoints",
        n_tasks=617,
        rows=8_576,
        file="toxcast_data.csv.gz",
        other_rows=(8_615,),
        licence="US EPA, public domain; via MoleculeNet (DeepChem, MIT)",
        source="Richard et al., Chem. Res. Toxicol. 29 (2016) 1225; MoleculeNet",
        defects="71 % of the labels are missing; 19 to 1,761 actives per assay, so most splits leave some "
        "assays with one class in valid or test; a fifth of the rows are salts or mixtures. The 8,615-row "
        "copy has 15 rows whose SMILES is the text FAIL, 3 more unreadable ones and 18 duplicates.",
    ),
    _row(
        "muv",
        "PubChem assays chosen to be hard for similarity search",
        n_tasks=17,
        rows=93_087,
        file="muv.csv.gz",
        other_rows=(93_127,),
        split="stratified",
        metric="average_precision",
        licence="public PubChem BioAssay deposits; via MoleculeNet (DeepChem, MIT)",
        source="Rohrer, Baumann, J. Chem. Inf. Model. 49 (2009) 169; MoleculeNet",
        defects="24 to 30 actives per assay: figures vary much between seeds, and a scaffold split leaves "
        "parts without an active. 84 % of the labels are missing. Actives were chosen to be spread out among "
        "the inactives, so it is harder than a screen.",
    ),
    _row(
        "pcba",
        "PubChem screens, the largest public table of many assays",
        n_tasks=128,
        rows=439_863,
        file="pcba.csv.gz",
        other_rows=(437_929,),
        metric="average_precision",
        id="mol_id",
        limit=200,
        licence="public PubChem BioAssay deposits; via MoleculeNet (DeepChem, MIT)",
        source="Ramsundar et al., arXiv 1502.02072; MoleculeNet",
        defects="39 % of the labels are missing; 1.4 % of the others are active, 33 to 63,127 per assay. "
        "OGB's copy has 437,929 rows. Some authors take missing labels for inactive, and such figures do "
        "not compare.",
    ),
    _row(
        "sider",
        "side effects of marketed drugs, by class of organ",
        n_tasks=27,
        rows=1_427,
        file="sider.csv.gz",
        licence="SIDER: CC BY-NC-SA 4.0 (not for commercial use); via MoleculeNet",
        source="Kuhn et al., Nucleic Acids Res. 44 (2016) D1075; MoleculeNet",
        defects="57 % of the labels are positive, in some assays nine out of ten. A label says that an "
        "effect was reported, not that the drug causes it. Actives per assay are not known here.",
    ),
    _row(
        "clintox",
        "FDA approval, and failure in clinical trials for toxicity",
        n_tasks=2,
        rows=1_484,
        file="clintox.csv.gz",
        licence="SWEETLEAD and AACT (ClinicalTrials.gov); via MoleculeNet (DeepChem, MIT)",
        source="Gayvert et al., Cell Chem. Biol. 23 (2016) 1294; MoleculeNet",
        defects="The two assays are almost each other's opposite. RDKit cannot read 4 structures; 19 "
        "duplicates.",
    ),
    _row(
        "hiv",
        "inhibition of HIV replication, the NCI antiviral screen",
        n_tasks=1,
        rows=41_127,
        file="HIV.csv",
        licence="NCI DTP, public domain; via MoleculeNet (DeepChem, MIT)",
        source="NCI Drug Therapeutics Program, AIDS antiviral screen; MoleculeNet",
        defects='3.5 % are active; "active" joins confirmed and moderate activity (column `activity`).',
    ),
    _row(
        "bbbp",
        "penetration of the blood-brain barrier",
        n_tasks=1,
        rows=2_050,
        file="BBBP.csv",
        id="name",
        licence="published compilation; via MoleculeNet (DeepChem, MIT)",
        source="Martins et al., J. Chem. Inf. Model. 52 (2012) 1686; MoleculeNet",
        defects="RDKit cannot read 11 structures; 64 duplicates, some with contradicting labels; identifiers "
        "repeat, and some structures are not those of their name (DeepChem issue 3122). 76 % are positive.",
    ),
    _row(
        "bace",
        "inhibition of human beta-secretase 1",
        n_tasks=1,
        rows=1_513,
        file="bace.csv",
        smiles="mol",
        id="CID",
        licence="published measurements; via MoleculeNet (DeepChem, MIT)",
        source="Subramanian et al., J. Chem. Inf. Model. 56 (2016) 1936; MoleculeNet",
        defects="The label is a threshold on IC50 values from many publications; a few chemical series, so a "
        "random split is easy. Its column `Model` is a split of the authors.",
    ),
)
catalogue: Mapping[str, DataSet] = MappingProxyType({row.name: row for row in _ROWS})
"""Name -> table."""
