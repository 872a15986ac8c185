"""The page and the model card of runs with real values: both kinds side by side, and values alone."""

import json
import re
from pathlib import Path

import mixed_runs
import numpy as np
import pytest
from html_page import Page

from screening.data.assay_kinds import Assay
from screening.errors import ConfigError, DataError
from screening.evaluation.results import Material, read_material
from screening.metrics.per_assay import summarize
from screening.reporting import run_card
from screening.reporting.explorer import MOLECULES, explore
from screening.reporting.report import Report, write_report
from screening.reporting.run_pictures import RunPictures

OF_CLASSES = re.compile(r"ROC|inactive|probabilit|nrichment|Precision|recall|log-odds|base rate", re.I)
"""Words that have no place on a page about values alone."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_runs.run_folder(tmp_path_factory.mktemp("mixed") / "run")


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of real assays alone."""
    return mixed_runs.run_folder(tmp_path_factory.mktemp("values") / "run", mixed_runs.REAL)


@pytest.fixture(scope="module")
def written(mixed: Path) -> Report:
    return write_report(mixed)


@pytest.fixture(scope="module")
def text(written: Report) -> str:
    return written.page.read_text(encoding="utf-8")


def rows_of(text: str, table: str) -> dict[str, list[str]]:
    """The cells of a table of assays by assay."""
    body = re.search(rf'<table id="{table}".*?<tbody>(.*?)</tbody>', text, re.S)
    assert body is not None
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in body[1].split("<tr")[1:]]
    plain = [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in rows]
    return {row[0].replace("&gt;", ">"): row[1:] for row in plain}


def test_every_assay_is_in_the_table_of_its_kind(text: str, mixed: Path) -> None:
    material = read_material(mixed)
    of_values, of_classes = rows_of(text, "value-table"), rows_of(text, "assay-table")
    assert set(of_values) == {assay.name for assay in mixed_runs.REAL}
    assert set(of_classes) == {assay.name for assay in mixed_runs.CLASSES}
    evaluation = material.evaluation.set_index("assay")
    for name in ("pKi", "toxic"):
        cells = of_values[name] if name in of_values else of_classes[name]
        assert cells[1] == f"{evaluation.loc[name, 'concordance']:.3f}"
    assert f"{evaluation.loc['pKi', 'rmse']:.3g}" in of_values["pKi"]
    assert "-log10 M" in of_values["pKi"]
    assert "log10 ml/min" in of_values["clearance"]
    n_bounds = int(evaluation.loc["pKi", "censored"])
    assert n_bounds > 0
    assert f"{evaluation.loc['pKi', 'measured']:.0f}, {n_bounds} bounds" in of_values["pKi"]


def test_the_page_is_sound(text: str, written: Report) -> None:
    page = Page(text)  # fails where tags do not match
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"][1:] in ids
    assert write_report(written.page.parent).page.read_text(encoding="utf-8") == text


def test_values_are_drawn_and_errors_on_each_scale(text: str, mixed: Path) -> None:
    section = text[text.index('<section id="values"') : text.index('<section id="curves"')]
    heads = re.findall(r'<h3 data-assay="(\d+)">([^<]*)</h3>', section)
    tasks = read_material(mixed).test_predictions.tasks
    assert {name for _, name in heads} == {"pKi", "clearance", "three values", "noise"}  # tested ones
    assert all(tasks[int(place)] == name for place, name in heads)
    for scale in ("-log10 M", "log10 ml/min", "%"):
        assert f"on the scale “{scale}”" in section


def test_errors_on_several_scales_have_no_mean(text: str, values: Path, mixed: Path, tmp_path: Path) -> None:
    assert "<dt>RMSE, mean" not in text
    assert "rmse |" not in (mixed / "MODEL_CARD.md").read_text().replace("\\", "")
    one = mixed_runs.run_folder(tmp_path / "run", mixed_runs.REAL[:1])
    page = write_report(one).page.read_text(encoding="utf-8")
    assert "<dt>RMSE, mean, -log10 M</dt>" in page
    assert "\n| rmse |" in (one / "MODEL_CARD.md").read_text()


def test_a_page_about_values_alone_does_not_speak_of_classes(values: Path) -> None:
    written = write_report(values)
    page = Page(written.page.read_text(encoding="utf-8"))
    assert OF_CLASSES.findall(page.words()) == []
    assert written.card is not None
    assert OF_CLASSES.findall(written.card.read_text(encoding="utf-8")) == []
    described = [attributes.get("aria-label", "") for _, attributes in page.elements]
    assert OF_CLASSES.findall(" ".join(described)) == []


def test_what_there_is_none_of_has_no_column(tmp_path: Path, values: Path) -> None:
    one = mixed_runs.run_folder(tmp_path / "run", (Assay("A", "real"),))
    written = write_report(one)
    page = Page(written.page.read_text(encoding="utf-8"))
    assert "bounds" not in page.words()
    assert "--name: 8ch" in page.all("div")[0]["style"]  # short names leave room for the head
    assert written.card is not None
    assert "bounds among" not in written.card.read_text(encoding="utf-8")
    assert "of them bounds" in Page(write_report(values).page.read_text(encoding="utf-8")).words()


def test_pictures_and_card_of_values_alone(values: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = read_material(values)
    plot = RunPictures(results)
    assert plot.ranked_assays().heading == "Concordance of each assay"
    assert plot.validation_roc_auc().heading == "Concordance of the validation part"
    assert plot.predicted_and_measured("noise").heading == "noise: predicted against measured"
    measured = np.isfinite(results.test_predictions.labels).sum(axis=0)
    assert results.assays[int(measured.argmax())].name in plot.predicted_and_measured().heading
    assert "3 assays" in plot.errors().note or "2 assays" in plot.errors().note
    with pytest.raises(DataError, match="none of its assays has two classes"):
        plot.roc()
    with pytest.raises(ConfigError, match=r"no assay 'pK' with real values.*pKi"):
        plot.predicted_and_measured("pK")
    text = " ".join(run_card.lines(results, summarize(results.evaluation)))
    assert "concordance" in text
    assert "roc_auc" not in text


def test_runs_of_a_set_have_one_page(tmp_path: Path) -> None:
    for fold in range(2):
        mixed_runs.run_folder(tmp_path / f"a-fold{fold}")
    page = Page(write_report(tmp_path / "a").page.read_text(encoding="utf-8"))
    assert "Concordance, mean within runs" in page.words()
    assert "2 runs together" in page.words()


@pytest.fixture(scope="module")
def material(mixed: Path) -> Material:
    return read_material(mixed)


def test_the_explorer_has_points_of_values_and_curves_of_classes(material: Material) -> None:
    data = json.loads(explore(material))
    assays = {assay["name"]: assay for assay in data["assays"]}
    for assay in mixed_runs.CLASSES:
        assert "points" not in assays[assay.name]
        assert "curve" in assays[assay.name]
    task = material.test_predictions.tasks.index("pKi")
    labels, censored = material.test_predictions.labels[:, task], material.test_predictions.censored
    points = np.array(assays["pKi"]["points"])
    assert len(points) == (~np.isnan(labels)).sum()
    assert (points[:, 2] == censored[~np.isnan(labels), task]).all()
    assert points[:, 0] == pytest.approx(labels[~np.isnan(labels)], rel=0.006)
    assert assays["clearance"]["about"]["good"] == "low on the scale log10 ml/min, low in ml/min"
    assert assays["not tested"]["points"] == []
    assert assays["pKi"]["labels"][0][3] > 0  # bounds of the training part


@pytest.mark.parametrize("name", ["pKi", "clearance"])
def test_lists_of_values_are_those_of_a_plain_loop(material: Material, name: str) -> None:
    test, data = material.test_predictions, json.loads(explore(material))
    task = test.tasks.index(name)
    wants_low = test.assays[task].wanted == "low"
    excess = []
    for row in range(len(test.rows)):
        label, score, bound = test.labels[row, task], test.scores[row, task], test.censored[row, task]
        if np.isnan(label) or (bound > 0 and score > label) or (bound < 0 and score < label):
            continue
        excess.append(((label - score if wants_low else score - label), test.ids[row]))
    assay = data["assays"][task]
    ids = {
        key: [data["molecules"][place][0] for place, *_ in assay[key]] for key in ("false", "missed", "top")
    }
    assert ids["false"] == [name for _, name in sorted(excess, reverse=True)[:MOLECULES]]
    assert ids["missed"] == [name for _, name in sorted(excess)[:MOLECULES]]
    best = np.argsort(test.scores[:, task] * (1 if wants_low else -1), kind="stable")[:MOLECULES]
    assert ids["top"] == [test.ids[row] for row in best]
    unit = "ml/min" if wants_low else "nM"
    assert all(unit in row[1] for row in assay["top"])
    ranks = [row[3] for row in assay["top"] if row[3] is not None]
    assert ranks == list(range(1, len(ranks) + 1))
