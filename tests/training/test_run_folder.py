"""Files of a run folder: what people write into names comes back."""

import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from screening.runtime.folders import claimed
from screening.training.run_folder import not_finished, read_table, write_frame

NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_table_of_a_run_reads_back_whatever_the_assays_are_called(names: list[str]) -> None:
    """Line breaks of every kind, quotation marks, separators, words such as NA."""
    frame = pd.DataFrame({"epoch": range(len(names)), "assay": names, "loss": 0.5, "weight": float("nan")})
    frame["valid_concordance"] = 0.75
    with tempfile.TemporaryDirectory() as folder:
        write_frame(Path(folder) / "history.csv", frame)
        pd.testing.assert_frame_equal(read_table(folder, "history.csv"), frame)


def test_a_stopped_run_is_not_called_running_by_whoever_claimed_it(tmp_path: Path) -> None:
    with claimed(tmp_path):
        assert "has no manifest.json" in not_finished(tmp_path, "manifest.json")
