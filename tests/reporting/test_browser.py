"""The browser that tests use sees what it must: requests, errors, what is too wide, sheets of paper."""

from pathlib import Path

import pytest
from browser import PHONE, Browser, pages_printed, too_wide


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('<img src="http://127.0.0.1:9/a.png">', "127.0.0.1:9"),
        ("<script>fetch('https://localhost:9/x').catch(() => 0)</script>", "localhost:9"),
        ("<script>console.error('told')</script>", "told"),
        ("<script>nothing.here</script>", "nothing is not defined"),
    ],
)
def test_a_page_that_asks_a_network_or_has_an_error_fails(
    browser: Browser, tmp_path: Path, body: str, seen: str
) -> None:
    (tmp_path / "bad.html").write_text(body)
    with pytest.raises(AssertionError, match=seen), browser.page(tmp_path / "bad.html") as page:
        page.wait_for_timeout(200)


def test_what_is_too_wide_is_told_and_what_scrolls_is_not(browser: Browser, tmp_path: Path) -> None:
    wide = '<div style="width: 700px">wide</div>'
    viewport = '<meta name="viewport" content="width=device-width">'
    (tmp_path / "bad.html").write_text(viewport + wide)
    (tmp_path / "good.html").write_text(f'{viewport}<div style="overflow-x: auto">{wide}</div>')
    with browser.page(tmp_path / "bad.html", width=PHONE) as page:
        assert "DIV.null: wide" in too_wide(page)
    with browser.page(tmp_path / "good.html", width=PHONE) as page:
        assert too_wide(page) == []


def test_sheets_are_counted(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "long.html").write_text('<p style="break-after: page">one<p style="break-after: page">two<p>')
    with browser.page(tmp_path / "long.html") as page:
        assert pages_printed(page) == 3
