"""Libraries: the same files in the same order, every record in one numbered block."""

import gzip
import io
import os
from pathlib import Path

import pytest

from screening.errors import DataError
from screening.libraries import Library, open_library


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
    assert [piece.number for piece in pieces] == list(range(8))
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


def test_the_share_read_grows_to_one(folder: Path) -> None:
    shares = [piece.share for piece in open_library([folder], block_size=2).pieces()]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] == 1


def test_standard_input_among_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"CC first\nCCC second\n")))
    library = open_library(["-", folder / "b.smi"])
    assert library.is_stream
    assert ids(library)[:3] == ["first", "second", "b.smi0"]
    assert library.sums()["-"] is None


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
    assert library.sums().keys() == {"caf\ufffd.smi"}


def test_many_more_files_than_may_be_open(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"{number:04d}.smi").write_text(f"C {number}\n")
    assert len(ids(open_library([tmp_path]))) == 1100
