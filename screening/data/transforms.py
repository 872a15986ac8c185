"""From values as laboratories write them to the scale that is trained on, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

MOLAR: Mapping[str, float] = MappingProxyType(
    {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "nM": 1e-9, "pM": 1e-12, "fM": 1e-15}
)
"""Units of concentration in mol/l."""


@dataclass(frozen=True)
class Transform:
    """An increasing or decreasing function of a value in its unit."""

    function: Callable[[np.ndarray, str], np.ndarray]
    """Values and unit to the trained scale, float64; NaN or infinite where a value has none."""
    back: Callable[[np.ndarray, str], np.ndarray]
    """The inverse."""
    is_rising: bool
    """False: a larger value becomes a smaller one, so that > becomes <."""
    scale: str
    """What the numbers that it gives are, with {unit} for the unit of the values."""
    needs: str
    """What a value must be, for messages; "" = any number."""
    units: tuple[str, ...] | None = None
    """Units that it knows; None = any."""


def _molar(unit: str) -> float:
    return MOLAR[unit]


def _logit(values: np.ndarray, unit: str) -> np.ndarray:
    share = np.asarray(values, np.float64) / 100
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(share / (1 - share))


def _log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.asarray(values, np.float64))


transforms: Mapping[str, Transform] = MappingProxyType(
    {
        "none": Transform(
            lambda values, unit: np.asarray(values), lambda values, unit: values, True, "{unit}", ""
        ),
        "log10": Transform(
            lambda values, unit: _log10(values),
            lambda values, unit: 10.0 ** np.asarray(values, np.float64),
            True,
            "log10 {unit}",
            "above 0",
        ),
        "neg_log10_molar": Transform(
            lambda values, unit: -_log10(values) - np.log10(_molar(unit)),
            lambda values, unit: 10.0 ** -np.asarray(values, np.float64) / _molar(unit),
            False,
            "-log10 M",
            "above 0",
            tuple(MOLAR),
        ),
        "logit": Transform(
            _logit,
            lambda values, unit: 100 / (1 + np.exp(-np.asarray(values, np.float64))),
            True,
            "log-odds",
            "above 0 and below 100",
        ),
    }
)
"""By the name that a config gives them: `neg_log10_molar` of concentrations (5 nM is 8.3), `log10`, and
`logit` of percentages."""
