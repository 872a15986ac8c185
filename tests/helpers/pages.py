"""The project's pages in Markdown as tests see them: text, commands, examples, links, in reading order."""

import csv
import gzip
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pandas as pd
import small
from rdkit import Chem
from rdkit.Chem import Descriptors

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"


class Page:
    """A page in Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return self.path.name

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of that language."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.S | re.M)

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return re.sub(r"^```.*?^```", "", self.text, flags=re.S | re.M)

    @property
    def commands(self) -> list[str]:
        """The `screening` commands of its bash blocks, also those that another command wraps."""
        lines = re.sub(r"\\\n\s*", " ", "".join(self.blocks("bash"))).splitlines()
        found = [
            re.search(r"^(screening .*?)(?:\s+#.*)?$|--wrap '(screening [^']*)'", line) for line in lines
        ]
        return [(match[1] or match[2]).strip() for match in found if match]

    @property
    def scripts(self) -> list[str]:
        """The files that `python FILE` names, in blocks and in the text."""
        return re.findall(r"\bpython (?:-m pytest )?(tests/[\w/]+\.py)", self.text)

    @property
    def links(self) -> list[str]:
        """Where its links and pictures lead to inside the project."""
        return re.findall(r"\]\((?!https?:)([^)\s]+)\)", self.prose)

    @property
    def anchors(self) -> set[str]:
        """The parts of an address after `#` that lead to its headings, as GitHub makes them."""
        return {_anchor(title) for title in re.findall(r"^#+ (.*)$", self.prose, re.M)}

    @property
    def settings(self) -> set[str]:
        """What it shows as `section.key=value` in its text."""
        sections = "data|split|features|model|loss|balancer|gradients|grouping|train|calibration|domain|seed"
        pattern = rf"^(?:{sections})(?:\.\w+)*=(?!.*\.\.\.)\S.*"
        return {word for word in re.findall(r"`([^`\n]+)`", self.prose) if re.match(pattern, word)}


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def pages() -> Iterator[Page]:
    """README first, the pages in the order in which its last table names them, and CONTRIBUTING."""
    readme = Page(README)
    yield readme
    chapters = readme.text.partition("\n## Documentation\n")[2]
    for name in dict.fromkeys(re.findall(r"\]\((docs/[\w-]+\.md)\)", chapters)):
        yield Page(ROOT / name)
    yield Page(ROOT / "CONTRIBUTING.md")


PAGES = list(pages())
COMMANDS = list(dict.fromkeys(command for page in PAGES for command in page.commands))
"""All commands in reading order; one that is shown again is not typed again."""


def loops_of_others() -> list[str]:
    """The examples of balancers in a training loop that is not ours: of README, then of docs/balancers.md."""
    return [example for page in PAGES for example in page.blocks("python") if is_of_others(example)]


def is_of_others(example: str) -> bool:
    """Whether an example needs a model and a loader of the reader's."""
    return "in loader:" in example


def write_readers_files(folder: Path) -> None:
    """The files that the README calls the reader's; the table has assays of Tox21, by their names."""
    table = small.write(folder / "assays.csv")
    table.write_text(table.read_text().replace("halogen", "NR-AhR").replace("acid", "SR-p53"))
    (folder / "library").mkdir()
    for place, path in enumerate((folder / "library.smi.gz", folder / "library" / "a.smi.gz")):
        lines = [f"{text}\tZ{place}{row}" for row, text in enumerate(small.smiles(100))]
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
    _write_measured(folder)


def _write_measured(folder: Path) -> None:
    """Tables of values as docs/data.md shows them, of molecules whose values are their masses or so."""
    mols = [Chem.MolFromSmiles(text) for text in small.smiles(150)]
    masses = [Descriptors.MolWt(mol) for mol in mols]
    frame = pd.DataFrame({"id": [f"M{row}" for row in range(len(mols))], "smiles": small.smiles(150)})
    values = frame.assign(**{"Ki [nM]": [f"{mass:.0f}" if mass < 300 else "> 300" for mass in masses]})
    values["hERG_inhibition"], values["tox"] = [f"{mass % 100:.0f}" for mass in masses], 0
    values.loc[::2, "tox"] = 1
    values.to_csv(folder / "values.csv", index=False)
    long = frame.assign(target="CHEMBL204", type="Ki", value=[f"{mass:.1f}" for mass in masses])
    long = long.assign(relation="=", unit="nM")
    pd.concat([long, long.assign(target="CHEMBL203")]).to_csv(folder / "long.csv", index=False)
    names = {"smiles": "Smiles", "id": "Molecule ChEMBL ID", "target": "Target ChEMBL ID"}
    names |= {
        "type": "Standard Type",
        "value": "Standard Value",
        "relation": "Standard Relation",
        "unit": "Standard Units",
    }
    export = long.assign(type="IC50", relation="'='").rename(columns=names)
    export.to_csv(folder / "chembl-export.csv", sep=";", index=False, quoting=csv.QUOTE_ALL)
    outcome = ["Active" if row % 3 == 0 else "Inactive" for row in range(len(frame))]
    columns = {"PUBCHEM_RESULT_TAG": range(1, len(frame) + 1)}
    columns |= {
        "PUBCHEM_EXT_DATASOURCE_SMILES": frame["smiles"],
        "PUBCHEM_ACTIVITY_OUTCOME": outcome,
        "PUBCHEM_ACTIVITY_SCORE": 40,
    }
    pubchem = pd.DataFrame({**columns, "Potency": [f"{mass / 100:.2f}" for mass in masses]}).astype(str)
    head = pd.DataFrame({"PUBCHEM_RESULT_TAG": ["RESULT_TYPE", "RESULT_UNIT"]})
    head["Potency"] = ["FLOAT", "MICROMOLAR"]
    pd.concat([head, pubchem])[pubchem.columns].to_csv(folder / "AID_1000_datatable_all.csv", index=False)
    frame.assign(hERG=["yes" if row % 2 else "no" for row in range(len(frame))]).to_csv(
        folder / "mine.csv", index=False
    )
    labels = frame.assign(screen=[row % 2 for row in range(len(frame))])
    labels.head(60).to_csv(folder / "screen.csv", index=False)
    with Chem.SDWriter(str(folder / "followup.sdf")) as writer:
        for row, mol in enumerate(mols[60:100]):
            mol.SetProp("followup", str(row % 2))
            writer.write(mol)
    labels.tail(50).rename(columns={"screen": "vendor"}).to_parquet(folder / "vendor.parquet", index=False)
