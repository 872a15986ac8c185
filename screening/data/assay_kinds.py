"""What an assay is: two classes or real values, their unit, their scale, and which end is wanted."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from ..errors import listed
from .transforms import transforms

Kind = Literal["binary", "real"]


@dataclass(frozen=True)
class Assay:
    """An assay of a table, and how its values were made; of the classes 0 and 1 unless it says otherwise."""

    name: str
    kind: Kind = "binary"
    unit: str = ""
    """Of the values as the user has them, such as nM; "" = none given."""
    transform: str = "none"
    """From the user's values to those that are trained on: a name of `transforms`."""
    wanted: Literal["high", "low"] = "high"
    """Which transformed values a project looks for; of classes always the active one."""
    threshold: float | None = None
    """Where a real column was cut into two classes, on the transformed scale."""
    active: Literal["above", "below"] = "above"
    """Which side of the threshold is active, the threshold itself counted in."""

    @property
    def is_real(self) -> bool:
        """Whether its labels are values, not classes."""
        return self.kind == "real"

    @property
    def scale(self) -> str:
        """What the numbers of its trained scale are, such as -log10 M, log10 uM/min or nM; "" = not known.

        Examples
        --------
        >>> Assay("Ki", "real", "nM", "neg_log10_molar").scale, Assay("CL", "real", "ml/min", "log10").scale
        ('-log10 M', 'log10 ml/min')
        """
        return transforms[self.transform].scale.format(unit=self.unit).strip()

    def as_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as plain values for JSON."""
        plain = asdict(Assay(self.name))
        return {key: value for key, value in asdict(self).items() if key == "name" or value != plain[key]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The assay of which `as_dict` was taken.

        Raises
        ------
        ValueError, TypeError : not what `as_dict` gives.
        """
        assay = cls(**values)
        choices = {
            "kind": ("binary", "real"),
            "wanted": ("high", "low"),
            "active": ("above", "below"),
            "transform": tuple(transforms),
        }
        for field, allowed in choices.items():
            if getattr(assay, field) not in allowed:
                raise ValueError(f"{field} of assay {assay.name!r} is {getattr(assay, field)!r}")
        if not isinstance(assay.name, str) or not isinstance(assay.unit, str):
            raise TypeError("name and unit of an assay are texts")
        return assay

    @property
    def is_high_good(self) -> bool:
        """Whether a project looks for large values in the user's unit; of classes True."""
        return not self.is_real or (self.wanted == "high") == transforms[self.transform].is_rising

    def in_unit(self, values: np.ndarray) -> np.ndarray:
        """Values of the trained scale in the user's unit; of classes, and without a transform, themselves."""
        return transforms[self.transform].back(values, self.unit) if self.is_real else values


def are_real(assays: Iterable[Assay]) -> np.ndarray:
    """Which assays have real values: bool [T]."""
    return np.array([assay.is_real for assay in assays], dtype=bool)


def in_units(values: np.ndarray, assays: Sequence[Assay]) -> np.ndarray:
    """Values [n, T] of the trained scale in their assays' units, of the same dtype; classes stay."""
    scales: dict[tuple[str, str], list[int]] = {}
    for task, assay in enumerate(assays):
        if assay.is_real and assay.transform != "none":
            scales.setdefault((assay.transform, assay.unit), []).append(task)
    if not scales:
        return values
    with_units = values.copy()
    with np.errstate(over="ignore"):
        for (transform, unit), tasks in scales.items():
            with_units[:, tasks] = transforms[transform].back(values[:, tasks], unit)
    return with_units


def units_in_words(assays: Iterable[Assay]) -> str:
    """Of real assays the units of their values, and which end is the good one; "" where none is real.

    Examples
    --------
    >>> units_in_words([Assay("Ki", "real", "nM", "neg_log10_molar"), Assay("logD", "real"), Assay("toxic")])
    "Values: 'Ki' in nM (low is good); 'logD' without a unit (high is good)."
    """
    by_unit: dict[str, list[str]] = {}
    for assay in assays:
        if assay.is_real:
            unit = assay.unit or ("%" if assay.transform == "logit" else "")
            good = "high" if assay.is_high_good else "low"
            by_unit.setdefault(f"{f'in {unit}' if unit else 'without a unit'} ({good} is good)", []).append(
                assay.name
            )
    said = "; ".join(f"{listed(names, 3)} {unit}" for unit, names in by_unit.items())
    return f"Values: {said}." if said else ""


def limits_in_units(
    low: np.ndarray, high: np.ndarray, assays: Sequence[Assay]
) -> tuple[np.ndarray, np.ndarray]:
    """Both ends [n, T] of intervals in the assays' units; swapped where larger values become smaller."""
    falls = np.array([assay.is_real and not transforms[assay.transform].is_rising for assay in assays], bool)
    low, high = in_units(low, assays), in_units(high, assays)
    return np.where(falls, high, low), np.where(falls, low, high)


def bounds_of(labels: np.ndarray, censored: np.ndarray | None) -> np.ndarray:
    """Lower and upper bound of every cell: float32 [n, T, 2], infinite where open, NaN = not measured.

    Parameters
    ----------
    labels : [n, T].
    censored : int8 [n, T], 1 = the true value is above the label, -1 = below, 0 = measured exactly.
    """
    bounds = np.stack([labels, labels], axis=-1).astype(np.float32)
    if censored is not None:
        bounds[(censored < 0) & ~np.isnan(labels), 0] = -np.inf
        bounds[(censored > 0) & ~np.isnan(labels), 1] = np.inf
    return bounds


def labels_of(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels and `censored` that `bounds_of` took: of [n, T, 2], or of labels [n, T] without bounds."""
    if bounds.ndim == 2:
        return bounds, None
    lower, upper = bounds[..., 0], bounds[..., 1]
    censored = np.isinf(upper).astype(np.int8) - np.isinf(lower).astype(np.int8)
    return np.where(np.isinf(lower), upper, lower), censored


def matches(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern, in which * stands for any text and ? for one sign; case counts.

    Examples
    --------
    >>> matches("Ki_*", "Ki_CHEMBL204"), matches("Ki [nM]", "Ki [nM]"), matches("ki_*", "Ki_CHEMBL204")
    (True, True, False)
    """
    parts = [{"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern]
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None
