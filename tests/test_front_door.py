"""`import screening as sc`: what is on the door, that it costs nothing, and that editors see the same."""

import ast
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

import screening as sc

HOUSE = Path(sc.__file__).parent
FACES = [path for path in sorted(HOUSE.rglob("__init__.py")) if "faces import lazy" in path.read_text()]
each_face = pytest.mark.parametrize("path", FACES, ids=lambda path: str(path.parent.relative_to(HOUSE)))


def module_of(path: Path) -> str:
    return ".".join(["screening", *path.parent.relative_to(HOUSE).parts])


def seen_by_editors(path: Path) -> dict[str, str]:
    """Name to home of the imports below `if TYPE_CHECKING`; the home of a module is ""."""
    blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.asname or name.name: node.module or "" for node in imports for name in node.names}


@each_face
def test_every_name_of_a_face_is_there_and_listed(path: Path) -> None:
    face = import_module(module_of(path))
    assert dir(face) == sorted(face.__all__)
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing


@each_face
def test_editors_see_the_names_that_are_there(path: Path) -> None:
    face = import_module(module_of(path))
    seen = seen_by_editors(path)
    assert sorted(seen) == sorted(face.__all__)
    for name, home in seen.items():
        module = import_module(f"{module_of(path)}.{home or name}")
        assert getattr(face, name) is (getattr(module, name) if home else module)


@each_face
def test_a_face_says_what_it_is_for(path: Path) -> None:
    assert (import_module(module_of(path)).__doc__ or "").splitlines()[0].endswith(".")


def seconds(*words: str) -> float:
    """The best of three, of a Python process."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_the_door_opens_at_once() -> None:
    """As ratios, which hold on a busy machine: less than what numpy or typer and rich cost alone."""
    nothing = seconds("-c", "pass")
    assert seconds("-c", "import screening") - nothing < seconds("-c", "import numpy") - nothing + 0.05
    plain = seconds("-c", "import typer, rich.console, pathlib; import typer.main")
    assert seconds("-m", "screening", "--help") < 3 * plain


def test_importing_the_faces_imports_nothing_heavy() -> None:
    code = "import sys, screening\n" + "".join(f"import {module_of(path)}\n" for path in FACES)
    code += "print(*{'numpy', 'pandas', 'torch', 'rdkit', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
