"""What several test files need: where the real data is, and small tables."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, started

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch starts its threads


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tables named by SCREENING_DATA; the test is skipped where it is not set."""
    folder = os.environ.get("SCREENING_DATA")
    if not folder:
        pytest.skip("SCREENING_DATA is not set: real tables are not here")
    return Path(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; not for the whole session, as its event loop keeps other tests from theirs."""
    with started() as found:
        yield found


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`open_page(path, width=390, dark=True)`: the page, which may have no error and ask no network."""
    name = re.sub(r"\W+", "-", request.node.name)
    with ExitStack() as stack:
        yield lambda path, **options: stack.enter_context(
            browser.page(path, **{"shot": f"{name}-{options.get('width', 1280)}", **options})
        )
