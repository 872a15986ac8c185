"""Recipes: the configs that come along and can be called by name, such as `tox21`.

In a checkout they lie in `configs/` beside the package; a wheel has that folder inside of it.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped_folder() -> Path:
    """The folder of the configs that come along."""
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def recipes() -> dict[str, Path]:
    """Name -> file of every config in ./configs and of those that come along; the former win."""
    folders = (shipped_folder(), Path("configs"))
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def shipped_file(path: Path) -> Path:
    """The file itself or, where there is none, the one that comes along under the same `configs/...`."""
    if path.parts[:1] == ("configs",) and not path.exists():
        inside = shipped_folder().joinpath(*path.parts[1:])
        return inside if inside.is_file() else path
    return path
