"""Units of concentration and of shares as exports spell them, and from one of them to another."""

from .transforms import MOLAR

_PREFIXES = {"": "", "milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f"}
_SHORT = {"": "", "m": "m", "u": "u", "µ": "u", "μ": "u", "n": "n", "p": "p", "f": "f"}
_PER_LITRE = ("/l", ".l-1", "l-1", "/dm3", "/liter", "/litre")


def _spellings() -> dict[str, str]:
    """Spelling without case and blanks to the name in MOLAR; of M, mM and MM case decides elsewhere."""
    names = {f"{long}molar": f"{short}M" for long, short in _PREFIXES.items()}
    for prefix, short in _SHORT.items():
        names |= {f"{prefix}mol{per}": f"{short}M" for per in _PER_LITRE}
        if prefix not in ("", "m"):
            names[f"{prefix}m"] = f"{short}M"
    return {**names, "percent": "%", "pct": "%", "prozent": "%", "%": "%"}


_NAMES = _spellings()


def unit_name(text: str) -> str:
    """The unit as this toolkit writes it, such as nM and %; one that it does not know as it is written.

    Examples
    --------
    >>> [unit_name(text) for text in ("µM", "NM", "nmol/L", "MICROMOLAR", "mM", "M", "Percent", "mg/ml")]
    ['uM', 'nM', 'nM', 'uM', 'mM', 'M', '%', 'mg/ml']
    """
    plain = text.strip()
    return plain if plain in MOLAR else _NAMES.get(plain.casefold().replace(" ", ""), plain)


def factor(unit: str, other: str) -> float | None:
    """What a value in `unit` is multiplied with to be one in `other`; None = they are not the same kind.

    Examples
    --------
    >>> factor("uM", "nM"), factor("%", "Percent"), factor("mg/ml", "nM")
    (1000.0, 1.0, None)
    """
    unit, other = unit_name(unit), unit_name(other)
    if unit == other:
        return 1.0
    if unit not in MOLAR or other not in MOLAR:
        return None
    return float(f"{MOLAR[unit] / MOLAR[other]:.3g}")  # a power of ten, without the error of a division


def is_unit(text: str) -> bool:
    """Whether the text is a unit that this toolkit can convert."""
    return unit_name(text) in {*MOLAR, "%"}
