"""Labels as texts of a file, so that reading them with the settings of their assays gives them back."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..config_sections import AssaySettings
from .assay_kinds import Assay
from .transforms import transforms

_CLASSES = np.array(["", "0", "1"], dtype=object)


def cell_texts(labels: np.ndarray, censored: np.ndarray | None, assays: Sequence[Assay]) -> np.ndarray:
    """Texts of cells: object [n, T]; classes as 1 and 0, values in the user's unit with > or < before them.

    Parameters
    ----------
    labels : [n, T], on the trained scale, NaN = "".
    censored : as in `AssayTable`.
    """
    is_real = np.array([assay.is_real for assay in assays], bool)
    texts = np.empty(labels.shape, dtype=object)
    texts[:, ~is_real] = _CLASSES[np.nan_to_num(labels[:, ~is_real], nan=-1).astype(np.int8) + 1]
    for task in np.flatnonzero(is_real).tolist():
        marks = np.zeros(len(labels), np.int8) if censored is None else censored[:, task]
        texts[:, task] = _value_texts(labels[:, task], marks, assays[task])
    return texts


def settings_of(assays: Iterable[Assay]) -> dict[str, AssaySettings]:
    """`data.assays` of a file with these assays; classes, those of a threshold too, need none."""
    return {
        assay.name: AssaySettings.model_validate(
            {"kind": "real", "unit": assay.unit, "transform": assay.transform, "wanted": assay.wanted}
        )
        for assay in assays
        if assay.is_real
    }


def _value_texts(labels: np.ndarray, marks: np.ndarray, assay: Assay) -> list[str]:
    """Values with so many digits that float32 numbers come back the same."""
    is_same = assay.transform == "none"
    values = labels.tolist() if is_same else assay.in_unit(labels.astype(np.float64)).tolist()
    shown = [str(np.float32(value)) for value in values] if is_same else [f"{value:.12g}" for value in values]
    turned = marks if transforms[assay.transform].is_rising else -marks
    signs = {1: ">", 0: "", -1: "<"}
    texts = [f"{signs[mark]}{text}" for mark, text in zip(turned.tolist(), shown, strict=True)]
    return ["" if value != value else text for value, text in zip(values, texts, strict=True)]
