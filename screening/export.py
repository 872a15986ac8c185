"""The network of a bundle for other programs: ONNX or torch.export, with a page that says what goes in.

What the arrays mean is that of `GraphBatch`; `screening.featurize` makes them. Called by `screening export`.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .bundle import Bundle
from .errors import BundleError, ConfigError, ScreeningError
from .graphs import GraphBatch, featurize
from .model import ScreeningModel

TOLERANCE = 1e-5
"""Largest difference of a probability between the exported and our own network."""

ARRAYS = ("atoms", "bonds", "source", "target", "molecule", "vectors")
"""Inputs in their order: the tensors of a `GraphBatch`."""

SAMPLES = (
    ("CC(=O)Oc1ccccc1C(=O)O", "c1ccncc1C#N", "OCC1OC(O)C(O)C(O)C1O", "CCN(CC)CC", "O=S(=O)(N)c1ccc(N)cc1"),
    ("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"),
    ("CCO",),
    ("C", "[Na+].[Cl-]", "C1CC1"),
)
"""Batches of molecules for tracing (the first) and checking (all): several, one, without bonds."""


@dataclass(frozen=True)
class Exported:
    """A network as written."""

    path: Path
    description: Path
    """JSON beside it: inputs, codes, columns of the vectors, assays."""
    difference: float
    """Largest difference of a probability from ours on the test molecules."""


def export(run: Path | str, path: Path | str) -> Exported:
    """Write the network of a run as ONNX (`.onnx`) or as a program of torch.export (`.pt2`).

    It maps the arrays of `ARRAYS` to probabilities [B, T] as `Bundle.predict` gives them: the mean over
    the networks of an ensemble, before calibration. Any number of molecules, atoms and bonds.

    Raises
    ------
    BundleError : no usable bundle, or one of baselines, which are no networks.
    ConfigError : another suffix, or a package of the extra `export` is missing.
    ScreeningError : the exported network does not give the same probabilities.
    """
    path = Path(path)
    if path.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"'{path}' ends neither in .onnx (ONNX) nor in .pt2 (torch.export).")
    bundle = Bundle.load(Path(run))
    batches = [featurize(list(texts), bundle.features, workers=0) for texts in SAMPLES]
    arrays = [_arrays(store.batch(range(len(store)))) for store in batches]
    with _quiet():
        program = torch.export.export(
            _Network(bundle).eval(),
            arrays[0],
            dynamic_shapes={name: {0: torch.export.Dim.AUTO} for name in ARRAYS},
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        run_it = _write_onnx(program, path) if path.suffix == ".onnx" else _write_program(program, path)
        ours = [bundle.predict(store, torch.arange(len(store))).probabilities for store in batches]
        theirs = [run_it(values) for values in arrays]
    difference = max(float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))
    if not difference <= TOLERANCE:
        path.unlink()
        raise ScreeningError(
            f"The exported network differs from ours by {difference:.1e}: {path} is removed."
        )
    description = path.with_suffix(".json")
    description.write_text(json.dumps(_describe(bundle), indent=1) + "\n", encoding="utf-8")
    return Exported(path, description, difference)


class _Network(nn.Module):
    """Arrays in, probabilities out."""

    mean: Tensor

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        models = [member.model for member in bundle.members]
        for model in models:
            if not isinstance(model, ScreeningModel):
                raise BundleError(f"The bundle holds a {model.kind}: only networks can be exported.")
        self.models = nn.ModuleList(model for model in models if isinstance(model, ScreeningModel))
        served = torch.zeros(len(bundle.tasks), sum(len(member.columns) for member in bundle.members))
        for output, column in enumerate(c for member in bundle.members for c in member.columns):
            served[column, output] = 1
        self.register_buffer("mean", served / served.sum(1, keepdim=True))

    def forward(
        self, atoms: Tensor, bonds: Tensor, source: Tensor, target: Tensor, molecule: Tensor, vectors: Tensor
    ) -> Tensor:
        batch = GraphBatch(vectors.shape[0], atoms, bonds, source, target, molecule, vectors)
        return torch.cat([model(batch).sigmoid() for model in self.models], dim=1) @ self.mean.T


def _arrays(batch: GraphBatch) -> tuple[Tensor, ...]:
    return tuple(getattr(batch, name) for name in ARRAYS)


def _write_onnx(program: Any, path: Path) -> Callable[[tuple[Tensor, ...]], np.ndarray]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as problem:
        raise ConfigError(f"{problem.name} is not installed: pip install 'screening[export]'.") from problem
    written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=["probability"])
    assert written is not None
    written.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = {one.name for one in session.get_inputs()}

    def run(values: tuple[Tensor, ...]) -> np.ndarray:
        feed = {name: value.numpy() for name, value in zip(ARRAYS, values, strict=True) if name in names}
        return session.run(None, feed)[0]

    return run


def _write_program(program: Any, path: Path) -> Callable[[tuple[Tensor, ...]], np.ndarray]:
    torch.export.save(program, path)
    module = torch.export.load(path).module()
    return lambda values: module(*values).detach().numpy()


def _describe(bundle: Bundle) -> dict[str, Any]:
    inputs = bundle.inputs
    return {
        "inputs": {
            "atoms": f"int64 [atoms, {len(inputs.atom_sizes)}], codes of every atom",
            "bonds": f"int64 [bonds, {len(inputs.bond_sizes)}], codes; 2k and 2k + 1 are one bond, both ways",
            "source": "int64 [bonds], atom where the bond starts",
            "target": "int64 [bonds], atom where it ends",
            "molecule": "int64 [atoms], ascending: molecule of every atom",
            "vectors": "float32 [molecules, columns], NaN where a value is not defined",
        },
        "output": {"probability": "float32 [molecules, assays], not calibrated"},
        "assays": list(bundle.tasks),
        "atom_codes": list(inputs.atom_sizes),
        "bond_codes": list(inputs.bond_sizes),
        "features": asdict(bundle.features) | {"key": bundle.features.key()},
        "vectors": [block._asdict() for block in inputs.vectors],
        "made_with": "screening.graphs.featurize(smiles, FeatureSet(...)).batch(rows)",
        "about": bundle.about,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters speak of their own affairs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)
