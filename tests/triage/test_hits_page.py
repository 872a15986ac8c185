"""The page of hits in a browser: first what the model is worth, then sort, filter, tick, save, print."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small
import torch
from browser import DESKTOP, PHONE, pages_printed, too_wide
from rdkit import Chem

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.config_sections import Model
from screening.errors import ConfigError
from screening.models.baselines import baselines
from screening.models.network import inputs_of
from screening.registry import Registry
from screening.scoring.job import Extras, score_library
from screening.training.run_folder import read_table
from screening.triage import hits as hits_module
from screening.triage.hits import Hits, choose_hits
from screening.triage.hits_page import Quality, links_to

HOSTILE = "</script><script>document.title = 'ran'</script>"
ASSAY = "acid"
Opens = Callable[..., Any]


@pytest.fixture(scope="module")
def scores(real_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The molecules of the wheel with a price, scored with everything; one has a hostile name."""
    texts = list(small.smiles(150))
    names = [f"L{row:03d}" for row in range(len(texts))]
    names[3], names[4] = HOSTILE, "=1+1 two\nlines"
    folder = tmp_path_factory.mktemp("scores")
    pd.DataFrame({"id": names, "smiles": texts, "price": "9 EUR"}).to_csv(folder / "all.csv", index=False)
    score_library(real_run, [folder / "all.csv"], folder / "scores", extras=Extras(domain=True), workers=0)
    return folder / "scores"


@pytest.fixture(scope="module")
def hits(real_run: Path, scores: Path, tmp_path_factory: pytest.TempPathFactory) -> Hits:
    return choose_hits(
        real_run,
        scores,
        tmp_path_factory.mktemp("hits"),
        assay=ASSAY,
        diversity="none",
        filters=["brenk", "pains"],
        keep_flagged=True,
        explain=True,
    )


@pytest.fixture
def page(hits: Hits, open_page: Opens) -> Any:
    return open_page(hits.folder / "hits.html")


def shown(page: Any) -> list[int]:
    """Places in hits.csv of the hits that are on the page, in its order."""
    rows = "rows => rows.filter(row => row.checkVisibility()).map(row => Number(row.dataset.place))"
    return page.eval_on_selector_all("#hits tbody tr", rows)


def saved(page: Any, button: str) -> str:
    """What the browser saves behind a button."""
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes().decode()


def test_the_first_screen_says_what_the_model_is_worth(page: Any, hits: Hits, real_run: Path) -> None:
    row = read_table(real_run, "evaluation.csv").set_index(["part", "assay"]).loc[("test", ASSAY)]
    counts = read_table(real_run, "labels.csv").set_index(["part", "assay"]).loc[("train", ASSAY)]
    by_chance = len(hits.table) * counts["actives"] / counts["measured"]
    text = page.inner_text(".numbers")
    assert f"{row['roc_auc']:.2f}" in text
    assert f"{row['roc_auc_low']:.2f} to {row['roc_auc_high']:.2f}" in text
    assert f"{row['ef_1pct']:.1f} ×" in text
    assert f"about {hits.table['probability'].sum():.0f} of {len(hits.table)}" in text
    assert f"training part hold {by_chance:.0f}" in text
    assert f"{hits.table['in_domain'].sum()} of {len(hits.table)}" in text
    assert ASSAY in page.inner_text("h1")
    box = page.locator("#controls").bounding_box()
    assert box["y"] + box["height"] < 844
    assert page.title() == f"{ASSAY}: hits"  # the hostile name did not run


def test_a_bundle_alone_says_that_its_quality_is_not_known(
    real_run: Path, scores: Path, tmp_path: Path, open_page: Opens
) -> None:
    shutil.copytree(real_run / "bundle", tmp_path / "model")
    chosen = choose_hits(tmp_path / "model", scores, tmp_path / "hits", assay=ASSAY, n=5)
    page = open_page(chosen.folder / "hits.html")
    assert "ROC-AUC" not in page.inner_text(".numbers")
    assert "give the run folder" in page.inner_text(".notes")


@pytest.mark.parametrize(
    "name", ["probability", "similarity", "training_similarity", "weight", "logp", "flags", "id", "rank"]
)
def test_a_click_anywhere_in_a_head_sorts_as_the_table_does(page: Any, hits: Hits, name: str) -> None:
    values = hits.table[name]
    values = values.str.lower() if values.dtype == object or values.dtype == "str" else values
    if name == "probability":  # sorted by it already: another column first
        page.click("th[data-sort=logp]")
    head = page.locator(f"th[data-sort={name}]")
    box = head.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] - 2)
    rises = name in ("id", "flags", "rank")
    for ascending in (rises, not rises):
        assert head.get_attribute("aria-sort") == ("ascending" if ascending else "descending")
        ordered = values.sort_values(ascending=ascending, kind="stable", na_position="last")
        assert values[shown(page)].tolist() == ordered.tolist()
        assert shown(page) == ordered.index.tolist()
        head.locator("button").press("Enter")


def test_the_page_sorts_by_keyboard_and_list(page: Any, hits: Hits) -> None:
    offered = page.eval_on_selector_all("#sort option", "all => all.map(each => each.value)")
    assert set(offered) <= set(hits.table)
    page.select_option("#sort", "polar_surface")
    falling = hits.table["polar_surface"].to_numpy()[shown(page)]
    assert (np.diff(falling) <= 0).all()
    page.focus("#turn")
    page.keyboard.press("Space")
    assert (np.diff(hits.table["polar_surface"].to_numpy()[shown(page)]) >= 0).all()


def test_filters_show_what_fits_all_of_them(page: Any, hits: Hits) -> None:
    table = hits.table
    page.select_option("#flags", "no")
    assert set(shown(page)) == set(np.flatnonzero(table["flags"] == ""))
    page.select_option("#domain", "yes")
    both = np.flatnonzero((table["flags"] == "") & table["in_domain"])
    assert set(shown(page)) == set(both)
    page.fill("#find", "l01")
    wanted = [place for place in both if "l01" in table["id"][place].lower()]
    assert 0 < len(wanted) < len(both)
    assert set(shown(page)) == set(wanted)
    assert f"{len(wanted)} of {len(table)} hits shown" in page.inner_text("#said")
    page.fill("#find", "no such text")
    assert shown(page) == []


def test_what_is_ticked_is_saved_as_in_the_files(page: Any, hits: Hits) -> None:
    """In the order of the page, also what a filter hides; files that RDKit and pandas read."""
    page.select_option("#sort", "weight")
    order = shown(page)
    wanted = [place for place in order if place in (0, 3, 4, 7)]
    assert page.is_disabled("#save-sdf")
    assert page.is_disabled("#save-csv")
    for place in wanted:
        box = page.locator(f'tr[data-place="{place}"] input')
        box.focus()
        page.keyboard.press("Space")
    page.fill("#find", "no such text")
    assert "4 ticked (4 of them not shown)" in page.inner_text("#said")
    lines = saved(page, "#save-csv")
    frame = pd.read_csv(io.StringIO(lines), keep_default_na=False)
    whole = pd.read_csv(hits.folder / "hits.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(frame, whole.iloc[wanted].reset_index(drop=True))
    supplier = Chem.SDMolSupplier()
    supplier.SetData(saved(page, "#save-sdf"))
    mols, every = list(supplier), list(Chem.SDMolSupplier(str(hits.folder / "hits.sdf")))
    assert [Chem.MolToSmiles(mol) for mol in mols] == [Chem.MolToSmiles(every[place]) for place in wanted]
    assert [mol.GetPropsAsDict() for mol in mols] == [every[place].GetPropsAsDict() for place in wanted]
    page.fill("#find", "")
    page.click("#untick-all")
    page.click("#tick-all")
    assert len(saved(page, "#save-sdf").split("$$$$\n")) == len(every) + 1


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("view", ["table", "cards"])
def test_nothing_is_too_wide(hits: Hits, open_page: Opens, width: int, view: str) -> None:
    page = open_page(hits.folder / "hits.html", width=width, dark=True)
    at_first = "cards" if width == PHONE else "table"
    assert page.get_attribute(f"[data-view={at_first}]", "aria-pressed") == "true"
    page.click(f"[data-view={view}]")
    assert too_wide(page) == []
    if width == PHONE and view == "cards":
        assert page.eval_on_selector(".scroll", "box => box.scrollWidth <= box.clientWidth")


def test_a_hundred_hits_take_at_most_ten_sheets(page: Any, hits: Hits) -> None:
    assert len(hits.table) == 100
    assert pages_printed(page) <= 10
    page.click("[data-view=cards]")
    assert pages_printed(page) <= 10


def test_each_hit_leads_to_its_explanation(page: Any, hits: Hits) -> None:
    links = page.eval_on_selector_all("#hits .why a", "all => all.map(each => each.href)")
    assert len(links) == len(hits.table)
    name = hits.table["id"][5]
    page.click('tr[data-place="5"] .why a')
    card = page.locator(":target")
    assert name in card.inner_text()
    assert card.bounding_box()["y"] < 844


def test_explanations_of_another_assay_or_model_are_not_linked(hits: Hits, tmp_path: Path) -> None:
    told = hits.folder / "explained" / "molecules.csv"
    (tmp_path / "explained").mkdir()
    path = shutil.copy(told, tmp_path / "explained")
    places = links_to(tmp_path, "explained", ASSAY, hits.table)
    assert places[5] == f"explained/index.html#molecule-{6:04d}"
    assert all(places)
    assert not any(links_to(tmp_path, "explained", "halogen", hits.table))
    other = hits.table.assign(probability=hits.table["probability"] / 2)
    assert not any(links_to(tmp_path, "explained", ASSAY, other))
    whole = pd.read_csv(told, keep_default_na=False)
    for damaged in ("", "\0", whole.drop(columns="assay").to_csv(), whole.assign(probability="x").to_csv()):
        Path(path).write_text(damaged)
        assert not any(links_to(tmp_path, "explained", ASSAY, hits.table))


def test_quality_is_that_of_the_run_around_a_bundle_alone(real_run: Path, tmp_path: Path) -> None:
    within, alone = Quality.of(real_run / "bundle", ASSAY), Quality.of(real_run, ASSAY)
    assert within is not None
    assert within == alone
    shutil.copytree(real_run, tmp_path / "run")
    (tmp_path / "run" / "bundle").rename(tmp_path / "run" / "other")
    assert Quality.of(tmp_path / "run" / "other", ASSAY) is None


def test_in_the_dark_nothing_is_a_white_box(hits: Hits, open_page: Opens) -> None:
    page = open_page(hits.folder / "hits.html", dark=True)
    bright = """() => {
      const isBright = (colour) =>
        colour.startsWith("rgb(") && colour.match(/[0-9]+/g).every((part) => part > 200);
      const ground = (each) =>
        getComputedStyle(each)[each instanceof SVGElement ? "fill" : "backgroundColor"];
      const boxes = document.querySelectorAll("body, body :not(path, text, tspan, svg, [aria-pressed=true])");
      return [...boxes].filter((each) => isBright(ground(each))).map((each) => each.outerHTML.slice(0, 80));
    }"""
    assert page.evaluate(bright) == []


def test_a_number_that_the_test_part_cannot_give_has_its_reason(
    real_run: Path, scores: Path, tmp_path: Path, open_page: Opens
) -> None:
    quality = read_table(real_run, "evaluation.csv").set_index(["part", "assay"]).loc["test"]
    for assay in quality.index[quality["roc_auc"].isna() | (quality["reason"] != "")][:1]:
        chosen = choose_hits(real_run, scores, tmp_path / "hits", assay=assay, n=5)
        page = open_page(chosen.folder / "hits.html")
        assert quality.loc[assay, "reason"] in page.inner_text("main")
        assert "nan" not in page.inner_text(".numbers").lower()


def test_without_any_hit_the_page_says_so_and_works(
    real_run: Path, scores: Path, tmp_path: Path, open_page: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screening.triage.hits.known_filters", Registry("filter"))
    hits_module.known_filters.register("none_passes")(lambda mol: ["no"])
    chosen = choose_hits(
        real_run, scores, tmp_path / "hits", assay=ASSAY, filters=["none_passes"], explain=True
    )
    assert len(chosen.table) == 0
    page = open_page(chosen.folder / "hits.html", width=PHONE)
    assert "0 of 0 hits shown" in page.inner_text("#said")
    assert "No hit is left" in page.inner_text(".notes")
    page.click("#tick-all")
    assert page.is_disabled("#save-csv")
    page.select_option("#sort", "weight")
    assert too_wide(page) == []


def test_a_baseline_is_not_explained_and_nothing_is_written(
    scores: Path, tmp_path: Path, real_run: Path
) -> None:
    run, store = Bundle.load(real_run), small.store()
    forest = baselines.build("random_forest", trees=3)
    labels = torch.from_numpy(np.tile(small.table().labels[:, :1], (1, len(run.tasks))))
    forest.fit(store, labels, torch.arange(100), workers=1)
    members = (Member(forest, tuple(range(len(run.tasks)))),)
    Bundle(members, Model(), inputs_of(store), store.features, run.tasks, {}).save(tmp_path / "bundle")
    with pytest.raises(ConfigError, match="baseline 'random_forest'"):
        choose_hits(tmp_path, scores, tmp_path / "hits", assay=ASSAY, explain=True)
    assert not (tmp_path / "hits").exists()
