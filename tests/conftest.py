"""What several test files need: where the real data is, and small tables."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch starts its threads


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tables named by SCREENING_DATA; the test is skipped where it is not set."""
    folder = os.environ.get("SCREENING_DATA")
    if not folder:
        pytest.skip("SCREENING_DATA is not set: real tables are not here")
    return Path(folder)
