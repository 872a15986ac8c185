"""Networks and baselines whose scores are averaged in one bundle."""

from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pytest
import small
from bundles import resign

from screening.bundle.bundle import Bundle
from screening.config import check_config
from screening.errors import BundleError, ConfigError
from screening.training import train
from screening.training.predictions import read_predictions

FOREST = {"name": "random_forest", "trees": 20}


def trained(folder: Path, is_mixed: bool, **model: Any) -> Path:
    table = mixed.table() if is_mixed else small.table()
    encoder = mixed.settings(folder)["model"]["encoder"]
    section = {"model": {"encoder": encoder, **model}, "calibration": "none"}
    return train(check_config(mixed.settings(folder, **section)), data=table).folder


@pytest.mark.parametrize("is_mixed", [False, True])
def test_scores_are_the_mean_of_the_parts(tmp_path: Path, is_mixed: bool) -> None:
    network, forest, both = (
        read_predictions(trained(tmp_path / name, is_mixed, **model)).scores
        for name, model in (
            ("network", {}),
            ("forest", {"baseline": FOREST}),
            ("both", {"blend": ["network", FOREST]}),
        )
    )
    np.testing.assert_allclose(both, (network + forest) / 2, rtol=1e-5)


def test_an_ensemble_of_networks_weighs_no_more_than_the_other_part(tmp_path: Path) -> None:
    table = small.table()
    encoder = mixed.settings(tmp_path)["model"]["encoder"]
    settings = mixed.settings(tmp_path, model={"encoder": encoder, "blend": ["network", FOREST]})
    settings["train"]["ensemble"] = 3
    bundle = Bundle.load(train(check_config(settings), data=table).folder)
    assert [member.model.kind for member in bundle.members] == ["network"] * 3 + ["random_forest"]
    assert [member.weight for member in bundle.members] == [1 / 3] * 3 + [1.0]


def test_a_blend_resumes_after_its_networks(tmp_path: Path) -> None:
    run = trained(tmp_path, False, blend=["network", FOREST])
    before = (run / "predictions.parquet").read_bytes()
    (run / "manifest.json").unlink()
    encoder = mixed.settings(tmp_path)["model"]["encoder"]
    section = {"model": {"encoder": encoder, "blend": ["network", FOREST]}, "calibration": "none"}
    train(check_config(mixed.settings(tmp_path, **section)), data=small.table(), resume=True)
    assert (run / "predictions.parquet").read_bytes() == before


def test_weights_of_a_bundle_are_checked(tmp_path: Path) -> None:
    run = trained(tmp_path, False, blend=["network", FOREST])
    bundle = run / "bundle"
    text = (bundle / "bundle.json").read_text()
    assert '"weight"' not in text  # one network and one forest: both 1
    for weight in ("-1", "NaN", "0"):
        (bundle / "bundle.json").write_text(
            text.replace('"kind": "network"', f'"kind": "network", "weight": {weight}')
        )
        resign(bundle)
        with pytest.raises(BundleError, match="weight"):
            Bundle.load(run)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"blend": ["network", "network"]}, "twice"),
        ({"blend": ["network"], "baseline": "random_forest"}, "blend and baseline"),
        ({"blend": [{"name": "network", "depth": 3}]}, "no options"),
        ({"blend": ["network", "random_forrest"]}, "Did you mean 'random_forest'"),
        ({"blend": ["random_forest"], "single_task": True}, "single_task"),
    ],
)
def test_wrong_blends_are_refused(tmp_path: Path, model: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        trained(tmp_path, False, **model)
