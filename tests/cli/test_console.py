"""What is printed: names cannot change the terminal, lines break between words."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from screening.cli import main as cli
from screening.cli.console import cells, notes_to, open_console, p_value, say, tell, wrapped
from screening.cli.grid import Column, print_table
from screening.runtime.printable import printable

EVIL = (
    "\x1b]0;title\x07\x1b[31mred",
    "\x9b2Jc1",
    "\u202egpj.exe",
    "\u2066isolated\u2069",
    "back\x08\x08space\rreturn",
    "zero\u200bwidth\ufeff",
    "\u2028line\u2029",
    "half\udce9",
    "tag\U000e0041",
    "new\nline\ttab",
)
"""Names that would move the cursor, hide, turn round or colour what stands on a terminal."""
CHANGES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0041]"
)


@given(st.text())
def test_printable_text_is_printable_and_stays_itself(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert printable(text, lines=True).replace("\n", "").isprintable()


@given(st.text(st.characters(whitelist_categories=["L", "N", "P", "S"]) | st.just(" ")))
def test_ordinary_text_is_not_touched(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("name", EVIL)
def test_no_way_to_print_lets_a_control_character_through(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(f"Error: no assay '{name}'")
    tell(f"Best for {name}")
    print_table(name, [Column(name), Column("n")], [[name, "1"], ["other", "2"]])
    notes_to(open_console(stderr=True))(f"left out: {name}")
    for text in capsys.readouterr():
        assert not CHANGES.search(text)
        assert "\\" in text


def test_names_with_brackets_and_colons_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["[red]c1ccc2[nH]ccc2c1[/red]", ":smile:", "[link=x]"]
    print_table("[bold]title", [Column("a")], [[name] for name in names])
    notes_to(open_console(stderr=True))(" ".join(names))
    output, errors = capsys.readouterr()
    assert all(name in output and name in errors for name in (*names[1:], names[0]))
    assert "[bold]title" in output


@given(st.lists(st.text("abcdeé分", min_size=1, max_size=30), min_size=1, max_size=40), st.integers(30, 120))
def test_wrapping_breaks_between_words_alone(words: list[str], width: int) -> None:
    text = " ".join(words)
    lines = wrapped(text, width).split("\n")
    assert " ".join(lines).split() == words
    assert all(cells(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_command_in_a_message_stays_in_one_piece() -> None:
    command = "screening train configs/tox21.yaml name=mine data.source=assays.csv --resume"
    lines = wrapped(f"runs/mine holds a run that was stopped. Go on with: {command}", 60).split("\n")
    assert lines[-1].strip() == command


def test_a_small_p_value_is_not_zero() -> None:
    assert [p_value(p) for p in (0.0, 1e-9, 0.00099, 0.001, 0.5)] == [
        *["< 0.001"] * 3,
        "0.001",
        "0.500",
    ]


def test_a_message_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    say("anything")


# --- whole commands ---------------------------------------------------------------------------------------

LONG = "TOX21_PPARg_BLA_Agonist_viability_and_a_very_long_name_for_it_indeed_ch2"
INTERVAL = re.compile(r"\d\.\d{3} to -?\d\.\d{3}")


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    names = (*(name for name in EVIL if "\udce9" not in name), "NR-AhR", LONG)
    return [str(small.run_folder(folder / name, names=names, n_tasks=16)) for name in ("first", "second")]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_results_fit_the_terminal(
    command: str,
    width: int,
    two_runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = {"evaluate": ["evaluate", two_runs[0]], "compare": ["compare", *two_runs]}[command]
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "argv", ["screening", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    output, errors = capsys.readouterr()
    assert end.value.code == 0, errors
    assert not CHANGES.search(output + errors)
    lines = [line for line in output.splitlines() if not line.startswith("verdicts: ")]
    assert all(cells(line) <= width for line in lines)
    letters = iter(re.sub(r"\s", "", output))
    assert all(letter in letters for letter in LONG)
    assert sum(bool(INTERVAL.search(line)) for line in lines) >= 10
    assert "\u2026" not in output


def in_terminal(words: list[str], width: int, folder: Path) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, width))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    environment |= {"PYTHONPATH": str(Path(cli.__file__).parents[2]), "TERM": "xterm"}
    command = [sys.executable, "-m", "screening", *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    ) as child:
        os.close(theirs)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
            pieces.append(piece)
        child.wait()
    os.close(ours)
    return b"".join(pieces).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [60, 100])
def test_messages_break_between_words_on_a_terminal(width: int, tmp_path: Path) -> None:
    """The name with an escape sequence comes from the command line, as a file's name would."""
    name = "\x1b[31mno such config"
    text = in_terminal(["train", name], width, tmp_path)
    assert "\x1b" not in text
    lines = text.strip().split("\n")
    assert len(lines) > 1
    assert all(len(line) <= width for line in lines)
    assert "\\x1b[31mno such config" in " ".join(text.split())
    assert "slaw_toxcast" in text


def test_the_command_line_says_settings_of_the_library_as_options(tmp_path: Path) -> None:
    """And leaves other words between backticks, and names that no command has, as they are."""
    ran = subprocess.run(
        [sys.executable, "-m", "screening", "score", "a", "b", "--out", str(tmp_path), "--top", "-1"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert ran.stderr == "Error: --top is -1, --limit None: expected counts, 0 or more.\n"
