"""Molecular featurizers of DeepChem that give a vector."""

from typing import ClassVar, Literal

import numpy as np
from rdkit.Chem import Mol, MolFromSmiles

from ...data.deepchem import import_deepchem, muted
from ...errors import ConfigError
from ..featurizers import VectorFeaturizer, as_finite, featurizers


class DeepChemVector(VectorFeaturizer):
    """A molecular featurizer of DeepChem with its default options, where it gives a vector.

    Raises
    ------
    ConfigError : DeepChem, or a package that this featurizer needs, is not installed.
    ValueError : DeepChem gives no vector for a molecule.
    """

    version = 1
    rate = 1_800
    kind: ClassVar[Literal["counts", "bits", "real"]] = "real"
    class_name: ClassVar[str]

    def __init__(self) -> None:
        deepchem = import_deepchem(
            f"featurizer '{self.name}'", "`screening list featurizers` shows those that do without."
        )
        try:
            with muted():
                self._featurizer = getattr(deepchem.feat, self.class_name)()
                n_columns = len(self._vector(MolFromSmiles("C")))
        except (ImportError, ValueError) as problem:
            raise ConfigError(
                f"featurizer '{self.name}' cannot be used here: {problem} Install what it needs, or take "
                f"another one (`screening list featurizers`)."
            ) from problem
        self.columns = tuple(f"{self.class_name}_{number}" for number in range(n_columns))

    def __call__(self, mol: Mol) -> np.ndarray:
        with muted():
            vector = self._vector(mol)
        if len(vector) != len(self.columns):
            raise ValueError(f"{len(vector)} numbers where {len(self.columns)} were expected.")
        return vector.astype(np.uint8) if self.kind == "bits" else as_finite(vector)

    def _vector(self, mol: Mol) -> np.ndarray:
        vectors = self._featurizer.featurize([mol])
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError("DeepChem gives no vector for it.")
        return vectors[0]


@featurizers.register("deepchem:CircularFingerprint")
class DeepChemCircularFingerprint(DeepChemVector):
    """Morgan bits of radius 2, 2,048 columns."""

    name = "deepchem:CircularFingerprint"
    kind = "bits"
    class_name = "CircularFingerprint"


@featurizers.register("deepchem:MACCSKeysFingerprint")
class DeepChemMACCSKeysFingerprint(DeepChemVector):
    """The 166 public MACCS keys; column 0 is never set."""

    name = "deepchem:MACCSKeysFingerprint"
    kind = "bits"
    class_name = "MACCSKeysFingerprint"


@featurizers.register("deepchem:RDKitDescriptors")
class DeepChemRDKitDescriptors(DeepChemVector):
    """RDKit's descriptors as DeepChem selects them."""

    name = "deepchem:RDKitDescriptors"
    rate = 160
    class_name = "RDKitDescriptors"


@featurizers.register("deepchem:MordredDescriptors")
class DeepChemMordredDescriptors(DeepChemVector):
    """The 2D descriptors of Mordred, a package to be installed first."""

    name = "deepchem:MordredDescriptors"
    rate = 160
    class_name = "MordredDescriptors"
