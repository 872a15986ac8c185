"""Pre-training on a library: it learns, goes on to the same bytes, and says what it used and what not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import runs
import small
import torch
from rdkit import Chem
from rdkit.Chem.Descriptors import MolWt

from screening import training
from screening.bundle.bundle import Bundle
from screening.config import load_config
from screening.data.skeletons import skeletons
from screening.errors import ConfigError, DataError
from screening.features.store import featurize
from screening.pretraining import Pretrained, pretrain
from screening.pretraining import blocks as blocks_module
from screening.pretraining import distiller as distiller_module
from screening.pretraining.blocks import Blocks
from screening.training.starting_point import learned_skeletons

FILES = ("bundle/member-0.safetensors", "bundle/targets.safetensors", "bundle/bundle.json", "pretraining.csv")


@pytest.fixture(autouse=True)
def _small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blocks_module, "BLOCK", 64)
    monkeypatch.setattr(distiller_module, "SECONDS", 0.0)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.smi"
    path.write_text(
        "".join(f"{text} M{row}\n" for row, text in enumerate([*small.smiles(190), "CC(C", "C(C)(C)(C)(C)C"]))
    )
    return path


def settings(folder: Path, **pretraining: Any) -> dict[str, Any]:
    return {
        "name": "student",
        "runs": str(folder / "runs"),
        "data": {"source": "not read"},
        "model": {"encoder": {"name": "gine", "depth": 2, "width": 24, "dropout": 0.1}},
        "train": {"device": "cpu", "workers": 0},
        "pretrain": {"targets": ["rdkit_fast"], "epochs": 3, "batch_size": 32, "lr": 0.003, **pretraining},
    }


def test_it_learns_descriptors_of_molecules_it_has_not_seen_on_their_own_scale(
    tmp_path: Path, library: Path
) -> None:
    reports: list[Any] = []
    done = pretrain(settings(tmp_path, epochs=30), [library], on_epoch=reports.append)
    shares = [each.explained["rdkit_fast"] for each in reports]
    assert shares[-1] == done.explained["rdkit_fast"] > max(0.2, shares[0])
    assert reports[-1].loss < 0.6 * reports[0].loss
    bundle = Bundle.load(done.folder)
    assert bundle.features.vectors == ()
    store = featurize(list(small.smiles(190)), bundle.features, workers=0)
    values = bundle.predict(store, torch.arange(len(store))).scores
    weights = [MolWt(Chem.MolFromSmiles(text)) for text in small.smiles(190)]
    column = values[:, bundle.tasks.index("rdkit_fast:exactmw")]
    assert np.corrcoef(column, weights)[0, 1] > 0.8
    assert abs(np.mean(column) - np.mean(weights)) < 0.2 * np.mean(weights)
    table = pd.read_csv(done.folder / "pretraining.csv")
    assert table["explained:rdkit_fast"].tolist() == pytest.approx(shares)


def test_what_cannot_be_used_is_counted_with_its_reason(tmp_path: Path, library: Path) -> None:
    done = pretrain(settings(tmp_path, epochs=1), [library])
    assert len(done.reasons) == sum(done.reasons.values()) == 2
    assert any("unclosed" in reason or "parenthes" in reason for reason in done.reasons)
    counts = json.loads((done.folder / "manifest.json").read_text())["pretraining"]["molecules"]
    assert counts["records"] == 192
    assert counts["records"] == sum(
        counts[key] for key in ("repeated", "left_out", "rejected", "excluded", "used")
    )
    assert counts["used"] == done.molecules == 190
    assert pd.read_csv(done.folder / "reasons.csv")["molecules"].sum() == 2


class Killed(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 7])
def test_a_stopped_one_goes_on_to_the_same_bytes(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Stopped within a block, at its end and at that of an epoch; six steps are an epoch."""
    whole = pretrain(settings(tmp_path, epochs=2), [library])
    step, count = distiller_module.Distiller._step, []

    def stopping(self: Any, number: int, rows: torch.Tensor) -> None:
        if len(count) == steps:
            raise Killed
        count.append(number)
        step(self, number, rows)

    stopped = settings(tmp_path, epochs=2) | {"runs": str(tmp_path / "stopped")}
    with monkeypatch.context() as patched:
        patched.setattr(distiller_module.Distiller, "_step", stopping)
        with pytest.raises(Killed):
            pretrain(stopped, [library])
    with pytest.raises(ConfigError, match="holds a run that was stopped"):
        pretrain(stopped, [library])
    resumed = pretrain(stopped, [library], resume=True)
    for name in FILES:
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_another_library_or_other_settings_are_no_resumption(tmp_path: Path, library: Path) -> None:
    def stop(epoch: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        pretrain(settings(tmp_path), [library], on_epoch=stop)
    with pytest.raises(ConfigError, match="Different: pretrain"):
        pretrain(settings(tmp_path, lr=0.1), [library], resume=True)
    with pytest.raises(ConfigError, match=r"model.encoder.width was 24 and is 8"):
        pretrain(load_config(settings(tmp_path), ["model.encoder.width=8"]), [library], resume=True)
    library.write_text(library.read_text() + "CCCO new\n")
    with pytest.raises(ConfigError, match="Different: library"):
        pretrain(settings(tmp_path), [library], resume=True)
    assert pretrain(settings(tmp_path), [library], overwrite=True).molecules == 191


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path: Path, library: Path) -> None:
    def weights(**more: Any) -> bytes:
        done = pretrain(settings(tmp_path) | more, [library], overwrite=(tmp_path / "runs").exists())
        return (done.folder / FILES[0]).read_bytes()

    first = weights()
    assert weights() == first
    assert weights(seed=1) != first


def test_excluded_structures_are_not_learned_from_salts_and_stereo_too(tmp_path: Path) -> None:
    texts = ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "[Na+].CC(N)C(=O)[O-]", "CC(O)C(=O)O", *small.smiles(80)]
    library, table = tmp_path / "library.smi", tmp_path / "tested.csv"
    library.write_text("".join(f"{text}\n" for text in texts))
    tested = ["CC(N)C(=O)O", *small.smiles(80)[:10]]
    table.write_text("".join(["smiles,assay\n", *(f"{text},{row % 2}\n" for row, text in enumerate(tested))]))
    done = pretrain(settings(tmp_path, epochs=1, exclude=[str(table)]), [library])
    about = Bundle.load(done.folder).about["pretraining"]
    keys = set(skeletons(tested))
    n_excluded = sum(key in keys for key in skeletons(texts))
    assert n_excluded >= 13
    assert about["molecules"]["excluded"] == n_excluded
    assert about["exclude"] == {str(table): len(keys)}
    assert done.molecules == len(texts) - n_excluded


def test_no_skeleton_of_the_excluded_is_among_those_that_are_used(tmp_path: Path) -> None:
    from screening.features.store import FeatureSet

    texts = list(small.smiles(150))
    blocks = Blocks(texts, FeatureSet("atom_codes"), tmp_path / "cache", 0)
    keys = frozenset(skeletons(texts[::3]))  # type: ignore[arg-type]
    assert blocks.leave_out(keys) == sum(key in keys for key in skeletons(texts))
    used = [
        text
        for part, mask in zip(blocks.texts, blocks.used, strict=True)
        for text, is_used in zip(part, mask, strict=True)
        if is_used
    ]
    assert used
    assert not keys & set(skeletons(used))


def test_a_teacher_is_learned_and_its_training_structures_are_known_as_learned(
    tmp_path: Path, library: Path
) -> None:
    teacher = runs.trained(
        tmp_path,
        features={"graph": None, "vectors": ["ecfp_counts"]},
        model={"encoder": {"name": "fingerprint", "widths": [32]}},
    )
    reports: list[Any] = []
    values = settings(tmp_path, targets=[], teacher=str(teacher.folder), epochs=40)
    done = pretrain(values, [library], on_epoch=reports.append)
    assert reports[-1].explained["teacher"] > max(0.2, reports[0].explained["teacher"])
    split = pd.read_csv(teacher.folder / "split.csv")
    trained = skeletons(split.loc[split["part"] == "train", "structure"].tolist())
    assert learned_skeletons(done.folder) == frozenset(trained)
    bundle = Bundle.load(done.folder)
    assert bundle.tasks == tuple(f"teacher:{task}" for task in small.PATTERNS)
    told = Bundle.load(teacher.folder)
    store = featurize(list(small.smiles(190)), told.features, workers=0)
    raw = told.predict(store, torch.arange(190)).raw.astype(float)
    mine = bundle.predict(
        featurize(list(small.smiles(190)), bundle.features, workers=0), torch.arange(190)
    ).scores
    logits = np.log(raw / (1 - raw))
    for column in range(4):
        assert np.corrcoef(mine[:, column], logits[:, column])[0, 1] > 0.5


def test_training_begins_with_what_was_distilled_and_no_label_was_seen(tmp_path: Path, library: Path) -> None:
    done = pretrain(settings(tmp_path), [library])
    assert learned_skeletons(done.folder) == frozenset()
    notes: list[str] = []
    source = small.write(tmp_path / "small.csv")
    config = load_config(
        settings(tmp_path),
        {
            "data.source": str(source),
            "split": "random",
            "train.epochs": 1,
            "model.encoder.init": str(done.folder),
        },
    )
    run = training.train(config, on_note=notes.append)
    assert not any("learned from labels" in note or "does not say" in note for note in notes)
    about = Bundle.load(run.folder).about["init"]
    assert about["pretraining"]["molecules"]["used"] == 190
    assert about["learned"] == 0


def test_a_damaged_block_of_the_cache_is_worked_out_again(tmp_path: Path, library: Path) -> None:
    table = tmp_path / "tested.csv"
    table.write_text("smiles,assay\nCCO,1\n")
    values = settings(tmp_path, epochs=1, exclude=[str(table)])
    first = pretrain(values, [library])
    expected = (first.folder / FILES[0]).read_bytes()
    caches = [*(tmp_path / "cache").rglob("*.safetensors")]
    assert any(path.name.startswith("other-") for path in caches)
    for path in caches:
        path.write_bytes(path.read_bytes()[:40])
    assert (pretrain(values, [library], overwrite=True).folder / FILES[0]).read_bytes() == expected


@pytest.mark.parametrize(
    ("more", "words", "message"),
    [
        ({}, [], "neither was given"),
        ({"pretrain": {"tables": ["tox21"]}}, ["library.smi"], "both was given"),
        ({"model": {"baseline": "random_forest"}}, ["library.smi"], "for one network"),
        ({"features": {"vectors": ["rdkit_fast"]}}, ["library.smi"], "rdkit_fast in features.vectors"),
        ({"pretrain": {"targets": []}}, ["library.smi"], "nothing to learn"),
        ({"pretrain": {"targets": ["rdkit_slow"]}}, ["library.smi"], "There is no featurizer 'rdkit_slow'"),
        ({"pretrain": {"tables": ["tox21"], "teacher": "runs/x"}}, [], "leave it out, or tables"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_read(
    tmp_path: Path, library: Path, more: dict[str, Any], words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(settings(tmp_path) | more, words)
    assert not (tmp_path / "runs" / "student-pretrained" / "config.yaml").exists()


def test_a_library_without_a_usable_molecule_is_explained(tmp_path: Path) -> None:
    (tmp_path / "bad.smi").write_text("C(C\nC1C\n")
    with pytest.raises((ConfigError, DataError), match="can be used"):
        pretrain(settings(tmp_path), [tmp_path / "bad.smi"])
    assert isinstance(Pretrained, type)


def test_a_teacher_that_reads_other_graphs_or_prepares_otherwise_is_refused(
    tmp_path: Path, library: Path
) -> None:
    teacher = runs.trained(tmp_path, data={"standardize": "cleanup"})
    values = settings(tmp_path, teacher=str(teacher.folder))
    with pytest.raises(ConfigError, match=r"data\.standardize is cleanup there and none here"):
        pretrain(values, [library])
    stereo = values | {"features": {"graph": "atom_codes_stereo"}}
    with pytest.raises(ConfigError, match=r"features\.graph is atom_codes there"):
        pretrain(stereo, [library])


def test_a_graph_teacher_teaches_values_of_real_assays_as_they_are(tmp_path: Path, library: Path) -> None:
    frame = pd.read_csv(small.write(tmp_path / "small.csv"))
    weights = [MolWt(Chem.MolFromSmiles(text)) for text in frame["smiles"]]
    frame.assign(weight=weights)[["smiles", "weight"]].to_csv(tmp_path / "real.csv", index=False)
    data = {"source": str(tmp_path / "real.csv"), "assays": {"weight": {"kind": "real"}}}
    config = load_config(runs.config(tmp_path, tmp_path / "real.csv"), {"data": data, "train.epochs": 8})
    teacher = training.train(config)
    done = pretrain(settings(tmp_path, targets=[], teacher=str(teacher.folder), epochs=20), [library])
    bundles = [Bundle.load(folder) for folder in (teacher.folder, done.folder)]
    rows = torch.arange(190)
    told, mine = (
        each.predict(featurize(list(small.smiles(190)), each.features, workers=0), rows).scores[:, 0]
        for each in bundles
    )
    assert abs(told.mean() - mine.mean()) < 0.2 * told.std() + 0.05 * told.mean()
    assert np.corrcoef(told, mine)[0, 1] > 0.6


def test_processes_that_featurise_do_not_change_a_byte(tmp_path: Path, library: Path) -> None:
    first = pretrain(settings(tmp_path, epochs=1), [library])
    expected = (first.folder / FILES[0]).read_bytes()
    values = settings(tmp_path, epochs=1) | {"runs": str(tmp_path / "two")}
    values["train"] = {"device": "cpu", "workers": 2}
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    assert (pretrain(values, [library]).folder / FILES[0]).read_bytes() == expected
