"""Vector featurizers: fingerprints and descriptors of one molecule, each registered by name.

The rates are molecules per second on one core of an ordinary server without reading the SMILES
(`tests/benchmarks/featurize.py` measures them).
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np
from rdkit import rdBase
from rdkit.Chem import Mol, MolFromSmiles, rdMolDescriptors
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from ..errors import ConfigError
from .featurizers import VectorFeaturizer, featurizers

ECFP_RADIUS = 2
ECFP_SIZE = 2048
PROPERTIES = ["exactmw", "FractionCSP3", "labuteASA", "tpsa", "CrippenClogP", "CrippenMR", "hallKierAlpha"]
PROPERTIES += [f"chi{order}{kind}" for kind in "vn" for order in range(5)] + ["kappa1", "kappa2", "kappa3"]


@featurizers.register("ecfp_counts")
class EcfpCounts(VectorFeaturizer):
    """How often each Morgan environment of radius 2 occurs, folded to 2,048 columns, at most 255.

    References
    ----------
    Extended-Connectivity Fingerprints. D. Rogers, M. Hahn, J. Chem. Inf. Model. 50, 742, 2010.
    https://doi.org/10.1021/ci100050t
    """

    name = "ecfp_counts"
    version = 1
    rate = 25_000
    reads_stereo = False
    kind = "counts"

    def __init__(self) -> None:
        self.columns = tuple(f"ecfp_{number}" for number in range(ECFP_SIZE))
        self._generator = GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE)

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._generator.GetCountFingerprintAsNumPy(mol), 255).astype(np.uint8)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        counts = self._generator.GetCountFingerprint(mol).GetNonzeroElements()
        return list(counts), list(counts.values())


@featurizers.register("ecfp_bits")
class EcfpBits(VectorFeaturizer):
    """Which Morgan environments of radius 2 occur, folded to 2,048 columns."""

    name = "ecfp_bits"
    version = 1
    rate = 25_000
    reads_stereo = False
    kind = "bits"

    def __init__(self) -> None:
        self._counts = EcfpCounts()
        self.columns = self._counts.columns

    def __call__(self, mol: Mol) -> np.ndarray:
        return np.minimum(self._counts(mol), 1)

    def nonzero(self, mol: Mol) -> tuple[list[int], list[int]]:
        columns, _ = self._counts.nonzero(mol)
        return columns, [1] * len(columns)


@featurizers.register("rdkit_descriptors")
class RdkitDescriptors(VectorFeaturizer):
    """All descriptors of `rdkit.Chem.Descriptors` (217), among them QED, BCUT2D and counts of fragments.

    The most accurate set, and slow: some 270 molecules per second. What RDKit cannot compute, or what
    does not fit in float32 (Ipc of large molecules), is NaN; so is everything of a molecule of more than
    `largest` atoms, since the time grows with the fourth power (1 second at 300 atoms, 30 at 750).
    """

    name = "rdkit_descriptors"
    version = 1
    rate = 270
    kind = "real"
    largest = 300

    def __init__(self) -> None:
        from rdkit.Chem import Descriptors  # half a second that the other sets do not need

        self.columns = tuple(name for name, _ in Descriptors.descList)
        self._all = Descriptors.CalcMolDescriptors

    def __call__(self, mol: Mol) -> np.ndarray:
        if mol.GetNumAtoms() > self.largest:
            return np.full(len(self.columns), np.nan, np.float32)
        values = self._all(mol, missingVal=np.nan, silent=True)
        return _finite([values[column] for column in self.columns])


@featurizers.register("rdkit_fast")
class RdkitFast(VectorFeaturizer):
    """Descriptors that RDKit computes in C++, some 1,500 molecules per second.

    MQN (42), SlogP, SMR and PEOE VSA (12, 10, 14), 2D autocorrelation (192), Crippen's logP and
    refractivity, polar and accessible surface, chi and kappa. All are NaN for a molecule of more than
    `largest` atoms, since the time grows with the third power (1 second at 1,000 atoms, 60 at 3,000).
    """

    name = "rdkit_fast"
    version = 1
    rate = 1_500
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
        return _finite(values)


class DeepChemVector(VectorFeaturizer):
    """A molecular featurizer of DeepChem with its default options, where it gives a vector.

    Raises
    ------
    ConfigError : DeepChem, or a package that this featurizer needs, is not installed.
    ValueError : DeepChem gives no vector for a molecule.
    """

    version = 1
    rate = 200
    kind: ClassVar[Literal["counts", "bits", "real"]] = "real"
    class_name: ClassVar[str]

    def __init__(self) -> None:
        try:
            with _muted():
                import deepchem

                self._featurizer = getattr(deepchem.feat, self.class_name)()
                n_columns = len(self._vector(MolFromSmiles("C")))
        except (ImportError, ValueError) as problem:
            raise ConfigError(
                f"featurizer '{self.name}' cannot be used here: {problem} Install what it needs, or take "
                f"another one (`screening list featurizers`)."
            ) from problem
        self.columns = tuple(f"{self.class_name}_{number}" for number in range(n_columns))

    def __call__(self, mol: Mol) -> np.ndarray:
        with _muted():
            vector = self._vector(mol)
        if len(vector) != len(self.columns):
            raise ValueError(f"{len(vector)} numbers where {len(self.columns)} were expected.")
        return vector.astype(np.uint8) if self.kind == "bits" else _finite(vector)

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
    class_name = "RDKitDescriptors"


@featurizers.register("deepchem:MordredDescriptors")
class DeepChemMordredDescriptors(DeepChemVector):
    """The 2D descriptors of Mordred, a package to be installed first."""

    name = "deepchem:MordredDescriptors"
    class_name = "MordredDescriptors"


@contextmanager
def _muted() -> Iterator[None]:
    """Without DeepChem's remarks on packages it misses and RDKit's on functions it will drop."""
    logger = logging.getLogger("deepchem")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), rdBase.BlockLogs():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _finite(values: Any) -> np.ndarray:
    """float32, with NaN for what is not finite or does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.asarray(values, np.float64).astype(np.float32)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers
