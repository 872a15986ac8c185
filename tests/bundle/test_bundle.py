"""The bundle: what is saved scores the same, what is damaged or hostile is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from bundles import resign, small_bundle, small_model, trusted

from screening.bundle.bundle import Bundle
from screening.bundle.files import SUMS
from screening.bundle.member import Member
from screening.errors import BundleError
from screening.features.store import FeatureSet
from screening.models.baselines import baselines
from screening.uncertainty.calibration import calibrations
from screening.uncertainty.conformal import ConformalSets

FEATURES = FeatureSet("atom_codes", ("ecfp_counts",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_bundle().save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "gine", "depth": 2, "width": 16, "virtual_node": True},
        {"name": "dmpnn", "width": 16},
        {"name": "fingerprint", "widths": [16, 8]},
        {"name": "hybrid", "width": 16, "hidden": 16},
    ],
)
def test_a_loaded_bundle_scores_the_same(tmp_path: Path, encoder: dict) -> None:
    bundle = small_bundle(encoder)
    bundle.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    rows = torch.arange(40)
    expected = bundle.predict(small.store(), rows).scores
    assert np.array_equal(loaded.predict(small.store(), rows).scores, expected)
    assert (loaded.tasks, loaded.features, loaded.inputs) == (bundle.tasks, bundle.features, bundle.inputs)


def test_members_are_averaged_per_assay(tmp_path: Path) -> None:
    """Two networks for all assays in other orders, a third one for the last assay alone."""
    one, rows = small_bundle(), torch.arange(40)
    models = [small_model(seed, n) for seed, n in ((1, 4), (2, 4), (3, 1))]
    columns = [(0, 1, 2, 3), (3, 2, 1, 0), (3,)]
    members = tuple(Member(model, served) for model, served in zip(models, columns, strict=True))
    replace(one, members=members).save(tmp_path / "bundle")
    values = np.full((3, 40, 4), np.nan)
    for index, member in enumerate(members):
        values[index][:, list(member.columns)] = member.model.predict(small.store(), rows).sigmoid()
    found = Bundle.load(tmp_path / "bundle").predict(small.store(), rows)
    assert np.allclose(found.scores, np.nanmean(values, 0), atol=1e-6)
    assert np.allclose(found.spread, np.nanstd(values, 0, ddof=1), atol=1e-6)


@pytest.mark.parametrize("name", ["random_forest", "logistic_regression"])
def test_a_baseline_is_saved_and_scores_as_a_network_does(tmp_path: Path, name: str) -> None:
    store, labels = small.store(), torch.from_numpy(small.table().labels)
    baseline = baselines.build(name).fit(store, labels, torch.arange(100), workers=1)
    one = replace(small_bundle(), members=(Member(baseline, (0, 1, 2, 3)),))
    one.save(tmp_path / "bundle")
    loaded, rows = Bundle.load(tmp_path / "bundle"), torch.arange(40)
    assert np.array_equal(loaded.predict(store, rows).scores, one.predict(store, rows).scores)
    assert loaded.members[0].model.kind == name
    mixed = replace(small_bundle(), members=(*small_bundle().members, *one.members))
    assert mixed.predict(store, rows).spread.max() > 0


def test_an_assay_with_one_network_has_no_spread() -> None:
    models = [small_model(seed, n) for seed, n in ((1, 4), (2, 1))]
    bundle = replace(small_bundle(), members=(Member(models[0], (0, 1, 2, 3)), Member(models[1], (2,))))
    spread = bundle.predict(small.store(), torch.arange(5)).spread
    assert np.isnan(spread).tolist() == [[True, True, False, True]] * 5
    apart = replace(small_bundle(), members=tuple(Member(small_model(seed, 1), (seed,)) for seed in range(4)))
    assert apart.predict(small.store(), torch.arange(5)).spread is None


def test_a_list_of_sums_that_leaves_the_folder_is_refused(folder: Path) -> None:
    with (folder / SUMS).open("a") as file:
        file.write(f"{'0' * 64}  ../secret\n")
    with pytest.raises(BundleError, match="not a file of the bundle"):
        Bundle.load(folder)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    small_bundle().save(tmp_path / "first")
    small_bundle().save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


def test_saving_replaces_an_older_bundle_as_a_whole(folder: Path) -> None:
    (folder / "stray").write_text("x")
    small_bundle({"name": "dmpnn", "width": 8}).save(folder)
    assert Bundle.load(folder).settings.encoder.name == "dmpnn"
    assert sorted(path.name for path in folder.iterdir()) == [SUMS, "bundle.json", "member-0.safetensors"]
    assert list(folder.parent.iterdir()) == [folder]


def test_the_bundle_of_a_run_folder_is_found(folder: Path) -> None:
    assert Bundle.load(folder.parent).tasks == tuple(small.PATTERNS)


@pytest.mark.parametrize("name", ["bundle.json", "member-0.safetensors", SUMS])
def test_every_changed_byte_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    for place in range(0, len(content), max(1, len(content) // 25)):
        changed = content.copy()
        changed[place] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleError):
            Bundle.load(folder)


@pytest.mark.parametrize("name", ["bundle.json", "member-0.safetensors", SUMS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name.replace("bundle.json", r"bundle\.json|trained model")):
        Bundle.load(folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "member-0.safetensors").rename(tmp_path / "elsewhere")
    (folder / "member-0.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="missing"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"tasks": ["one"]}, "are not columns"),
        ({"tasks": ["one", "two", "three", "four", "five"]}, "have no network"),
        ({"members": []}, "lists"),
        ({"members": [{"kind": "spell", "columns": [0, 1, 2, 3]}]}, "not a complete bundle"),
        ({"members": [{"kind": "spell", "columns": [0, 1, 2, 3], "options": {}}]}, "no baseline 'spell'"),
        ({"tasks": None}, "not a complete bundle"),
        ({"model": {"encoder": {"name": "unheard_of"}}}, "unheard_of"),
        ({"features": {}}, "not a complete bundle"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(folder: Path, change: dict, message: str) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    resign(folder)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bundle = small_bundle()
    with torch.no_grad():
        bundle.members[0].model.heads.bias[0] = torch.inf
    bundle.save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="not finite"):
        Bundle.load(tmp_path / "bundle")


def test_no_bundle_says_where_one_was_expected(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="screening train"):
        Bundle.load(tmp_path / "nothing")


def test_nothing_in_a_bundle_is_a_pickle(folder: Path) -> None:
    for path in folder.iterdir():
        assert not path.read_bytes().startswith((b"\x80", b"PK")), path.name


def test_features_of_other_versions_are_mentioned(folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert bundle.featurizer_warning() == ""
    bundle.about["features_key"] = "another RDKit"
    assert "another RDKit" in bundle.featurizer_warning()


def test_optional_parts_are_saved_and_used(tmp_path: Path) -> None:
    bundle, rows = trusted(), torch.arange(40)
    bundle.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    expected, found = bundle.predict(small.store(), rows), loaded.predict(small.store(), rows)
    for before, after in zip(expected, found, strict=True):
        assert np.array_equal(before, after)
    assert not np.allclose(found.scores, found.raw, atol=0.01)
    assert np.allclose(found.scores, bundle.calibration.apply(found.raw))
    assert loaded.domain.threshold == bundle.domain.threshold
    for name, value in bundle.domain.state().items():
        np.testing.assert_array_equal(loaded.domain.state()[name], value, err_msg=name)
    assert np.array_equal(loaded.conformal.sets(found.raw, 0.1), bundle.conformal.sets(found.raw, 0.1))


def test_others_may_read_a_bundle(tmp_path: Path) -> None:
    trusted().save(tmp_path / "bundle")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "bundle").iterdir()} == {0o644}


def test_spread_is_that_of_calibrated_scores() -> None:
    bundle, rows = trusted(), torch.arange(40)
    values = [member.model.predict(small.store(), rows).sigmoid().numpy() for member in bundle.members]
    expected = np.std([bundle.calibration.apply(value) for value in values], axis=0, ddof=1)
    assert np.allclose(bundle.predict(small.store(), rows).spread, expected, atol=1e-6)


@pytest.mark.parametrize("part", ["calibration", "conformal", "domain"])
def test_parts_of_other_assays_are_refused(tmp_path: Path, part: str) -> None:
    bundle, labels = trusted(), np.zeros((150, 3), np.float32)
    others = {
        "calibration": calibrations.build("none", labels, labels),
        "conformal": ConformalSets.fit(labels, labels),
        "domain": bundle.domain.keeping(["x"] * 150, ["C"] * 150, labels),
    }
    replace(bundle, **{part: others[part]}).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match=rf"{part}\.safetensors is about 3 assays, the bundle has 4"):
        Bundle.load(tmp_path / "bundle")


@pytest.mark.parametrize("parts", [["magic"], ["calibration"], None, [[]]])
def test_parts_that_are_not_there_are_refused(folder: Path, parts: object) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "parts": parts}))
    resign(folder)
    with pytest.raises(BundleError, match=r"magic|calibration|safetensors|not a complete bundle"):
        Bundle.load(folder)
