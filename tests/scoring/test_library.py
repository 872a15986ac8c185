"""Libraries: the same files in the same order, every record in one numbered block."""

import gzip
import io
import os
import pickle
from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem

from screening.errors import DataError
from screening.scoring.library import BLOCKS, Library, Shard, open_library


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, n in (("b.smi", 5), ("a.csv", 3), ("sub/a.smi", 4), ("sub/z.smi.gz", 2)):
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{'C' * (i + 1)} {name}{i}\n" for i in range(n)]
        text = "smiles,name,weight\n" + "".join(line.replace(" ", ",")[:-1] + ",1\n" for line in lines)
        content = (text if name.endswith("csv") else "".join(lines)).encode()
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return tmp_path / "lib"


def ids(library: Library) -> list[str]:
    return [id for piece in library.pieces() for id in piece.ids]


def test_a_folder_is_read_in_the_order_of_its_paths(folder: Path) -> None:
    library = open_library([folder], block_size=2)
    assert [Path(name).name for name in library.names] == ["a.csv", "b.smi", "a.smi", "z.smi.gz"]
    pieces = list(library.pieces())
    assert [divmod(piece.number, BLOCKS) for piece in pieces] == [
        *((file, block) for file, n in enumerate((2, 3, 2, 1)) for block in range(n))
    ]
    assert [piece.is_last for piece in pieces] == [False, True, False, False, True, False, True, True]
    assert [len(piece) for piece in pieces] == [2, 1, 2, 2, 1, 2, 2, 2]
    assert pieces[1].ids == ["a.csv2"]
    assert library.extra == ("weight",)
    assert pieces[2].extra == {}
    assert ids(library) == ids(library)


def test_names_with_the_same_last_part_are_told_apart(folder: Path) -> None:
    library = open_library([folder / "b.smi", folder / "sub" / "a.smi"])
    assert library.names == ("b.smi", "a.smi")
    (folder / "a.smi").write_text("C x\n")
    assert open_library([f"{folder}/**/a.smi"]).names == (f"{folder}/a.smi", f"{folder}/sub/a.smi")


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 14, 99])
def test_a_limit_counts_over_files(folder: Path, limit: int) -> None:
    everything = ids(open_library([folder]))
    assert ids(open_library([folder], block_size=2, limit=limit)) == everything[:limit]


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_wanted_blocks_alone_are_given(folder: Path, n: int) -> None:
    library = open_library([folder], block_size=2)
    every = {piece.number: piece.digest() for piece in library.pieces()}
    found: dict[int, str] = {}
    for i in range(n):
        found |= {
            piece.number: piece.digest()
            for piece in library.pieces(lambda number, i=i: number % n == i)
        }  # fmt: skip
    assert found == every


def test_a_file_of_a_library_is_read_without_those_before_it(folder: Path) -> None:
    library, again = (open_library([folder], block_size=2) for _ in range(2))
    whole = [piece for piece in library.pieces() if piece.file in ("a.smi", "z.smi.gz")]
    (folder / "b.smi").unlink()
    some = list(pickle.loads(pickle.dumps(again.subset([3, 2]))).pieces())  # noqa: S301
    assert [(piece.number, piece.digest()) for piece in some] == [(p.number, p.digest()) for p in whole]
    assert [piece.source for piece in some] == [again.subset([2, 3]).sums()[file] for file in (2, 2, 3)]
    assert some[-1].share == 1


SKIPPED = {
    "plain.smi": b"".join(b"%s n%d\n" % (b"C" * (n + 1), n) for n in range(11)),
    "odd.smi": b"# comment\nsmiles name\n" + b"CC a\n\n#\nCCC caf\xe9\n\x85\n\xa0\n#N b\nC\0 c\n \t\n" * 3,
    "no_end.smi": b"C a\r\nCC b\r\n\r\nCCC c\r\nCCCC d",
    "utf16.smi": "".join(f"C \xe9{n}\n" for n in range(7)).encode("utf-16"),
    "quoted.csv": b'smiles,name\nC,"a\nb"\n\nCC,c,d\nCCC\n"CO"x,e\nCN,f\n',
}


@pytest.mark.parametrize("name", [*SKIPPED, "made.sdf", "made.parquet"])
@pytest.mark.parametrize("n", [2, 3])
def test_skipping_blocks_changes_no_other_block(tmp_path: Path, name: str, n: int) -> None:
    path = tmp_path / name
    if name == "made.parquet":
        pd.DataFrame({"smiles": ["C" * n for n in range(1, 9)]}).to_parquet(path, row_group_size=3)
    elif name == "made.sdf":
        records = [Chem.MolToMolBlock(Chem.MolFromSmiles("C" * size)) for size in (1, 2, 3)]
        path.write_text("$$$$\n".join([*records, "broken\n", *records, ""]))
    else:
        path.write_bytes(SKIPPED[name])
    library = open_library([path], block_size=2)
    every = {piece.number: (piece.rows.tolist(), piece.is_last, piece.digest()) for piece in library.pieces()}
    found: dict[int, tuple] = {}
    for rest in range(n):
        pieces = library.pieces(lambda number, rest=rest: number % n == rest)
        found |= {piece.number: (piece.rows.tolist(), piece.is_last, piece.digest()) for piece in pieces}
    assert found == every
    assert len(every) > 1


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_shards_take_whole_files_of_about_the_same_size(folder: Path, n: int) -> None:
    (folder / "sub" / "large.smi").write_text("C x\n" * 500)
    (folder / "sub" / "larger.smi").write_text("C x\n" * 700)
    library = open_library([folder])
    files = [library.portion(Shard(index, n)).files for index in range(1, n + 1)]
    assert sorted(file for mine in files for file in mine) == list(range(6))
    assert min(len(mine) for mine in files) >= 1
    if n > 1:
        large, larger = (library.names.index(name) for name in ("large.smi", "larger.smi"))
        assert not any({large, larger} <= set(mine) for mine in files)


@pytest.mark.parametrize(("n", "limit"), [(5, None), (2, 8)])
def test_shards_of_few_files_or_of_counted_records_take_blocks(
    folder: Path, n: int, limit: int | None
) -> None:
    library = open_library([folder], block_size=1, limit=limit)
    portions = [library.portion(Shard(index, n)) for index in range(1, n + 1)]
    for piece in library.pieces():
        assert sum(portion.has(piece.number) for portion in portions) == 1


def test_the_share_read_grows_to_one(folder: Path) -> None:
    shares = [piece.share for piece in open_library([folder], block_size=2).pieces()]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] == 1


def test_standard_input_among_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"CC first\nCCC second\n")))
    library = open_library(["-", folder / "b.smi"])
    assert library.is_stream
    assert ids(library)[:3] == ["first", "second", "b.smi0"]
    assert library.sums()[0] is None
    assert library.sizes()["-"] is None


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["b.smi", "b.smi"], "given twice"),
        (["*.nothing"], "no file matches"),
        (["nothing.smi"], "cannot be read"),
        (["empty"], "no file of molecules"),
        ([".", "b.smi"], "given twice"),
    ],
)
def test_what_is_not_a_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        open_library(sources)


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.smi"
    with open(path, "w") as file:
        file.write("CCO x\n")
    library = open_library([tmp_path])
    assert library.names == ("caf\ufffd.smi",)
    assert next(library.pieces()).file.encode()
    assert library.sizes().keys() == {"caf\ufffd.smi"}
    assert len(library.sums()[0] or "") == 64


def test_many_more_files_than_may_be_open(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"{number:04d}.smi").write_text(f"C {number}\n")
    assert len(ids(open_library([tmp_path]))) == 1100
