"""Networks that others begin with: distilled from a library, or trained on other tables.

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> from screening.pretraining import pretrain
>>> folder = Path(tempfile.mkdtemp())
>>> chains = ["C" * n for n in range(1, 9)]
>>> ethers = [f"{chain}O{'C' * n}\\n" for chain in chains for n in range(9)]
>>> _ = (folder / "library.smi").write_text("".join(ethers))
>>> small = {"encoder": {"name": "gine", "width": 8, "depth": 2}}
>>> targets = {"targets": ["rdkit_fast"], "epochs": 2, "batch_size": 16}
>>> config = {"name": "example", "runs": str(folder), "data": {"source": "alerts"}, "model": small}
>>> config |= {"pretrain": targets, "train": {"workers": 0}}
>>> pretrained = pretrain(config, [folder / "library.smi"])
>>> pretrained.folder.name, pretrained.molecules
('example-pretrained', 72)
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .run import Pretrained as Pretrained
    from .run import pretrain as pretrain

__getattr__, __dir__, __all__ = lazy(__name__, {"Pretrained": "run", "pretrain": "run"})
