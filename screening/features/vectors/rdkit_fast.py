"""The descriptors that RDKit computes in C++."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rdkit.Chem import Mol, MolFromSmiles, rdMolDescriptors

from ..featurizers import VectorFeaturizer, as_finite, featurizers

PROPERTIES = ["exactmw", "FractionCSP3", "labuteASA", "tpsa", "CrippenClogP", "CrippenMR", "hallKierAlpha"]
PROPERTIES += [f"chi{order}{kind}" for kind in "vn" for order in range(5)] + ["kappa1", "kappa2", "kappa3"]


@featurizers.register("rdkit_fast")
class RdkitFast(VectorFeaturizer):
    """Descriptors that RDKit computes in C++.

    MQN (42), SlogP, SMR and PEOE VSA (12, 10, 14), 2D autocorrelation (192), Crippen's logP and
    refractivity, polar and accessible surface, chi and kappa. All are NaN for a molecule of more than
    `largest` atoms, since the time grows with the third power (1 second at 1,000 atoms, 60 at 3,000).
    """

    name = "rdkit_fast"
    version = 1
    rate = 1_200
    kind = "real"
    largest = 1000

    def __init__(self) -> None:
        self._properties = rdMolDescriptors.Properties(PROPERTIES)
        self._blocks: dict[str, Callable[[Mol], Any]] = {
            "MQN": rdMolDescriptors.MQNs_,
            "SlogP_VSA": rdMolDescriptors.SlogP_VSA_,
            "SMR_VSA": rdMolDescriptors.SMR_VSA_,
            "PEOE_VSA": rdMolDescriptors.PEOE_VSA_,
            "AUTOCORR2D": rdMolDescriptors.CalcAUTOCORR2D,
        }
        methane = MolFromSmiles("C")
        names = [
            f"{block}_{number}"
            for block, function in self._blocks.items()
            for number in range(1, 1 + len(function(methane)))
        ]
        self.columns = (*names, *self._properties.GetPropertyNames())

    def __call__(self, mol: Mol) -> np.ndarray:
        if mol.GetNumAtoms() > self.largest:
            return np.full(len(self.columns), np.nan, np.float32)
        values: list[float] = []
        for function in self._blocks.values():
            values.extend(function(mol))
        values.extend(self._properties.ComputeProperties(mol))
        return as_finite(values)
