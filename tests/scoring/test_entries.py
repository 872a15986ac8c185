"""What people hand to `Scorer.score`: every kind of sequence in order, gaps rejected, mistakes refused."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bundles import small_bundle
from rdkit import Chem
from rdkit.Chem import AddHs, Mol, MolFromSmiles, MolToSmiles

from screening.errors import DataError
from screening.scoring.entries import read_entries
from screening.scoring.scorer import Scorer
from screening.sizes import LARGEST

TEXTS = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccccc1"]
KINDS: dict[str, Callable[[list[str]], Iterable[Any]]] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "map": lambda texts: map(str, texts),
    "chain": lambda texts: itertools.chain(texts),
    "keys": lambda texts: dict.fromkeys(texts).keys(),
    "values": lambda texts: dict(enumerate(texts)).values(),
    "array": np.array,
    "object array": lambda texts: np.array(texts, object),
    "numpy texts": lambda texts: [np.str_(text) for text in texts],
    "series": pd.Series,
    "index": pd.Index,
    "objects": lambda texts: pd.Series(texts, dtype=object),
    "texts": lambda texts: pd.Series(texts, dtype="string"),
    "categories": lambda texts: pd.Series(texts, dtype="category"),
    "arrow": pa.array,
    "chunked": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "arrow series": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
    "molecules": lambda texts: [MolFromSmiles(text) for text in texts],
    "molecules with hydrogens": lambda texts: [AddHs(MolFromSmiles(text)) for text in texts],
    "one-column table": lambda texts: pd.DataFrame({"anything": texts}),
    "table": lambda texts: pd.DataFrame({"y": [1] * len(texts), "canonical_SMILES": texts}),
    "arrow table": lambda texts: pa.table({"y": [1] * len(texts), "smiles": texts}),
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(small_bundle({"name": "gine", "width": 16, "depth": 1}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sequence_gives_the_scores_of_a_list(scorer: Scorer, kind: str) -> None:
    frame, expected = scorer.score(KINDS[kind](TEXTS)), scorer.score(TEXTS)
    tasks = list(scorer.columns)
    np.testing.assert_allclose(frame[tasks], expected[tasks], rtol=1e-6)
    assert [MolToSmiles(MolFromSmiles(text)) for text in frame["smiles"]] == [
        MolToSmiles(MolFromSmiles(text)) for text in TEXTS
    ] or "hydrogens" in kind
    assert frame["status"].tolist() == ["ok"] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_every_kind_gives_no_row(scorer: Scorer, kind: str) -> None:
    assert len(scorer.score(KINDS[kind]([]) if kind != "chunked" else pa.chunked_array([[]]))) == 0


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, "", "  "], ids=repr
)
@pytest.mark.parametrize("kind", [list, "object", "numpy"])
def test_a_missing_entry_is_a_rejected_row(scorer: Scorer, kind: Any, missing: Any) -> None:
    given = ["CCO", missing, "CCN"]
    if kind == "object":
        given = pd.Series(given, dtype=object)
    elif kind == "numpy":
        given = np.array(given, dtype=object)
    frame = scorer.score(given)
    assert frame["status"].tolist() == ["ok", "rejected", "ok"]
    assert "the SMILES is" in frame["reason"][1]
    assert frame[list(scorer.columns)].isna().all(axis=1).tolist() == [False, True, False]


def test_a_missing_entry_of_a_column_of_texts_is_a_rejected_row(scorer: Scorer) -> None:
    for dtype in ("string", "str", "category", pd.ArrowDtype(pa.string())):
        frame = scorer.score(pd.Series(["CCO", None], dtype=dtype))
        assert frame["status"].tolist() == ["ok", "rejected"]
    assert scorer.score(pa.array(["CCO", None]))["status"].tolist() == ["ok", "rejected"]


def test_one_text_and_one_molecule_are_one_molecule(scorer: Scorer) -> None:
    expected = scorer.score(["c1ccccc1O"])
    pd.testing.assert_frame_equal(scorer.score("c1ccccc1O"), expected)
    pd.testing.assert_frame_equal(scorer.score(np.str_("c1ccccc1O")), expected)
    assert scorer.score(MolFromSmiles("c1ccccc1O"))["status"].tolist() == ["ok"]


@pytest.mark.parametrize(
    "index", [[10, 20, 5], ["a", "b", "c"], [1, 1, 1], pd.MultiIndex.from_arrays([[1, 1, 2], [3, 4, 3]])]
)
def test_the_index_of_a_column_is_kept_for_assignment(scorer: Scorer, index: Any) -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "C1CC", "CCN"]}, index=index)
    for given in (frame["smiles"], frame):
        result = scorer.score(given)
        assert result.index.equals(frame.index)
        frame["p"] = result[scorer.columns[0]]
        assert frame["p"].isna().tolist() == [False, True, False]


def test_a_table_needs_one_column_of_structures(scorer: Scorer) -> None:
    both = pd.DataFrame({"smiles_a": ["CCO"], "smiles_b": ["CCN"], "y": [1]})
    with pytest.raises(DataError, match=r"'smiles_a', 'smiles_b' could all.*column='smiles_a'"):
        scorer.score(both)
    assert scorer.score(both, column="smiles_b")["smiles"].tolist() == ["CCN"]
    with pytest.raises(DataError, match=r"no column 'smiles_c'.*Did you mean"):
        scorer.score(both, column="smiles_c")
    with pytest.raises(DataError, match=r"no column of structures: its columns are 'x', 'y'"):
        scorer.score(pd.DataFrame({"x": ["CCO"], "y": [1]}))
    with pytest.raises(DataError, match="columns are none"):
        scorer.score(pd.DataFrame())
    with pytest.raises(TypeError, match="no table"):
        scorer.score(["CCO"], column="smiles")


@pytest.mark.parametrize("column", [None, "smiles"])
def test_an_index_called_smiles_is_a_column_where_no_column_is(scorer: Scorer, column: str | None) -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["CCO", "CCN"], name="smiles"))
    for table in (frame, frame.assign(m=0)):
        scores = scorer.score(table, column=column)
        assert scores["smiles"].tolist() == scores.index.tolist() == ["CCO", "CCN"]
    other = frame.assign(smiles_a=["CCF", "CCCl"])
    assert scorer.score(other)["smiles"].tolist() == ["CCF", "CCCl"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"CCO", "are bytes.*Decode"),
        ([b"CCO"], r"Molecule 0 is of type bytes.*decode\(\)"),
        (pa.array([b"CCO"]), "Molecule 0 is of type bytes"),
        ({"a": "CCO"}, r"keys\(\) or values\(\)"),
        (5, "type int"),
        (None, "type NoneType"),
        (np.array([["CCO"], ["CCN"]]), r"shape \(2, 1\)"),
        (np.array("CCO"), r"shape \(\)"),
        (["CCO", ["CCN"]], "Molecule 1 is of type list"),
        ([object()], "Molecule 0 is of type object"),
    ],
)
def test_what_cannot_be_meant_is_refused(scorer: Scorer, wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        scorer.score(wrong)


def test_half_a_pair_of_surrogates_is_a_rejected_row(scorer: Scorer) -> None:
    frame = scorer.score(["CCO", "CC\udc80", None])
    assert frame["status"].tolist() == ["ok", "rejected", "rejected"]
    assert frame["smiles"].tolist()[:2] == ["CCO", "CC\udc80"]


def test_numbers_are_rejected_rows_with_a_reason(scorer: Scorer) -> None:
    frame = scorer.score(["CCO", 5, 2.5, True, np.int64(7), np.bool_(False)])
    assert frame["status"].tolist() == ["ok", *["rejected"] * 5]
    assert frame["reason"][1] == "not a SMILES but the int 5"


def test_molecule_objects_that_cannot_be_written_are_rejected(scorer: Scorer) -> None:
    chain = Chem.RWMol()
    for _ in range(LARGEST + 1):
        chain.AddAtom(Chem.Atom(6))
    frame = scorer.score(
        [Mol(), chain, None, MolFromSmiles("CCO"), MolFromSmiles("C[N+](C)(C)C", sanitize=False)]
    )
    assert frame["status"].tolist() == ["rejected", "rejected", "rejected", "ok", "ok"]
    assert "no atoms" in frame["reason"][0]
    assert f"{LARGEST + 1:,} atoms" in frame["reason"][1]


def test_an_iterable_is_gone_through_once() -> None:
    seen = []
    entries = read_entries(text for text in TEXTS if not seen.append(text))
    assert seen == TEXTS == entries.structures
