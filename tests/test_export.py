"""Exported networks give our probabilities, for any number of molecules."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from test_bundle import make, small_model

from screening.bundle import Bundle, Member
from screening.errors import BundleError, ConfigError
from screening.export import ARRAYS, export


def saved(folder: Path, encoder: dict) -> Bundle:
    bundle = make(encoder)
    bundle.save(folder / "bundle")
    return bundle


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "gine", "depth": 1, "width": 8, "virtual_node": True},
        {"name": "dmpnn", "width": 8},
        {"name": "fingerprint", "widths": [8]},
        {"name": "hybrid", "width": 8, "hidden": 8, "depth": 1},
    ],
)
def test_onnx_gives_our_probabilities_for_other_molecules(tmp_path: Path, encoder: dict) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    bundle = saved(tmp_path, encoder)
    made = export(tmp_path, tmp_path / "net.onnx")
    assert made.difference <= 1e-5
    session = onnxruntime.InferenceSession(str(made.path))
    names = {one.name for one in session.get_inputs()}
    for rows in (range(40), range(140, 141)):
        batch = small.store().batch(rows)
        feed = {name: getattr(batch, name).numpy() for name in ARRAYS if name in names}
        ours = bundle.predict(small.store(), torch.tensor(list(rows))).probabilities
        np.testing.assert_allclose(session.run(None, feed)[0], ours, atol=1e-5)


def test_torch_program_of_an_ensemble_gives_the_mean(tmp_path: Path) -> None:
    encoder = {"name": "gine", "depth": 1, "width": 8}
    members = (
        Member(small_model(1, 4, encoder), (3, 2, 1, 0)),
        Member(small_model(2, 2, encoder), (0, 2)),
    )
    replace(make(encoder), members=members).save(tmp_path / "bundle")
    made = export(tmp_path, tmp_path / "net.pt2")
    description = json.loads(made.description.read_text())
    assert description["assays"] == list(small.PATTERNS)
    assert set(description["inputs"]) == set(ARRAYS)
    assert made.difference <= 1e-5


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, {"name": "gine", "depth": 1, "width": 8})
    with pytest.raises(ConfigError, match=r"\.onnx"):
        export(tmp_path, tmp_path / "net.h5")


def test_no_bundle_no_export(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        export(tmp_path, tmp_path / "net.onnx")
