"""Text of other people on a terminal: no name moves the cursor, hides or turns round what stands there.

All that the command line prints passes through here, in `console`.
"""


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text with its control, invisible and direction characters spelt out, as in Python's `repr`.

    Parameters
    ----------
    lines : whether line breaks stay; in names they do not.

    Examples
    --------
    >>> print(printable("NR-\x1b[2JAhR \u202egpj.exe"), printable("two\nlines"), printable("F/C=C\\F α"))
    NR-\x1b[2JAhR \u202egpj.exe two\nlines F/C=C\F α
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(printable, text.split("\n")))
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
