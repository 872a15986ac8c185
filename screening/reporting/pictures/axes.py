"""What several pictures share: marks on axes, the colours of maps, how many assays get their names."""

from typing import TYPE_CHECKING

import numpy as np

from ..svg import Colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

SHOWN = 40
"""Assays drawn with their names; of more, the best and the worst halves or all without names."""


def whole_numbers(axis: "Axis") -> None:
    """Ticks at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def log_axis(axis: "Axis") -> None:
    """Ticks of a log10 axis at 1, or 1, 2 and 5, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if _decades(axis) < 2 else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _decades(axis: "Axis") -> float:
    low, high = axis.get_view_interval()
    return float(np.log10(high / low)) if low > 0 else 0.0


def chance(axes: "Axes", colours: Colours) -> None:
    """The line of a ROC-AUC of 0.5."""
    axes.axhline(0.5, color=colours.soft, lw=1, ls=":")


def shades(values: np.ndarray) -> np.ndarray:
    """uint8 [..., 4] of values from -1 (warm) to 1 (cool); 0 is transparent, NaN grey.

    The colours are the same in both themes, as a raster cannot follow the page.
    """
    strength = np.round(np.clip(np.abs(np.nan_to_num(values)), 0, 1) * 31) / 31
    cool, warm, grey = (46, 125, 204), (214, 107, 32), (128, 128, 128)
    colour = np.where((np.nan_to_num(values) >= 0)[..., None], cool, warm)
    shade = np.concatenate([colour, (strength * 255)[..., None]], axis=-1)
    shade[np.isnan(values)] = (*grey, 46)
    return shade.astype(np.uint8)
