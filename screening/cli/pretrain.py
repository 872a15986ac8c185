"""The command that pre-trains a network. Joined to the command line by `main`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .checks import check_settings
from .console import notes_to, progress_shown, tell
from .endings import goes_on
from .options import OverwriteRun, Resume, SmilesColumn
from .settings import config_file, kept_in, with_options

if TYPE_CHECKING:
    from ..pretraining import Pretrained

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LIBRARY]... [KEY=VALUE]...",
        help="Files, folders or patterns of molecules, as for score; and settings that win over the file.",
    ),
]
Tables = Annotated[
    str | None,
    typer.Option(help="In place of a library: tables with labels, as toxcast,muv.", show_default=False),
]
Exclude = Annotated[
    str | None,
    typer.Option(help="Tables to be tested on: their structures are left out.", show_default=False),
]
Teacher = Annotated[
    str | None,
    typer.Option(help="Run or bundle whose scores of the library are learned too.", show_default=False),
]


def pretrain(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe, such as tox21_graph.")],
    words: Words = None,
    tables: Tables = None,
    exclude: Exclude = None,
    teacher: Teacher = None,
    smiles: SmilesColumn = None,
    resume: Resume = False,
    overwrite: OverwriteRun = False,
) -> None:
    """Train a network for others to begin with.

    On a library it learns descriptors, counts and what another model says; on tables their labels.
    """
    from ..config import load_config
    from ..pretraining import pretrain as run_pretraining
    from ..pretraining.run import SUFFIX

    library, overrides = _shared_out(words or [])
    listed = {"pretrain.tables": _listed(tables), "pretrain.exclude": _listed(exclude)}
    aliases = {**listed, "pretrain.teacher": teacher}
    settings = load_config(config_file(config), with_options(overrides, aliases))
    check_settings(settings)
    with_folder = settings.model_copy(update={"name": f"{settings.name}{SUFFIX}"})
    with progress_shown() as console, goes_on(lambda: kept_in(with_folder), "--resume"):
        note = notes_to(console)
        done = run_pretraining(
            settings,
            library,
            smiles=smiles,
            resume=resume,
            overwrite=overwrite,
            on_note=note,
            on_epoch=note,
        )
    _tell(done, config)


def _tell(done: "Pretrained", config: str) -> None:
    for reason, count in list(done.reasons.items())[:10]:
        tell(f"  {count:>8,}  {reason}")
    for name, share in done.explained.items():
        tell(f"{name}: {share:.1%} of the variance explained in molecules held out")
    tell(f"{done.molecules:,} molecules. Run folder: {done.folder}")
    tell(f"Begin with it: screening train {config} model.encoder.init={done.folder}")


def _shared_out(words: list[str]) -> tuple[list[str], list[str]]:
    """Files of the library, and settings; a word with = is a setting unless there is a file of that name.

    Examples
    --------
    >>> _shared_out(["lib/*.smi.gz", "pretrain.epochs=3", "other.csv"])
    (['lib/*.smi.gz', 'other.csv'], ['pretrain.epochs=3'])
    """
    is_setting = [bool(re.match(r"\w+(\.[\w-]+)*=", word)) and not Path(word).exists() for word in words]
    pairs = list(zip(words, is_setting, strict=True))
    return [word for word, setting in pairs if not setting], [word for word, setting in pairs if setting]


def _listed(text: str | None) -> str | None:
    """A list as a setting has it, of names with commas between."""
    return None if text is None else f"[{text}]"
