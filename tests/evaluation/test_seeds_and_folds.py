"""Sets of runs: what is trained, what stays, and that the tables are those of the runs."""

from pathlib import Path

import pandas as pd
import pytest
import small

from screening import training
from screening.config import Config, check_config
from screening.errors import ConfigError
from screening.evaluation import replicates
from screening.evaluation.comparison import compare
from screening.evaluation.replicates import fold_configs, seed_configs, tabulate, train_set


def config(folder: Path, **more: object) -> Config:
    return check_config(
        {
            "name": "small",
            "runs": str(folder / "runs"),
            "data": {"source": str(folder / "small.csv")},
            "split": "random",
            "model": {"encoder": {"name": "fingerprint", "widths": [8]}},
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "train": {"epochs": 2, "batch_size": 64, "device": "cpu", "workers": 0},
        }
        | more
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path / "small.csv", n=150)
    return tmp_path


def test_seeds_are_runs_of_their_own_and_finished_ones_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = seed_configs(config(folder, seed=4), 2)
    assert [(one.name, one.seed) for one in configs] == [("small-seed4", 4), ("small-seed5", 5)]
    trained: list[str] = []
    train = training.train

    def counted(settings: Config, **options: object) -> training.Trained:
        trained.append(settings.name)
        return train(settings, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("screening.evaluation.replicates.train", counted)
    first = train_set(configs, folder / "out.csv")
    assert trained == ["small-seed4", "small-seed5"]
    more = seed_configs(config(folder, seed=4), 3)
    notes: list[str] = []
    train_set(more, folder / "out.csv", on_note=notes.append)
    assert trained == ["small-seed4", "small-seed5", "small-seed6"]
    assert sum("is finished and stays" in note for note in notes) == 2
    train_set(configs, folder / "out.csv", overwrite=True)
    assert trained[3:] == ["small-seed4", "small-seed5"]
    again = train_set(configs, folder / "out.csv")
    pd.testing.assert_frame_equal(again.table, first.table)
    times = pd.read_csv(first.folders[0] / "times.csv")
    assert times["epoch"].tolist() == [0, 1]
    assert (times[["seconds", "cpu_seconds"]] > 0).all().all()
    assert min(replicates.seconds_per_step(first.folders)) > 0


def test_a_set_with_other_settings_is_not_mixed_with_the_old_one(folder: Path) -> None:
    train_set(seed_configs(config(folder), 1), folder / "out.csv")
    changed = config(folder, balancer="slaw")
    with pytest.raises(ConfigError, match="differs from the settings"):
        train_set(seed_configs(changed, 1), folder / "out.csv")


def test_a_stopped_run_of_a_set_goes_on(folder: Path) -> None:
    configs = seed_configs(config(folder), 2)
    whole = train_set(configs, folder / "out.csv").table

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_set(configs, folder / "out.csv", overwrite=True, on_epoch=stop)
    assert not (configs[0].folder / "manifest.json").exists()
    pd.testing.assert_frame_equal(train_set(configs, folder / "out.csv").table, whole)
    assert len(pd.read_csv(configs[0].folder / "times.csv")) == 2


def test_folds_test_every_molecule_once_and_are_compared(folder: Path) -> None:
    settings = config(folder)
    configs = fold_configs(settings, 3)
    assert [one.name for one in configs] == ["small-fold0", "small-fold1", "small-fold2"]
    found = train_set(configs, folder / "out.csv")
    parts = [pd.read_csv(path / "split.csv") for path in found.folders]
    tested = pd.concat([frame[frame["part"] == "test"] for frame in parts])
    assert sorted(tested["row"]) == list(range(150))
    other = fold_configs(config(folder, name="other", balancer="slaw"), 3)
    train_set(other, folder / "other.csv")
    result = compare([folder / "runs" / "small", folder / "runs" / "other"])
    assert any("3 splits" in note for note in result.notes)
    assert result.summary["run"].tolist() == ["other (3 runs)"]


def test_the_table_is_that_of_the_evaluations(folder: Path) -> None:
    found = train_set(seed_configs(config(folder), 3), folder / "out.csv")
    evaluations = [training.evaluate(path) for path in found.folders]
    table = found.table.set_index(["assay", "metric"])
    for metric in replicates.METRICS:
        values = pd.DataFrame([evaluation.set_index("assay")[metric] for evaluation, _ in evaluations])
        for assay in small.PATTERNS:  # some have no actives in the test part of a seed
            row, known = table.loc[(assay, metric)], values[assay].dropna()
            assert (row["least"], row["most"], row["runs"]) == (known.min(), known.max(), len(known))
            assert row["mean"] == pytest.approx(known.mean())
            assert row["sd"] == pytest.approx(known.std(), nan_ok=True)
        macro = [summary.set_index("metric")["mean"][metric] for _, summary in evaluations]
        assert table.loc[("", metric)]["mean"] == pytest.approx(sum(macro) / 3)
    written = pd.read_csv(folder / "out.csv", keep_default_na=False, na_values={"sd": [""]})
    pd.testing.assert_frame_equal(written, found.table)
    alone = tabulate(found.folders[:1])
    assert alone["sd"].isna().all()


def test_what_makes_no_set_is_explained(folder: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        seed_configs(config(folder), 0)
    with pytest.raises(ConfigError, match="at least 3"):
        fold_configs(config(folder), 2)
    with pytest.raises(ConfigError, match="'stratified'"):
        fold_configs(config(folder, split="stratified"), 5)
