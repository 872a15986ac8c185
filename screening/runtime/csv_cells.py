"""CSV injection: cells that a spreadsheet would run as formulas are made harmless where that is asked for.

By default files have the texts as they came: other programs read them, and an apostrophe more would make
another name. With `csv_safe` a text that a spreadsheet would take for a formula gets an apostrophe in front,
as OWASP advises; numbers stay as they are.

References
----------
CSV injection, OWASP. https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import re

import pandas as pd

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(
    r" *[+-]?((\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan) *", re.ASCII | re.IGNORECASE
)


def harmless(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would run it.

    Examples
    --------
    >>> [harmless(text) for text in ("=1+1", "-1.5", "-inf", "-5-methyl", "@SUM(A1)", "CCO", "")]
    ["'=1+1", '-1.5', '-inf', "'-5-methyl", "'@SUM(A1)", 'CCO', '']
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def csv_of(table: pd.DataFrame, *, header: bool = True, csv_safe: bool = False) -> str:
    """The table as a CSV file, harmless where `csv_safe`; a lone carriage return is in quotation marks."""
    rows = harmless_frame(table) if csv_safe else table
    texts = [
        *map(str, rows.columns),
        *(text for name in rows for text in rows[name] if isinstance(text, str)),
    ]
    quoting = csv.QUOTE_NONNUMERIC if any("\r" in text for text in texts) else csv.QUOTE_MINIMAL
    return rows.to_csv(index=False, header=header, quoting=quoting, lineterminator="\n")


def harmless_frame(table: pd.DataFrame) -> pd.DataFrame:
    """The table with harmless texts and column names."""
    columns = {
        name: [harmless(value) if isinstance(value, str) else value for value in table[name]]
        for name in table
        if table[name].map(lambda value: isinstance(value, str)).any()
    }
    return table.assign(**columns).rename(columns=lambda name: harmless(str(name)))
