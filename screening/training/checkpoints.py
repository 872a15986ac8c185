"""What a stopped training goes on from, as a file."""

import io
from pathlib import Path
from typing import Any

import torch

from .run_folder import atomic_file


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values for `torch.load(weights_only=True)`; the file is whole or not there."""
    content = io.BytesIO()  # in memory, for errors of the disk to be ours to explain
    torch.save(state, content)
    with atomic_file(path) as work:
        work.write_bytes(content.getbuffer())
