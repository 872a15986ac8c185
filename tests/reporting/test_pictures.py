"""Pictures take colours from the page, are readable aloud, and are not confused by names."""

import errno
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from screening.errors import DataError
from screening.evaluation.verdicts import likeness
from screening.reporting import pictures
from screening.reporting.svg import PAGE, drawing, inline, plain

ODD = ["<script>", "$\\frac{x$", 'id="y" url(#z) #000001', "日本語", "a\x07b", "x" * 200]


def table(n: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    value = random.uniform(0.3, 1, n)
    low, high = value - random.uniform(0, 0.2, n), np.minimum(1, value + 0.1)
    names = [ODD[row] if row < len(ODD) else f"assay {row}" for row in range(n)]
    columns = {"assay": names, "roc_auc": value, "roc_auc_low": low, "roc_auc_high": high}
    return pd.DataFrame({**columns, "actives": 20, "inactives": np.arange(n) + 30})


def elements(picture: Markup) -> ElementTree.Element:
    """The picture as XML; fails unless it is well formed."""
    text = str(picture).replace("xlink:href", "href")
    return ElementTree.fromstring(text)


@pytest.mark.parametrize("n", [1, 8, 60])
def test_assays(n: int) -> None:
    verdicts = np.array(["good", "no better than chance", "too few to judge"])[np.arange(n) % 3]
    picture = pictures.ranked_assays(table(n), verdicts)
    root = elements(picture)
    assert root[0].tag == "title"
    assert f"{n} assays" in (root[1].text or "")
    assert not set(PAGE) & set(re.findall(r"#[0-9a-f]{6}", re.sub(r">[^<]*<", "><", picture)))
    if 1 < n <= pictures.SHOWN:
        texts = [element.text for element in root.iter("text")]
        for name in ODD[:3]:
            assert any(name in (text or "") for text in texts), name


def test_an_odd_name_is_one_line() -> None:
    assert plain("a\x07b\n") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert len(plain("x" * 200)) == 59
    assert plain("short") == "short"


def test_pictures_are_the_same_every_time_and_share_no_ids() -> None:
    history = pd.DataFrame(
        [(epoch, name, 0.5 - epoch / 10, 0.6) for epoch in range(3) for name in "ab"],
        columns=["epoch", "assay", "loss", "valid_concordance"],
    )
    first, again = pictures.training_pictures(history), pictures.training_pictures(history)
    assert first == again
    ids = [set(re.findall(r'\bid="([^"]+)"', picture)) for picture in first]
    assert not ids[0] & ids[1]


def test_missing_values_are_grey_and_signs_have_colours() -> None:
    values = pd.DataFrame([[1.0, 0.0], [-1.0, np.nan]], index=["a", "b"])
    shades = pictures.axes.shades(values.to_numpy())
    assert shades[0, 0, 3] == shades[1, 0, 3] == 255
    assert shades[0, 1, 3] == 0
    assert tuple(shades[1, 1]) == (128, 128, 128, 46)
    assert tuple(shades[0, 0, :3]) != tuple(shades[1, 0, :3])


def test_weights_are_drawn_unless_all_are_equal() -> None:
    history = pd.DataFrame(
        [
            (epoch, name, weight, 0.6)
            for epoch in range(3)
            for name, weight in (("light", 0.5), ("heavy", 2.0))
        ],
        columns=["epoch", "assay", "weight", "valid_concordance"],
    )
    picture = pictures.weight_map(history)
    assert picture is not None
    assert picture.index(">heavy<") < picture.index(">light<")
    assert "data:image/png" in picture
    assert pictures.weight_map(history.assign(weight=3.0)) is None
    assert "Best on top" in pictures.validation_map(history).note


def test_differences_are_counted() -> None:
    columns = {"assay": ["a", "b", "c"], "difference": [0.1, -0.2, np.nan], "result": ["win", "loss", ""]}
    rows = pd.DataFrame({**columns, "low": [0.05, -0.3, np.nan], "high": [0.2, -0.1, np.nan]})
    picture = pictures.differences(rows)
    assert "2 of 2 drawn: 1 won, 1 lost" in picture.note
    assert picture.index(">b<") < picture.index(">a<")


@pytest.mark.parametrize("n", [2, 60])
def test_likeness_map(n: int) -> None:
    alike = likeness(np.full((40, n), np.nan), np.random.default_rng(0).random((40, n)))
    picture = pictures.likeness_map(alike, [f"assay {number}" for number in range(n)])
    assert len(list(elements(picture).iter("text"))) == (2 * n if n <= pictures.SHOWN else 0)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_of_assays_is_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"assays{suffix}"
    pictures.plot_assays(table(50), path, title="$x <run>")
    assert path.stat().st_size > 3000
    before = path.read_bytes()
    pictures.plot_assays(table(50), path, title="$x <run>")
    assert path.read_bytes() == before


def test_in_a_notebook_a_picture_has_colours_of_its_own() -> None:
    picture = pictures.ranked_assays(table(3), np.array(["good"] * 3))
    root = ElementTree.fromstring(picture._repr_svg_())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    used = set(re.findall(r"var\(--(\w+)\)", picture))
    assert used <= set(re.findall(r"--(\w+):", picture._repr_svg_()))
    assert repr(picture) == "Picture: ROC-AUC of each assay"


def test_a_picture_is_saved_as_notebooks_show_it(tmp_path: Path) -> None:
    picture = pictures.ranked_assays(table(3), np.array(["good"] * 3))
    picture.save(tmp_path / "assays.svg")
    assert (tmp_path / "assays.svg").read_text(encoding="utf-8") == picture.svg == picture._repr_svg_()
    with pytest.raises(ValueError, match=r"assays\.png.*ends in \.svg"):
        picture.save(tmp_path / "assays.png")


def test_texts_of_a_picture_are_escaped() -> None:
    with drawing((2, 2)) as figure:
        figure.text(0.5, 0.5, "<script>&")
        root = elements(inline(figure, "x", "<title>", "<what>"))
    assert [element.text for element in root.iter("text")] == ["<script>&"]
    assert (root[0].text, root[1].text) == ("<title>", "<what>")


def test_a_picture_stays_whole_where_there_is_no_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "assays.svg"
    pictures.plot_assays(table(3), path, title="before")
    before, write = path.read_bytes(), Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write(self, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        pictures.plot_assays(table(4), path, title="after")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
