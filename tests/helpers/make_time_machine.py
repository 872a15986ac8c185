"""Bundles of every version, kept: `python tests/helpers/make_time_machine.py 0.4.0` adds those of this code.

Every config of `tests/data/bundles` is trained, and the library beside it scored, by the command line alone:
what runs is the `screening` that PYTHONPATH names, so that an older version's bundles can be made as well.
The folder `bundles/VERSION` then has, per config, the run as a user would send it and its scores as CSV. A
release adds a folder and never replaces one; only `dev`, made by today's code, may be made anew.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).parents[1] / "data" / "bundles"
INPUTS = ("table.csv", "library.csv", "groups.yaml")
ASKED = ("--domain", "--conformal", "0.1")
CONFIGS = {"plain": ASKED, "full": (*ASKED, "--spread")}
"""Config: what is asked for beside the scores, all that such a bundle can tell."""
NOT_SENT = shutil.ignore_patterns("checkpoint*.pt", "report.html")
"""Files of a run folder that scoring, reports and comparisons do without."""


def score_words(config: str, run: Path, out: Path) -> list[str]:
    """The command that scores the library with a run of this config."""
    words = ["score", str(run), str(KEPT / "library.csv"), "--out", str(out), "--workers", "0"]
    return [*words, "--format", "csv", *CONFIGS[config]]


def add(version: str) -> Path:
    """Train and score in an empty folder, then keep what came of it.

    Raises
    ------
    FileExistsError : there are bundles of this version, which is a release.
    subprocess.CalledProcessError : a command failed; it has said why.
    """
    kept = KEPT / version
    if kept.exists() and version != "dev":
        raise FileExistsError(f"{kept} is kept for ever: give the version that is released now, or dev.")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for path in (*INPUTS, *(f"{config}.yaml" for config in CONFIGS)):
            shutil.copy(KEPT / path, work)
        for config in CONFIGS:
            _screening(work, "train", f"{config}.yaml")
            _screening(work, *score_words(config, work / config, work / f"{config}-scored"))
        shutil.rmtree(kept, ignore_errors=True)
        for config in CONFIGS:
            shutil.copytree(work / config, kept / config, ignore=NOT_SENT)
            shutil.copy(work / f"{config}-scored" / "scores.csv", kept / f"{config}.csv")
    return kept


def _screening(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "screening", *words], cwd=folder, check=True)


if __name__ == "__main__":
    (version,) = sys.argv[1:]
    folder = add(version)
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    sys.stdout.write(f"{folder}: {total / 1024:.0f} KiB\n")
