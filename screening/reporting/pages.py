"""Texts from the templates: pages that open offline, and Markdown; every text put into them stays text."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..runtime.numbers import short

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The page; values are escaped unless they are `Markup`."""
    return _environment(autoescape=True).get_template(template).render(values)


def script(*names: str) -> tuple[Markup, str]:
    """Our script of these files, and its SHA-256 for the page's policy: it may then run, and no other."""
    text = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    return Markup(text), base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render_markdown(template: str, **values: Any) -> str:
    """The Markdown text; values cannot become markup."""
    return _environment(autoescape=False, finalize=as_markdown).get_template(template).render(values)


def as_markdown(value: Any) -> Any:
    """A text as one line that Markdown shows as it is; other values unchanged."""
    return " ".join(str(value).split()).translate(_MARKS) if isinstance(value, str) else value


_MARKS = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_{}[]#|~$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


@cache
def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters |= {"digits": _digits, "count": _count, "share": _share, "short": _short}
    environment.filters["capitalised"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _digits(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or value != value else f"{value:z.{digits}f}"


def _count(value: float | None) -> str:
    """A whole number with commas, or a dash where there is none."""
    return "–" if value is None or value != value else f"{int(value):,}"


def _short(value: float | None) -> str:
    """A number in three significant digits, or a dash."""
    return "–" if value is None or value != value else short(value)


def _share(value: float | None) -> str:
    """A share in per cent with two significant digits, or a dash."""
    if value is None or value != value:
        return "–"
    return f"{100 * value:.{0 if value >= 0.0995 or value == 0 else 1 if value >= 0.00995 else 2}f} %"
