"""Columns whose values are logarithms already, and that settings would take the logarithm of again."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DataError, listed
from .assay_columns import ATTENTION
from .assay_kinds import Assay

LARGEST_LOGARITHM = 15.0
"""Negative logarithms of concentrations are below: 1 fM is 15."""

LIKELY = (2.0, 13.0)
"""Where all of them lie in practice."""

FEW = 20
"""Values from which their range alone speaks."""

_NAMED = re.compile(
    r"(^|[\W_])(pchembl|p(activity|potency|affinity)|log[dps]"
    r"|(p|(-|neg[\W_]?)?log(10)?[\W_]*)(ic|ec|ac|xc|gi|cc|ed|k[idb]|a2)_?\d{0,2}($|[\W_]))",
    re.IGNORECASE,
)


class Doubled(NamedTuple):
    """Assays of which the logarithm is taken twice, for certain or perhaps."""

    certain: list[str]
    """By the name and the values."""
    named: list[str]
    """By the name alone: their values are none."""
    ranged: list[str]
    """By their values alone."""


def is_named_as_logarithm(name: str) -> bool:
    """Whether a name says that its values are logarithms of concentrations or the like.

    Examples
    --------
    >>> [is_named_as_logarithm(name) for name in ("pIC50", "CHEMBL204 pKi", "logD7.4", "pchembl_value")]
    [True, True, True, True]
    >>> [is_named_as_logarithm(name) for name in ("IC50", "pERK", "Ki", "plate", "Papp", "CHEMBL204 Ki")]
    [False, False, False, False, False, False]
    """
    return _NAMED.search(name) is not None


def doubled(
    names: Sequence[str], assay: Assay, low: np.ndarray, high: np.ndarray, counts: np.ndarray
) -> Doubled:
    """Which assays of these names have values that look like logarithms, and settings that take one.

    Parameters
    ----------
    assay : unit and transform of all.
    low, high, counts : [A], least and largest value in the user's unit, and how many there are.
    """
    nothing = Doubled([], [], [])
    if assay.transform not in ("log10", "neg_log10_molar"):
        return nothing
    is_named = np.array([is_named_as_logarithm(name) for name in names], bool)
    is_measured = counts > 0
    is_small = (low > -LARGEST_LOGARITHM) & (high <= LARGEST_LOGARITHM) & is_measured
    is_likely = (low >= LIKELY[0]) & (high <= LIKELY[1]) & (counts >= FEW)
    is_likely &= assay.transform == "neg_log10_molar"
    which = (is_named & is_small, is_named & is_measured & ~is_small, is_likely & ~is_named)
    return Doubled(*([names[place] for place in np.flatnonzero(at).tolist()] for at in which))


def check_doubled(path: str, twice: Doubled, assay: Assay) -> list[str]:
    """What to say of assays whose logarithm is perhaps taken twice.

    Raises
    ------
    DataError : it surely is.
    """
    if twice.certain:
        raise DataError(
            f"{path}: {listed(twice.certain, 5)}: logarithms by the name and the values, of which "
            f"transform: {assay.transform} in data.assays would take the logarithm again. Expected there: "
            f"{assay.unit or 'plain'} values. Take transform and unit out, {{kind: real}}; or rename the "
            "column if they are no logarithms."
        )
    notes = []
    if twice.named:
        notes.append(
            f"{ATTENTION}{path}: named as logarithms and read as values in {assay.unit or 'no unit'}, of "
            f"which {assay.transform} takes the logarithm: {listed(twice.named, 5)}."
        )
    if twice.ranged:
        notes.append(
            f"{ATTENTION}{path}: all values lie between {LIKELY[0]:g} and {LIKELY[1]:g}, as logarithms do, "
            f"and are read as {assay.unit}: {listed(twice.ranged, 5)}. If they are logarithms (pIC50, pKi), "
            f"take transform: {assay.transform} and the unit out."
        )
    return notes
