"""Numbers as text, for terminal tables and pictures."""


def in_digits(value: float, digits: int = 3) -> str:
    """A number as text, without the sign of what rounds to 0; "-" if there is none (NaN)."""
    return "-" if value != value else f"{value:z.{digits}f}"


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


def percent(share: float) -> str:
    """A share in per cent: one decimal, below a tenth of a per cent two digits.

    Examples
    --------
    >>> percent(0.829), percent(0.00039), percent(0)
    ('82.9%', '0.039%', '0.0%')
    """
    return f"{share:.1%}" if share >= 1e-3 or not share else f"{100 * share:.2g}%"
