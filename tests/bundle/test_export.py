"""Exported networks give the probabilities that `Scorer` gives, for any number of molecules."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plugged
import pytest
import small
import torch
from bundles import both_kinds, small_bundle
from torch import Tensor, nn

from screening.bundle import exported_network
from screening.bundle.bundle import Bundle
from screening.bundle.exported_network import Calibrated
from screening.bundle.exported_values import InUnits
from screening.bundle.exporting import ARRAYS, export
from screening.bundle.member import Member
from screening.data.assay_kinds import Assay, in_units
from screening.data.transforms import transforms
from screening.errors import BundleError, ConfigError, DataError, ScreeningError
from screening.features.store import GraphBatch, featurize
from screening.models.baselines import baselines
from screening.models.encoders import Encoder, Inputs, encoders
from screening.scoring.scorer import Scorer
from screening.uncertainty.calibration import Calibration, calibrations

ENCODERS = [
    {"name": "gine", "depth": 1, "width": 8, "virtual_node": True},
    {"name": "dmpnn", "width": 8},
    {"name": "fingerprint", "widths": [8]},
    # hybrid is that of the trained runs
]
SUFFIXES = [".onnx", ".pt2"]


def saved(folder: Path, encoder: dict, **calibration: Any) -> Bundle:
    """A small bundle, quickly exported."""
    bundle = small_bundle(encoder)
    raw = bundle.predict(small.store(), torch.arange(150)).raw
    fitted = calibrations.build(calibration.pop("name"), raw, small.table(missing=0).labels, **calibration)
    bundle = replace(bundle, calibration=fitted)
    bundle.save(folder / "bundle")
    return bundle


def runner(path: Path) -> Callable[[dict[str, torch.Tensor]], np.ndarray]:
    """The exported file in the hands of another program, which knows the page beside it and nothing else."""
    names = list(json.loads(path.with_suffix(".json").read_text())["inputs"])
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()
        return lambda arrays: module(*(arrays[name] for name in names)).detach().numpy()
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == names
    return lambda arrays: session.run(None, {name: arrays[name].numpy() for name in names})[0]


def arrays(bundle: Bundle, texts: list[str]) -> dict[str, torch.Tensor]:
    store = featurize(texts, bundle.features, workers=0)
    batch = store.batch(range(len(store)))
    return {name: getattr(batch, name) for name in ARRAYS}


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    saved(tmp_path / "run", {"name": "fingerprint", "widths": [8]}, name="platt")
    return tmp_path / "run"


@pytest.fixture(
    scope="module",
    params=[
        ("real_run", ".onnx"),
        ("real_run", ".pt2"),
        ("grouped_run", ".pt2"),
        pytest.param(("grouped_run", ".onnx"), marks=pytest.mark.slow),
    ],
    ids="".join,
)
def exported(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """A trained run, what became of it, and that in the hands of another program."""
    name, suffix = request.param
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    run = request.getfixturevalue(name)
    made = export(run, tmp_path_factory.mktemp("exported") / f"net{suffix}")
    return run, made, runner(made.path)


@pytest.mark.parametrize("count", [1, 70])
def test_a_trained_run_exports_what_it_scores(exported: Any, count: int) -> None:
    run, made, theirs_of = exported
    assert made.molecules > 80
    scorer, texts = Scorer.load(run), list(small.smiles())[-count:]
    ours = scorer.score(texts)[list(scorer.tasks)].to_numpy()
    theirs = theirs_of(arrays(scorer.bundle, texts))
    assert theirs.dtype == np.float32
    raw = scorer.bundle.predict(featurize(texts, scorer.features, workers=0), torch.arange(count)).raw
    lowest, highest = (  # what rounding of the network comes to, also on a steep curve
        scorer.bundle.calibration.apply(np.clip(raw + by, 0, 1)) for by in (-1e-6, 1e-6)
    )
    assert (theirs >= lowest - 1e-6).all()
    assert (theirs <= highest + 1e-6).all()
    np.testing.assert_allclose(theirs, ours, atol=1e-2)
    assert not np.allclose(ours, raw, atol=1e-3)


def test_without_calibration_it_is_the_mean_of_the_networks(calibrated: Path, tmp_path: Path) -> None:
    made = export(calibrated, tmp_path / "net.pt2", calibrate=False)
    bundle, texts = Bundle.load(calibrated), list(small.smiles(30))
    raw = bundle.predict(featurize(texts, bundle.features, workers=0), torch.arange(30)).raw
    np.testing.assert_allclose(runner(made.path)(arrays(bundle, texts)), raw, atol=1e-6)
    assert json.loads(made.description.read_text())["calibration"] == "none"


@pytest.mark.parametrize("method", calibrations.names())
@pytest.mark.parametrize("n_tasks", [1, 5])
def test_every_calibration_is_the_same_as_a_network(method: str, n_tasks: int) -> None:
    """All of them at every raw probability that float32 has room for, however near to 0 and 1."""
    random = np.random.default_rng(1)
    raw = random.beta(0.4, 2, (300, n_tasks)).astype(np.float32)
    labels = (random.random(raw.shape) < raw**0.7).astype(np.float32)
    labels[random.random(labels.shape) < 0.2] = np.nan
    labels[20:, -1] = np.nan  # too few for a curve
    found = calibrations.build(method, raw, labels)
    ends = np.array([0, 1e-38, 1e-12, 1e-6, 0.5, 1 - 1e-6, 1], np.float32)[:, None].repeat(n_tasks, 1)
    every = np.concatenate([raw, ends])
    theirs = Calibrated(found)(torch.from_numpy(every).double())
    np.testing.assert_allclose(theirs.numpy(), found.apply(every), atol=2e-6)


def test_curves_of_one_knot_and_of_equal_knots_are_the_same_as_a_network() -> None:
    counts = np.array([9, 9, 9])
    knots, values = np.array([0.5, -1, 0, 0, 2]), np.array([0.3, 0.1, 0.2, 0.6, 0.9])
    ones = np.ones(3)
    found = Calibration("isotonic", ones, 0 * ones, counts, counts, np.array([0, 1, 1, 5]), knots, values)
    raw = np.linspace(0.01, 0.99, 101)[:, None].repeat(3, 1)
    theirs = Calibrated(found)(torch.from_numpy(raw))
    np.testing.assert_allclose(theirs.numpy(), found.apply(raw), atol=1e-9)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda options: options["name"])
def test_onnx_gives_our_probabilities_for_other_molecules(tmp_path: Path, encoder: dict) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    bundle = saved(tmp_path, encoder, name="isotonic", least=15)
    assert 0 < np.count_nonzero(np.diff(bundle.calibration.bounds)) < 4
    made = export(tmp_path, tmp_path / "net.onnx")
    assert made.difference <= 1e-5
    run = runner(made.path)
    for rows in (range(40), range(140, 141)):
        batch = small.store().batch(rows)
        ours = bundle.predict(small.store(), torch.tensor(list(rows))).scores
        theirs = run({name: getattr(batch, name) for name in ARRAYS})
        np.testing.assert_allclose(theirs, ours, atol=1e-4)  # curves are steep: the network's rounding grows


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("chosen", "calibrate"), [(None, True), ((1, 3), True), (None, False)])
def test_real_assays_are_exported_in_their_unit(
    tmp_path: Path, suffix: str, chosen: tuple[int, ...] | None, calibrate: bool
) -> None:
    """Of both kinds, of values alone, and without the calibration."""
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    bundle = both_kinds(calibration="isotonic")
    if chosen is not None:
        bundle = _of(bundle, chosen)
    bundle.save(tmp_path / "bundle")
    made = export(tmp_path, tmp_path / f"net{suffix}", calibrate=calibrate)
    assert made.has_values
    assert made.difference <= 1e-4
    texts = list(small.smiles(70))
    frame = Scorer(bundle if calibrate else replace(bundle, calibration=None)).score(texts)
    theirs = runner(made.path)(arrays(bundle, texts))
    is_real = np.array([assay.is_real for assay in bundle.assays])
    ours = frame[list(bundle.tasks)].to_numpy()
    np.testing.assert_allclose(theirs[:, is_real], ours[:, is_real], rtol=2e-4, atol=1e-4)
    np.testing.assert_allclose(theirs[:, ~is_real], ours[:, ~is_real], atol=1e-4)
    page = json.loads(made.description.read_text())
    assert [kind["name"] for kind in page["kinds"]] == list(bundle.tasks)
    assert "unit" in page["output"]["score"]


def _of(bundle: Bundle, columns: tuple[int, ...]) -> Bundle:
    """The same networks with some of the assays."""
    members = []
    for member in bundle.members:
        network = member.model.network
        assert network is not None
        network.heads = network.heads.take(list(columns))
        members.append(Member(network, tuple(range(len(columns)))))
    assert bundle.targets is not None
    kinds = tuple(bundle.kinds[column] for column in columns)
    return replace(
        bundle,
        members=tuple(members),
        tasks=tuple(kind.name for kind in kinds),
        kinds=kinds,
        targets=bundle.targets.take(columns),
        **dict.fromkeys(("calibration", "conformal", "intervals", "domain")),
    )


def test_every_transform_is_undone_as_a_network() -> None:
    assays = [Assay(name, "real", "uM", name) for name in transforms] + [Assay("binary", transform="log10")]
    values = np.random.default_rng(0).normal(3, 4, (50, len(assays)))
    ours = in_units(values, assays)
    np.testing.assert_allclose(InUnits(assays)(torch.from_numpy(values)).numpy(), ours, rtol=1e-12)


def test_a_value_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_kinds().save(tmp_path / "bundle")
    plain = InUnits.forward
    monkeypatch.setattr(InUnits, "forward", lambda self, values: plain(self, values) * 1.001)
    with pytest.raises(ScreeningError, match="standard deviations in a value"):
        export(tmp_path, tmp_path / "net.pt2")
    assert not (tmp_path / "net.pt2").exists()


def test_the_page_says_what_goes_in_and_what_comes_out(exported: Any) -> None:
    run, made, _ = exported
    page, bundle = json.loads(made.description.read_text()), Bundle.load(run)
    assert page["assays"] == list(bundle.tasks)
    assert list(page["inputs"]) == list(ARRAYS)
    assert page["calibration"] == bundle.calibration.method
    assert bundle.calibration.method in page["output"]["probability"]
    assert page["networks"] == len(bundle.members)
    store = featurize(list(small.smiles(3)), bundle.features, workers=0)
    batch = store.batch(range(3))
    assert f"[atoms, {batch.atoms.shape[1]}]" in page["inputs"]["atoms"]
    assert f"[molecules, {batch.vectors.shape[1]}]" in page["inputs"]["vectors"]
    for name, text in page["inputs"].items():
        assert text.startswith(str(getattr(batch, name).dtype).removeprefix("torch."))


def test_baselines_are_refused_before_any_work(tmp_path: Path) -> None:
    store, labels = small.store(), torch.from_numpy(small.table().labels)
    baseline = baselines.build("logistic_regression").fit(store, labels, torch.arange(100), workers=1)
    both = (Member(baseline, (0, 1, 2, 3)), *small_bundle().members)
    for members in (both[:1], both):
        replace(small_bundle(), members=members).save(tmp_path / "bundle")
        with pytest.raises(BundleError, match=r"baseline \(logistic_regression\).*model\.baseline"):
            export(tmp_path, tmp_path / "net.pt2")


def test_an_export_that_differs_is_not_written(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slope off by a hundredth, as an exporter at fault would have it."""
    (out := tmp_path / "out").mkdir()
    (out / "net.pt2").write_text("an older one")
    monkeypatch.setattr(
        exported_network, "Calibrated", lambda found: Calibrated(replace(found, slope=1.01 * found.slope))
    )
    with pytest.raises(ScreeningError, match="differs from ours by"):
        export(calibrated, out / "net.pt2")
    assert [path.name for path in out.iterdir()] == ["net.pt2"]
    assert (out / "net.pt2").read_text() == "an older one"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_encoder_that_fixes_a_size_is_told_so(tmp_path: Path, suffix: str) -> None:
    """`len` of a tensor is a number for torch.export: that of the molecules it looked at."""
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    with plugged.restored():

        @encoders.register("counting")
        class Counting(Encoder):
            width = 4

            def __init__(self, inputs: Inputs) -> None:
                super().__init__()
                self.atoms = nn.Embedding(inputs.atom_sizes[0], 4)

            def forward(self, batch: GraphBatch) -> Tensor:
                atoms = self.atoms(batch.atoms[:, 0]) + torch.zeros(len(batch.atoms), 4)
                return atoms.new_zeros(batch.n_molecules, 4).index_add(0, batch.molecule, atoms)

        saved(tmp_path, {"name": "counting"}, name="none")
        with pytest.raises(ScreeningError, match=r"'counting' takes no other molecules(.|\n)*len\(\)"):
            export(tmp_path, tmp_path / f"net{suffix}")
    assert not (tmp_path / f"net{suffix}").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_place_that_cannot_be_written_is_named(real_run: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot be written.*out"):
        export(real_run, tmp_path / "file" / f"net{suffix}")


def test_other_suffixes_are_refused(calibrated: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.onnx"):
        export(calibrated, tmp_path / "net.h5")


def test_no_bundle_no_export(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        export(tmp_path, tmp_path / "net.onnx")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_ends_in_a_sentence(suffix: str, tmp_path: Path) -> None:
    saved(tmp_path, {"name": "gine", "depth": 1, "width": 8}, name="none")
    (tmp_path / f".{socket.gethostname()}.{os.getpid()}.full{suffix}").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot be written: .*No space left"):
        export(tmp_path, tmp_path / f"full{suffix}")
    assert not list(tmp_path.glob("full.*"))
