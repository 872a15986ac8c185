"""Engines: whoever does the work, the bytes are the same; Ray is started once for all of its tests."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small
from bundles import saved_network
from folders import same

from screening.errors import BundleError, ConfigError, DataError
from screening.scoring.engines import Reading, Work, run_ray
from screening.scoring.job import Engine, score_library
from screening.scoring.library import Piece

RAY = {"workers": 2, "block_size": 32}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_network(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a small cluster of this machine."""
    ray = pytest.importorskip("ray")
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    texts = [*small.smiles(150), "C1CC", ""] * 2
    path = tmp_path / "library.csv"
    path.write_text("smiles,note\n" + "".join(f"{text},n{n}\n" for n, text in enumerate(texts)))
    return path


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_processes_do_not_change_the_bytes(run: Path, library: Path, tmp_path: Path, workers: int) -> None:
    options = {"block_size": 32, "top": 4, "output": "csv"}
    score_library(run, library, tmp_path / "one", workers=0, **options)
    score_library(run, library, tmp_path / "other", workers=workers, **options)
    assert same(tmp_path / "one", tmp_path / "other")


@pytest.mark.slow
def test_an_address_without_a_cluster(run: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`ray_address`"):
        score_library(run, library, tmp_path / "out", **RAY, engine=Engine("ray", "127.0.0.1:1"))


@pytest.mark.parametrize("problem", ["Version mismatch: Ray 1.0", "InvalidAuthToken"])
def test_a_cluster_that_refuses(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    ray = pytest.importorskip("ray")

    def refuse(*_: object, **__: object) -> None:
        raise (ray.exceptions.AuthenticationError if "Auth" in problem else RuntimeError)(problem)

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigError, match=f"{problem}.*same versions.*RAY_AUTH_TOKEN"):
        score_library(run, library, tmp_path / "out", engine="ray", **RAY)


@pytest.mark.slow
def test_a_machine_that_sees_no_model_says_which(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(1, 3)
    piece = Piece(0, "x.smi", None, True, rows, ["a", "b"], ["C", "CC"], {}, ["", ""], 1.0)

    def blind() -> Work:
        raise BundleError("There is no trained model.")

    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    with pytest.raises(DataError, match=r"no trained model. \(on the machine .*same paths"):
        list(run_ray(blind, [Reading(partial(iter, [piece]), 1.0)], address=cluster, workers=1))


@pytest.mark.slow
def test_ray_gives_the_same_bytes_and_goes_on_where_it_stopped(
    run: Path, library: Path, tmp_path: Path, cluster: str
) -> None:
    options = {"top": 4, "output": "csv"}
    whole = score_library(run, library, tmp_path / "pool", workers=0, block_size=32, **options)
    report = score_library(run, library, tmp_path / "ray", engine=Engine("ray", cluster), **RAY, **options)
    assert same(tmp_path / "pool", tmp_path / "ray")
    assert (report.read, report.rejected) == (whole.read, whole.rejected)
    for number in (0, 3, 9):
        (tmp_path / "ray" / f"part-000000-{number:06d}.parquet").unlink()
    again = score_library(run, library, tmp_path / "ray", engine=Engine("ray", cluster), **RAY, **options)
    assert again.skipped == whole.parts - 3
    assert same(tmp_path / "pool", tmp_path / "ray")


@pytest.mark.slow
def test_errors_in_processes_of_ray_are_ours(run: Path, library: Path, tmp_path: Path, cluster: str) -> None:
    """What stands before the fault is kept as without processes: 9 blocks of 32, and the 16 records after."""
    content = library.read_text() + '"CCO\nCCC\n'
    library.write_text(content)
    for name, options in {
        "ray": RAY | {"engine": Engine("ray", cluster)},
        "plain": RAY | {"workers": 0},
    }.items():
        with pytest.raises(DataError, match="begins with a quotation mark"):
            score_library(run, library, tmp_path / name, **options)
    parts = [sorted((tmp_path / name).glob("part-*")) for name in ("ray", "plain")]
    assert [len(paths) for paths in parts] == [10, 10]
    assert [path.read_bytes() for path in parts[0]] == [path.read_bytes() for path in parts[1]]


def test_ray_does_not_read_standard_input(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reads files"):
        score_library(run, "-", tmp_path / "out", engine="ray", **RAY)
