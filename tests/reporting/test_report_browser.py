"""The report in a real browser: sorting, filtering, pages of assays, on a phone, in the dark, offline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mixed_runs
import numpy as np
import pandas as pd
import pytest
import small
from browser import DESKTOP, PHONE, too_wide

from screening.evaluation.results import read_material
from screening.reporting.report import write_report

NASTY = "<img src=x onerror=alert(1)>"
NAMES = (NASTY, 'quote" & #hash?=%', "assay/2 50%25", "日本語")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.run_folder(tmp_path_factory.mktemp("browser") / "run", names=NAMES, n_tasks=12)


@pytest.fixture(scope="module")
def page_file(run: Path) -> Path:
    return write_report(run).page


@pytest.fixture(scope="module")
def wide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More assays than are drawn one by one."""
    run = small.run_folder(tmp_path_factory.mktemp("many") / "run", n=240, n_tasks=60)
    return write_report(run).page


Opener = Callable[..., Any]


def opened(page: Any, name: str) -> str:
    """The assay whose page is shown, once it is that of `name`; pages follow when the address has changed."""
    shown = page.locator("#assay-name")
    shown.and_(page.get_by_text(name, exact=True)).wait_for()
    return str(shown.inner_text())


def column(page: Any, place: int) -> list[str]:
    return page.locator(f"#assay-table tbody tr:visible > :nth-child({place})").all_inner_texts()


def test_a_click_anywhere_in_a_head_sorts_and_says_so(page_file: Path, open_page: Opener) -> None:
    page = open_page(page_file)
    head = page.locator("#assay-table thead th").nth(2)
    head.scroll_into_view_if_needed()
    box = head.bounding_box()
    page.mouse.click(box["x"] + 3, box["y"] + 3)  # the corner, not the word
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(text) for text in column(page, 3) if text != "–"]
    assert values == sorted(values, reverse=True)
    assert column(page, 3)[-1] == "–"
    page.mouse.click(box["x"] + 3, box["y"] + 3)
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(text) for text in column(page, 3) if text != "–"]
    assert values == sorted(values)
    assert column(page, 3)[-1] == "–"
    assert page.locator("#assay-table th[aria-sort]").count() == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_heads_sort_by_keyboard(page_file: Path, open_page: Opener, key: str) -> None:
    page = open_page(page_file)
    page.locator("#assay-table thead th button").nth(0).focus()
    page.keyboard.press(key)
    names = [name.lower() for name in column(page, 1)]
    assert names == sorted(names)
    assert page.locator("#assay-table th").nth(0).get_attribute("aria-sort") == "ascending"


def test_filters_work_together(run: Path, page_file: Path, open_page: Opener) -> None:
    page = open_page(page_file)
    table = read_material(run).evaluation
    verdict = table["verdict"].iloc[-1]
    page.select_option("#filter-verdict", verdict)
    page.fill("#filter-text", "ASSAY 1")
    expected = table[(table["verdict"] == verdict) & table["assay"].str.contains("assay 1")]
    assert set(column(page, 1)) == set(expected["assay"])
    assert page.locator("#shown").inner_text() == f"{len(expected)} of {len(table)} assays shown"


@pytest.mark.parametrize("name", [*NAMES, "assay 11"])
def test_every_assay_opens_whatever_it_is_called(
    run: Path, page_file: Path, open_page: Opener, name: str
) -> None:
    page = open_page(page_file)
    page.locator("#assay-table tbody th a").filter(has_text=name).first.click()
    dialog = page.locator("dialog")
    dialog.wait_for()  # it opens when the address has changed
    assert opened(page, name) == name
    row = read_material(run).evaluation.set_index("assay").loc[name]
    assert row["verdict"] in dialog.inner_text()
    has_curve = not np.isnan(row["roc_auc"])
    assert dialog.locator("figure").filter(has_text="ROC").first.is_visible()
    assert ("There is no curve" in dialog.inner_text()) != has_curve
    if has_curve:
        assert f"{row['roc_auc']:.3f}" in dialog.inner_text()
    page.reload()
    assert opened(page, name) == name  # its address is a link to it
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_the_page_of_an_assay_has_the_molecules_that_are_wrong(
    run: Path, page_file: Path, open_page: Opener
) -> None:
    page = open_page(page_file)
    page.locator("#assay-table tbody th a").get_by_text("assay 6", exact=True).click()
    test = read_material(run).test_predictions
    task = test.tasks.index("assay 6")
    frame = pd.DataFrame({"id": test.ids, "label": test.labels[:, task], "score": test.scores[:, task]})
    worst = frame[frame["label"] == 0].sort_values("score", ascending=False, kind="stable").iloc[0]
    missed = frame[frame["label"] == 1].sort_values("score", kind="stable").iloc[0]
    lists = page.locator("dialog ul.hits")
    assert lists.count() == 3
    for place, row in ((0, worst), (1, missed)):
        first = lists.nth(place).locator("li").first
        assert row["id"] in first.inner_text()
        assert f"{row['score']:.3f}"[:4] in first.inner_text()
        assert first.locator("svg.sketch path").count() > 0


def test_arrows_go_through_the_table_as_it_is_sorted(page_file: Path, open_page: Opener) -> None:
    page = open_page(page_file)
    page.fill("#filter-text", "assay")
    names = column(page, 1)
    page.locator("#assay-table tbody th a").filter(visible=True).first.click()
    for name in names[:3]:
        assert opened(page, name) == name
        page.click("#assay-next")
    assert opened(page, names[3]) == names[3]
    page.keyboard.press("ArrowLeft")
    assert opened(page, names[2]) == names[2]
    page.click("#assay-close")
    assert "#assay=" not in page.url


@pytest.mark.parametrize("many", [False, True])
def test_points_of_pictures_are_named_and_open_their_assay(
    page_file: Path, wide_file: Path, open_page: Opener, many: bool
) -> None:
    page = open_page(wide_file if many else page_file)
    picture = page.locator("svg[data-marks]").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    view = [float(number) for number in picture.get_attribute("viewBox").split()]
    place, x, y = (float(number) for number in picture.get_attribute("data-marks").split()[5].split(","))
    scale = box["width"] / view[2]
    page.mouse.move(box["x"] + scale * x + 1, box["y"] + scale * y + 1)
    name = page.evaluate(
        "place => JSON.parse(document.getElementById('data').textContent).assays[place].name", place
    )
    assert page.locator("#tip").inner_text().startswith(f"{name}: ROC-AUC")
    page.mouse.down()
    page.mouse.up()
    assert opened(page, name) == name
    chart = page.locator("dialog svg.chart").first
    chart.scroll_into_view_if_needed()
    point = chart.locator("circle.point").nth(3).bounding_box()
    page.mouse.move(point["x"] + 2, point["y"] + 2)
    assert "actives" in page.locator("#tip").inner_text()


def test_any_assay_can_be_drawn_among_the_curves(wide_file: Path, open_page: Opener) -> None:
    page = open_page(wide_file)
    options = page.locator("#pick option").evaluate_all(
        "all => all.map((each) => each.value).filter(Boolean)"
    )
    run = read_material(wide_file.parent)
    assert len(options) == run.evaluation["roc_auc"].notna().sum() > 50
    without = run.evaluation["roc_auc"].isna().sum()
    assert f"{without} of 60 assays have no curve" in page.locator("#curves").inner_text()
    page.select_option("#pick", options[-1])
    assert page.locator("figure.curve path.chosen").count() == 3
    page.select_option("#pick", "")
    assert page.locator("figure.curve path.chosen").count() == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("many", [False, True])
def test_nothing_is_wider_than_the_window(
    page_file: Path, wide_file: Path, open_page: Opener, width: int, many: bool
) -> None:
    page = open_page(wide_file if many else page_file, width=width)
    assert too_wide(page) == []
    key = page.locator("#assays figure svg").filter(visible=True)
    assert key.count() == 1
    assert (
        key.bounding_box()["width"] <= width
    )  # the whole key picture is seen, nothing of it behind a scroll
    assert key.evaluate(
        "picture => picture.parentElement.scrollWidth <= picture.parentElement.clientWidth + 1"
    )
    table = page.locator("#assay-table")
    hint = page.locator("#assays .hint")
    overflows = table.evaluate("table => table.scrollWidth > table.parentElement.clientWidth + 2")
    assert hint.is_visible() == overflows
    page.locator("#assay-table tbody th a").first.click()
    assert page.evaluate(
        "document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth"
    )
    assert too_wide(page) == []


def test_in_the_dark_nothing_is_white(page_file: Path, open_page: Opener) -> None:
    page = open_page(page_file, dark=True)
    page.locator("#assay-table tbody th a").get_by_text("assay 6", exact=True).click()
    white = page.evaluate(
        """() => [...document.querySelectorAll("body, section, dialog, .hits li, .hits .molecule, table, th")]
        .filter((each) => getComputedStyle(each).backgroundColor === "rgb(255, 255, 255)").length"""
    )
    assert white == 0
    bond = page.locator("dialog svg.sketch path").first
    assert bond.evaluate("each => getComputedStyle(each).stroke") != "rgb(31, 41, 51)"


def test_one_assay_is_printed_alone(page_file: Path, open_page: Opener) -> None:
    page = open_page(page_file)
    page.locator("#assay-table tbody th a").get_by_text("assay 6", exact=True).click()
    page.emulate_media(media="print")
    assert opened(page, "assay 6") == "assay 6"
    assert not page.locator("#summary").is_visible()
    assert page.locator("#assay-name").is_visible()


@pytest.mark.slow
def test_a_page_of_617_assays_is_small_and_quick(tmp_path: Path, open_page: Opener) -> None:
    run = small.run_folder(tmp_path / "run", n=3440, n_tasks=617)
    report = write_report(run)
    assert report.size < 6e6
    page = open_page(report.page)
    page.locator("#assay-table tbody th a").nth(300).click()
    assert page.locator("dialog svg.chart").count() >= 5
    assert page.evaluate("performance.timing.domComplete - performance.timing.responseEnd") < 20_000


@pytest.fixture(scope="module")
def mixed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Assays of both kinds."""
    return write_report(mixed_runs.run_folder(tmp_path_factory.mktemp("mixed") / "run")).page


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_pages_of_both_kinds_of_assay_open_and_fit(
    mixed_file: Path, open_page: Opener, width: int, dark: bool
) -> None:
    page = open_page(mixed_file, width=width, dark=dark)
    assert too_wide(page) == []
    assert "8 of 8 assays shown" in page.locator("#shown").inner_text()
    page.locator("#values h3 a", has_text="pKi").click()
    assert opened(page, "pKi") == "pKi"
    shown = page.locator("#assay-body").inner_text()
    assert "nM" in shown
    assert "Good values are high on the scale -log10 M, low in nM." in shown
    assert "ROC" not in shown
    assert page.locator("#assay-body .chart .bound").count() > 0
    assert too_wide(page) == []
    page.locator("#assay-next").click()  # on, through the table of values and then that of classes
    assert page.locator("#assay-place").inner_text().endswith("of 8 in the table")
    page.goto(f"{mixed_file.as_uri()}#assay=toxic")
    assert opened(page, "toxic") == "toxic"
    assert "ROC-AUC" in page.locator("#assay-body").inner_text()


def test_filters_reach_both_tables(mixed_file: Path, open_page: Opener) -> None:
    page = open_page(mixed_file)
    page.locator("#filter-text").fill("pKi")
    assert page.locator("#value-table tbody tr:visible").count() == 1
    assert page.locator("#assay-table tbody tr:visible").count() == 1
    assert "2 of 8 assays shown" in page.locator("#shown").inner_text()
