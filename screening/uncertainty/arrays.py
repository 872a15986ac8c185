"""Arrays of a file of a bundle, by their names."""

from collections.abc import Sequence

import numpy as np

from ..errors import BundleError


def arrays_of(state: dict[str, np.ndarray], names: Sequence[str], what: str) -> list[np.ndarray]:
    """The arrays of these names, in this order.

    Raises
    ------
    BundleError : some are missing; `what` they are, for the message.
    """
    missing = [name for name in names if name not in state]
    if missing:
        raise BundleError(f"The {what} lack {', '.join(missing)}. Train again.")
    return [state[name] for name in names]
