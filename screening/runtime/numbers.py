"""Numbers as text, for terminal tables and pictures."""


def in_digits(value: float, digits: int = 3) -> str:
    """A number as text; "-" if there is none (NaN)."""
    return "-" if value != value else f"{value:.{digits}f}"


def short(value: float) -> str:
    """A number in three significant digits, with commas where it is large; "-" if there is none (NaN).

    Examples
    --------
    >>> short(12345.6), short(8.3149), short(0.000123456)
    ('12,346', '8.31', '0.000123')
    """
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
