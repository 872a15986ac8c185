"""From one training to groups, and from groups to one bundle that scores every assay."""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
import small
import torch
from typer.testing import CliRunner

from screening import training
from screening.bundle.bundle import Bundle
from screening.cli.main import app
from screening.config import Config, check_config, load_config
from screening.data.assay_table import AssayTable
from screening.data.task_groups import read_groups
from screening.errors import ConfigError, DataError
from screening.grouping import choosing, trial
from screening.grouping.affinity_table import AffinityTable, Matrix, read_affinity
from screening.grouping.choosing import Choice, Grouped
from screening.grouping.selection import Grouping, judge_groups, select_groups
from screening.models.heads import TaskHeads
from screening.scoring.job import Scorer
from screening.training.members import make_trainer, plans_of
from screening.training.preparation import prepare_data
from screening.training.trainer import Epoch

TASKS = tuple(small.PATTERNS)
GROUPS = "groups: [[halogen, sulfur, acid], [acid, ring-N]]\nserves: {acid: 2}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path / "small.csv", n=150)
    (tmp_path / "groups.yaml").write_text(GROUPS)


def config(name: str = "small", epochs: int = 2, **more: object) -> Config:
    return check_config(
        {
            "name": name,
            "data": {"source": "small.csv"},
            "split": "random",
            "model": {"encoder": {"name": "gine", "depth": 2, "width": 16}},
            "train": {"epochs": epochs, "batch_size": 16, "device": "cpu", "workers": 0, "patience": None},
        }
        | more
    )


@pytest.mark.parametrize("how", ["linear", "exact"])
def test_one_training_gives_groups_and_reasons(how: str) -> None:
    found = choosing.group(choosing.with_affinity(config(), how), Choice(2))
    folder = Path("runs/small")
    known = read_affinity(folder)
    assert known.tasks == TASKS
    assert known.matrices["raw"].values.shape == (4, 4)
    assert np.isfinite(known.matrices["raw"].values).all()
    frame = pd.read_parquet(folder / "affinity.parquet")
    assert list(frame["source"][:5]) == [TASKS[0]] * 4 + [TASKS[1]]
    # 15 steps, the first 3 left out; a block of 5 and one of 7, or every 10th
    assert (frame["count"] == {"linear": 2, "exact": 1}[how]).all()
    labels = prepare_data(config()).table.labels[prepare_data(config()).split.rows("train")]
    assert frame["shared"][1] == np.isfinite(labels[:, :2]).all(axis=1).sum()
    assert list(frame["target"][:4]) == list(TASKS)
    groups = read_groups(found.file, TASKS)
    assert groups.groups == found.grouping.groups
    assert groups.serves == tuple(found.grouping.serves.tolist())
    assert pd.read_csv(folder / "groups.csv")["assay"].tolist() == list(TASKS)
    assert found.groups["serves"].sum() == 4
    assert list(found.printed()[1].columns) == list(choosing.PRINTED)
    assert (folder / "affinity.svg").read_text().count("<svg") == 1


def test_a_finished_run_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = choosing.with_affinity(config(), None)
    assert settings.grouping.affinity == "linear"
    choosing.group(config().model_dump(), Choice(2))  # as a notebook may give it, without affinities
    monkeypatch.setattr("screening.grouping.choosing.train", None)
    found = choosing.group(settings, Choice(1), out=Path("elsewhere"))
    assert found.grouping.groups == ((0, 1, 2, 3),)
    assert {path.name for path in Path("elsewhere").iterdir()} == {
        "groups.yaml",
        "groups.csv",
        "affinity.svg",
    }


def test_a_budget_counts_the_molecules_of_a_group() -> None:
    settings = choosing.with_affinity(config(), "linear")
    assert len(choosing.group(settings, Choice(budget=1.0)).grouping.groups) == 1
    assert len(choosing.group(settings, Choice(budget=100.0)).grouping.groups) > 1


def test_groups_train_into_one_bundle_in_the_order_of_the_table() -> None:
    """A member per group, without the heads of assays that another group serves; scoring need not know."""
    settings = config(grouping={"file": "groups.yaml"})
    run = training.train(settings)
    bundle = Bundle.load(run.folder)
    assert [member.columns for member in bundle.members] == [(0, 3), (1, 2)]
    assert bundle.tasks == TASKS
    prepared = prepare_data(settings)
    for member, plan in zip(bundle.members, plans_of(settings, TASKS), strict=True):
        trainer = make_trainer(settings, prepared, plan)
        checkpoint = run.folder / f"checkpoint-{plans_of(settings, TASKS).index(plan)}.pt"
        best = torch.load(checkpoint, weights_only=True)["best"]
        trainer.model.load_state_dict(best)
        rows = torch.arange(20)
        expected = trainer.model.predict(prepared.store, rows)[
            :, [plan.columns.index(c) for c in plan.serves]
        ]
        torch.testing.assert_close(member.model.predict(prepared.store, rows), expected)
    scores = Scorer.load(run.folder).score(["CCO", "c1ccccc1Cl"])
    assert list(scores.columns)[-4:] == list(TASKS)
    assert scores[list(TASKS)].notna().all(axis=None)
    table, _ = training.evaluate(run.folder)
    assert table["assay"].tolist() == list(TASKS)
    history = pd.read_csv(run.folder / "history.csv")
    assert history.groupby("member")["assay"].unique().map(list).tolist() == [
        ["halogen", "acid", "sulfur"],
        ["acid", "ring-N"],
    ]
    assert (run.folder / "groups.yaml").read_text() == GROUPS


def test_a_group_does_not_see_molecules_without_its_labels() -> None:
    table: AssayTable = small.table(150)
    table.labels[:60, 1:3] = np.nan
    table.write_csv(Path("small.csv"))
    settings = config(grouping={"file": "groups.yaml"})
    prepared = prepare_data(settings)
    plans = plans_of(settings, TASKS)
    from screening.training.members import examples

    for plan in plans:
        rows = examples(prepared, "train", plan.columns).rows.numpy()
        labels = prepared.table.labels[:, list(plan.columns)]
        wanted = [row for row in prepared.split.rows("train") if np.isfinite(labels[row]).any()]
        assert rows.tolist() == wanted
    assert len(examples(prepared, "train", plans[1].columns).rows) < len(prepared.split.rows("train"))


def test_a_stopped_run_of_groups_resumes_to_the_same_bundle() -> None:
    training.train(config("unbroken", grouping={"file": "groups.yaml"}))
    epochs: list[Epoch] = []

    def stop(epoch: Epoch) -> None:
        epochs.append(epoch)
        if len(epochs) == 3:
            raise KeyboardInterrupt

    broken = config("broken", grouping={"file": "groups.yaml"})
    with pytest.raises(KeyboardInterrupt):
        training.train(broken, on_epoch=stop)
    Path("groups.yaml").write_text(GROUPS.replace("acid: 2", "acid: 1"))
    with pytest.raises(ConfigError, match="is not the file that this run started with"):
        training.train(broken, resume=True)
    Path("groups.yaml").write_text(GROUPS)
    training.train(broken, resume=True)
    for name in ("member-0.safetensors", "member-1.safetensors"):
        first, second = (Path("runs", run, "bundle", name).read_bytes() for run in ("unbroken", "broken"))
        assert first == second


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_warm_start_is_the_joint_model(hidden: int, average: float) -> None:
    model = {"encoder": {"name": "gine", "depth": 2, "width": 16}, "heads": {"hidden": hidden}}
    train = {"epochs": 1, "batch_size": 16, "device": "cpu", "workers": 0, "average": average}
    joint = training.train(config("joint", model=model, train=train))
    warm = {"file": "groups.yaml", "start": "joint", "joint": str(joint.folder)}
    settings = config("warm", model=model, train=train, grouping=warm)
    prepared, rows = prepare_data(settings), torch.arange(30)
    whole = Bundle.load(joint.folder).members[0].model.predict(prepared.store, rows)
    for plan in plans_of(settings, TASKS):
        trainer = make_trainer(settings, prepared, plan)
        for network in (trainer.model, trainer.judged):
            torch.testing.assert_close(network.predict(prepared.store, rows), whole[:, list(plan.columns)])
    training.train(settings)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"seed": 1}, "another seed"),
        ({"split": "scaffold"}, "another split"),
        ({"model": {"encoder": {"name": "gine", "depth": 1, "width": 16}}}, "another model"),
        ({"features": {"graph": "atom_codes", "vectors": ["ecfp_counts"]}}, "another features"),
    ],
)
def test_a_warm_start_from_another_experiment_is_refused(more: dict, what: str) -> None:
    """Its training part may hold what is test here."""
    joint = training.train(config("joint", epochs=1))
    warm = {"file": "groups.yaml", "start": "joint", "joint": str(joint.folder)}
    with pytest.raises(ConfigError, match=f"trained with {what}"):
        training.train(config("warm", grouping=warm, **more))


def test_a_warm_start_from_a_model_without_the_assays_is_refused() -> None:
    split = training.train(config("split", epochs=1, grouping={"file": "groups.yaml"}))
    Path("groups.yaml").write_text("groups: [[halogen, acid], [sulfur, ring-N]]")
    warm = {"file": "groups.yaml", "start": "joint", "joint": str(split.folder)}
    with pytest.raises(ConfigError, match="has no network of all of halogen, acid"):
        training.train(config("warm", grouping=warm))


@pytest.mark.parametrize("hidden", [0, 3])
def test_heads_of_some_tasks_are_columns_of_all(hidden: int) -> None:
    torch.manual_seed(0)
    heads = TaskHeads(6, 5, hidden=hidden).eval()
    features = torch.randn(7, 6)
    torch.testing.assert_close(heads.take([4, 1])(features), heads(features)[:, [4, 1]])
    assert not heads.take([0]).training


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"start": "joint"}, "start: joint needs file"),
        ({"joint": "runs/x"}, "joint is given, and start is scratch"),
        ({"file": "none.yaml"}, "none.yaml cannot be read"),
    ],
)
def test_settings_that_do_not_fit_are_refused(section: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training.train(config(grouping=section))


@pytest.mark.parametrize("model", [{"single_task": True}, {"baseline": {"name": "random_forest"}}])
@pytest.mark.parametrize("section", [{"affinity": "linear"}, {"file": "groups.yaml"}])
def test_groups_need_networks_that_share(model: dict, section: dict) -> None:
    with pytest.raises(ConfigError, match=f"leave model.{next(iter(model))} out"):
        config(model=model, grouping=section)


def test_wrong_calls_of_group_are_explained() -> None:
    settings = choosing.with_affinity(config(epochs=1), "linear")
    with pytest.raises(ConfigError, match="`groups` K, or `budget`"):
        choosing.group(settings, Choice())
    with pytest.raises(ConfigError, match="Known: exact, linear"):
        choosing.with_affinity(config(), "cosine")
    with pytest.raises(ConfigError, match="Leave it out"):
        choosing.with_affinity(config(grouping={"file": "groups.yaml"}), None)
    with pytest.raises(ConfigError, match="`scale` is 'big'"):
        choosing.group(settings, Choice(2, scale="big"))
    with pytest.raises(ConfigError, match="`overlap` is -1"):
        choosing.group(settings, Choice(2, overlap=-1))
    with pytest.raises(ConfigError, match="5"):
        choosing.group(settings, Choice(5))
    with pytest.raises(DataError, match=r"no affinity\.parquet"):
        read_affinity(training.train(config("plain", epochs=1)).folder)
    Path("runs/small/affinity.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a table of affinities"):
        read_affinity(Path("runs/small"))


def test_the_command_line_groups_and_trains() -> None:
    Path("small.yaml").write_text(
        "name: cli\ndata: {source: small.csv}\nsplit: random\n"
        "model: {encoder: {name: gine, depth: 1, width: 8}}\n"
        "train: {epochs: 1, batch_size: 16, device: cpu, workers: 0}\n"
    )
    runner = CliRunner()
    result = runner.invoke(app, ["group", "small.yaml", "--groups", "2", "grouping.every=2"])
    assert result.exit_code == 0, result.output
    assert "grouping.file=runs/cli/groups.yaml" in result.output
    assert "sulfur" in result.output
    trained = runner.invoke(app, ["train", "small.yaml", "name=two", "grouping.file=runs/cli/groups.yaml"])
    assert trained.exit_code == 0, trained.output
    assert len(Bundle.load(Path("runs/two")).members) <= 2


def test_pairs_with_few_common_molecules_are_unknown_and_the_rest_has_its_reliability() -> None:
    """Two assays have no molecule in common, and all other pairs have more than ten."""
    table: AssayTable = small.table(150)
    table.labels[:75, 1] = table.labels[75:, 3] = np.nan
    table.write_csv(Path("small.csv"))
    notes: list[str] = []
    settings = choosing.with_affinity(config(), "linear")
    found = choosing.group(settings, Choice(2), on_note=notes.append)
    assert any("2 of 12 pairs of assays have fewer than 10 molecules in common" in note for note in notes)
    said = [note for note in notes if "effects are known of 10 of 12 pairs" in note]
    assert len(said) == 1
    assert f"reliability of {found.reliability:.2f}" in said[0]
    assert len(choosing.group(settings, Choice(2, overlap=0)).table) == 4
    nothing = choosing.group(settings, Choice(2, overlap=1000), on_note=notes.append)
    assert nothing.grouping.groups == ((0, 1, 2, 3),)
    assert any("too few or from too few steps" in note for note in notes)
    assert np.isnan(nothing.reliability)


def test_an_unknown_pair_has_no_say_in_the_groups() -> None:
    """Whatever stands there: the two would attract each other, or repel each other, if it were known."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((8, 8))
    known = np.ones((8, 8), dtype=bool)
    known[1, 6] = known[6, 1] = False
    found = []
    for effect in (-50.0, 50.0):
        values[1, 6] = values[6, 1] = effect
        matrix = Matrix(values, values, values, values).known_where(known)
        assert np.isnan(matrix.error[1, 6])
        found.append(select_groups(matrix.values, 3))
    assert found[0].groups == found[1].groups
    assert found[0].objective == found[1].objective
    assert select_groups(values, 3).groups != found[0].groups


@pytest.mark.parametrize(("scale", "noise"), [("raw", (0.1, 3.0)), ("relative", (3.0, 0.1))])
def test_of_few_assays_the_more_reliable_effects_are_taken(scale: str, noise: tuple[float, float]) -> None:
    generator = np.random.default_rng(0)
    truth = generator.standard_normal((16, 16))
    matrices = {
        name: Matrix(truth, truth, *(truth + size * generator.standard_normal((2, 16, 16))))
        for name, size in zip(("raw", "relative"), noise, strict=True)
    }
    for n, expected in ((15, scale), (16, "relative")):
        few = {name: Matrix(*(values[:n, :n] for values in matrix)) for name, matrix in matrices.items()}
        pairs = AffinityTable(tuple("abcdefghijklmnop"[:n]), few, np.full((n, n), 100))
        assert choosing._scale(Choice(2), pairs) == expected
        assert choosing._scale(Choice(2, scale="raw"), pairs) == "raw"


def test_an_unreliable_matrix_says_what_to_do() -> None:
    generator = np.random.default_rng(0)
    truth, noise = generator.standard_normal((20, 20)), generator.standard_normal((2, 20, 20))
    good = Matrix(truth, truth, *(truth + 0.1 * noise))
    assert "reliability of 0.99 (1 = no noise)" in good.described() or good.reliability > 0.98
    assert "train longer" not in good.described()
    bad = Matrix(truth, truth, *(truth + 3 * noise))
    assert "train longer (train.epochs)" in bad.described()


def test_a_picture_of_many_assays_has_no_names(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    affinity = generator.standard_normal((120, 120))
    affinity[5] = np.nan
    tasks = tuple(f"assay {task}" for task in range(120))
    groups = [range(50), range(50, 119), [119]]
    found = judge_groups(affinity, groups, singletons=True)
    choosing.plot_affinity(affinity, found, tasks, tmp_path / "map.svg", title="many")
    assert (tmp_path / "map.svg").stat().st_size < 200_000
    order, ends = choosing._order(affinity, found)
    assert sorted(order) == list(range(120))
    assert ends == [50, 119, 120]


def test_a_trial_compares_joint_model_groups_chance_and_single_networks() -> None:
    settings = config("try", epochs=1)
    choice = Choice(2)
    found = trial.try_groups(settings, choice, seeds=2, draws=2)
    assert found.folder == Path("runs/try-grouping")
    assert found.cost["kind"].tolist() == ["joint", "groups", "random", "alone"]
    assert found.cost["runs"].tolist() == [2, 2, 4, 2]
    assert found.cost["networks"][0] == 1
    assert found.cost["networks"][3] == 4
    assert found.cost["cost"][0] == 1
    assert (found.cost["cost"][1:] > 1).all()
    assert set(found.against_joint.assays["assay"]) == set(TASKS)
    assert found.against_random is not None
    assert len(found.against_random.summary) == 1
    names = {"comparison.csv", "comparison_random.csv", "cost.csv"}
    assert names <= {path.name for path in found.folder.iterdir()}
    groups = read_groups(found.folder / "joint-seed1" / "groups.yaml", TASKS)
    for draw in range(2):
        random = read_groups(found.folder / "joint-seed1" / f"random-{draw}.yaml", TASKS)
        assert sorted(map(len, random.groups)) == sorted(map(len, groups.groups))
        assert sorted(map(random.serves.count, range(2))) == sorted(map(groups.serves.count, range(2)))
    used = {path.name: load_config(path / "config.yaml").seed for path in found.folder.glob("*-seed*")}
    assert used["joint-seed1"] == used["alone-seed1"] == used["random-seed2"] == used["random-seed3"] == 1
    assert used["random-seed0"] == used["random-seed1"] == 0


def test_a_trial_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config("try", epochs=1)
    first = trial.try_groups(settings, Choice(2), seeds=1, draws=1, alone=False)
    assert first.cost["kind"].tolist() == ["joint", "groups", "random"]
    monkeypatch.setattr("screening.grouping.choosing.train", None)
    again = trial.try_groups(settings, Choice(2), seeds=1, draws=1, alone=False)
    assert again.against_joint.assays.equals(first.against_joint.assays)
    with pytest.raises(ConfigError, match="at least 1 seed"):
        trial.try_groups(settings, Choice(2), seeds=0)


@pytest.mark.parametrize("size", [3.0, 0.04, 2e-5, 7e-9, 1e-13])
@pytest.mark.parametrize("scale", ["raw", "relative"])
def test_effects_are_printed_in_a_unit_that_shows_them(size: float, scale: str) -> None:
    """The default step is so small that effects in a fixed unit were all 0.0."""
    table = pd.DataFrame(
        {"assay": ["a", "b", "c"], "group": 1, "size": 3, "score": [size, -size / 2, np.nan]}
        | {"score_joint": [0.0, size, size], "best_partner": "a", "best_effect": size, "error": size}
        | {"status": ""}
    )
    groups = pd.DataFrame({"group": [1], "assays": [3], "serves": [3], "score": [size], "names": "a, b, c"})
    grouped = Grouped(Path("groups.yaml"), cast(Grouping, None), groups, table, scale, 1.0)
    shown, assays = grouped.printed()
    assert all(float(text) != 0 for text in [*shown["score"], *assays["score"][:2]])
    assert assays["score"][2] == "-"
    assert grouped.unit.startswith("in ")
    nothing = grouped._replace(table=table.assign(score=0.0), groups=groups.assign(score=0.0))
    assert nothing.printed()[0]["score"].tolist() == ["0.00"]
