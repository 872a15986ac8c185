"""A training goes on with what it began with, or says what differs; a renamed table is the same table."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import small
import torch

from screening import training
from screening.config import Config, check_config
from screening.errors import ConfigError, DataError
from screening.evaluation import replicates
from screening.features.packing import FeatureSet
from screening.training import origins
from screening.training.run_folder import read_manifest

Change = Callable[[pd.DataFrame], pd.DataFrame]


def turned(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(acid=1 - table["acid"])


def one_label(table: pd.DataFrame) -> pd.DataFrame:
    row = table["sulfur"].first_valid_index()
    return table.assign(sulfur=table["sulfur"].where(table.index != row, 1 - table["sulfur"]))


def hidden(table: pd.DataFrame) -> pd.DataFrame:
    row = table["sulfur"].first_valid_index()
    return table.assign(sulfur=table["sulfur"].where(table.index != row))


CHANGES: dict[str, tuple[Change, str]] = {
    "labels turned": (turned, r"labels of 1 of 4 assays \('acid'\)"),
    "one label": (one_label, r"labels of 1 of 4 assays \('sulfur'\)"),
    "a label taken out": (hidden, r"labels of 1 of 4 assays \('sulfur'\)"),
    "shuffled": (lambda table: table.sample(frac=1, random_state=1), "others, or in another order"),
    "grown": (lambda table: pd.concat([table, table.head(1).assign(smiles="CCCCCCN")]), "61 now"),
    "cut": (lambda table: table.head(50), "60 then, 50 now"),
    "a molecule": (lambda table: table.assign(smiles=["CCCCCCCN", *table["smiles"][1:]]), "molecules"),
    "an assay more": (lambda table: table.assign(new=table["acid"]), r"the assays \(with 'new'\)"),
    "an assay less": (lambda table: table.drop(columns="acid"), r"the assays \(without 'acid'\)"),
    "an assay renamed": (lambda table: table.rename(columns={"acid": "x"}), "without 'acid', with 'x'"),
}
SAME: dict[str, Change] = {
    "other names of molecules": lambda table: table.assign(id=[f"X{row}" for row in table.index]),
    "labels as numbers with a point": lambda table: table.astype({"acid": float}),
    "a row that is rejected": lambda table: pd.concat([table, table.head(1).assign(smiles="C1CC")]),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, runs/a that was stopped after an epoch, and runs/unbroken that was not."""
    folder = tmp_path_factory.mktemp("begun")
    small.write(folder / "t.csv", n=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        training.train(config(name="unbroken"))
        stopped(config())
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(source: str = "t.csv", **more: object) -> Config:
    return check_config(
        {
            "name": "a",
            "data": {"source": source},
            "split": "random",
            "model": {"encoder": {"name": "fingerprint", "widths": [8]}},
            "features": {"graph": None, "vectors": ["ecfp_counts"]},
            "train": {"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 0},
        }
        | more
    )


def stopped(settings: Config) -> None:
    """Train until the first epoch is saved."""

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(settings, on_epoch=stop)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read() -> pd.DataFrame:
    return pd.read_csv("t.csv")


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_table_is_refused_and_nothing_is_touched(name: str) -> None:
    files = contents(config().folder)
    change, message = CHANGES[name]
    change(read()).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError, match=rf"t\.csv is not what it was.*{message}.*`overwrite`"):
        training.train(config(), resume=True)
    assert contents(config().folder) == files


def test_the_table_put_back_goes_on_to_the_same_bytes() -> None:
    before = Path("t.csv").read_bytes()
    turned(read()).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError, match="labels of 1 of 4"):
        training.train(config(), resume=True)
    Path("t.csv").write_bytes(before)
    run = training.train(config(), resume=True)
    for file in ("bundle/member-0.safetensors", "history.csv", "split.csv", "predictions.parquet"):
        assert (run.folder / file).read_bytes() == Path("runs/unbroken", file).read_bytes()


@pytest.mark.parametrize("name", SAME)
def test_a_table_that_reads_the_same_goes_on(name: str) -> None:
    SAME[name](read()).to_csv("t.csv", index=False)
    assert training.train(config(), resume=True).folder == config().folder


def test_a_table_that_was_renamed_or_written_otherwise_goes_on() -> None:
    read().to_csv("u.tsv", index=False, sep="\t")
    Path("t.csv").unlink()
    run = training.train(config("u.tsv"), resume=True)
    assert read_manifest(run.folder)["file"] == "u.tsv"


def test_the_other_table_is_named_where_another_is_given() -> None:
    turned(read()).to_csv("u.csv", index=False)
    with pytest.raises(ConfigError, match=r"t\.csv was trained on, u\.csv is given"):
        training.train(config("u.csv"), resume=True)


def test_a_finished_run_is_not_evaluated_on_another_table() -> None:
    settings = config(name="unbroken")
    turned(read()).to_csv("t.csv", index=False)
    files = contents(settings.folder)
    (settings.folder / "checkpoint.pt").unlink()
    files.pop(str(settings.folder / "checkpoint.pt"))
    with pytest.raises(ConfigError, match="labels of 1 of 4"):
        training.train(settings, resume=True)
    assert contents(settings.folder) == files


def test_another_split_of_the_same_table_is_refused() -> None:
    """The file that names the parts changed; settings and table did not."""
    parts = pd.DataFrame({"row": range(60), "part": ["train"] * 40 + ["valid"] * 10 + ["test"] * 10})
    parts.to_csv("parts.csv", index=False)
    settings = config(name="b", split={"name": "file", "path": "parts.csv"})
    stopped(settings)
    parts.assign(part=parts["part"].to_numpy()[::-1]).to_csv("parts.csv", index=False)
    with pytest.raises(ConfigError, match="the split: molecules that were trained on would be tested on"):
        training.train(settings, resume=True)


@pytest.mark.parametrize("package", origins.VERSIONS)
def test_another_version_is_refused(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = origins.version
    monkeypatch.setattr(origins, "version", lambda name: "99.9" if name == package else here(name))
    with pytest.raises(ConfigError, match=rf"Different: {package} \S+ then, 99\.9 now"):
        training.train(config(), resume=True)


def test_another_featurizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = FeatureSet.key
    monkeypatch.setattr(FeatureSet, "key", lambda self: key(self) + " other")
    with pytest.raises(ConfigError, match="Different: the featurizers"):
        training.train(config(), resume=True)


def test_settings_that_change_nothing_may_change() -> None:
    train = {"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 1}
    training.train(config(train=train), resume=True)


def test_settings_that_differ_are_named() -> None:
    with pytest.raises(ConfigError, match=r"differs from the settings.*seed was 0 and is 3; balancer was"):
        training.train(config(seed=3, balancer="slaw"), resume=True)


def test_a_checkpoint_that_does_not_say_what_it_is_of_is_refused() -> None:
    """As those of version 0.3.0."""
    path = config().folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in state.items() if key != "origin"}, path)
    with pytest.raises(ConfigError, match=r"does not say which table.*`overwrite`"):
        training.train(config(), resume=True)


def test_the_finished_members_of_an_ensemble_are_of_this_table() -> None:
    """Stopped in the second network: the first one's checkpoint speaks too."""
    settings = config(name="b", train={"epochs": 1, "ensemble": 3, "device": "cpu", "workers": 0})
    numbers: list[object] = []

    def stop_in_the_second(epoch: object) -> None:
        numbers.append(epoch)
        if len(numbers) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(settings, on_epoch=stop_in_the_second)
    (settings.folder / "checkpoint-1.pt").unlink()
    turned(read()).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError, match=r"checkpoint-0\.pt was trained on something else"):
        training.train(settings, resume=True)


def test_overwrite_trains_on_the_new_table() -> None:
    turned(read()).to_csv("t.csv", index=False)
    run = training.train(config(), overwrite=True)
    assert read_manifest(run.folder)["origin"]["labels"] != {}
    training.train(config(), resume=True)


def test_overwrite_with_a_table_that_cannot_be_used_keeps_the_old_run() -> None:
    files = contents(config().folder)
    Path("t.csv").write_text("smiles,a\nCCO,1\nCCN,1\n")
    with pytest.raises(DataError, match="every label is active"):
        training.train(config(), overwrite=True)
    encoder = {"name": "fingerprint", "withs": [8]}
    small.write(Path("t.csv"), n=60)
    with pytest.raises(ConfigError, match="withs"):
        training.train(config(model={"encoder": encoder}), overwrite=True)
    assert contents(config().folder) == files


def test_runs_of_a_set_are_of_one_table() -> None:
    configs = replicates.seed_configs(config(), 2)
    replicates.train_set(configs[:1], Path("a.csv"))
    read().to_csv("t.csv", index=False, sep="\t")
    replicates.train_set(configs[:1], Path("a.csv"))
    turned(read_tabs()).to_csv("t.csv", index=False)
    for some in (configs, configs[:1]):
        with pytest.raises(ConfigError, match=r"a-seed0 was trained on something else.*labels of 1 of 4"):
            replicates.train_set(some, Path("a.csv"))
    assert not configs[1].folder.exists()


def read_tabs() -> pd.DataFrame:
    return pd.read_csv("t.csv", sep="\t")


def test_finished_runs_of_another_version_stay_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = replicates.seed_configs(config(), 1)
    replicates.train_set(configs, Path("a.csv"))
    here = origins.version
    monkeypatch.setattr(origins, "version", lambda name: "99.9" if name == "torch" else here(name))
    notes: list[str] = []
    replicates.train_set(configs, Path("a.csv"), on_note=notes.append)
    assert any("trained with other versions (torch" in note for note in notes)
    assert any("is finished and stays" in note for note in notes)


@pytest.mark.parametrize("grown", [False, True])
def test_a_run_of_version_0_3_0_is_compared_by_its_file(grown: bool) -> None:
    configs = replicates.seed_configs(config(), 1)
    replicates.train_set(configs, Path("a.csv"))
    path = configs[0].folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["origin"]
    path.write_text(json.dumps(manifest))
    if not grown:
        replicates.train_set(configs, Path("a.csv"))
        return
    CHANGES["grown"][0](read()).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError, match="does not say which table"):
        replicates.train_set(configs, Path("a.csv"))
