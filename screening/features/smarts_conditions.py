"""What a molecule must have if a SMARTS pattern is in it: its atoms and bonds one by one, wherever they are.

A necessary condition and no more: who has all of it may still not have the pattern. `pattern_screen` looks
at many conditions at once.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple, cast

from rdkit.Chem import Atom, Bond, Mol, MolFromSmarts

Query = tuple[Any, ...]
"""("is", primitive), ("not", query), ("and", ...), ("or", ...) or ("has", SMARTS) for a recursive one."""
Truth = tuple[bool, bool]
"""Whether a query may be true, and whether it may be false."""
Need = Query | tuple[Query, Query, Query]
"""An atom, or an atom, its bond and the atom behind it; the atoms in one order."""

ANY: Query = ("is", "*")
UNKNOWN: Truth = (True, True)
_CERTAIN = re.compile(r"#\d+|\d*\*|[aA]|[cnosp]|se|as|[BCNOFPSI]|Cl|Br|[HDX]\d*|[+-]\d*|R0?")
"""Primitives that element, isotope, charge, hydrogens, degree, aromaticity and being in a ring decide."""
_IN_RING = re.compile(r"[Rr][1-9]\d*")
"""Primitives that only atoms in rings can fulfil."""


class Condition(NamedTuple):
    """All of `needs`, and of each choice one of its options."""

    needs: dict[Need, int]
    """How many there must be."""
    choices: tuple[tuple["Condition", ...], ...]


NOTHING = Condition({ANY: 1}, ())
"""What every molecule has."""


def condition(pattern: Mol, times: int = 1) -> Condition:
    """What a molecule that has the pattern must have.

    Parameters
    ----------
    times : so many matches there must be; counts where the pattern is a single atom.
    """
    atoms = [parsed(atom.GetSmarts()) for atom in pattern.GetAtoms()]
    needs: Counter[Need] = Counter(atoms)
    needs.update(_bond_need(bond, atoms) for bond in pattern.GetBonds())
    if len(atoms) == 1:
        needs[atoms[0]] = times
    needs[ANY] = max(needs[ANY], len(atoms))
    return _all([Condition(dict(needs), ()), *map(_inside, atoms)])


def parsed(smarts: str) -> Query:
    """The query of one atom or bond; brackets around an atom do not matter.

    >>> parsed("[C,$(N=O);!H0]")
    ('and', ('or', ('is', 'C'), ('has', 'N=O')), ('not', ('is', 'H0')))
    """
    text = smarts[1:-1] if smarts.startswith("[") else smarts
    for mark, word in ((";", "and"), (",", "or"), ("&", "and")):
        parts = _split(text, mark)
        if len(parts) > 1:
            return (word, *map(parsed, parts))
    if text.startswith("!"):
        return ("not", parsed(text[1:]))
    return ("has", text[2:-1]) if text.startswith("$(") else ("is", text)


def truth(query: Query, of_primitive: Callable[[str], Truth], truths: dict[Query, Truth]) -> Truth:
    """What is certain of a query, given what is certain of its primitives.

    Parameters
    ----------
    truths : filled with what was found, so that it is found once.
    """
    if query not in truths:
        truths[query] = _truth(query, of_primitive, truths)
    return truths[query]


def atom_truth(primitive: str, atom: Atom) -> Truth:
    """What an atom says of a primitive, by no more than its `pattern_screen.exact_key`."""
    if _CERTAIN.fullmatch(primitive):
        fits = _matcher(primitive).GetAtomWithIdx(0).Match(atom)
        return fits, not fits
    return (atom.IsInRing(), True) if _IN_RING.fullmatch(primitive) else UNKNOWN


def bond_truth(primitive: str, kind: str, may_be_in_ring: bool) -> Truth:
    """What is certain of a primitive of a bond that is `-`, `=`, `#` or `:`."""
    if primitive in ("", *"-=#:"):
        fits = kind in (primitive or "-:")
        return fits, not fits
    if primitive == "@":
        return may_be_in_ring, True
    return (True, False) if primitive == "~" else UNKNOWN


def primitives(queries: Iterable[Query]) -> list[str]:
    """All primitives in some queries of atoms, those of recursive ones' first atoms too, each once."""
    texts: dict[str, None] = {}

    def look(query: Query) -> None:
        word, *parts = query
        if word == "is":
            texts[parts[0]] = None
        else:
            for part in [root(parts[0])] if word == "has" else parts:
                look(part)

    for query in queries:
        look(query)
    return list(texts)


@cache
def root(smarts: str) -> Query:
    """The query of the first atom of a pattern: whoever has a recursive one fulfils it."""
    pattern = MolFromSmarts(smarts)
    return ANY if pattern is None else parsed(pattern.GetAtomWithIdx(0).GetSmarts())


@cache
def _matcher(primitive: str) -> Mol:
    return MolFromSmarts(f"[{primitive}]")


def _truth(query: Query, of_primitive: Callable[[str], Truth], truths: dict[Query, Truth]) -> Truth:
    word, *parts = query
    if word == "is":
        return of_primitive(parts[0])
    if word == "has":
        return truth(root(parts[0]), of_primitive, truths)[0], True
    both = [truth(part, of_primitive, truths) for part in parts]
    may_be, may_not = zip(*both, strict=True)
    if word == "not":
        return may_not[0], may_be[0]
    return (all(may_be), any(may_not)) if word == "and" else (any(may_be), all(may_not))


def _bond_need(bond: Bond, atoms: list[Query]) -> Need:
    ends = sorted((atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()]), key=repr)
    smarts = cast(Any, bond).GetSmarts()  # RDKit's own types ask for one more argument
    return ends[0], parsed(smarts), ends[1]


def _inside(query: Query) -> Condition:
    """What the recursive parts of an atom's query ask for."""
    word, *parts = query
    if word == "has":
        pattern = MolFromSmarts(parts[0])
        return _all([]) if pattern is None else condition(pattern)
    if word == "and":
        return _all(map(_inside, parts))
    options = [_all([Condition({part: 1}, ()), _inside(part)]) for part in parts] if word == "or" else []
    tells_more = any(len(option.needs) > 1 for option in options)
    return Condition({}, (tuple(options),)) if tells_more else _all([])


def _all(conditions: Iterable[Condition]) -> Condition:
    """All of some conditions; what two of them need may be the same atom."""
    needs: dict[Need, int] = {}
    choices: list[tuple[Condition, ...]] = []
    for each in conditions:
        for need, count in each.needs.items():
            needs[need] = max(count, needs.get(need, 0))
        choices.extend(each.choices)
    return Condition(needs, tuple(choices))


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that are in no brackets."""
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
