"""How a command ends: exit codes, what is said in place of a trace, interruptions, outputs that are closed.

Exit codes: 0 done, 1 a fault of the program or a reader that went away, 2 a mistake in what was given or a
machine that is in the way, 130 stopped with Ctrl-C, 143 stopped with SIGTERM.
"""

import errno
import os
import re
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from ..errors import ScreeningError
from .console import OutputError, output, say

FAULT, MISTAKE = 1, 2

DISK = {
    errno.ENOSPC: "there is no space left on the disk. Free some, or write to another disk.",
    errno.EDQUOT: "your quota of the disk is used up. Free some space, or write to another disk.",
    errno.EFBIG: "the file is larger than this disk or your limits (ulimit -f) allow. Write to another disk.",
    errno.EROFS: "the disk can only be read. Write to another folder.",
    errno.EACCES: "permission denied. Change the rights of the file or its folder, or name another one.",
    errno.EPERM: "the system does not permit it. Change its rights or those of its folder, or name another.",
    errno.ENOENT: "it is not there: was it moved or removed while the command ran? Start the command again.",
    errno.ENOTDIR: "a file stands where a folder was expected. Name another folder.",
    errno.EISDIR: "a folder stands where a file was expected. Name a file.",
    errno.EEXIST: "something of that name is there already. Name another one.",
    errno.ENOTEMPTY: "the folder is not empty. Was it written into meanwhile? Start the command again.",
    errno.ENAMETOOLONG: "the name is too long for this disk. Choose a shorter one.",
    errno.ELOOP: "its links lead in a circle. Correct the links.",
    errno.EIO: "the disk or its network failed. Look after it, then start the command again.",
    errno.ESTALE: "the network disk lost it. Start the command again.",
    errno.EMFILE: "too many files are open. Raise the limit (ulimit -n), or use fewer workers.",
    errno.ENFILE: "too many files are open on this machine. Try again later.",
    errno.EBUSY: "another program holds it. End that one, then start the command again.",
    errno.ETXTBSY: "another program runs it. End that one, then start the command again.",
    errno.EBADF: "it is closed.",
}
"""What is wrong and what to do, for the errors of a disk and its rights."""

MEMORY = (
    "Memory ran out. Use a smaller model (model.encoder.width, model.encoder.depth), smaller batches "
    "(train.batch_size) or fewer workers, or a machine with more memory."
)


class Stop(KeyboardInterrupt):
    """An interruption of work that can go on."""

    def __init__(self, kept: str, add: str) -> None:
        super().__init__(kept)
        self.kept, self.add = kept, add


class Terminated(KeyboardInterrupt):
    """SIGTERM came; what runs is left in the same order as with Ctrl-C."""


@contextmanager
def goes_on(kept: Callable[[], str], add: str = "") -> Iterator[None]:
    """Work that goes on when the same command is started again.

    Parameters
    ----------
    kept : a sentence on what a stopped command leaves behind, asked for when it is stopped.
    add : an option that the next start needs, such as --resume.
    """
    try:
        yield
    except Stop:
        raise
    except KeyboardInterrupt as stop:
        raise Stop(kept(), add) from stop


def ended(command: Callable[[], int | None]) -> int:
    """Run a command to its end, say what went wrong, and give the exit code."""
    with _stoppable() as code_of_stop:
        try:
            code = command() or 0
            with output():
                return code
        except KeyboardInterrupt as stop:
            if os.environ.get("RANK", "0") == "0":  # of several processes the first one speaks
                say(_farewell(stop))
            return code_of_stop()
        except BaseException as problem:
            return _failed(problem)


def prepare_streams() -> None:
    """Make the three standard streams usable, whatever they were given.

    A closed one gets a file that refuses, lest the next file to be opened takes its number (`sys.stdin` stays
    None: readers say that it is closed); letters that an encoding does not have are spelt out; warnings,
    which may quote names, pass through the console.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning


def _help_of(problem: BaseException) -> str:
    context = getattr(problem, "ctx", None)
    return "" if context is None else f" All options: {context.command_path} --help"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    is_ours = Path(__file__).parent.parent in Path(filename).parents
    where = "Warning" if is_ours else f"{Path(filename).name}, line {lineno}: {category.__name__}"
    say(f"{where}: {message}")


def _failed(problem: BaseException) -> int:
    if isinstance(problem, SystemExit):
        return problem.code if isinstance(problem.code, int) else 0
    if isinstance(problem, OSError) and _is_of_output(problem):
        return _output_failed(problem)
    if isinstance(problem, ScreeningError):
        text: str | None = str(problem)
    elif hasattr(problem, "format_message"):
        text = re.sub(r"(?<![.?])$", ".", problem.format_message()) + _help_of(problem)
    else:
        text = _about_machine(problem)
    if text is not None:
        say(f"Error: {text}")
        return MISTAKE
    say("".join(traceback.format_exception(problem)).rstrip())
    say(_whose_fault(problem))
    return FAULT


def _whose_fault(problem: BaseException) -> str:
    """What to do about an error that nobody foresaw: it may lie in a plug-in."""
    from ..plugins import at_fault

    plugin = at_fault(problem)
    if plugin is None:
        return "This is a fault of the program: please report it, with the lines above and the command."
    return (
        f"This came up in the plug-in {plugin.module} ({plugin.file}). Check what it registers: "
        f"screening check {plugin.path or plugin.module}"
    )


def _about_machine(problem: BaseException) -> str | None:
    """A sentence where disk, rights or memory are in the way; None for a fault of the program."""
    if isinstance(problem, MemoryError) or re.search("can't allocate memory|out of memory", str(problem)):
        return MEMORY
    number, names = _number_of(problem), []
    if isinstance(problem, OSError):
        names = [os.fsdecode(name) for name in (problem.filename, problem.filename2) if name]
        if number in (errno.ENOENT, errno.EBADF) and not names:
            return None
    if number not in DISK:
        return None
    place = " and ".join(names) if names else "A file cannot be written or read"
    return f"{place}: {DISK[number]} What was finished before stays."


def _number_of(problem: BaseException) -> int | None:
    """Of the system's error; other libraries only quote it in their message."""
    if isinstance(problem, OSError) and problem.errno:
        return problem.errno
    text = str(problem)
    quoted = re.search(r"(?:os error |\[errno )(\d+)", text, re.I)
    if quoted:
        return int(quoted[1])
    if "PytorchStreamWriter failed writing" in text:
        return errno.ENOSPC
    return next((number for number in DISK if os.strerror(number) in text and number != errno.ENOENT), None)


def _is_of_output(problem: OSError) -> bool:
    """Whether standard output failed, under us or where typer prints its help."""
    frames = traceback.extract_tb(problem.__traceback__)
    return isinstance(problem, OutputError) or (bool(frames) and frames[-1].name == "echo")


def _output_failed(problem: OSError) -> int:
    """Turn standard output off, so that nothing fails again at the end; a reader such as `head` may leave."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if problem.errno == errno.EPIPE:
        return FAULT
    why = DISK.get(problem.errno or 0, f"{problem.strerror}.")
    say(f"Error: standard output cannot be written: {why} What the command writes to files is there.")
    return MISTAKE


@contextmanager
def _stoppable() -> Iterator[Callable[[], int]]:
    """SIGTERM ends a command as Ctrl-C does; gives the exit code of the signal that came."""
    came = [signal.SIGINT]

    def stop(number: int, frame: FrameType | None) -> None:
        came[0] = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield lambda: 128 + came[0]
        return
    try:
        yield lambda: 128 + came[0]
    finally:
        signal.signal(signal.SIGTERM, before)


def _farewell(stop: KeyboardInterrupt) -> str:
    """What was kept, and the command that goes on."""
    if not isinstance(stop, Stop):
        return f"Stopped before the end. Start again with: {_command()}"
    return f"Stopped. {stop.kept} Go on with: {_command(stop.add)}"


def _command(add: str = "") -> str:
    """The command as it was typed; one that goes on does not replace what is there."""
    program, *words = sys.argv
    named = ["python", "-m", "screening"] if Path(program).name == "__main__.py" else ["screening"]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        named = ["torchrun", "...", "-m", "screening"]
    kept = [word for word in words if word != "--overwrite"]
    return shlex.join([*named, *kept, *([add] if add and add not in kept else [])])
