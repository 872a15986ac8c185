"""What can be set of the assays of a table: their values, and the columns of a long table."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from .config_parts import Section


class AssaySettings(Section):
    """What the values of an assay are: classes, or real values with their unit and scale."""

    kind: Literal["binary", "real"] | None = None
    """null = `binary` where a threshold is given, else `real`; `real` with a threshold gives both assays."""
    column: str | None = None
    """Column that the values are in, if it is called otherwise than the assay."""
    unit: str = ""
    """Unit of the values, such as nM."""
    transform: Literal["none", "log10", "neg_log10_molar", "logit"] = "none"
    """Scale that is trained on: `neg_log10_molar` of concentrations, `log10`, `logit` of percentages."""
    threshold: float | None = None
    """Value, on that scale, from which a compound is active."""
    active: Literal["above", "below"] = "above"
    """Side of the threshold that is active."""
    wanted: Literal["high", "low"] = "high"
    """Values, on that scale, that are looked for in a library."""
    relation: str | None = None
    """Column of qualifiers (>, <, =), in which * stands for the assay's column, such as "*_qualifier"; null =
    before the value, or in a column named after it, such as Ki_relation."""
    decimal: Literal[".", ","] | None = None
    """Sign before decimals; the other one groups thousands. null = a point, and commas are asked about."""


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class LongColumns(Section):
    """What the columns of a long table hold, a table with a row per structure and assay."""

    assay: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = ()
    """Column of the assay; of several the texts are joined. Found by its name if not given."""
    value: str | None = None
    """Column of the values or labels; found by its name or content if not given."""
    relation: str | None = None
    """Column of relations (>, <, =) beside the values; found by its name if not given."""
    unit: str | None = None
    """Column of units beside the values; found by its name if not given."""
    other_units: Literal["error", "leave_out"] = "error"
    """Values of an assay whose unit cannot be converted to that of the others."""
