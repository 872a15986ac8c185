"""Pictures of a run: its assays, curves, training, and which assays are alike; as files or for a page.

matplotlib is imported when one is drawn (`svg`). What is drawn is decided in `report` and `cli`.
"""

from .assays import amount_and_quality, differences, label_counts, plot_assays, ranked_assays
from .axes import SHOWN
from .curves import curve_pictures
from .likeness import likeness_map
from .training import training_pictures, validation_map, weight_map
from .values import error_ranges, predicted_and_measured

__all__ = [
    "SHOWN",
    "amount_and_quality",
    "curve_pictures",
    "differences",
    "error_ranges",
    "label_counts",
    "likeness_map",
    "plot_assays",
    "predicted_and_measured",
    "ranked_assays",
    "training_pictures",
    "validation_map",
    "weight_map",
]
