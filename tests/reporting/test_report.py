"""The page about a run: complete, escaped, offline, accessible, the same every time."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import hit_rate
import numpy as np
import pandas as pd
import pytest
import small
from html_page import Page

from screening.config import load_config
from screening.errors import DataError
from screening.evaluation.results import read_material
from screening.evaluation.verdicts import SHADES
from screening.metrics.per_assay import read_evaluation
from screening.reporting.best_scored import best_hits
from screening.reporting.report import _validation_chose, write_report

NASTY = "<script>alert('assay')</script>"
NAMES = (NASTY, "a|b_*c*", "$\\frac{x$", 'quote" onload="x', "&amp; <b>", "日本語\x07")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with names that would be markup, rejected rows and a scored library of such names."""
    run = small.run_folder(tmp_path_factory.mktemp("nasty") / "run", names=NAMES)
    rejected = [(7, NASTY, "<svg onload=x>", f"reason {NASTY}")]
    pd.DataFrame(rejected, columns=["row", "id", "smiles", "reason"]).to_csv(
        run / "rejected.csv", index=False
    )
    (run / "scores").mkdir()
    scores = np.array([0.9, 0.8, 0.7, np.nan], np.float32)
    library = pd.DataFrame(
        {
            "id": [NASTY, "b", "c", "d"],
            "smiles": ["CCO", f"C |atomProp:0.atomNote.{NASTY}|", "not a molecule", "c1ccccc1O"],
            **dict.fromkeys(read_material(run).evaluation["assay"], scores),
        }
    )
    library.to_parquet(run / "scores" / "part-000000.parquet")
    return run


@pytest.fixture(scope="module")
def text(nasty: Path) -> str:
    return write_report(nasty).page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_markup_in_names_stays_text(text: str, page: Page) -> None:
    assert [script.get("type", "") for script in page.all("script")] == ["application/json", ""]  # ours
    assert "<script>alert" not in text
    assert NASTY in [shown for tag, shown in page.texts if tag == "th"]
    assert f"reason {NASTY}" in [shown for tag, shown in page.texts if tag == "td"]
    assert not [
        attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)
    ]


def test_nothing_is_loaded_from_anywhere(text: str, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", text)
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert "http" not in policy


def test_links_and_ids_fit(page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    for _, attributes in page.elements:
        for target in [attributes.get("href", ""), attributes.get("xlink:href", "")]:
            if target.startswith("#"):
                assert target[1:] in ids
        for target in attributes.get("aria-labelledby", "").split():
            assert target in {*ids, "assay-name"}  # which the script makes


def test_the_page_can_be_used_without_eyes_or_mouse(text: str, page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings))
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("role") == "img"
    assert len(re.findall(r"role=.img.[^>]*><title", text)) == len(
        [s for s in page.all("svg") if "role" in s]
    )
    assert all("scope" in head for head in page.all("th"))
    for box in page.all("div"):
        if "scroll" in box.get("class", "").split() or "wide" in box.get("class", "").split():
            assert box["tabindex"] == "0"
            assert box["aria-label"]
    assert len(re.findall(r"<label>[^<]*<(?:input|select)", text)) == len(page.all("input")) + len(
        page.all("select")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(text: str, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for what is drawn."""
    blocks = re.findall(r":root \{(.*?)\}", text, re.S)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--(\w+): (#[0-9a-f]+)", blocks[1]))
    for back in ("back", "card", "head"):
        for name in ("ink", "soft", "accent"):
            assert contrast(colours[name], colours[back]) >= 4.5, (name, back)
    for name in (*SHADES.values(), "choice"):
        assert contrast(colours[name], colours["card"]) >= 3, name
    if scheme == "dark":
        atoms = re.findall(r"--(atom-\w+): (#[0-9a-f]+)", text)
        assert {name for name, colour in atoms if contrast(colour, colours["card"]) < 4.5} == set()
        assert atoms


def contrast(one: str, other: str) -> float:
    """Ratio of relative luminances, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        channels = np.array([int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_assay_is_a_row_with_its_counts(nasty: Path, page: Page) -> None:
    table = read_material(nasty).evaluation
    verdicts = Counter(row["data-verdict"] for row in page.all("tr") if "data-verdict" in row)
    assert verdicts == Counter(table["verdict"])
    assert verdicts["too few to judge"] >= 2
    heads = [shown for tag, shown in page.texts if tag == "th"]
    for name in table["assay"]:
        assert " ".join(name.split()) in [" ".join(head.split()) for head in heads]


def test_top_molecules_are_drawn_or_named(nasty: Path, page: Page) -> None:
    hits = best_hits(nasty / "scores", read_material(nasty).evaluation)
    assert len(hits) == 4
    for molecules in hits.values():
        assert [hit.id for hit in molecules] == [NASTY, "b", "c"]
        assert [hit.drawing is not None for hit in molecules] == [True, True, False]
        assert "alert" not in str(molecules[1].drawing)
    sure = read_material(nasty).evaluation.query("status == 'ok'").sort_values("roc_auc_low", ascending=False)
    assert list(hits)[: len(sure)] == sure["assay"].tolist()[:4]


def test_top_file_and_part_files_give_the_same_molecules(nasty: Path, tmp_path: Path) -> None:
    evaluation = read_material(nasty).evaluation
    from_parts = best_hits(nasty / "scores", evaluation)
    rows = [
        (assay, rank, hit.id, hit.smiles, hit.value)
        for assay, hits in reversed(from_parts.items())
        for rank, hit in enumerate(hits, 1)
    ]
    columns = ["assay", "rank", "id", "smiles", "probability"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "top.csv", index=False)
    from_top = best_hits(tmp_path, evaluation)
    assert list(from_top) == list(from_parts)
    assert [hit.id for hits in from_top.values() for hit in hits] == [
        row.id for hits in from_parts.values() for row in hits
    ]


def test_the_same_run_gives_the_same_bytes(nasty: Path, text: str, tmp_path: Path) -> None:
    again = write_report(nasty, tmp_path / "again.html")
    assert again.page.read_text(encoding="utf-8") == text
    assert again.card.read_bytes() == (nasty / "MODEL_CARD.md").read_bytes()
    assert again.card.parent == tmp_path


def test_the_card_keeps_names_as_text(nasty: Path, text: str) -> None:
    card = (nasty / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert "a\\|b\\_\\*c\\*" in card
    lines = [line for line in card.splitlines() if line.startswith("| a\\|b")]
    assert len(lines) == 1
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == 9


@pytest.mark.parametrize("n_tasks", [1, 41, 130])
def test_any_number_of_assays(tmp_path: Path, n_tasks: int) -> None:
    run = small.run_folder(tmp_path / "run", n=200, n_tasks=max(3, n_tasks))
    if n_tasks == 1:
        keep_assays(run, 1)
    report = write_report(run)
    page = Page(report.page.read_text(encoding="utf-8"))
    assert sum("data-verdict" in row for row in page.all("tr")) == n_tasks
    assert report.size < 3e6


def keep_assays(run: Path, n: int) -> None:
    """Cut a run folder down to its first assays (without any number where n = 1)."""
    evaluation = pd.read_csv(run / "evaluation.csv")
    names = evaluation["assay"].unique()[:n]
    for name in ("evaluation.csv", "labels.csv", "history.csv"):
        table = pd.read_csv(run / name)
        table[table["assay"].isin(names)].to_csv(run / name, index=False)
    frame = pd.read_parquet(run / "predictions.parquet")
    kept = [name for name in frame if ":" not in name or name.partition(":")[2] in names]
    frame[kept].to_parquet(run / "predictions.parquet")


def test_a_run_without_epochs_and_label_counts_has_a_page(tmp_path: Path) -> None:
    run = small.run_folder(tmp_path / "run")
    (run / "history.csv").write_text("\n")
    (run / "labels.csv").unlink()
    page = write_report(run).page.read_text(encoding="utf-8")
    assert "there is no history" in page
    assert "No scores of this model were found" in page


def test_a_trained_run_has_a_page(any_run: Path, tmp_path: Path) -> None:
    page = Page(write_report(any_run, tmp_path / "page.html").page.read_text(encoding="utf-8"))
    shown = " ".join(text for _, text in page.texts)
    evaluation = read_evaluation(any_run / "evaluation.csv")
    tested = evaluation[evaluation["part"] == "test"]
    assert len(tested) == 5
    assert f"{tested['actives'].sum():,}" in shown
    for row in tested[tested["roc_auc"].notna()].itertuples():
        assert f"{row.roc_auc:.3f}" in shown


def test_a_registered_metric_is_on_the_page_and_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit_rate.registered(monkeypatch)
    run = small.run_folder(tmp_path / "run")
    report = write_report(run)
    page = Page(report.page.read_text(encoding="utf-8"))
    assert ("th", "<hit> rate") in page.texts
    assert ("dt", "<hit> rate, mean") in page.texts
    values = read_evaluation(run / "evaluation.csv").query("part == 'test'")[hit_rate.NAME]
    shown = [text for tag, text in page.texts if tag == "td"]
    assert all(f"{value:.2f}" in shown for value in values.dropna())
    card = report.card.read_text(encoding="utf-8").replace("\\", "")
    assert f"| {hit_rate.NAME} | {values.mean():.3f} |" in card


def test_mistakes_are_explained(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "typo"):
        with pytest.raises(DataError, match=r"not a finished run: it has no predictions\.parquet"):
            write_report(folder)
    assert not (tmp_path / "typo").exists()
    run = small.run_folder(tmp_path / "run")
    with pytest.raises(DataError, match="There are no scores in"):
        write_report(run, scores=tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        write_report(run, tmp_path / "nowhere" / "page.html")
    (run / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not finished or damaged"):
        write_report(run)


def test_in_the_dark_the_page_and_its_molecules_are_dark(
    nasty: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    written = write_report(nasty, tmp_path / "report.html").page
    look = """name => [getComputedStyle(document.body).backgroundColor,
      getComputedStyle(document.documentElement).getPropertyValue("--atom-n")]"""
    light, dark = (open_page(written, dark=dark).evaluate(look) for dark in (False, True))
    assert light == ["rgb(246, 248, 250)", ""]
    assert dark == ["rgb(16, 21, 26)", "#8ab4ff"]
    assert "{%" not in written.read_text()


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, "the epoch"),
        ({"train": {"snapshots": 5}}, ""),
        ({"train": {"snapshots": 5, "snapshots_used": 2}}, "the snapshots"),
        ({"model": {"baseline": "random_forest"}}, ""),
    ],
)
def test_validation_is_said_to_choose_what_it_chose(settings: dict[str, Any], chosen: str) -> None:
    config = load_config({"name": "a", "data": {"source": "a.csv"}, **settings})
    assert _validation_chose(config) == chosen
