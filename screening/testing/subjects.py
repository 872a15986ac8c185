"""What is checked: a member of a family with its options; and structures to check it on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

DRUGS = (
    *("CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "Oc1ccccc1"),
    *("CC(=O)Nc1ccc(O)cc1", "NC(=O)c1cccnc1", "CCN(CC)CCOC(=O)c1ccc(N)cc1", "O=C1CCCN1", "CCOC(=O)CC#N"),
    *("c1ccc2ccccc2c1", "Clc1ccc(Cl)cc1", "FC(F)(F)c1ccccc1", "CS(=O)(=O)c1ccccc1", "c1ccsc1", "BrCCBr"),
    *("C1CCNCC1", "CN1CCOCC1", "N#Cc1ccccc1", "OC(=O)c1ccccc1O", "Nc1ccc(cc1)S(N)(=O)=O", "CC1=CCCCC1"),
)
"""Molecules as assays have them."""
ODD = ("C", "[Na+].[Cl-]", "CCO", "c1ccccc1O.Cl", "[He]", "F/C=C/F", "C[C@H](N)C(=O)O", "[2H]C#N")
"""No bond, one atom, several fragments, stereo, an isotope."""


@dataclass(frozen=True)
class Subject:
    """A member of a family, as a check builds it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


Check = Callable[[Subject], None]
"""Raises AssertionError, with numbers, where a member breaks the contract of its family; the first line of
its docstring says what must hold."""


def statement(check: Check) -> str:
    """What a check is about, in a sentence without its full stop."""
    return (check.__doc__ or check.__name__).strip().splitlines()[0].rstrip(".")
