"""The networks of a bundle for other programs: ONNX or torch.export, with a page that says what goes in.

What the arrays mean is that of `GraphBatch`; `screening.featurize` makes them. Called by `screening export`.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.assay_kinds import are_real
from ..data.transforms import transforms
from ..errors import ConfigError, DataError, ScreeningError
from ..features.store import GraphBatch, GraphStore, featurize
from ..runtime.files import atomic_write
from .bundle import Bundle
from .exported_network import Calibrated, ExportedNetwork

TOLERANCE = 1e-5
"""Largest difference of a probability between the exported and our own networks."""
ROUNDING = 1e-6
"""Of an uncalibrated probability: where a calibration is steep, it may move the calibrated one by more."""
VALUE_TOLERANCE = 1e-4
"""Largest difference of a value of a real assay, in standard deviations of its training values."""

ARRAYS = ("atoms", "bonds", "source", "target", "molecule", "vectors")
"""Inputs in their order: the tensors of a `GraphBatch`."""

SAMPLES = (
    ("CC(=O)Oc1ccccc1C(=O)O", "c1ccncc1C#N", "OCC1OC(O)C(O)C(O)C1O", "CCN(CC)CC", "O=S(=O)(N)c1ccc(N)cc1"),
    ("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"),
    ("CCO",),
    ("C", "[Na+].[Cl-]", "C1CC1"),
)
"""Batches of molecules for tracing (the first) and checking (all): several, one, without bonds."""
KNOWN = 200
"""Training molecules that are checked too, at most, where the bundle keeps them."""

Runner = Callable[[tuple[Tensor, ...]], np.ndarray]
"""Arrays in the order of `ARRAYS` to scores, by the exported network."""


@dataclass(frozen=True)
class Exported:
    """A network as written."""

    path: Path
    description: Path
    """JSON beside it: inputs, codes, columns of the vectors, assays, calibration."""
    difference: float
    """Largest difference of a probability from ours on the molecules of the check, or of a value of a real
    assay in standard deviations of its training values."""
    molecules: int
    """How many these were."""
    has_values: bool = False
    """Whether real assays are among the scores."""


def export(run: str | PathLike[str], path: str | PathLike[str], *, calibrate: bool = True) -> Exported:
    """Write the networks of a run as ONNX (`.onnx`) or as a program of torch.export (`.pt2`).

    It maps the arrays of `ARRAYS` to probabilities [B, T], of real assays to values in their unit, as
    `Scorer` gives them. Any number of molecules, atoms and bonds. The file gets its name once it has given
    the same scores as we do.

    Parameters
    ----------
    calibrate : the calibration of the bundle goes with it; False = the mean over the networks as it is.

    Raises
    ------
    BundleError : no usable bundle, or one of baselines, which are no networks.
    ConfigError : another suffix, or a package of the extra `export` is missing.
    DataError : the file cannot be written.
    ScreeningError : torch.export cannot follow an encoder, or the exported network does not give the same
        scores.
    """
    path = Path(path)
    if path.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"'{path}' ends neither in .onnx (ONNX) nor in .pt2 (torch.export).")
    bundle = Bundle.load(Path(run))
    network = ExportedNetwork(bundle, bundle.calibration if calibrate else None).eval()
    description = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as program, atomic_write(description) as page:
            inputs, difference, n_molecules = _write_checked(bundle, network, program, calibrate)
            text = json.dumps(_describe(bundle, inputs, network.calibrated), indent=1)
            page.write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        raise DataError(f"{path} cannot be written: {problem}. Give another file as out.") from problem
    return Exported(path, description, difference, n_molecules, bundle.targets is not None)


def _write_checked(
    bundle: Bundle, network: ExportedNetwork, path: Path, calibrate: bool
) -> tuple[list[str], float, int]:
    """Names of the inputs of the file, its largest difference from us, and on how many molecules."""
    stores = [featurize(list(texts), bundle.features, workers=0) for texts in _molecules(bundle)]
    usable = [torch.from_numpy(np.flatnonzero(store.usable)) for store in stores]
    batches = [(store, rows) for store, rows in zip(stores, usable, strict=True) if len(rows)]
    arrays = [_arrays(store.batch(rows)) for store, rows in batches]
    shapes = {name: {0: torch.export.Dim.AUTO} for name in ARRAYS}
    write = partial(_write_onnx, output=_output_name(bundle)) if path.suffix == ".onnx" else _write_program
    with _quiet():
        program = _traced(network, arrays[0], shapes, bundle.settings.encoder.name)
        inputs, run_it = write(program, path)
        theirs = [_outputs(run_it, values, bundle.settings.encoder.name) for values in arrays]
    differences = [
        _difference(bundle, *batch, outputs, calibrate)
        for batch, outputs in zip(batches, theirs, strict=True)
    ]
    return inputs, max(differences), sum(len(rows) for _, rows in batches)


def _traced(
    network: ExportedNetwork, arrays: tuple[Tensor, ...], shapes: dict[str, Any], encoder: str
) -> torch.export.ExportedProgram:
    """The network as a program for any number of molecules, atoms and bonds."""
    try:
        return torch.export.export(network, arrays, dynamic_shapes=shapes)
    except Exception as problem:  # of code that is not ours: an encoder of torch_geometric, or of a plug-in
        said = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise ScreeningError(
            f"torch.export cannot follow the encoder '{encoder}' of this run: {said} Score with `screening "
            "score`, or train with another encoder (`screening list encoders`)."
        ) from problem


def _outputs(run_it: Runner, values: tuple[Tensor, ...], encoder: str) -> np.ndarray:
    """What the exported network gives for other molecules than those that it was traced with."""
    try:
        return run_it(values)
    except Exception as problem:  # a guard of torch.export, a refusal of onnxruntime
        said = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise ScreeningError(
            f"The exported encoder '{encoder}' takes no other molecules than those that it was traced with: "
            f"{said} An encoder takes sizes from batch.n_molecules and .shape; len() and .item() fix them."
        ) from problem


def _molecules(bundle: Bundle) -> list[Sequence[str]]:
    """What the export is checked on."""
    kept = None if bundle.domain is None else bundle.domain.structures
    return [*SAMPLES, kept.smiles[:: max(len(kept.smiles) // KNOWN, 1)][:KNOWN]] if kept else [*SAMPLES]


def _difference(
    bundle: Bundle, store: GraphStore, rows: Tensor, theirs: np.ndarray, calibrate: bool
) -> float:
    """Largest difference of a probability; ScreeningError where rounding does not explain it.

    A calibration may be steep, as a curve of steps is: theirs has to be within the tolerance of what ours is
    for an uncalibrated probability within `ROUNDING`.
    """
    prediction, is_real = bundle.predict(store, rows), are_real(bundle.assays)
    if theirs.shape != prediction.scores.shape:
        raise ScreeningError(f"The exported network gives an array of shape {theirs.shape}: {_FAULT}")
    of_values = _value_difference(bundle, prediction.scores, theirs)
    if is_real.all():
        return of_values
    calibration = bundle.calibration if calibrate else None
    ours = prediction.raw if calibration is None else prediction.scores
    low, high = ((prediction.raw.astype(np.float64) + shift).clip(0, 1) for shift in (-ROUNDING, ROUNDING))
    if calibration is not None:
        low, high = calibration.apply(low), calibration.apply(high)
    off = float(np.abs(theirs - ours)[:, ~is_real].max())
    fits = (theirs >= low - TOLERANCE) & (theirs <= high + TOLERANCE) | is_real
    if not fits.all():
        raise ScreeningError(
            f"The exported network differs from ours by {off:.1e} in a probability: {_FAULT}"
        )
    return max(off, of_values)


def _value_difference(bundle: Bundle, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of a value on the scale of training, in standard deviations; 0 without real assays.

    Parameters
    ----------
    ours : [n, T], real assays on the scale of training.
    theirs : [n, T], in the unit of the user.
    """
    if bundle.targets is None:
        return 0.0
    values = ours.copy()
    for task in np.flatnonzero(bundle.targets.is_real).tolist():
        assay = bundle.assays[task]
        values[:, task] = transforms[assay.transform].function(theirs[:, task], assay.unit)
    off = float((np.abs(values - ours) / bundle.targets.deviation).max())
    if not off <= VALUE_TOLERANCE:
        raise ScreeningError(
            f"The exported network differs from ours by {off:.1e} standard deviations in a value: {_FAULT}"
        )
    return off


_FAULT = (
    "nothing was written. This is a fault of the exporter or of an encoder; the other format may do "
    "(.onnx, .pt2)."
)


def _arrays(batch: GraphBatch) -> tuple[Tensor, ...]:
    return tuple(getattr(batch, name) for name in ARRAYS)


def _write_onnx(program: Any, path: Path, output: str) -> tuple[list[str], Runner]:
    """Names of its inputs: what a network does not look at, the file does not take."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as problem:
        raise ConfigError(f"{problem.name} is not installed: pip install 'screening[export]'.") from problem
    written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=[output])
    assert written is not None
    written.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}
    names = [name for name in ARRAYS if name in taken]

    def run(values: tuple[Tensor, ...]) -> np.ndarray:
        feed = {name: value.numpy() for name, value in zip(ARRAYS, values, strict=True) if name in names}
        return session.run(None, feed)[0]

    return names, run


def _write_program(program: Any, path: Path) -> tuple[list[str], Runner]:
    written = BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, written)
    path.write_bytes(written.getbuffer())
    module = torch.export.load(path).module()
    return list(ARRAYS), lambda values: module(*values).detach().numpy()


def _describe(bundle: Bundle, taken: Sequence[str], calibrated: nn.Module) -> dict[str, Any]:
    """The page beside the file; inputs in the order in which the file takes them."""
    inputs, features = bundle.inputs, bundle.features
    n_columns = sum(len(block.columns) for block in inputs.vectors)
    meanings = {
        "atoms": f"int64 [atoms, {len(inputs.atom_sizes)}], codes of every atom",
        "bonds": f"int64 [bonds, {len(inputs.bond_sizes)}], codes; 2k and 2k + 1 are one bond, both ways",
        "source": "int64 [bonds], atom where the bond starts",
        "target": "int64 [bonds], atom where it ends",
        "molecule": "int64 [atoms], ascending: molecule of every atom",
        "vectors": f"float32 [molecules, {n_columns}], NaN where a value is not defined",
    }
    method = calibrated.method if isinstance(calibrated, Calibrated) else "none"
    how = "" if bundle.targets is None else "values in the unit of their assay; probabilities "
    how += "not calibrated" if method == "none" else f"calibrated ({method}), as `screening score` gives it"
    made_with = (
        f"screening.features.store.featurize(smiles, FeatureSet({features.graph!r}, {features.vectors!r}, "
        f"{features.standardize!r})).batch(rows), rows usable"
    )
    return {
        "inputs": {name: meanings[name] for name in taken},
        "output": {_output_name(bundle): f"float32 [molecules, assays], {how}"},
        "assays": list(bundle.tasks),
        **({"kinds": [assay.as_dict() for assay in bundle.kinds]} if bundle.kinds else {}),
        "calibration": method,
        "networks": len(bundle.members),
        "atom_codes": list(inputs.atom_sizes),
        "bond_codes": list(inputs.bond_sizes),
        "features": asdict(features) | {"key": features.key()},
        "vectors": [block._asdict() for block in inputs.vectors],
        "made_with": made_with,
        "about": bundle.about,
    }


def _output_name(bundle: Bundle) -> str:
    return "probability" if bundle.targets is None else "score"


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
