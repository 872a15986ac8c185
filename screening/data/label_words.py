"""What words for labels would mean in English, and settings as they are typed in a shell: for advice alone.

Nothing is read as these words say unless the user agrees, by pasting the setting that a message shows.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .labels import UNKNOWN, label_key, label_of

_ACTIVE = "active positive pos yes y true t toxic hit binder agonist antagonist inhibitor blocker activator"
_ACTIVE += " mutagenic carcinogenic permeable soluble stable sensitizer substrate"
_INACTIVE = "inactive negative neg no n false f decoy safe"
_MISSING = "na n/a #n/a nan null none nd n.d. nt n.t. n/d n/t <na> unknown missing inconclusive unspecified"
_MISSING += " ambiguous equivocal ? - ~ . .. x tbd pending not_determined not_tested not_measured no_data"
_NO = ("in", "im", "un", "non", "non-", "non ", "not ", "no ")

_PAIRS = (("+", "-"), ("++", "-"), ("a", "i"), ("act", "inact"), ("1", "-1"))
"""Codes that are active and inactive where a column has both, and not 0 besides."""

ACTIVE_WORDS = frozenset(_ACTIVE.split())
"""Words for a label 1, as laboratories write them."""
INACTIVE_WORDS = frozenset(_INACTIVE.split()) | {f"{no}{word}" for no in _NO for word in ACTIVE_WORDS}
MISSING_WORDS = frozenset(word.replace("_", " ") for word in _MISSING.split())
"""Words for no measurement."""


def bare(text: str) -> str:
    """The text without case, outer blanks, quotation marks and Excel's =\"...\", decimal commas as points.

    Examples
    --------
    >>> [bare(text) for text in ('="0"', " Active", "1,0", "'x'")]
    ['0', 'active', '1.0', 'x']
    """
    plain = text.strip().casefold().removeprefix("=").strip("\"' ")
    return plain.replace(",", ".") if re.fullmatch(r"[-+]?\d*,\d+", plain) else plain


def guessed_label(text: str) -> float | None:
    """1, 0 or NaN as the word would be meant in English; None = it says nothing.

    For advice only: nothing is read so unless the user agrees.
    """
    plain = bare(text)
    key = label_key(plain)
    if key in (0, 1) or plain in ACTIVE_WORDS | INACTIVE_WORDS:
        return float(plain in ACTIVE_WORDS or key == 1)
    return float("nan") if not plain or plain in MISSING_WORDS else None


def guessed_meanings(texts: Iterable[str]) -> dict[str, int | None]:
    """What these texts would mean in English as `data.labels`, empty unless all and both classes are known.

    Examples
    --------
    >>> guessed_meanings(["Active", "Inactive", "", "ND"])
    {'Active': 1, 'Inactive': 0, 'ND': None}
    >>> guessed_meanings(["+", "-", "n.d."]), guessed_meanings(["1", "-1"]), guessed_meanings(["1", "0", "-"])
    ({'+': 1, '-': 0, 'n.d.': None}, {'-1': 0}, {'-': None})
    >>> guessed_meanings(["Active", "male"])
    {}
    """
    guesses = {text.strip(): guessed_label(text) for text in texts if text.strip()}
    plain = {bare(text): text for text in guesses}
    for active, inactive in _PAIRS:
        if 0.0 not in guesses.values() and {active, inactive} <= set(plain):
            guesses |= {plain[active]: 1.0, plain[inactive]: 0.0}
    if not {0.0, 1.0} <= set(guesses.values()) or None in guesses.values():
        return {}
    return {
        text: None if label != label else int(label)
        for text, label in guesses.items()
        if label is not None and label_of(text, {}) == UNKNOWN
    }


def as_setting(meanings: Mapping[str, float | None]) -> str:
    """The setting `data.labels=...` as it is typed in a shell.

    Examples
    --------
    >>> print(as_setting({"Active": 1, "?": None, "0,0": 0}))
    'data.labels={Active: 1, "?": null, "0,0": 0}'
    """
    return mapping_setting("data.labels", {text: v if v is None else int(v) for text, v in meanings.items()})


def mapping_setting(key: str, meanings: Mapping[str, str | int | None]) -> str:
    """The setting `key={text: meaning, ...}` as it is typed in a shell."""
    pairs = [f"{_as_key(text)}: {'null' if v is None else v}" for text, v in meanings.items()]
    return shlex.quote(f"{key}={{{', '.join(pairs)}}}")


def setting_of(key: str, tree: Any) -> str:
    """The setting `key=tree` of mappings, lists, texts and numbers as it is typed in a shell.

    Examples
    --------
    >>> print(setting_of("data.assays", {"Ki *": {"kind": "real", "threshold": 6.5}}))
    'data.assays={"Ki *": {kind: real, threshold: 6.5}}'
    """
    return shlex.quote(f"{key}={_flow(tree)}")


def _flow(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{_as_key(text)}: {_flow(value)}" for text, value in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        return "[" + ", ".join(map(_flow, tree)) + "]"
    if tree is None:
        return "null"
    return _as_key(tree) if isinstance(tree, str) else f"{tree:g}"


def tasks_setting(names: Sequence[str]) -> str:
    """The setting `data.tasks=...` as it is typed in a shell.

    Examples
    --------
    >>> tasks_setting(["AhR", "pChEMBL Value"])
    "'data.tasks=[AhR, pChEMBL Value]'"
    """
    return shlex.quote(f"data.tasks=[{', '.join(map(_as_key, names))}]")


def assays_setting(settings: Mapping[str, Mapping[str, object]]) -> str:
    """The setting `data.assays=...` as it is typed in a shell.

    Examples
    --------
    >>> print(assays_setting({"Ki": {"kind": "real", "unit": "nM"}, "*_inh": {"decimal": ","}}))
    'data.assays={Ki: {kind: real, unit: nM}, "*_inh": {decimal: ","}}'
    """
    inner = (
        f"{_as_key(name)}: {{{', '.join(f'{key}: {_as_value(value)}' for key, value in each.items())}}}"
        for name, each in settings.items()
    )
    return shlex.quote(f"data.assays={{{', '.join(inner)}}}")


def _as_value(value: object) -> str:
    return (
        _as_key(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
    )


def _as_key(text: str) -> str:
    is_safe = re.fullmatch(r"[^\W_]([\w .+/()-]*[\w)])?", text) is not None
    return text if is_safe else json.dumps(text, ensure_ascii=False)
