"""Which columns of another table are a model's assays, and how their values are read; for `external`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Data
from ..config_sections import AssaySettings, LongColumns
from ..data.assay_kinds import Assay
from ..data.declared import checked_settings, declared_assays
from ..data.long_columns import is_chembl
from ..errors import ConfigError


def settings_of(
    assays: Iterable[Assay], columns: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, AssaySettings]:
    """`settings`, and such for assays of measured values that these do not make of the columns.

    An assay without settings (of a table in memory, or of the catalogue) is read from the column of its name;
    one with a threshold, `A>=6.5`, from the column A where there is none of its own name.

    Parameters
    ----------
    assays : those of the model.
    columns : of the table that may be assays.
    settings : `data.assays` of the training and of this table.

    Raises
    ------
    ConfigError : the settings cannot be meant.
    """
    checked = checked_settings(settings)
    declared = declared_assays(columns, checked, among=columns)
    said_assays, said = (
        {each.assay.name for each in declared},
        {each.column: each.setting for each in declared},
    )
    by_column: dict[str, list[Assay]] = {}
    for assay in assays:
        column = _column_of(assay, columns)
        if column is not None:
            by_column.setdefault(column, []).append(assay)
    further = {
        assay.name: _settings(assay, column, checked.get(said.get(column, "")))
        for column, of_column in by_column.items()
        if not {assay.name for assay in of_column} <= said_assays
        for assay in of_column
    }
    return {**checked, **further}


def layout_of(
    columns: Sequence[str], settings: Data, format: str, long: LongColumns | None
) -> LongColumns | None:
    """How a long table is read: as is said for it, or as that of the training; None = it is no long one.

    Parameters
    ----------
    columns : of the table.
    settings : `data` of the training.
    format, long : what is said of this table.
    """
    trained = settings.long
    named = {*trained.assay, *filter(None, (trained.value, trained.relation, trained.unit))}
    is_alike = bool(named) and named <= set(columns)
    if format == "wide":
        return None
    if long is not None and long != LongColumns():
        return long
    if is_alike and (settings.format == "long" or trained.assay):
        return trained
    return LongColumns() if format == "long" or is_chembl(columns) else None


def own_columns(assays: Sequence[Assay]) -> list[str]:
    """What assays of a model are called in a long table: those of a threshold as the values they are of."""
    return list(dict.fromkeys(_base(assay) for assay in assays))


def _base(assay: Assay) -> str:
    """The name, without the threshold that it may end in."""
    if assay.threshold is None:
        return assay.name
    sign = ">=" if assay.active == "above" else "<="
    return assay.name.removesuffix(f"{sign}{assay.threshold or 0:g}")


def _column_of(assay: Assay, columns: Sequence[str]) -> str | None:
    """The column of an assay of measured values; None = there is none, or it has classes."""
    if not assay.is_real and assay.threshold is None:
        return None
    if assay.name in columns:
        return assay.name
    base = _base(assay)
    return base if base in columns else None


def _settings(assay: Assay, column: str, said: AssaySettings | None) -> AssaySettings:
    """Those of the training, or for this table `said` of the column, as far as they read its cells."""
    own: dict[str, Any] = {"column": None if column == assay.name else column}
    own |= {name: getattr(assay, name) for name in ("kind", "threshold", "active", "wanted")}
    if said is not None:
        return said.model_copy(update=own)
    return AssaySettings.model_validate({**own, "unit": assay.unit, "transform": assay.transform})


def check_scales(of_model: Iterable[Assay], of_table: Iterable[Assay], path: Path) -> None:
    """Raise ConfigError where real values of the table are on another scale than the model was trained on."""
    trained = {assay.name: assay for assay in of_model}
    for assay in of_table:
        own = trained[assay.name]
        if (assay.is_real, assay.scale) != (own.is_real, own.scale):
            raise ConfigError(
                f"{path}: '{assay.name}' is {_in_words(assay)} here, the model was trained on "
                f"{_in_words(own)}. Say what the column is: data.assays={{'{assay.name}': "
                f"{{kind: {own.kind}, unit: ..., transform: {own.transform}}}}}."
            )


def _in_words(assay: Assay) -> str:
    if not assay.is_real:
        return "classes"
    return f"values on the scale '{assay.scale}'" if assay.scale else "values without a unit"
