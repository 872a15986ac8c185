"""The networks of a bundle as one module, from arrays to probabilities and values: what is exported."""

import numpy as np
import torch
from torch import Tensor, nn

from ..data.assay_kinds import are_real
from ..errors import BundleError
from ..features.store import GraphBatch
from ..models.blends import CERTAIN, Blend
from ..models.encoders import Inputs
from ..models.network import ScreeningModel
from ..uncertainty.calibration import Calibration
from .bundle import Bundle
from .exported_values import Answers, InUnits


class ExportedNetwork(nn.Module):
    """Arrays in, probabilities and values out."""

    mean: Tensor
    is_real: Tensor | None

    def __init__(self, bundle: Bundle, calibration: Calibration | None) -> None:
        super().__init__()
        for kind in sorted({member.model.kind for member in bundle.members} - {ScreeningModel.kind}):
            raise BundleError(
                f"The bundle holds a baseline ({kind}): only networks can be exported. Export a run trained "
                "without model.baseline, and without baselines in model.blend; both score with `screening "
                "score`."
            )
        self.models = nn.ModuleList(_Seeing(network, bundle.inputs) for network in bundle.networks.values())
        outputs = [
            (column, bundle.part_of(member), member.weight)
            for member in bundle.members
            for column in member.columns
        ]
        columns, parts, weights = (np.array(each) for each in zip(*outputs, strict=True))
        if bundle.blend is not None:
            weights = weights * bundle.blend.shares[parts, columns]
        served = torch.zeros(len(bundle.tasks), len(columns), dtype=torch.float64)
        served[columns, np.arange(len(columns))] = torch.from_numpy(weights).double()
        self.register_buffer("mean", served / served.sum(1, keepdim=True))
        targets, self.is_weighed = bundle.targets, bundle.blend is not None
        self.votes = nn.Identity() if bundle.blend is None else _Votes(bundle.blend, parts, columns)
        is_mixed = targets is not None
        answered = range(len(bundle.tasks)) if self.is_weighed else columns.tolist()
        self.answers = Answers(targets, answered) if targets else nn.Sigmoid()
        self.in_units = InUnits(bundle.assays) if is_mixed else nn.Identity()
        is_real = torch.from_numpy(are_real(bundle.assays)) if is_mixed else None
        self.register_buffer("is_real", is_real)
        is_none = calibration is None or calibration.method == "none"
        self.calibrated = nn.Identity() if calibration is None or is_none else Calibrated(calibration)

    def forward(
        self, atoms: Tensor, bonds: Tensor, source: Tensor, target: Tensor, molecule: Tensor, vectors: Tensor
    ) -> Tensor:
        batch = GraphBatch(vectors.shape[0], atoms, bonds, source, target, molecule, vectors)
        outputs = torch.cat([model(batch) for model in self.models], dim=1).double()
        if self.is_weighed:
            raw = self.answers(self.votes(outputs) @ self.mean.T)
        else:
            raw = self.answers(outputs) @ self.mean.T
        raw = raw.float().double()  # rounded as `Bundle.predict` does
        scores = self.calibrated(raw)
        if self.is_real is not None:
            scores = torch.where(self.is_real, raw, scores)
        return self.in_units(scores).float()


class _Votes(nn.Module):
    """`Blend.votes` as a network: outputs [B, K] float64 of all members, of these models and assays [K]."""

    is_real: Tensor
    center: Tensor
    slope: Tensor
    intercept: Tensor

    def __init__(self, blend: Blend, parts: np.ndarray, columns: np.ndarray) -> None:
        super().__init__()
        numbers = {
            "is_real": blend.is_real[columns],
            "center": blend.center[parts, columns],
            "slope": blend.slopes(parts)[np.arange(len(parts)), columns],
            "intercept": blend.intercept[columns],
        }
        for name, values in numbers.items():
            self.register_buffer(name, torch.from_numpy(np.array(values)))

    def forward(self, outputs: Tensor) -> Tensor:
        chances = (1 - 2 * CERTAIN) * outputs.sigmoid() + CERTAIN
        held = torch.where(self.is_real, outputs, chances.log() - (-chances).log1p())
        return self.intercept + self.slope * (held - self.center)


class _Seeing(nn.Module):
    """A network that is given all vectors and sees its own."""

    columns: Tensor | None

    def __init__(self, network: ScreeningModel, inputs: Inputs) -> None:
        super().__init__()
        self.network = network
        self.sees_none = network.vectors == ()
        columns = torch.from_numpy(inputs.columns_of(network.vectors)) if network.vectors else None
        self.register_buffer("columns", columns)

    def forward(self, batch: GraphBatch) -> Tensor:
        if self.sees_none:
            batch = batch.with_vectors(batch.vectors[:, :0])
        if self.columns is not None:
            batch = batch.with_vectors(batch.vectors.index_select(1, self.columns))
        return self.network(batch)


class Calibrated(nn.Module):
    """`Calibration.apply` as a network: float64 [B, T] in and out."""

    slope: Tensor
    intercept: Tensor
    knots: Tensor
    values: Tensor
    stepped: Tensor
    order: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.method = calibration.method
        numbers = {"slope": calibration.slope, "intercept": calibration.intercept}
        self.has_curves = bool(len(calibration.knots))
        if self.has_curves:
            numbers |= _curves(calibration)
        for name, value in numbers.items():
            self.register_buffer(name, torch.from_numpy(np.array(value)))

    def forward(self, raw: Tensor) -> Tensor:
        info = torch.finfo(torch.float32)
        raw = raw.clamp(info.tiny, 1 - info.eps / 2)  # as `Calibration` keeps them from 0 and 1
        logits = raw.log() - (-raw).log1p()
        lines = (self.slope * logits + self.intercept).sigmoid()
        if not self.has_curves:
            return lines
        curves = self._on_knots(logits.index_select(1, self.stepped))
        return torch.cat([lines, curves], dim=1).index_select(1, self.order)

    def _on_knots(self, logits: Tensor) -> Tensor:
        """Straight between the knots [T', K], flat beyond them."""
        n_curves, n_knots = self.knots.shape
        places = torch.minimum(torch.maximum(logits, self.knots[:, 0]), self.knots[:, -1])
        after = (places.unsqueeze(2) >= self.knots).to(torch.int64).sum(2)
        at = (after - 1).clamp(max=n_knots - 2) + n_knots * torch.arange(n_curves)
        knots, values = self.knots.flatten(), self.values.flatten()
        left, width = knots[at], knots[at + 1] - knots[at]
        share = (places - left) / torch.where(width > 0, width, 1.0)
        return values[at] + share * (values[at + 1] - values[at])


def _curves(calibration: Calibration) -> dict[str, np.ndarray]:
    """Assays with a curve, its knots and values [T', K], and each assay's place among lines and curves."""
    sizes, n_tasks = np.diff(calibration.bounds), calibration.n_tasks
    stepped, order = np.flatnonzero(sizes), np.arange(n_tasks)
    order[stepped] = n_tasks + np.arange(len(stepped))
    knot = np.arange(max(sizes.max(), 2))  # the last one of a curve is repeated, and there are two at least
    padded = calibration.bounds[stepped, None] + np.minimum(knot, sizes[stepped, None] - 1)
    knots, values = calibration.knots[padded], calibration.values[padded]
    return {"stepped": stepped, "order": order, "knots": knots, "values": values}
