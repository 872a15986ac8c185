"""Numbers as text, for terminal tables and pictures."""


def in_digits(value: float, digits: int = 3) -> str:
    """A number as text; "-" if there is none (NaN)."""
    return "-" if value != value else f"{value:.{digits}f}"
