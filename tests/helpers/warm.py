"""The command line without its start: a server that has imported everything forks a child per call.

A case runs some six commands of two to four seconds of imports each; forked, a command starts at once.
`WarmCommands` puts a program called `screening` into a folder for the PATH of a shell; it hands its words,
folder, environment and open files to the server and ends with the exit code of the child.
"""

import array
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

CLIENT = r"""
import array, json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.connect(sys.argv[1])
call = json.dumps({"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
files = []
for number in range(3):
    try:
        os.fstat(number)
        files.append(number)
    except OSError:
        files.append(os.open(os.devnull, os.O_RDWR))
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
server.sendmsg([len(call).to_bytes(8, "big")], [rights])
server.sendall(call)
answers = server.makefile("r")
child = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(child, number))
code = int(answers.readline() or 1)
os._exit(code if code >= 0 else 128 - code)
"""


COMMANDS = [
    "cli.main",
    "training.run",
    "data.datasets",
    "evaluation.external",
    "evaluation.comparison",
    "scoring.job",
    "triage.hits",
    "triage.explanation",
    "bundle.exporting",
    "reporting.report",
]


class WarmCommands:
    """A folder for the front of PATH, with the programs `screening` and `python`, while the server lives."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        place = folder / "socket"
        client = folder / "client.py"
        client.write_text(CLIENT)
        self._write("screening", f'exec "{sys.executable}" -I -S "{client}" "{place}" "$@"')
        self._write("python", f'exec "{sys.executable}" "$@"')
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__, str(place)], env=environment, stdout=subprocess.PIPE
        )
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == b"ready\n"

    def _write(self, name: str, line: str) -> None:
        program = self.folder / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)

    def close(self) -> None:
        """End the server; commands that still run end by themselves."""
        self.server.terminate()
        self.server.wait()


def serve(place: str) -> None:
    """Import what commands import, then answer calls at the socket `place`, each in a child of its own."""
    for name in COMMANDS:
        importlib.import_module(f"screening.{name}")

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that answered leave nothing behind
    os.write(1, b"ready\n")
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(caller)
            os._exit(0)
        caller.close()


def _answer(caller: socket.socket) -> None:
    """Run one call in a child and tell the caller its number and how it ended."""
    length, ancillary, _, _ = caller.recvmsg(8, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    files = array.array("i")
    for _, _, data in ancillary:
        files.frombytes(data)
    text = b""
    while len(text) < int.from_bytes(length, "big"):
        text += caller.recv(1 << 16)
    child = os.fork()
    if child == 0:
        caller.close()
        _run(json.loads(text), list(files))
    with contextlib.suppress(BrokenPipeError):
        caller.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run(call: dict, files: list[int]) -> None:
    from screening.cli import main as cli

    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["screening", *call["words"]]
    code = 1
    try:
        cli.main()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
