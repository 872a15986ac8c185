"""Runs of `small.table()` that train in a second: one shallow network, two epochs."""

from pathlib import Path

import small

from screening import training
from screening.config import Config, check_config


def config(folder: Path, source: Path, **more: object) -> Config:
    """The config of such a run; `more` are sections that replace those here (of `data`, that are added)."""
    return check_config(
        {
            "name": "small",
            "runs": str(folder / "runs"),
            "data": {"source": str(source), **more.pop("data", {})},  # type: ignore[dict-item]
            "split": "random",
            "features": {"graph": "atom_codes", "vectors": ["ecfp_counts"]},
            "model": {"encoder": {"name": "gine", "depth": 2, "width": 16}},
            "train": {"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 0},
        }
        | more
    )


def trained(tmp_path: Path, **more: object) -> training.Trained:
    """That run, of `small.table()` written into the folder."""
    return training.train(config(tmp_path, small.write(tmp_path / "small.csv"), **more))
