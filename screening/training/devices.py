"""Where a network is trained and used."""

import os

import torch

from ..errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device that a config names; ConfigError if it is not here."""
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise ConfigError(f"train.device is '{name}': expected auto, cpu or cuda.") from problem
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is 'cuda', but there is no CUDA device here. Use auto or cpu.")
    return device
