"""Imports point down: a file imports from lower floors only (README, section "For developers")."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "screening"
FLOORS = [
    ["errors", "progress", "layout", "printable", "plain_yaml", "sizes"],
    ["opening"],
    ["records"],
    ["delimited", "smiles_lines", "sdf", "parquet"],
    [
        "bundle_files",
        "console",
        "registry",
        "processes",
        "folders",
        "distributed",
        "dropout",
        "sums",
        "ranking",
        "formats",
        "trees",
        "drawing",
        "pages",
        "svg",
        "covers",
        "cells",
        "columns",
        "sealed",
    ],
    ["grid", "endings"],
    [
        "config",
        "metrics",
        "tables",
        "labels",
        "molecules",
        "catalogue",
        "downloads",
        "solvers",
        "selection",
        "groups",
    ],
    ["label_words"],
    ["assay_columns"],
    ["part_names"],
    ["long_tables"],
    ["assays", "featurizers", "filters", "alerts", "sources", "entries"],
    ["sketches", "joining"],
    ["libraries"],
    ["atom_codes", "descriptors", "parts"],
    ["packing", "engines", "writing", "top"],
    ["choices", "graphs", "splits"],
    ["layers", "environments", "tape", "circular", "atom_parts"],
    ["datasets", "balancers", "heads", "losses", "encoders", "reference"],
    ["model", "places", "baselines", "paired"],
    ["calibration", "conformal", "contributions", "domain", "evaluation", "gradients", "loss_gradients"],
    ["representation", "affinity", "families", "history", "runs"],
    ["bundle", "known"],
    ["training", "scorer", "explain", "preparation", "export", "findings"],
    [
        "fitting",
        "origins",
        "hits_page",
        "scoring",
        "verify",
        "runsets",
        "trust",
        "curves",
        "material",
        "best_scored",
    ],
    ["pooled"],
    ["experiment", "compare", "assessment", "pictures", "hits", "explorer"],
    ["grouping", "studies"],
    ["benchmark", "trials"],
    ["shown", "report"],
    ["cli_checks", "cli_settings"],
    ["cli_results", "cli_library"],
    ["cli"],
    ["__main__"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NO_TORCH = [
    "sizes",
    "errors",
    "registry",
    "progress",
    "printable",
    "console",
    "grid",
    "endings",
    "processes",
    "folders",
    "config",
    "ranking",
    "trees",
    "metrics",
    "calibration",
    "conformal",
    "opening",
    "records",
    "delimited",
    "smiles_lines",
    "sdf",
    "parquet",
    "formats",
    "tables",
    "libraries",
    "sources",
    "parts",
    "sealed",
    "choices",
    "cells",
    "columns",
    "top",
    "writing",
    "engines",
    "labels",
    "plain_yaml",
    "label_words",
    "assay_columns",
    "part_names",
    "joining",
    "long_tables",
    "molecules",
    "assays",
    "featurizers",
    "atom_codes",
    "descriptors",
    "packing",
    "catalogue",
    "downloads",
    "alerts",
    "datasets",
    "splits",
    "covers",
    "selection",
    "groups",
    "paired",
    "cli",
    "cli_results",
    "cli_library",
    "cli_settings",
    "cli_checks",
]
FILES = sorted(p for p in HOUSE.rglob("*.py") if p.name != "__init__.py" or p.parent != HOUSE)


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[tuple[str, bool]]:
    """(module, at the top of the file) for every import in the file; our own rooms as '.room'."""
    depth = len(path.relative_to(HOUSE).parts)
    found = set()
    tree = ast.parse(path.read_text())
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(name.name, node in top) for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level == depth:
                names = [node.module] if node.module else [name.name for name in node.names]
                found |= {("." + name.split(".")[0], node in top) for name in names}
            elif node.level == 0:
                module = (node.module or "").removeprefix("screening.")
                ours = (node.module or "").startswith("screening.")
                found.add(("." * ours + module, node in top))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} has no floor: add it to FLOORS"
    for module, _ in imports_of(path):
        if module.startswith(".") and module[1:] in FLOOR:
            assert FLOOR[module[1:]] < FLOOR[room], f"{room} imports {module[1:]}, which is not below it"


@pytest.mark.parametrize("room", NO_TORCH)
def test_ground_floors_do_not_import_torch(room: str) -> None:
    path = HOUSE / f"{room}.py"
    if path.exists():
        assert not any(module.split(".")[0] == "torch" and top for module, top in imports_of(path))


def test_heavy_or_optional_packages_are_imported_inside_functions() -> None:
    for path in FILES:
        for module, top in imports_of(path):
            assert not (top and module.split(".")[0] in {"deepchem", "ray", "torch_geometric", "lightgbm"}), (
                path
            )
