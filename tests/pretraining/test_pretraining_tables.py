"""Pre-training on tables with labels: one run of the joint table, without the structures to be tested on."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import small
from rdkit import Chem

from screening import training
from screening.bundle.bundle import Bundle
from screening.config import load_config
from screening.config_sections import Table
from screening.data.skeletons import skeletons
from screening.errors import DataError
from screening.evaluation.known_molecules import count_known, known_parts
from screening.pretraining import pretrain
from screening.pretraining.exclusion import excluded
from screening.pretraining.tables import joint_table
from screening.training.starting_point import learned_skeletons

TEXTS = small.smiles(180)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write(path: Path, texts: list[str], **assays: list[Any]) -> Path:
    pd.DataFrame({"smiles": texts, **assays}).to_csv(path, index=False)
    return path


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """Two tables that share an assay's name and 40 structures, and one to be tested on."""
    first, second = list(TEXTS[:120]), list(TEXTS[80:])
    sulfur, ring = (["S" in text for text in first], ["1" in text for text in second])
    nitrogen = ["N" in text or "n" in text for text in second]
    write(tmp_path / "first.csv", first, sulfur=list(map(int, sulfur)), shared=list(map(int, sulfur)))
    write(tmp_path / "second.csv", second, ring=list(map(int, ring)), shared=list(map(int, nitrogen)))
    tested = [f"{text}.Cl" for text in TEXTS[60:100:2]]
    write(tmp_path / "tested.csv", [*TEXTS[:40], *tested], acid=[0, 1] * 30)
    return ["first.csv", "second.csv"]


def read_as(names: list[str]) -> list[Table]:
    return [Table(source=name) for name in names]


def settings(folder: Path, **pretraining: Any) -> dict[str, Any]:
    return {
        "name": "joint",
        "runs": str(folder / "runs"),
        "data": {"source": "tested.csv"},
        "split": "random",
        "model": {"encoder": {"name": "gine", "depth": 2, "width": 8}},
        "train": {"device": "cpu", "workers": 0, "epochs": 1, "batch_size": 64},
        "pretrain": pretraining,
    }


def test_no_structure_of_the_excluded_tables_is_left_whatever_its_salt(tables: list[str]) -> None:
    exclusion = excluded(["tested.csv"], 0)
    joint, counts = joint_table(read_as(tables), exclusion, 0)
    left = set(skeletons(joint.smiles))
    assert not left & exclusion.keys
    everything = [text for name in tables for text in pd.read_csv(name)["smiles"]]
    n_left = sum(key not in exclusion.keys for key in skeletons(everything))
    assert len(joint) == n_left < len(everything) - 50
    assert sum(count["rows"] for count in counts.values()) == len(everything)
    assert sum(count["excluded"] for count in counts.values()) == len(everything) - n_left


def test_assays_of_one_name_in_two_tables_are_two_assays(tables: list[str]) -> None:
    joint, _ = joint_table(read_as(tables), excluded([], 0), 0)
    assert joint.tasks == ("sulfur", "first: shared", "ring", "second: shared")
    frames = {name: pd.read_csv(name) for name in tables}
    for task, name in (("first: shared", "first.csv"), ("second: shared", "second.csv")):
        column = joint.labels[:, joint.tasks.index(task)]
        assert column[column == column].tolist() == frames[name]["shared"].tolist()


def test_it_is_a_run_that_says_what_it_left_out_and_has_learned_from(
    tmp_path: Path, tables: list[str]
) -> None:
    done = pretrain(settings(tmp_path, tables=tables, exclude=["tested.csv"]))
    assert done.folder == tmp_path / "runs" / "joint-pretrained"
    about = Bundle.load(done.folder).about["pretraining"]
    assert about["exclude"] == {"tested.csv": len(excluded(["tested.csv"], 0).keys)}
    assert list(about["tables"]) == ["first", "second"]
    assert all(count["excluded"] > 0 for count in about["tables"].values())
    split = pd.read_csv(done.folder / "split.csv")
    trained = skeletons(split.loc[split["part"] == "train", "structure"].tolist())
    assert learned_skeletons(done.folder) == frozenset(trained)
    assert (done.folder / "skeletons.csv").is_file()
    assert (done.folder / "evaluation.csv").is_file()


@pytest.mark.parametrize("exclude", [[], ["tested.csv"]])
def test_training_on_a_table_that_was_not_excluded_warns_and_otherwise_not(
    tmp_path: Path, tables: list[str], exclude: list[str]
) -> None:
    done = pretrain(settings(tmp_path, tables=tables, exclude=exclude))
    notes: list[str] = []
    config = load_config(settings(tmp_path), ["name=tested", f"model.encoder.init={done.folder}"])
    training.train(config, on_note=notes.append)
    warnings = [note for note in notes if "learned from labels" in note]
    assert bool(warnings) == (not exclude)
    assert all("(pretrain.exclude=[tested.csv])" in note for note in warnings)


def test_a_stopped_one_goes_on_to_the_same_bytes(tmp_path: Path, tables: list[str]) -> None:
    values = settings(tmp_path, tables=tables) | {"train": {"device": "cpu", "workers": 0, "epochs": 2}}
    whole = pretrain(values)

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    stopped = values | {"runs": str(tmp_path / "stopped")}
    with pytest.raises(KeyboardInterrupt):
        pretrain(stopped, on_epoch=stop)
    resumed = pretrain(stopped, resume=True)
    for name in ("bundle/member-0.safetensors", "bundle/bundle.json", "history.csv", "skeletons.csv"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_where_all_is_excluded_it_is_said(tmp_path: Path, tables: list[str]) -> None:
    with pytest.raises(DataError, match="no row of first, second is left"):
        pretrain(settings(tmp_path, tables=tables, exclude=tables))


def test_a_table_may_say_how_it_is_read(tmp_path: Path, tables: list[str]) -> None:
    frame = pd.read_csv("first.csv").rename(columns={"smiles": "structure"}).assign(smiles="C")
    frame.to_csv("odd.csv", index=False)
    odd = {"source": "odd.csv", "smiles": "structure", "tasks": ["sulfur"]}
    done = pretrain(settings(tmp_path, tables=[odd, "second.csv"], exclude=["tested.csv"]))
    bundle = Bundle.load(done.folder)
    assert bundle.tasks == ("sulfur", "ring", "shared")
    assert list(bundle.about["pretraining"]["tables"]) == ["odd", "second"]


def test_another_table_is_evaluated_without_what_was_learned_before_the_run(
    tmp_path: Path, tables: list[str]
) -> None:
    """Salts of structures of the first table: known by skeleton alone, and only where it was learned from."""
    values = settings(tmp_path, tables=tables, exclude=["tested.csv"])
    done = pretrain(values)
    config = load_config(settings(tmp_path), ["name=main", f"model.encoder.init={done.folder}"])
    run = training.train(config)
    learned = learned_skeletons(done.folder) or frozenset()
    own = pd.read_csv(run.folder / "split.csv")
    salts = [f"{text}.Cl" for text in TEXTS if "." not in text]
    parts = known_parts(run.folder, [Chem.CanonSmiles(text) for text in salts], workers=0)
    assert parts == known_parts(run.folder / "bundle", [Chem.CanonSmiles(text) for text in salts], workers=0)
    used = set(skeletons(own.loc[own["part"] != "test", "structure"].tolist()))
    for text, part in zip(salts, parts or [], strict=True):
        (key,) = skeletons([text])
        assert (part == "start") == (key in learned and key not in used), text
    assert (parts or []).count("start") > 20
    assert (
        f"{(parts or []).count('start')} by skeleton to the run that it began with"
        in count_known(parts or [])[0]
    )
