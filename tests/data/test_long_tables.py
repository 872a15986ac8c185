"""Long tables are read where they are plain, else asked about; wide ones with replicates are not long."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from screening.config_sections import AssaySettings, LongColumns
from screening.data.assays import read_assays
from screening.errors import ConfigError, DataError

N = 60
SMILES = [f"{'C' * (n % 10 + 1)}{'N' * (n // 10 + 1)}" for n in range(N)]
DRAW = random.Random(0)


def label(structure: int, assay: str) -> int:
    """Labels of different assays are as good as independent."""
    return int(random.Random(f"{structure} {assay}").random() < 0.3)


def long_rows(assays: list[str], share: float = 1.0) -> list[tuple[int, str, int]]:
    """(structure, assay, label): every structure in the first assay, and in others with that probability."""
    rows = [(n, assays[0], label(n, assays[0])) for n in range(N)]
    rows += [(n, a, label(n, a)) for a in assays[1:] for n in range(N) if DRAW.random() < share]
    DRAW.shuffle(rows)
    return rows


def written(folder: Path, header: str, rows: list[str], suffix: str = ".csv") -> Path:
    path = folder / f"t{suffix}"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


LONG: dict[str, Callable[[], tuple[str, list[str]]]] = {
    "assay and label": lambda: (
        "id,smiles,assay,active",
        [f"M{n},{SMILES[n]},{a},{y}" for n, a, y in long_rows(["AhR", "MMP"])],
    ),
    "numbers for assays": lambda: (
        "CID,SMILES,AID,Outcome",
        [f"{n},{SMILES[n]},{a},{y}" for n, a, y in long_rows(["1030", "1851", "2101"])],
    ),
    "a few repeats": lambda: (
        "smiles,Assay ChEMBL ID,label",
        [f"{SMILES[n]},{a},{y}" for n, a, y in long_rows(["CHEMBL1", "CHEMBL2"], 0.1)],
    ),
    "a name that says nothing": lambda: (
        "smiles,Versuch,aktiv",
        [f"{SMILES[n]},{a},{y}" for n, a, y in long_rows(["Leber", "Niere", "Haut"])],
    ),
    "two columns": lambda: (
        "smiles,target,readout,active",
        [
            f"{SMILES[n]},{a[0]},{a[1]},{y}"
            for n, a, y in long_rows(["".join(pair) for pair in itertools.product("KL", "bf")])
        ],
    ),
    "measured values": lambda: (
        "smiles,target,pIC50",
        [f"{SMILES[n]},{a},{5 + n / 17 + y:.2f}" for n, a, y in long_rows(["EGFR", "HER2"])],
    ),
    "values in words": lambda: (
        "smiles,endpoint,result",
        [f"{SMILES[n]},{a},{['Inactive', 'Active'][y]}" for n, a, y in long_rows(["Ames", "hERG"])],
    ),
    "molten by pandas": lambda: (
        "smiles,variable,value",
        [f"{SMILES[n]},{a},{y}" for n, a, y in long_rows(["NR-AR", "NR-ER", "SR-p53"])],
    ),
    "values beside labels": lambda: (
        "smiles,assay,label,log_value,relation,assay_type",
        [f"{SMILES[n]},{a},{y},{5 + n / 9:.2f},=,{'BF'[n % 2]}" for n, a, y in long_rows(["A1", "A2", "A3"])],
    ),
    "two assays called 1 and 2": lambda: (
        "smiles,AID,active",
        [f"{SMILES[n]},{a},{y}" for n, a, y in long_rows(["1", "2"])],
    ),
    "two tasks called 0 and 1": lambda: (
        "smiles,task_idx,y",
        [f"{SMILES[n]},{a},{y}" for n, a, y in long_rows(["0", "1"])],
    ),
    "ToxCast's own names": lambda: (
        "smiles,chnm,aeid,hitc",
        [f"{SMILES[n]},name{n},{a},{label(n, 'all')}" for n, a, y in long_rows(["12", "13"])],
    ),
    "no structure twice": lambda: (
        "smiles,assay,label",
        [f"{SMILES[n]},A{n % 7},{label(n, 'x')}" for n in range(N)],
    ),
}
NOT_LONG: dict[str, Callable[[], tuple[str, list[str]]]] = {
    "a few duplicates": lambda: (
        "id,smiles,A,B",
        [f"M{i},{SMILES[n]},{label(n, 'a')},{label(n, 'b')}" for i, n in enumerate([*range(N), 3, 4, 5, 5])],
    ),
    "one assay, duplicates under other names": lambda: (
        "num,name,p_np,smiles",
        [f"{i},name{i},{label(i, 'p')},{SMILES[n]}" for i, n in enumerate([*range(N), 3, 4, 5, 5, 8])],
    ),
    "replicates": lambda: (
        "smiles,replicate,active",
        [f"{SMILES[n]},{r},{label(n, 'a')}" for n in range(N) for r in (1, 2, 3)],
    ),
    "replicates that disagree": lambda: (
        "smiles,plate,active",
        [f"{SMILES[n]},P{r}{n % 3},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "replicates under an unknown name": lambda: (
        "smiles,Serie,active",
        [f"{SMILES[n]},{r},{label(n, 'a') ^ (n % 20 == r == 2)}" for n in range(N) for r in (2, 3, 4)],
    ),
    "runs of two laboratories that agree": lambda: (
        "smiles,where,active",
        [f"{SMILES[n]},{lab},{label(n, 'a')}" for n in range(N) for lab in ("Basel", "Mainz")],
    ),
    "plates of an assay": lambda: (
        "smiles,assay_plate,active",
        [f"{SMILES[n]},P{r},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "numbers of tests": lambda: (
        "smiles,test_id,active",
        [f"{SMILES[n]},T{n:04d}{r},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "notes on an assay": lambda: (
        "smiles,assay_notes,active",
        [f"{SMILES[n]},{['ok', 'repeat'][r - 1]},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "concentrations": lambda: (
        "smiles,target_concentration,active",
        [f"{SMILES[n]},{10 * r},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "passages of cells": lambda: (
        "smiles,cell_passage,active",
        [f"{SMILES[n]},{10 + r},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "substances": lambda: (
        "SID,smiles,ALDH1,GBA",
        [
            f"{9000 + i},{SMILES[n]},{label(i, 'a')},{label(n, 'b')}"
            for i, n in enumerate([*range(N), *range(20)])
        ],
    ),
    "literature": lambda: (
        "smiles,doi,year,active",
        [f"{SMILES[n]},10.1/{r}{n % 5},{2000 + r},{label(n, str(r))}" for n in range(N) for r in (1, 2)],
    ),
    "one target": lambda: (
        "smiles,target,active",
        [f"{SMILES[n]},EGFR,{label(n, 'a')}" for n in [*range(N), 1, 2, 3]],
    ),
    "assays in words with such names": lambda: (
        "smiles,assay_AhR,Target-2,A",
        [
            f"{SMILES[n]},{['Inactive', 'Active'][label(n, 'a')]},{['no', 'yes'][label(n, 'b')]},{n % 2}"
            for n in [*range(N), 1, 2]
        ],
    ),
    "percentages of such names": lambda: (
        "smiles,Target 1 inhibition,assay_b,A",
        [f"{SMILES[n]},{n * 7 % 100},{label(n, 'b')},{label(n, 'c')}" for n in range(N)],
    ),
    "a split": lambda: (
        "smiles,task_set,test,A",
        [
            f"{SMILES[n]},{'train' if n % 3 else 'test'},{'train' if n % 3 else 'valid'},{label(n, 'a')}"
            for n in range(N)
        ],
    ),
    "a measured value called target": lambda: (
        "smiles,target,A",
        [f"{SMILES[n]},{n / 7:.2f},{label(n, 'a')}" for n in range(N)],
    ),
    "a label called target": lambda: (
        "smiles,target,kind",
        [f"{SMILES[n]},{label(n, 'a')},{'xy'[n % 2]}" for n in [*range(N), 1, 2]],
    ),
    "the kind of assay": lambda: (
        "smiles,assay_type,A",
        [f"{SMILES[n]},{'BF'[n % 2]},{label(n, 'a')}" for n in range(N)],
    ),
    "several assays and a remark": lambda: (
        "smiles,species,A,B,C",
        [f"{SMILES[n]},{['rat', 'mouse'][n % 2]},{label(n, 'a')},{label(n, 'b')},1" for n in range(N)],
    ),
    "descriptors": lambda: (
        "smiles,A," + ",".join(f"d{i}" for i in range(20)),
        [
            f"{SMILES[n]},{label(n, 'a')}," + ",".join(f"{n * i % 7}.5" for i in range(20))
            for n in [*range(N), *range(9)]
        ],
    ),
}


PLAIN = [
    *("assay and label", "numbers for assays", "a few repeats", "values beside labels"),
    *("two assays called 1 and 2", "two tasks called 0 and 1", "no structure twice"),
]


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_long_tables_are_read_and_a_note_says_how(tmp_path: Path, kind: str) -> None:
    header, rows = LONG[kind]()
    table = read_assays(written(tmp_path, header, rows))
    cells = {tuple(row.split(",")) for row in rows}
    assert set(table.smiles) <= {text for row in cells for text in row}
    assert int(np.isfinite(table.labels).sum()) == len(rows)
    assert set(table.tasks) <= {text for row in cells for text in row}
    assert "is a long table" in table.notes[0]
    assert "data.format=wide" in table.notes[0]


@pytest.mark.parametrize("kind", sorted(set(LONG) - set(PLAIN)))
def test_others_are_asked_about_with_the_setting_to_paste(tmp_path: Path, kind: str) -> None:
    header, rows = LONG[kind]()
    path = written(tmp_path, header, rows)
    with pytest.raises(DataError, match="is a long table, with a row per structure and assay") as caught:
        read_assays(path)
    message = str(caught.value)
    for text in ("data.format=long 'data.long={assay: ", "data.format=wide"):
        assert text in message
    assert "\n" not in message


def test_the_setting_to_paste_is_right(tmp_path: Path) -> None:
    header, rows = LONG["measured values"]()
    path = written(tmp_path, header, rows)
    with pytest.raises(DataError, match=r"data.format=long 'data.long={assay: target, value: pIC50}'"):
        read_assays(path)
    with pytest.raises(DataError, match=r"""data.assays={"\*": {kind: real}}'"""):
        read_assays(path, format="long", long=LongColumns(assay=("target",), value="pIC50"))
    real = {"*": AssaySettings(kind="real")}
    table = read_assays(path, format="long", long=LongColumns(assay=("target",), value="pIC50"), assays=real)
    assert sorted(table.tasks) == ["EGFR", "HER2"]
    assert table.is_real.all()
    header, rows = LONG["two columns"]()
    with pytest.raises(DataError, match=r"data.long={assay: target, value: active}'"):
        read_assays(written(tmp_path, header, rows))
    table = read_assays(path, format="long", long=LongColumns(assay=("target", "readout"), value="active"))
    assert sorted(table.tasks) == ["K b", "K f", "L b", "L f"]


@pytest.mark.parametrize("kind", ["assay and label", "numbers for assays", "two columns"])
def test_naming_the_column_of_labels_does_not_hide_that_a_table_is_long(tmp_path: Path, kind: str) -> None:
    header, rows = LONG[kind]()
    with pytest.raises(DataError, match="is a long table"):
        read_assays(written(tmp_path, header, rows), tasks=[header.split(",")[-1]])


@pytest.mark.parametrize("kind", NOT_LONG)
def test_other_tables_are_not_long(tmp_path: Path, kind: str) -> None:
    header, rows = NOT_LONG[kind]()
    table = read_assays(written(tmp_path, header, rows))
    rejected = table.rejected
    assert (len(table), rejected) == (len(rows), [])


def test_the_user_may_say_that_a_table_is_wide(tmp_path: Path) -> None:
    header, rows = LONG["assay and label"]()
    path = written(tmp_path, header, rows)
    table = read_assays(path, format="wide")
    assert (len(table), table.tasks) == (len(rows), ("active",))
    with pytest.raises(ConfigError, match=r"data\.format: there is no 'lang'.*wide"):
        read_assays(path, format="lang")


def test_a_long_table_with_junk_is_long(tmp_path: Path) -> None:
    header, rows = LONG["assay and label"]()
    path = written(tmp_path, header, [",,text,0/1", *rows[:50], header, *rows[50:]])
    table = read_assays(path)
    assert table.tasks == ("AhR", "MMP") or table.tasks == ("MMP", "AhR")
    assert [rejected.row for rejected in table.rejected] == [1, 52]
    assert int(np.isfinite(table.labels).sum()) == len(rows)


@pytest.mark.parametrize("share", [1.0, 0.4, 0.1])
def test_any_share_of_the_real_long_table_is_recognised(
    real_data: Path, tmp_path: Path, share: float
) -> None:
    import gzip

    draw = random.Random(1)
    with gzip.open(real_data / "fsmol_train_long.csv.gz", "rt", encoding="utf-8") as file:
        header, *rows = itertools.islice(file, 8_000)
    chosen = [row.rstrip("\n") for row in rows if draw.random() < share]
    table = read_assays(written(tmp_path, header.rstrip("\n"), chosen))
    assert set(table.tasks) == {row.split(",")[1] for row in chosen}


REAL = ["tox21", "toxcast", "clintox", "bbbp", "raw/tox21_8014_rows"]


@pytest.mark.parametrize("name", REAL)
def test_real_wide_tables_are_taken(real_data: Path, name: str) -> None:
    assert len(read_assays(real_data / f"{name}.csv.gz")) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["muv", "litpcba", "fsmol_train_wide", "merged128", "raw/toxcast_8615_rows"])
def test_large_real_wide_tables_are_taken(real_data: Path, name: str) -> None:
    assert len(read_assays(real_data / f"{name}.csv.gz")) > 1000


@pytest.mark.parametrize(
    "name", ["assay", "AssayName", "Assay ChEMBL ID", "assay_id", "PUBCHEM_AID", "Target Name"]
)
def test_a_column_named_as_the_assay_is_enough_beside_one_column_of_labels(tmp_path: Path, name: str) -> None:
    rows = [f"{SMILES[n]},T{n % 3},{label(n, 'a')}" for n in range(N)]
    table = read_assays(written(tmp_path, f"smiles,{name},label", rows))
    assert (len(table), table.tasks) == (N, ("T0", "T1", "T2"))


@pytest.mark.parametrize(
    "name", ["assay_type", "Target class", "Assay date", "assay-7", "target_pIC50", "Set"]
)
def test_a_column_about_the_assay_or_of_one_assay_is_not(tmp_path: Path, name: str) -> None:
    rows = [f"{SMILES[n]},T{n % 3},{label(n, 'a')}" for n in range(N)]
    assert len(read_assays(written(tmp_path, f"smiles,{name},label", rows))) == N
