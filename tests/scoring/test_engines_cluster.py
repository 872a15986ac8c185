"""Ray on several nodes: the same bytes, also when a process, a node or the driver is killed in the middle.

The nodes are of this machine: each has processes and an object store of its own, and shares the disk.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import small
from bundles import saved_network
from folders import same

from screening.errors import ScreeningError
from screening.scoring import job
from screening.scoring.job import Engine, score_library
from screening.scoring.library import Piece
from screening.scoring.part_files import PartFolder, Tally
from screening.scoring.scorer import PartMaker

pytestmark = pytest.mark.slow
OPTIONS: dict[str, Any] = {"block_size": 16, "top": 4, "output": "csv"}
RAY: dict[str, Any] = {"workers": 4, **OPTIONS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_network(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files of 9 to 14 blocks."""
    folder = tmp_path_factory.mktemp("library")
    for number in range(6):
        texts = [*small.smiles(139 + 15 * number), "C1CC"]
        (folder / f"{number}.smi").write_text("".join(f"{text} {n}\n" for n, text in enumerate(texts)))
    return folder


@pytest.fixture(scope="module")
def whole(run: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pool makes of it."""
    folder = tmp_path_factory.mktemp("whole")
    score_library(run, library, folder, workers=0, **OPTIONS)
    return folder


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of two processors, the first with the cluster's head; nobody is connected yet."""
    pytest.importorskip("ray")
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    node = {"num_cpus": 2, "object_store_memory": 10**8}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster
    cluster.shutdown()


class Watched(PartMaker):
    """Notes in `notes` which processes of which nodes work, slowly; `blow` once kills one that has worked."""

    def __init__(self, *what: Any, notes: Path, blow: str) -> None:
        super().__init__(*what)
        self.notes, self.blow, self.n_done = notes, blow, 0

    def finish(self, piece: Piece, prepared: Any) -> Tally:
        import ray

        context = ray.get_runtime_context()
        (self.notes / f"{context.get_node_id()}-{os.getpid()}").touch()
        time.sleep(0.05)
        self.n_done += 1
        if self.n_done == 3 and not (self.notes / "head").read_text().startswith(context.get_node_id()):
            self.strike()
        return super().finish(piece, prepared)

    def strike(self) -> None:
        with suppress(FileExistsError):
            if self.blow:
                (self.notes / "struck").touch(exist_ok=False)
                os.kill(os.getpid() if self.blow == "process" else os.getppid(), signal.SIGKILL)
                time.sleep(60)


@pytest.fixture
def watch(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that has the nodes watched and struck; it gives the folder of notes."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "head").write_text(cluster.head_node.node_id)

    def start(blow: str = "") -> Path:
        monkeypatch.setattr(job, "PartMaker", partial(Watched, notes=notes, blow=blow))
        return notes

    return start


def nodes(notes: Path) -> set[str]:
    return {path.name.split("-")[0] for path in notes.glob("*-*")}


def test_two_nodes_give_the_same_bytes_and_both_work(
    run: Path, library: Path, whole: Path, tmp_path: Path, cluster: Any, watch: Any
) -> None:
    notes = watch()
    score_library(run, library, tmp_path / "out", engine=Engine("ray", cluster.address), **RAY)
    assert same(whole, tmp_path / "out")
    assert len(nodes(notes)) == 2


@pytest.mark.parametrize("blow", ["process", "node"])
def test_a_killed_process_or_node_changes_no_byte(
    run: Path, library: Path, whole: Path, tmp_path: Path, cluster: Any, watch: Any, blow: str
) -> None:
    """The job goes on; or it stops with a message, and goes on when started again."""
    notes, start = watch(blow), partial(score_library, run, library, tmp_path / "out", **RAY)
    try:
        start(engine=Engine("ray", cluster.address))
    except ScreeningError as problem:
        assert re.search("start the same command again", str(problem))
        start(engine=Engine("ray", cluster.address))
    assert (notes / "struck").exists()
    assert same(whole, tmp_path / "out")


DRIVER = """
import sys
from screening.scoring import Engine, score_library
run, library, out, address = sys.argv[1:]
options = {"block_size": 16, "top": 4, "output": "csv"}
score_library(run, library, out, engine=Engine("ray", address), workers=4, **options)
"""


def test_a_killed_driver_leaves_no_lock_and_no_work(
    run: Path, library: Path, whole: Path, tmp_path: Path, cluster: Any
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, *map(str, (run, library, out)), cluster.address]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(parts := list(out.glob("part-*"))) < 3:
        assert driver.poll() is None
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    with PartFolder(out).claimed():
        time.sleep(5)
        parts = sorted(out.glob("part-*"))
        assert len(parts) < len(list(whole.glob("part-*")))
        time.sleep(3)
        assert sorted(out.glob("part-*")) == parts
    report = score_library(run, library, out, engine=Engine("ray", cluster.address), **RAY)
    assert 0 < report.skipped == len(parts) < report.parts
    assert same(whole, out)
