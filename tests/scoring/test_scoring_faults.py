"""What can go wrong in a scoring job: bad libraries, kills, and what is left behind."""

import errno
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import small
from bundles import small_bundle
from dirty_tables import BAD_VARIANTS, GOOD_VARIANTS

from screening.errors import DataError
from screening.scoring.job import score_library
from screening.scoring.library import BLOCKS, Piece
from screening.scoring.part_files import Tally
from screening.scoring.scorer import PartMaker

TASKS = list(small.PATTERNS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    small_bundle({"name": "gine", "width": 16, "depth": 1}).save(folder / "bundle")
    return folder


def read(folder: Path) -> pd.DataFrame:
    parts = sorted(folder.glob("part-*.parquet"))
    return pd.concat([pd.read_parquet(path) for path in parts], ignore_index=True)


def scored(run: Path, tmp_path: Path, content: bytes, name: str = "library.smi") -> pd.DataFrame:
    """The rows of a small library, scored in blocks of 5; its counts are checked."""
    (tmp_path / name).write_bytes(content)
    report = score_library(run, tmp_path / name, tmp_path / "out", block_size=5, workers=0)
    frame = read(tmp_path / "out")
    assert report.read == len(frame) == report.scored + report.rejected
    assert report.rejected == (frame["status"] == "rejected").sum() == sum(report.reasons.values())
    assert frame[TASKS].isna().all(axis=1).equals(frame["status"] == "rejected")
    return frame


def test_every_second_line_bad(run: Path, tmp_path: Path) -> None:
    lines = [f"{text if n % 2 else 'C1CC' + str(n)} id{n}" for n, text in enumerate(small.smiles(40))]
    frame = scored(run, tmp_path, "\n".join(lines).encode())
    assert frame["status"].tolist() == ["rejected", "ok"] * (len(frame) // 2)
    assert frame["id"].tolist() == [f"id{n}" for n in range(40)]


def test_a_line_of_five_megabytes(run: Path, tmp_path: Path) -> None:
    chain, rings, junk = "C" * 5_000_000, "C1CC1" * 20_000, "x" * 5_000_000
    frame = scored(run, tmp_path, f"CCO a\n{chain} b\n{rings} c\n{junk} d\nCCN e\n".encode())
    assert frame["id"].tolist() == list("abcde")
    assert frame["status"].tolist() == ["ok", "rejected", "rejected", "rejected", "ok"]
    assert "5,000,000 letters" in frame["reason"][1]
    assert frame["smiles"][1] == chain


def test_duplicate_and_missing_ids_crlf_nul_and_names_that_are_not_utf8(run: Path, tmp_path: Path) -> None:
    content = b"CCO same\r\nCCN same\r\nCCC\r\nC\0C nul\r\nCCCl caf\xe9\r\nCCBr \xff\xfe\r\n\r\n"
    frame = scored(run, tmp_path, content)
    assert frame["id"].tolist() == ["same", "same", "", "nul", "caf\xe9", "\xff\xfe"]
    assert frame["status"].tolist() == ["ok", "ok", "ok", "rejected", "ok", "ok"]


def test_a_header_alone_gives_no_parts_and_says_so(run: Path, tmp_path: Path) -> None:
    (tmp_path / "library.csv").write_text("smiles,name\n")
    report = score_library(run, tmp_path / "library.csv", tmp_path / "out", top=3, output="csv", workers=0)
    assert (report.read, report.parts) == (0, 0)
    assert any("no records" in note for note in report.notes)
    assert (tmp_path / "out" / "_manifest.json").exists()
    assert len((tmp_path / "out" / "top.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_before_the_damage_of_a_gzip_are_scored(run: Path, tmp_path: Path, workers: int) -> None:
    rng = random.Random(0)
    lines = [f"{rng.choice(small.smiles(100))} id{rng.random()}\n" for n in range(3000)]
    data = gzip.compress("".join(lines).encode())
    (tmp_path / "cut.smi.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut\.smi\.gz.* cut off"):
        score_library(run, tmp_path / "cut.smi.gz", tmp_path / "out", block_size=64, workers=workers)
    frame = read(tmp_path / "out")
    assert 1000 < len(frame) < 2000
    assert frame["id"].tolist() == [line.split()[1] for line in lines[: len(frame)]]
    assert not (tmp_path / "out" / "_manifest.json").exists()


def test_standard_input_that_changed_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(text: str) -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return score_library(run, "-", tmp_path / "out", block_size=2, workers=0).skipped

    text = "".join(f"{smiles} {n}\n" for n, smiles in enumerate(small.smiles(9)))
    assert start(text) == 0
    (tmp_path / "out" / "part-000000-000002.parquet").unlink()
    assert start(text) == 4
    with pytest.raises(DataError, match="library changed"):
        start(text.replace("3\n", "4\n"))


def test_a_damaged_part_is_made_again_and_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "library.smi").write_text("".join(f"{text} x\n" for text in small.smiles(40)))
    options = {"block_size": 8, "workers": 0, "top": 3, "output": "csv"}
    score_library(run, tmp_path / "library.smi", tmp_path / "out", **options)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    path = tmp_path / "out" / "part-000000-000003.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    report = score_library(run, tmp_path / "library.smi", tmp_path / "out", **options)
    assert report.skipped == 4
    assert any("made again: 1 of the parts" in note and path.name in note for note in report.notes)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == whole


def test_a_part_that_is_removed_meanwhile_is_explained(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library.smi").write_text("".join(f"{text} x\n" for text in small.smiles(40)))
    finish_part = PartMaker.finish

    def removing(self: PartMaker, piece: Piece, prepared: object) -> Tally:
        self.folder.part(0).unlink(missing_ok=True)
        return finish_part(self, piece, prepared)

    monkeypatch.setattr(PartMaker, "finish", removing)
    with pytest.raises(DataError, match=r"part-000000-000000.parquet was removed meanwhile.*again"):
        score_library(run, tmp_path / "library.smi", tmp_path / "out", block_size=8, workers=0)
    assert not (tmp_path / "out" / "_manifest.json").exists()


def test_a_folder_that_is_removed_meanwhile_is_explained(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library.smi").write_text("".join(f"{text} x\n" for text in small.smiles(40)))
    finish_part = PartMaker.finish

    def removing(self: PartMaker, piece: Piece, prepared: object) -> Tally:
        if piece.number == 2:
            shutil.rmtree(tmp_path / "out")
        return finish_part(self, piece, prepared)

    monkeypatch.setattr(PartMaker, "finish", removing)
    with pytest.raises(DataError, match=r"out was removed or replaced"):
        score_library(run, tmp_path / "library.smi", tmp_path / "out", block_size=8, workers=0)


@pytest.mark.parametrize("name", ["top.csv", "scores.csv", "_manifest.json", "_job.json", "part-000000"])
def test_a_full_disk_is_explained_whatever_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The file fails when it gets its name, as on a disk that is full or was made read-only."""
    (tmp_path / "library.smi").write_text("CCO a\n")
    rename = Path.replace

    def full(work: Path, path: Path) -> Path:
        if name in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(work, path)

    monkeypatch.setattr(Path, "replace", full)
    options = {"workers": 0, "top": 1, "output": "csv"}
    with pytest.raises(DataError, match=r"no room left.*start the same command again"):
        score_library(run, tmp_path / "library.smi", tmp_path / "out", **options)
    monkeypatch.undo()
    assert not list((tmp_path / "out").glob(f"*{name}*"))
    assert score_library(run, tmp_path / "library.smi", tmp_path / "out", **options).read == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "appended": lambda path: path.write_bytes(path.read_bytes() + b"CCO more\n"),
    "written anew": lambda path: path.write_bytes(path.read_bytes().replace(b"C", b"N")),
    "replaced": lambda path: (shutil.copy(path, path.with_name("new")), path.with_name("new").replace(path)),
    "removed": Path.unlink,
}


def with_a_change(monkeypatch: pytest.MonkeyPatch, number: int, change: Callable[[], object]) -> None:
    """The change happens when the part of this number is made."""
    finish_part = PartMaker.finish

    def finish(self: PartMaker, piece: Piece, prepared: object) -> Tally:
        if piece.number == number:
            change()
        return finish_part(self, piece, prepared)

    monkeypatch.setattr(PartMaker, "finish", finish)


@pytest.mark.parametrize("number", [1, 8])
@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("name", ["library.smi", "library.smi.gz"])
def test_a_library_that_changes_while_it_is_scored_is_noticed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, number: int
) -> None:
    """Long before its end, and when all of it was read already."""
    texts = [*small.smiles(150)] * 4
    content = "".join(f"{text} {n}\n" for n, text in enumerate(texts)).encode()
    path, out = tmp_path / name, tmp_path / "out"
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    options = {"block_size": 64, "workers": 0, "top": 2, "output": "csv"}
    if kind == "replaced":  # by the same content: no change
        with_a_change(monkeypatch, number, lambda: CHANGES[kind](path))
        assert score_library(run, path, out, **options).read == len(texts)
        return
    with_a_change(monkeypatch, number, lambda: CHANGES[kind](path))
    with pytest.raises(DataError, match=rf"{name} changed while it was read: it (was|grew).*start again"):
        score_library(run, path, out, **options)
    assert not (out / "_manifest.json").exists()
    assert not list(out.glob("part-*"))
    monkeypatch.undo()
    if kind == "removed":
        path.write_bytes(gzip.compress(content[::-1]) if name.endswith(".gz") else content[::-1])
    try:
        score_library(run, path, out, overwrite=True, **options)
    except DataError:  # a gzip file that was cut or has text behind it
        assert name.endswith(".gz")
        return
    manifest = json.loads((out / "_manifest.json").read_text())
    assert manifest["library"] == {name: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_parts_of_other_files_stay_when_one_changes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "a.smi", tmp_path / "b.smi"]
    for path in paths:
        path.write_text("".join(f"{text} x\n" for text in small.smiles(40)))
    with_a_change(monkeypatch, BLOCKS + 1, lambda: CHANGES["appended"](paths[1]))
    with pytest.raises(DataError, match=r"b\.smi changed while it was read: it grew"):
        score_library(run, paths, tmp_path / "out", block_size=8, workers=0)
    assert {path.name[:11] for path in (tmp_path / "out").glob("part-*")} == {"part-000000"}


def test_a_change_that_the_system_does_not_tell_is_found_in_the_end(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a file that is mapped into memory, or on a disk of another machine: only its sum tells."""
    path = tmp_path / "a.smi"
    path.write_text("".join(f"{text} x\n" for text in small.smiles(40)))
    monkeypatch.setattr("screening.scoring.sources.Source.check", lambda self: None)
    with_a_change(monkeypatch, 1, lambda: CHANGES["written anew"](path))
    with pytest.raises(DataError, match=r"changed while it was scored \('a.smi'\)"):
        score_library(run, path, tmp_path / "out", block_size=8, workers=0)
    assert not list((tmp_path / "out").glob("part-*"))


@pytest.mark.parametrize("name", [*GOOD_VARIANTS, *BAD_VARIANTS])
def test_every_dirty_variant_is_scored_or_refused(
    run: Path, tmp_path: Path, real_data: Path, name: str
) -> None:
    path = real_data / "dirty" / "variants" / name
    if name in BAD_VARIANTS:
        with pytest.raises(DataError, match=BAD_VARIANTS[name]):
            score_library(run, path, tmp_path / "out", workers=0)
        return
    structures, ids, _ = GOOD_VARIANTS[name]
    report = score_library(run, path, tmp_path / "out", workers=0)
    frame = read(tmp_path / "out") if report.parts else pd.DataFrame({"smiles": [], "id": []})
    assert frame["smiles"].tolist() == structures
    assert frame["id"].tolist() == (ids or [str(n + 1) for n in range(len(structures))])


# --- kills --------------------------------------------------------------------------------------------

N_RECORDS, BLOCK = 3000, 64


def job(run: Path, library: Path, out: Path, workers: int) -> None:
    os.setsid()
    options = {"top": 5, "output": "csv", "block_size": BLOCK}
    score_library(run, library, out, workers=workers, **options)


def killed_and_restarted(run: Path, tmp_path: Path, kills: int, workers: int) -> None:
    """Kill the job, its processes with it, at random parts; start it again each time; compare the bytes."""
    rng = random.Random(kills)
    library, broken, whole = tmp_path / "library.smi", tmp_path / "broken", tmp_path / "whole"
    library.write_text("".join(f"{rng.choice(small.smiles(150))} id{n}\n" for n in range(N_RECORDS)))
    context = multiprocessing.get_context("forkserver")  # a process that has imported all starts the jobs
    context.set_forkserver_preload(["screening.scoring.job"])
    n_parts = -(-N_RECORDS // BLOCK)
    targets = sorted(rng.randrange(n_parts - 4) for _ in range(kills))
    for target in [*targets, None]:
        process = context.Process(target=job, args=(run, library, broken, workers))
        process.start()
        while process.is_alive() and target is not None and os.getpgid(process.pid) != process.pid:
            time.sleep(0.002)  # until it leads a group, which is then killed as a whole
        while process.is_alive() and (target is None or len(list(broken.glob("part-*"))) < target):
            time.sleep(0.002)
        if target is not None:
            time.sleep(rng.random() * 0.02)
            assert process.is_alive(), "the job was over before it could be killed"
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == (0 if target is None else -signal.SIGKILL)
    score_library(run, library, whole, top=5, output="csv", block_size=BLOCK, workers=0)
    names = {path.name for path in whole.iterdir()}
    assert names > {"top.csv", "scores.csv", "_manifest.json"}
    for name in names:
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_killed_and_restarted_jobs_end_with_the_same_bytes(run: Path, tmp_path: Path) -> None:
    killed_and_restarted(run, tmp_path, 4, workers=0)


@pytest.mark.slow
def test_twenty_kills(run: Path, tmp_path: Path) -> None:
    killed_and_restarted(run, tmp_path, 20, workers=2)


@pytest.mark.slow
def test_a_killed_worker_does_not_stop_the_job(run: Path, tmp_path: Path) -> None:
    """One of the featurising processes is killed as soon as it is there."""
    library = tmp_path / "library.smi"
    library.write_text("".join(f"{text} x\n" for text in small.smiles(150) * 40))
    victims = []

    def kill_one() -> None:
        while not victims:
            children = [p for p in multiprocessing.active_children() if "Spawn" in type(p).__name__]
            if children and list((tmp_path / "out").glob("part-*")):
                victims.append(children[0].pid)
                os.kill(children[0].pid or 0, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    report = score_library(run, library, tmp_path / "out", block_size=BLOCK, workers=2)
    assert victims
    score_library(run, library, tmp_path / "whole", block_size=BLOCK, workers=0)
    assert report.read == len(read(tmp_path / "out"))
    assert read(tmp_path / "out").equals(read(tmp_path / "whole"))
