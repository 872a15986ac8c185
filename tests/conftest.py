"""What several test files need: where the real data is, and runs that the real code trained."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from browser import Browser, started

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch starts its threads
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core: threads would wait for each other

import small

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")  # whose examples take as long as it likes


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes never name a test: gzip writes the time into them, and processes would collect other suites."""
    return argname if isinstance(val, bytes) else None


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


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `screening train` leaves it: all that a bundle of a user has. Read only."""
    return _trained(tmp_path_factory)


@pytest.fixture(scope="session")
def grouped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a network per group of assays, calibrated by curves where the labels suffice. Read only."""
    curves = {"name": "isotonic", "least": 4}
    return _trained(tmp_path_factory, groups=True, calibration=curves)


@pytest.fixture(scope="session", params=["real_run", "grouped_run"])
def any_run(request: pytest.FixtureRequest) -> Path:
    """Each of the trained runs, for checks that must hold for all."""
    return request.getfixturevalue(request.param)


def _trained(tmp_path_factory: pytest.TempPathFactory, **more: object) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        return small.trained_run(folder, **more).folder
