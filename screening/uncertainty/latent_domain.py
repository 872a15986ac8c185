"""Applicability domain in latent space: how far a molecule's representation is from the training part.

`domain` compares structures, this room what the encoders make of them. `trust` fits it, `Bundle.predict`
measures while it predicts: the representations of a batch are looked at where they arise, never kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from ..errors import BundleError
from ..features.store import GraphStore
from ..models.network import ScreeningModel
from .structure_domain import PERCENTILE

MOST_NETWORKS = 20
"""Of a bundle that has a representation: each one keeps d x d numbers (1.4 MB with d = 600), and a network
per assay, of hundreds of assays, would keep more of them than weights."""

_FLAT = 1e-7  # smallest variance along a direction, as a share of the largest: what float32 can tell apart


class Gaussian(NamedTuple):
    """Where the representations of training molecules lie: one normal distribution for all of them."""

    center: Tensor
    """float32 [d]"""
    whitening: Tensor
    """float32 [d, d]: `(features - center) @ whitening` has the squared Mahalanobis distance divided by d as
    its squared length."""

    @classmethod
    def fit(cls, features: np.ndarray) -> "Gaussian":
        """The mean, and the whitening of the covariance by Ledoit and Wolf, of features [n, d], n >= 1.

        The covariance is shrunk towards a multiple of the identity, so that fewer molecules than
        dimensions, or a column that never changes, leave it invertible. Where all molecules are the same
        there is no scale, and 1 is taken as the variance.

        References
        ----------
        Ledoit, Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
        Multivariate Analysis 2004, 88, 365, as in `sklearn.covariance`.
        """
        values, n_columns = features.astype(np.float64), features.shape[1]
        covariance = np.zeros((n_columns, n_columns))
        if len(values) > 1:
            covariance = ledoit_wolf(values)[0]
        variances, directions = np.linalg.eigh(covariance)
        least = _FLAT * variances[-1] if variances[-1] > 0 else 1.0
        whitening = directions / np.sqrt(n_columns * np.maximum(variances, least))
        return cls(_float32(values.mean(axis=0)), _float32(whitening))

    def squares(self, features: Tensor) -> Tensor:
        """Squared Mahalanobis distance divided by d, [b], of features [b, d], on their device."""
        off = features.float() - self.center.to(features.device)
        return (off @ self.whitening.to(features.device)).square().sum(dim=1)


@dataclass(frozen=True)
class Representation:
    """Where training molecules lie in the representation of each network, and how far validation ones.

    The distance of a molecule is its Mahalanobis distance to the mean of the training molecules, divided by
    the square root of the d dimensions: about 1 for one of them, less where these are few and the covariance
    is much shrunk. Over several networks it is the root mean square. Lee et al. take one mean per class and
    the nearest of them; here it is one for all: there are many assays, each with classes of its own, and
    most labels are missing. So a molecule can also be far because it is strongly active.

    References
    ----------
    Lee et al., A simple unified framework for detecting out-of-distribution samples and adversarial
    attacks, NeurIPS 2018, https://arxiv.org/abs/1807.03888, equations 1 and 2, at the last shared layer.
    """

    gaussians: Mapping[int, Gaussian]
    """By the member of the bundle, all of the same d; in ascending order."""
    threshold: float
    """Distance up to which a molecule is inside."""

    @classmethod
    def fit(
        cls,
        networks: Mapping[int, ScreeningModel],
        store: GraphStore,
        train: Tensor,
        validation: Tensor,
        *,
        percentile: float = PERCENTILE,
    ) -> "Representation":
        """The representation outside which are `percentile` % of the validation molecules.

        Parameters
        ----------
        networks : by the member of the bundle.
        train, validation : int64, rows of the store.

        Raises
        ------
        ValueError : no network, or no molecule to measure the distance from, or to.
        """
        if not networks or not len(train) or not len(validation):
            raise ValueError("A representation needs a network, training and validation molecules.")
        gaussians = {}
        squares = torch.zeros(len(validation))
        for member, network in networks.items():
            gaussians[member] = Gaussian.fit(network.represent(store, train).numpy())
            squares += gaussians[member].squares(network.represent(store, validation))
        distance = (squares / len(gaussians)).sqrt().numpy()
        return cls(gaussians, float(np.percentile(distance, 100 - percentile)))

    @property
    def n_tasks(self) -> None:
        """None: it is about no assay."""

    @property
    def widths(self) -> dict[int, int]:
        """d by the member."""
        return {member: len(gaussian.center) for member, gaussian in self.gaussians.items()}

    def watcher(self, member: int, squares: list[Tensor]) -> Callable[[Tensor], None]:
        """What is told the representations [b, d] of each batch of a member, and adds to `squares`."""
        gaussian = self.gaussians[member]
        return lambda features: squares.append(gaussian.squares(features).cpu())

    def distance(self, squares: list[Tensor]) -> np.ndarray:
        """float32 [n]: distances of n molecules of which all members' watchers were told, one by one."""
        together = torch.cat([torch.zeros(0), *squares])
        return together.unflatten(0, (len(self.gaussians), -1)).mean(dim=0).sqrt().numpy()

    def is_inside(self, distance: np.ndarray) -> np.ndarray:
        """bool [n], whether molecules at that distance are in the domain."""
        return distance <= self.threshold

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        gaussians = self.gaussians.values()
        return {
            "members": np.array(list(self.gaussians)),
            "centers": torch.stack([each.center for each in gaussians]).numpy(),
            "whitenings": torch.stack([each.whitening for each in gaussians]).numpy(),
            "threshold": np.array([self.threshold]),
        }

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Representation":
        """That of which `state` was taken; BundleError where arrays are missing or do not fit."""
        try:
            members, centers, whitenings = state["members"], state["centers"], state["whitenings"]
            threshold = float(state["threshold"][0])
        except (KeyError, ValueError, IndexError, TypeError) as problem:
            raise BundleError(f"The representation cannot be read: {problem!r}. Train again.") from problem
        numbers = np.issubdtype(members.dtype, np.integer) and members.ndim == 1 and len(members) > 0
        fits = numbers and centers.ndim == 2 and len(centers) == len(members) == len(set(members.tolist()))
        fits = fits and whitenings.shape == (*centers.shape, centers.shape[1]) and threshold >= 0
        if not fits or not all(np.isfinite(each).all() for each in (centers, whitenings, threshold)):
            raise BundleError("The arrays of the representation do not fit together. Train again.")
        fitted = map(Gaussian, map(_float32, centers), map(_float32, whitenings))
        return cls(dict(zip(members.tolist(), fitted, strict=True)), threshold)


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))
