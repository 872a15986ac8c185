"""A model on another table: rows add up, known molecules stay out, assays are matched by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small

from screening import training
from screening.config import check_config
from screening.errors import BundleError, DataError
from screening.evaluation.external import NOISE, assess, learning
from screening.metrics.per_assay import evaluate
from screening.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> training.Trained:
    folder = tmp_path_factory.mktemp("assessment")
    settings = {
        "name": "small",
        "runs": str(folder / "runs"),
        "data": {"source": str(small.write(folder / "small.csv", n=120)), "labels": {"yes": 1, "no": 0}},
        "split": "random",
        "model": {"encoder": {"name": "gine", "depth": 1, "width": 8}},
        "train": {"epochs": 3, "device": "cpu", "workers": 0},
    }
    return training.train(check_config(settings))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def frame() -> pd.DataFrame:
    """`small.table` as a frame, in its own words."""
    table = small.table(150)
    labels = pd.DataFrame(table.labels, columns=list(table.tasks)).map(
        lambda label: "" if np.isnan(label) else ("yes" if label else "no")
    )
    return pd.concat([pd.DataFrame({"id": table.ids, "smiles": table.smiles}), labels], axis=1)


def write(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path, index=False)
    return str(path)


def test_rows_add_up_and_known_molecules_are_left_out(
    run: training.Trained, frame: pd.DataFrame, tmp_path: Path
) -> None:
    bad = pd.DataFrame({"id": ["BAD"], "smiles": ["C1CC"], "acid": ["yes"]})
    again = frame.iloc[[5]].assign(id="AGAIN")
    found = assess(run.folder, write(pd.concat([frame, bad, again]), tmp_path / "other.csv"), workers=0)
    assert len(found.rows) == sum(found.counts.values()) == len(frame) + 2
    assert found.rows["row"].tolist() == list(range(1, len(frame) + 3))
    parts = pd.read_csv(run.folder / "split.csv")["part"]
    n_known = int(parts.isin(["train", "valid"]).sum())
    assert found.counts == {
        "known": n_known,
        "scored": len(frame) - n_known,
        "rejected": 1,
        "merged": 1,
    }
    rows = found.rows.set_index("id")
    assert "ring" in rows["reason"]["BAD"]
    assert rows["status"]["AGAIN"] == "merged"
    tested = parts.index[parts == "test"]
    assert (rows["status"].iloc[tested] == "scored").all()
    per_assay = found.evaluation.set_index("assay")
    scored = rows.index[rows["status"] == "scored"]
    labels = frame.set_index("id").loc[scored, "halogen"]
    assert per_assay["actives"]["halogen"] == (labels == "yes").sum()


def test_salts_charges_and_stereoisomers_of_known_molecules_are_known(
    run: training.Trained, tmp_path: Path
) -> None:
    """Each compound of the training and validation part, written in ways that are other structures."""
    split = pd.read_csv(run.folder / "split.csv")
    seen = split[split["part"].isin(("train", "valid")) & ~split["structure"].str.contains(r"\.|\+|-\]")]
    salts = seen["structure"] + ".[Na+].[Cl-]"
    acids = seen["structure"].str.replace(r"C\(=O\)O$", "C(=O)[O-]", regex=True) + ".[K+]"
    new = ["OCCN(CC#CCCCF)C1CCCCCC1.Cl", "N#CCCCCCCC(=O)[O-].[Na+]"]
    texts = [*salts, *acids, *new]
    rows = [f"X{number},{text},yes\n" for number, text in enumerate(texts)]
    (tmp_path / "salts.csv").write_text("id,smiles,halogen\n" + "".join(rows))
    found = assess(run.folder, str(tmp_path / "salts.csv"), workers=0)
    status = found.rows["status"].tolist()
    assert status[-2:] == ["scored"] * 2
    assert set(status[:-2]) <= {"known", "merged"}
    reasons = found.rows["reason"][found.rows["status"] == "known"]
    assert reasons.str.startswith("its parent is in the").all()
    assert any(
        f"{len(reasons)} molecules are known to the run: 0 as the same" in note for note in found.notes
    )
    kept = assess(run.folder, str(tmp_path / "salts.csv"), keep_known=True, workers=0)
    assert set(kept.counts) <= {"scored", "merged"}


def test_known_molecules_can_be_kept(run: training.Trained, frame: pd.DataFrame, tmp_path: Path) -> None:
    source = write(frame, tmp_path / "other.csv")
    found = assess(run.folder, source, keep_known=True, workers=0)
    assert found.counts == {"scored": len(frame)}
    assert (found.rows["reason"] == "in the training part of the run").any()
    scores = Scorer.load(run.folder).score(frame["smiles"].tolist())
    tasks = list(small.PATTERNS)
    labels = frame[tasks].replace({"yes": 1, "no": 0, "": np.nan}).to_numpy(np.float32)
    expected = evaluate(labels, scores[tasks].to_numpy(), tasks, part="other.csv")
    pd.testing.assert_frame_equal(found.evaluation, expected, rtol=1e-5)
    pooled = found.summary.set_index("metric").loc["pooled_average_precision"]
    assert 0 < pooled["mean"] < 1


def test_the_own_test_part_gives_the_own_evaluation(
    run: training.Trained, frame: pd.DataFrame, tmp_path: Path
) -> None:
    """Of the first 120 molecules, those that are not known are the test part."""
    found = assess(run.folder, write(frame.iloc[:120], tmp_path / "same.csv"), workers=0)
    expected = run.evaluation.assign(part="same.csv")
    pd.testing.assert_frame_equal(found.evaluation, expected, rtol=1e-5)
    pd.testing.assert_frame_equal(found.summary, run.summary.assign(part="same.csv"), rtol=1e-5)


def test_assays_are_matched_by_name_and_others_listed(
    run: training.Trained, frame: pd.DataFrame, tmp_path: Path
) -> None:
    other = frame.drop(columns="acid").rename(columns={"sulfur": "S"}).assign(comment="x")
    found = assess(run.folder, write(other, tmp_path / "other.csv"), workers=0)
    assert found.evaluation["assay"].tolist() == ["halogen", "ring-N"]
    assert found.model_only == ("acid", "sulfur")
    assert found.table_only == ("S", "comment")


def test_what_cannot_be_evaluated_is_explained(
    run: training.Trained, frame: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"no assay of .*'comment'.*'halogen'"):
        assess(run.folder, write(frame[["id", "smiles"]].assign(comment="x"), tmp_path / "none.csv"))
    parts = pd.read_csv(run.folder / "split.csv")["part"]
    known = frame.iloc[:120][(parts == "train").to_numpy()]
    with pytest.raises(DataError, match=r"no molecule is left.*`keep_known`"):
        assess(run.folder, write(known, tmp_path / "known.csv"), workers=0)
    with pytest.raises(BundleError, match="no trained model"):
        assess(tmp_path, write(frame, tmp_path / "other.csv"))


def test_a_bundle_alone_leaves_nothing_out_and_says_so(
    run: training.Trained, frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (run.folder / "bundle").rename(tmp_path / "model" / "bundle")
    try:
        numbers = frame.replace({"yes": "1", "no": "0"})
        source = write(numbers, tmp_path / "other.csv")
        found = assess(tmp_path / "model" / "bundle", source, workers=0)
    finally:
        (tmp_path / "model" / "bundle").rename(run.folder / "bundle")
    assert found.counts == {"scored": len(frame)}
    assert any("does not say which molecules" in note for note in found.notes)


# --- learning ----------------------------------------------------------------------------------------------


def write_history(folder: Path, valid: dict[str, list[float]], best: int) -> None:
    n = len(next(iter(valid.values())))
    rows = [
        {
            "epoch": epoch,
            "assay": assay,
            "loss": 1 / (epoch + 1),
            "weight": epoch,
            "valid_concordance": values[epoch],
        }
        for epoch in range(n)
        for assay, values in valid.items()
    ]
    columns = ["epoch", "assay", "loss", "weight", "valid_concordance"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "history.csv", index=False)
    pd.DataFrame({"epoch": range(n), "is_best": [epoch in (0, best) for epoch in range(n)]}).to_csv(
        folder / "epochs.csv", index=False
    )


def test_learning_by_hand(tmp_path: Path) -> None:
    nothing = float("nan")
    write_history(
        tmp_path,
        {
            "rises": [0.5, 0.6, 0.7, 0.8],
            "NA": [0.5, 0.8, 0.7, 0.6],
            "flat": [0.5, 0.5 + NOISE / 2, 0.5, 0.5],
            "levels": [0.5, 0.79, 0.8, 0.79],
            "no class": [nothing] * 4,
        },
        best=2,
    )
    found = learning(tmp_path).set_index("assay")
    assert found["trend"].to_dict() == {
        "rises": "still rising",
        "NA": "fell",
        "flat": "flat",
        "levels": "levelled off",
        "no class": "unknown",
    }
    row = found.loc["NA"]
    assert (row["best_epoch"], row["best_valid"], row["kept_valid"], row["last_valid"]) == (1, 0.8, 0.7, 0.6)
    assert row["lost"] == pytest.approx(0.1)
    assert (row["loss_first"], row["loss_last"]) == (1, 0.25)
    assert (row["weight_min"], row["weight_max"]) == (0, 3)


def test_learning_of_a_run_has_every_assay(run: training.Trained) -> None:
    found = learning(run.folder)
    assert tuple(found["assay"]) == tuple(small.PATTERNS)
    assert (found["lost"].dropna() >= 0).all()
    epochs = pd.read_csv(run.folder / "epochs.csv")
    kept = epochs.loc[epochs["epoch"] == epochs.loc[epochs["is_best"], "epoch"].max()]
    assert found["kept_valid"].mean() == pytest.approx(kept["valid_macro_concordance"].item(), abs=1e-6)


def test_learning_keeps_members_apart(tmp_path: Path) -> None:
    write_history(tmp_path, {"A": [0.5, 0.8]}, best=1)
    for name in ("history.csv", "epochs.csv"):
        one = pd.read_csv(tmp_path / name)
        pd.concat([one.assign(member=0), one.assign(member=1)]).to_csv(tmp_path / name, index=False)
    found = learning(tmp_path)
    assert found["member"].tolist() == [0, 1]
    assert found["best_epoch"].tolist() == [1, 1]


def test_a_run_without_history_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no history\.csv"):
        learning(tmp_path)
