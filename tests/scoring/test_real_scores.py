"""Real assays in scores: values in the user's unit, intervals, the good end, beside binary assays."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import small
import torch
from bundles import both_kinds
from numpy.testing import assert_allclose, assert_array_equal

from screening.bundle.bundle import Bundle
from screening.errors import ConfigError
from screening.scoring.job import Extras, Output, score_library
from screening.scoring.scorer import Scorer

SMILES = list(small.smiles(60))
EXTRAS = Extras(spread=True, domain=True, conformal=0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    both_kinds().save(folder / "bundle")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "library.smi"
    lines = [f"{text} L{row}" for row, text in enumerate(SMILES)]
    path.write_text("\n".join([*lines[:30], "nonsense odd", *lines[30:]]) + "\n")
    return path


def scored(run: Path, library: Path, out: Path, **options: object) -> pd.DataFrame:
    score_library(run, library, out, workers=0, block_size=16, **options)  # type: ignore[arg-type]
    return pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))), ignore_index=True)


def test_values_are_in_the_unit_of_the_user(run: Path) -> None:
    bundle = Bundle.load(run)
    frame = Scorer(bundle, conformal=0.2, spread=True).score([*SMILES, "nonsense"])
    prediction = bundle.predict(small.store(), torch.arange(len(SMILES)))
    good = frame.iloc[:-1]
    assert_allclose(good["Ki"], 10.0 ** (9 - prediction.scores[:, 3].astype(float)), rtol=1e-5)
    assert_array_equal(good["logP"], prediction.scores[:, 1])
    assert_array_equal(good["acid"], prediction.scores[:, 2])
    assert prediction.spread is not None
    assert_array_equal(good["Ki:spread"], prediction.spread[:, 3])
    assert bundle.intervals is not None
    low, high = bundle.intervals.limits(prediction.scores, 0.2, prediction.sd)
    assert_allclose(good["Ki:low"], 10.0 ** (9 - high[:, 3].astype(float)), rtol=1e-5)
    assert_allclose(good["Ki:high"], 10.0 ** (9 - low[:, 3].astype(float)), rtol=1e-5)
    assert_array_equal(good["logP:high"], high[:, 1])
    assert (good["Ki:low"] < good["Ki"]).all()
    assert (good["Ki"] < good["Ki:high"]).all()
    assert {"halogen:set", "acid:set", "logP>=2:set"} < set(frame)
    assert not {"Ki:set", "acid:low"} & set(frame)
    assert frame[["Ki", "Ki:low", "logP:high", "acid"]].iloc[-1].isna().all()


def test_a_library_has_the_same_values_and_the_best_of_the_good_end(
    run: Path, library: Path, tmp_path: Path
) -> None:
    parts = scored(run, library, tmp_path / "out", top=7, extras=EXTRAS, output=Output("csv"))
    frame = Scorer.load(run, conformal=0.2, spread=True, domain=True).score(SMILES)
    usable = parts[parts["status"] == "ok"].reset_index(drop=True)
    for name in frame.columns[3:]:
        if frame[name].dtype == np.float32:
            assert_allclose(usable[name], frame[name], rtol=2e-5, atol=1e-6)
        else:
            assert usable[name].tolist() == frame[name].tolist()
    top = pd.read_csv(tmp_path / "out/top.csv")
    for assay, rises in (("Ki", False), ("logP", False), ("acid", True)):
        best = usable.sort_values([assay, "row"], ascending=[not rises, True]).head(7)
        here = top[top["assay"] == assay]
        assert here["id"].tolist() == best["id"].tolist()
        assert_allclose(here["value"], best[assay], rtol=1e-5)
        assert_allclose(here["low"], best.get(f"{assay}:low", np.full(7, np.nan)), rtol=1e-5)
    whole = pd.read_csv(tmp_path / "out/scores.csv")
    assert_allclose(whole["Ki:high"].dropna(), usable["Ki:high"], rtol=1e-5)


def test_shards_and_a_restart_give_the_same_bytes(run: Path, library: Path, tmp_path: Path) -> None:
    scored(run, library, tmp_path / "one", top=5, extras=EXTRAS)
    for shard in ("1/3", "2/3", "3/3"):
        scored(run, library, tmp_path / "three", top=5, extras=EXTRAS, shard=shard)
    scored(run, library, tmp_path / "three", top=5, extras=EXTRAS)
    for path in [*sorted((tmp_path / "one").glob("part-*")), tmp_path / "one/top.csv"]:
        assert (tmp_path / "three" / path.name).read_bytes() == path.read_bytes()


def test_a_threshold_is_in_the_unit_and_keeps_the_good_side(run: Path, library: Path, tmp_path: Path) -> None:
    everything = scored(run, library, tmp_path / "all", assays="Ki")
    least = float(everything["Ki"].quantile(0.3))
    kept = scored(run, library, tmp_path / "few", assays="Ki", threshold=least)
    expected = everything[(everything["Ki"] <= least) | (everything["status"] == "rejected")]
    assert kept["id"].tolist() == expected["id"].tolist()
    with pytest.raises(ConfigError, match="several kinds"):
        scored(run, library, tmp_path / "mixed", threshold=0.5)
    with pytest.raises(ConfigError, match="probability from 0 to 1"):
        scored(run, library, tmp_path / "binary", assays="acid", threshold=1.5)


def test_values_stay_float32_where_probabilities_are_halved(run: Path, library: Path, tmp_path: Path) -> None:
    half = scored(run, library, tmp_path / "half", output=Output(dtype="float16"), extras=EXTRAS)
    kinds = half.dtypes.astype(str)
    assert kinds[["Ki", "Ki:low", "logP:high"]].tolist() == ["float32"] * 3
    assert kinds[["acid", "Ki:spread"]].tolist() == ["float16"] * 2


def test_without_validation_molecules_there_are_no_intervals() -> None:
    without = replace(both_kinds(), conformal=None, intervals=None)
    for assays in ("Ki", "acid"):
        with pytest.raises(ConfigError, match="validation molecules"):
            Scorer(without, conformal=0.1, assays=assays)
    assert "Ki:low" not in Scorer(without).score("CCO")


def test_few_values_have_no_limits(run: Path) -> None:
    frame = Scorer.load(run, conformal=0.001, assays=["Ki", "logP"]).score(SMILES[:3])
    assert (frame["Ki:low"] == 0).all()
    assert np.isposinf(frame[["Ki:high", "logP:high"]]).all(axis=None)
    (note,) = Scorer.load(run, conformal=0.001, assays=["Ki", "acid"]).notes
    assert note.startswith("No limits (infinite) for 'Ki'. The first has: ")
    assert note.endswith("exact validation values: an interval at error 0.001 takes 999 or more.")
    assert not Scorer.load(run, conformal=0.2).notes
    assert mixed.ASSAYS[3].unit == "nM"
