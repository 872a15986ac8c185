"""Which columns of another table are a model's assays, and how their values are read; for `external`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config_sections import AssaySettings
from ..data.assay_kinds import Assay
from ..data.declared import checked_settings, declared_assays
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


def _column_of(assay: Assay, columns: Sequence[str]) -> str | None:
    """The column of an assay of measured values; None = there is none, or it has classes."""
    if not assay.is_real and assay.threshold is None:
        return None
    if assay.name in columns:
        return assay.name
    sign = ">=" if assay.active == "above" else "<="
    base = assay.name.removesuffix(f"{sign}{assay.threshold or 0:g}")
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
