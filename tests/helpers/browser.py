"""A real browser for the pages we write: headless Chromium, driven by playwright; a test file may use it.

The fixtures `browser` and `open_page` are in `conftest.py`. With SCREENING_SCREENSHOTS=FOLDER every page that
a test opened is photographed at the end of the test.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

PHONE, DESKTOP = 390, 1280
"""Widths in CSS pixels."""
OFFLINE = {"file", "data", "blob", "about"}
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TOO_WIDE = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let each = element; each && each !== document.body; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== "visible") return true;
    return false;
  };
  const out = [...document.body.querySelectorAll("*")]
    .filter((each) => each.getBoundingClientRect().right > wide + 1 && !scrolls(each))
    .map((each) => each.tagName + "." + each.getAttribute("class") + ": " + each.textContent.slice(0, 40));
  return document.documentElement.scrollWidth > wide + 1 || out.length ? ["page", ...out.slice(0, 9)] : [];
}"""


class Browser:
    """Chromium with a fresh profile per page."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium

    @contextmanager
    def page(self, path: Path, *, width: int = DESKTOP, dark: bool = False, shot: str = "") -> Iterator[Any]:
        """A file in a window of this width; afterwards fails on any error or request of the page.

        Parameters
        ----------
        shot : name of the picture that is taken at the end where SCREENING_SCREENSHOTS names a folder.
        """
        context = self._chromium.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if dark else "light",
            has_touch=width == PHONE,
            reduced_motion="reduce",
        )
        requests: list[str] = []
        errors: list[str] = []
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.set_default_timeout(10_000)
        try:
            page.goto(Path(path).resolve().as_uri())
            yield page
            if folder := os.environ.get("SCREENING_SCREENSHOTS"):
                page.screenshot(path=Path(folder) / f"{shot or Path(path).stem}.png", full_page=True)
        finally:
            context.close()
        outside = [url for url in requests if urlsplit(url).scheme not in OFFLINE]
        assert not outside, f"{Path(path).name} asks a network: {outside}"
        assert not errors, f"{Path(path).name}: {errors}"


def too_wide(page: Any) -> list[str]:
    """What reaches beyond the right edge of the window, outside of places that scroll by themselves."""
    return page.evaluate(TOO_WIDE)


def pages_printed(page: Any) -> int:
    """Sheets of A4 that the page takes on paper."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


@contextmanager
def started() -> Iterator[Browser]:
    """A browser; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are not tested: no playwright here")
    path = next((each for each in map(shutil.which, NAMES) if each), None)
    if path is None:
        pytest.skip("pages are not tested: no Chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, headless=True, args=list(QUIET))
        yield Browser(chromium)
        chromium.close()
