"""The project's pages in Markdown as tests see them: text, commands, examples, links, in reading order."""

import gzip
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import small

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
        lines = "".join(self.blocks("bash")).replace("\\\n", " ").splitlines()
        words = [re.search(r"(?:^|--wrap ')(screening [^'#]*)", line) for line in lines]
        return [match[1].strip() for match in words if match]

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
