"""Features of molecules: exact codes, packed stores, batches as gathers, the cache."""

import csv
import gzip
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, RDConfig
from rdkit.Avalon.pyAvalonTools import GetAvalonCountFP
from rdkit.Chem import Descriptors, rdFingerprintGenerator
from rdkit.Chem.rdMolDescriptors import GetConnectivityInvariants
from rdkit.Chem.rdReducedGraphs import GetErGFingerprint
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from screening.data.molecules import read_molecule, read_molecules
from screening.errors import ConfigError, DataError
from screening.features import store as graphs_module
from screening.features.featurizers import (
    GraphFeaturizer,
    Graphs,
    VectorFeaturizer,
    joined,
)
from screening.features.graphs.atom_codes import AtomCodes, in_cycle
from screening.features.graphs.atom_codes_stereo import AtomCodesStereo
from screening.features.packing import graph_featurizer, pack, vector_featurizer
from screening.features.store import FeatureSet, GraphBatch, GraphStore, featurize, featurizers
from screening.features.vectors.deepchem import DeepChemRDKitDescriptors
from screening.testing.featurizers import CHECKS
from screening.testing.subjects import Check, Subject, statement

GRAPHS = [name for name in featurizers.names() if issubclass(featurizers.get(name), GraphFeaturizer)]
VECTORS = [name for name in featurizers.names() if issubclass(featurizers.get(name), VectorFeaturizer)]
OWN_VECTORS = [name for name in VECTORS if not name.startswith("deepchem:")]

# Where a table of atoms could go wrong: radicals, metals, dative and unspecified bonds, two dative bonds
# that look like a higher valence, aromatic bonds outside rings, isotopes, hydrogens, single atoms.
# fmt: off
ODD = [
    "C", "[H][H]", "[H+]", "[He]", "*", "[Na+].[Cl-]", "[CH3]", "C[CH]C", "c1cccc[c]1", "C1=C[N]C=C1",
    "[13CH4]", "[2H]OC", "C~C", "C:C", "C$C", "CN(C)(C)->B(F)F", "B<-S(C)(C)->B", "CS(C)(C)C",
    "C[S](C)(C)(B)B", "B<-S(=O)(=O)->B", "CS(C)(=O)=O", "B<-P(C)(C)(C)->B", "CP(C)(C)(C)C",
    "C1CC1(:C):C", "N[Pt](N)(Cl)Cl", "Cl[Pt](Cl)(<-[NH3])<-[NH3]", "C[Hg]c1ccccc1",
    "[Fe+2].[CH-]1C=CC=C1.[CH-]1C=CC=C1", "FS(F)(F)(F)(F)F", "OCl(=O)(=O)=O", "O=I(=O)c1ccccc1",
    "c1ccsc1", "c1cc[nH]c1", "c1ccccc1-c1ccccc1", "C1CC12CC2", "C12C3C4C1C5C2C3C45", "[O-][n+]1ccccc1",
    "C[N+](=O)[O-]", "C#[N+][O-]", "[Si](C)(C)(C)O", "OB(O)c1ccccc1", "C[As](C)C", "[se]1cccc1",
    "C[C@H](N)C(=O)O", "F/C=C/F", "F/C=C\\F",
]
# fmt: on
CHAIN = "C" * 300
MOLECULE = Chem.MolFromSmiles("CC")
UNUSABLE = ["", "FAIL", "C(C"]


def wheel_molecules(n: int) -> list[str]:
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    return [line.split("\t")[0] for line in path.read_text().splitlines()[:n]]


def read_column(path: Path, column: str) -> list[str]:
    with gzip.open(path, "rt") as file:
        return [row[column] for row in csv.DictReader(file)]


def assert_same(one: Graphs, other: Graphs) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def assert_table_equals_loop(texts: Sequence[str]) -> None:
    featurizer = AtomCodes()
    for start in range(0, len(texts), 500):
        block = texts[start : start + 500]
        full = [mol for mol, _ in read_molecules(block) if mol is not None]
        light = [mol for mol, _ in read_molecules(block, stereo=False) if mol is not None]
        loop = joined([featurizer(mol) for mol in [MOLECULE, *full]])
        for mols in ([MOLECULE, *full], [MOLECULE, *light]):
            seen = [featurizer.look(mols[first : first + 20]) for first in range(0, len(mols), 20)]
            assert_same(featurizer.pack(seen, mols.__getitem__), loop)


def test_table_equals_loop_on_molecules_of_the_wheel() -> None:
    assert_table_equals_loop(wheel_molecules(2000))


@pytest.mark.parametrize("seed", range(3))
def test_table_equals_loop_on_odd_molecules_in_any_order(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(ODD) + 1)
    assert_table_equals_loop([[*ODD, CHAIN][number] for number in order])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("CNOSPcns1=()[]:+-H>B", max_size=10), max_size=8))
def test_table_equals_loop_on_random_texts(texts: list[str]) -> None:
    assert_table_equals_loop(texts)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_edges_on_cycles_equal_those_that_leave_their_ends_connected(
    n: int, seed: int, n_graphs: int
) -> None:
    random = np.random.default_rng(seed)
    edges = [
        (graph * n + a, graph * n + b)
        for graph in range(n_graphs)
        for a in range(n)
        for b in range(a + 1, n)
        if random.random() < 1.5 / n
    ]
    begin, end = np.array(edges, np.int64).reshape(-1, 2).T
    found, unsure = in_cycle(begin, end, np.arange(n * n_graphs) % n)
    for number, (a, b) in enumerate(edges):
        if not unsure[begin // n == a // n].any():
            others = coo_array(
                (np.ones(len(edges) - 1), np.delete([begin, end], number, 1)), [n * n_graphs] * 2
            )
            _, part = connected_components(others, directed=False)
            assert found[number] == (part[a] == part[b])


def test_ring_bonds_of_smiles_are_sure() -> None:
    mols = [mol for text in wheel_molecules(2000) if (mol := read_molecule(text)[0]) is not None]
    for mol in mols:
        edges = [sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()]
        begin, end = np.array(sorted(edges), np.int64).reshape(-1, 2).T
        found, unsure = in_cycle(begin, end, np.arange(mol.GetNumAtoms()))
        expected = [mol.GetBondBetweenAtoms(int(a), int(b)).IsInRing() for a, b in sorted(edges)]
        assert found.tolist() == expected
        assert not unsure.any() or "." in Chem.MolToSmiles(mol)


def test_table_equals_loop_on_all_of_tox21(real_data: Path) -> None:
    assert_table_equals_loop(read_column(real_data / "tox21.csv.gz", "smiles"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["raw/toxcast_8615_rows", "clintox", "bbbp", "fsmol_train_wide", "merged128"]
)
def test_table_equals_loop_and_readings_agree_on_real_tables(real_data: Path, name: str) -> None:
    texts = read_column(real_data / f"{name}.csv.gz", "smiles")[:20_000]
    reasons = [[reason for _, reason in read_molecules(texts, stereo=stereo)] for stereo in (True, False)]
    assert reasons[0] == reasons[1]
    assert_table_equals_loop(texts)


def connectivity_hash(components: Sequence[np.ndarray]) -> np.ndarray:
    """RDKit's hash of an atom's components (boost's hash_combine in 32 bits), vectorised."""
    seed = np.zeros_like(components[0], np.uint64)
    low = np.uint64(0xFFFFFFFF)
    for component in components:
        mixed = component.astype(np.int64).astype(np.uint64) + np.uint64(0x9E3779B9)
        seed ^= (mixed + (seed << np.uint64(6)) + (seed >> np.uint64(2))) & low
    return seed


def keys_of(elements: Sequence[int], most: int, deltas: Sequence[int]) -> np.ndarray:
    """Hash and number of bonds for all elements, degrees, hydrogens, charges, isotopes, in ring or not."""
    rows = product(elements, range(most + 1), range(5), range(-4, 5), deltas, (0, 1))
    columns = np.array([row for row in rows if row[1] >= row[2]]).T  # the degree counts the hydrogens
    hashes = np.where(columns[5] == 1, connectivity_hash(columns), connectivity_hash(columns[:5]))
    return hashes * np.uint64(16) + (columns[1] - columns[2]).astype(np.uint64)


def test_hashes_of_plain_atoms_are_distinct() -> None:
    mols = [mol for text in wheel_molecules(300) if (mol := read_molecule(text)[0]) is not None]
    atoms = [atom for mol in mols for atom in mol.GetAtoms()]
    columns = np.array(
        [(a.GetAtomicNum(), a.GetTotalDegree(), a.GetTotalNumHs(), a.GetFormalCharge(), 0, 1) for a in atoms]
    ).T
    in_ring = np.array([atom.IsInRing() for atom in atoms])
    hashes = np.where(in_ring, connectivity_hash(columns), connectivity_hash(columns[:5]))
    assert hashes.tolist() == [number for mol in mols for number in GetConnectivityInvariants(mol)]

    plain = keys_of(sorted(AtomCodes.PLAIN), 8, [0])
    isotopes = keys_of(sorted(AtomCodes.PLAIN), 8, [-3, -2, -1, 1, 2, 3])
    others = keys_of(sorted(set(range(119)) - AtomCodes.PLAIN), 14, [0])
    assert len(np.unique(plain)) == len(plain)
    assert not np.isin(plain, np.concatenate([isotopes, others])).any()


@pytest.mark.parametrize("name", [*GRAPHS, *OWN_VECTORS])
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(name: str, check: Check) -> None:
    check(Subject(name))


@pytest.mark.parametrize("name", GRAPHS)
def test_codes_of_many_molecules_are_below_their_sizes(name: str) -> None:
    featurizer = graph_featurizer(name)
    graphs = pack([*ODD, CHAIN, *wheel_molecules(300)], FeatureSet(name)).graphs
    assert (graphs.atoms.max(0) < featurizer.atom_sizes).all()
    assert (graphs.bonds.max(0) < featurizer.bond_sizes).all()
    assert graphs.atoms.shape == (graphs.n_atoms.sum(), len(featurizer.atom_sizes))


def test_codes_of_ethanol_by_hand() -> None:
    graphs = AtomCodes()(Chem.MolFromSmiles("CCO"))
    # element (carbon is the third of the list, oxygen the fifth), degree, charge 0, hydrogens, three flags
    assert graphs.atoms.tolist() == [[2, 1, 2, 3, 0, 0, 0], [2, 2, 2, 2, 0, 0, 0], [4, 1, 2, 1, 0, 0, 0]]
    assert (graphs.bonds.tolist(), graphs.ends.tolist()) == ([[0, 0], [0, 0]], [[0, 1], [1, 2]])


def test_stereo_is_seen_by_the_stereo_codes_alone() -> None:
    for one, other in [("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"), ("F/C=C/F", "F/C=C\\F")]:
        mols = [Chem.MolFromSmiles(one), Chem.MolFromSmiles(other)]
        plain, stereo = ([f(mol) for mol in mols] for f in (AtomCodes(), AtomCodesStereo()))
        assert_same(plain[0], plain[1])
        assert any(not np.array_equal(a, b) for a, b in zip(*stereo, strict=True))


def test_vectors_equal_rdkit() -> None:
    texts = wheel_molecules(40)
    mols = [Chem.MolFromSmiles(text) for text in texts]
    store = featurize(texts, FeatureSet(None, ("ecfp_counts", "ecfp_bits", "rdkit_descriptors")))
    vectors = store.batch(range(len(texts))).vectors.numpy()
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    counts = [generator.GetCountFingerprintAsNumPy(mol) for mol in mols]
    np.testing.assert_array_equal(vectors[:, :2048], np.array(counts))
    np.testing.assert_array_equal(vectors[:, 2048:4096], np.array(counts) > 0)
    values = np.array([list(Descriptors.CalcMolDescriptors(mol).values()) for mol in mols], np.float32)
    np.testing.assert_array_equal(vectors[:, 4096:], values)
    assert store.vector_blocks[2].columns == tuple(name for name, _ in Descriptors.descList)


def functional_generator(**options: Any) -> Any:
    invariants = rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
    return rdFingerprintGenerator.GetMorganGenerator(atomInvariantsGenerator=invariants, **options)


@pytest.mark.parametrize(
    ("name", "generator"),
    [
        ("atom_pairs", partial(rdFingerprintGenerator.GetAtomPairGenerator, fpSize=4096)),
        ("torsions", partial(rdFingerprintGenerator.GetTopologicalTorsionGenerator, fpSize=4096)),
        ("ecfp6_counts", partial(rdFingerprintGenerator.GetMorganGenerator, radius=3, fpSize=2048)),
        ("fcfp_counts", partial(functional_generator, radius=2, fpSize=2048)),
        (
            "ecfp_chiral_counts",
            partial(rdFingerprintGenerator.GetMorganGenerator, radius=2, fpSize=2048, includeChirality=True),
        ),
    ],
)
def test_counts_of_other_kinds_equal_rdkit(name: str, generator: Callable[..., Any]) -> None:
    """As RDKit reads molecules: the pi electrons of an atom, for one, rest on its hybridisation."""
    texts = [*wheel_molecules(200), "C=CC=O", CHAIN]
    vectors = featurize(texts, FeatureSet("atom_codes", (name,))).batch(range(len(texts))).vectors.numpy()
    of_rdkit = generator(countSimulation=False)
    counts = np.array([of_rdkit.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(text)) for text in texts])
    np.testing.assert_array_equal(vectors, np.minimum(counts, 255))
    assert counts.max() > 255


def test_chiral_counts_tell_stereoisomers_apart_and_others_do_not() -> None:
    pairs = [["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"], ["F/C=C/F", "F/C=C\\F"], ["CC(N)C", "C(N)(C)C"]]
    differ = [
        [bool((np.diff(featurize(pair, FeatureSet(None, (name,))).batch([0, 1]).vectors, axis=0) != 0).any())]
        for name in ("ecfp_chiral_counts", "ecfp_counts")
        for pair in pairs
    ]
    assert np.concatenate(differ).tolist() == [True, True, False, False, False, False]


def test_avalon_and_reduced_graphs_equal_rdkit() -> None:
    texts = [*wheel_molecules(200), *ODD, CHAIN]
    mols = [Chem.MolFromSmiles(text) for text in texts]
    texts, mols = zip(*[(text, mol) for text, mol in zip(texts, mols, strict=True) if mol], strict=True)
    vectors = featurize(texts, FeatureSet(None, ("avalon_counts", "erg"))).batch(range(len(texts))).vectors
    counts = [GetAvalonCountFP(mol, 1024).ToList() for mol in mols]
    assert np.max(counts) > 255
    np.testing.assert_array_equal(vectors[:, :1024], np.minimum(counts, 255))
    np.testing.assert_array_equal(
        vectors[:, 1024:], np.array([GetErGFingerprint(mol) for mol in mols], np.float32)
    )


def test_counts_stop_at_255() -> None:
    vectors = featurize([CHAIN], FeatureSet(None, ("ecfp_counts",))).batch([0]).vectors
    assert vectors.max() == 255


def test_fast_descriptors_agree_with_the_full_list() -> None:
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    fast = dict(zip((f := vector_featurizer("rdkit_fast")).columns, f(mol), strict=True))
    full = dict(zip((f := vector_featurizer("rdkit_descriptors")).columns, f(mol), strict=True))
    pairs = {
        "CrippenClogP": "MolLogP",
        "tpsa": "TPSA",
        "kappa2": "Kappa2",
        "chi3v": "Chi3v",
        "exactmw": "ExactMolWt",
    }
    pairs |= {
        f"{block}_{n}": f"{block}{n}" for block in ("PEOE_VSA", "SMR_VSA", "SlogP_VSA") for n in (1, 5, 10)
    }
    for mine, theirs in pairs.items():
        assert fast[mine] == pytest.approx(full[theirs], rel=1e-5), mine


def test_descriptors_of_huge_molecules_are_nan() -> None:
    features = FeatureSet("atom_codes", ("rdkit_fast", "rdkit_descriptors", "erg"), max_atoms=2000)
    store = featurize(["C" * 2000], features)
    batch = store.batch([0])
    assert (store.reasons, len(batch.atoms), batch.vectors.isnan().all()) == ([""], 2000, True)


def test_deepchem_vectors_or_what_is_missing() -> None:
    bits = FeatureSet(None, ("deepchem:MACCSKeysFingerprint", "deepchem:CircularFingerprint"))
    batch = featurize(["CCO", "FAIL", "c1ccccc1"], bits).batch([0, 1, 2])
    assert batch.vectors.shape == (3, 167 + 2048)
    assert batch.vectors[1].sum() == 0
    assert (batch.vectors[[0, 2]].sum(1) > 3).all()
    reals = featurize(["CCO"], FeatureSet(None, ("deepchem:RDKitDescriptors",)))
    assert reals.batch([0]).vectors.shape[1] > 200
    with pytest.raises(ConfigError, match=r"(?i)mordred|gives no vector"):
        FeatureSet(None, ("deepchem:MordredDescriptors",))


def test_deepchem_vectors_without_deepchem_name_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepchem", None)
    message = (
        r"featurizer 'deepchem:RDKitDescriptors' needs DeepChem.*pip install.*screening list featurizers"
    )
    with pytest.raises(ConfigError, match=message):
        DeepChemRDKitDescriptors()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("atom_code",), "Did you mean 'atom_codes'"),
        (("ecfp_bits",), "gives a vector, not a graph"),
        ((None, ("atom_codes",)), "gives a graph, not a vector"),
        ((None, ("ecfp_bits", "ecfp_bits")), "listed twice"),
        ((None,), "There are no features"),
        (("atom_codes", (), "salts"), "no standardisation 'salts'"),
    ],
)
def test_wrong_features_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeatureSet(*arguments)  # type: ignore[arg-type]


MIXED = FeatureSet("atom_codes", ("ecfp_counts", "rdkit_fast"))
TEXTS = [*ODD[:12], *UNUSABLE, *wheel_molecules(20), CHAIN, "FAIL"]


@pytest.fixture(scope="module")
def store() -> GraphStore:
    return featurize(TEXTS, MIXED)


def plain_batch(rows: Sequence[int]) -> GraphBatch:
    """The slow, obvious way: one molecule after the other."""
    atoms, bonds, source, target, molecule, vectors = [], [], [], [], [], []
    for number, row in enumerate(rows):
        mol = read_molecule(TEXTS[row])[0]
        shift = len(atoms)
        if mol is None:
            vectors.append(np.concatenate([np.zeros(2048), np.full(290, np.nan)]))
            continue
        graph = AtomCodes()(mol)
        atoms += graph.atoms.tolist()
        molecule += [number] * len(graph.atoms)
        for (a, b), codes in zip(graph.ends.tolist(), graph.bonds.tolist(), strict=True):
            bonds += [codes, codes]
            source += [shift + a, shift + b]
            target += [shift + b, shift + a]
        vectors.append(np.concatenate([vector_featurizer(name)(mol) for name in MIXED.vectors]))
    return GraphBatch(
        len(rows),
        torch.tensor(atoms, dtype=torch.int64).reshape(-1, 7),
        torch.tensor(bonds, dtype=torch.int64).reshape(-1, 2),
        torch.tensor(source, dtype=torch.int64),
        torch.tensor(target, dtype=torch.int64),
        torch.tensor(molecule, dtype=torch.int64),
        torch.tensor(np.array(vectors).reshape(len(rows), 2338), dtype=torch.float32),
    )


def assert_same_batch(one: GraphBatch, other: GraphBatch) -> None:
    assert one.n_molecules == other.n_molecules
    for name in ("atoms", "bonds", "source", "target", "molecule", "vectors"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, len(TEXTS) - 1), max_size=12))
def test_batch_is_its_molecules_one_after_the_other(store: GraphStore, rows: list[int]) -> None:
    assert_same_batch(store.batch(rows), plain_batch(rows))


def test_every_bond_is_followed_by_its_reverse(store: GraphStore) -> None:
    batch = store.batch(np.arange(len(store)))
    reverse = torch.arange(len(batch.source)) ^ 1
    assert torch.equal(batch.source[reverse], batch.target)
    assert torch.equal(batch.bonds[reverse], batch.bonds)
    assert torch.equal(batch.molecule[batch.source], batch.molecule[batch.target])


def test_unusable_molecules_are_empty_and_have_a_reason(store: GraphStore) -> None:
    assert len(store) == len(TEXTS)
    assert [text for text, usable in zip(TEXTS, store.usable, strict=True) if not usable] == [
        *UNUSABLE,
        "FAIL",
    ]
    assert store.reasons[-1] == "not a SMILES: syntax error (near character 2)"
    batch = store.batch([len(TEXTS) - 1])
    assert len(batch.atoms) == 0
    assert (batch.n_molecules, batch.vectors[:, :2048].sum(), batch.vectors[:, 2048:].isnan().all()) == (
        1,
        0,
        True,
    )


def test_rows_outside_the_store_are_refused(store: GraphStore) -> None:
    for rows in ([len(store)], [-1]):
        with pytest.raises(IndexError):
            store.batch(rows)


def test_no_molecules_and_no_graphs() -> None:
    nothing = featurize([], MIXED).batch([])
    assert (nothing.n_molecules, nothing.atoms.shape, nothing.vectors.shape) == (0, (0, 7), (0, 2338))
    batch = featurize(["CCO"], FeatureSet(None, ("ecfp_bits",))).batch([0])
    assert (batch.atoms.shape, batch.source.shape, batch.vectors.shape) == ((0, 0), (0,), (1, 2048))
    batch = featurize(["CCO"], FeatureSet("atom_codes")).batch([0, 0])
    assert (batch.atoms.shape, batch.source.shape, batch.vectors.shape) == ((6, 7), (8,), (2, 0))


def test_a_failing_featurizer_rejects_the_molecule(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(mol: Chem.Mol) -> np.ndarray:
        raise KeyError("no luck")

    monkeypatch.setattr(type(vector_featurizer("rdkit_fast")), "__call__", lambda self, mol: fail(mol))
    store = featurize(["CCO"], MIXED)
    assert store.reasons == ["featurizer 'rdkit_fast' failed: 'no luck'"]
    assert len(store.batch([0]).atoms) == 0


def test_standard_form_changes_the_features() -> None:
    salt = "CC(=O)[O-].[Na+]"
    atoms = [len(featurize([salt], FeatureSet("atom_codes", (), how)).atoms) for how in ("none", "fragment")]
    assert atoms == [5, 4]


def test_any_number_of_processes_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs_module, "BLOCK", 64)
    texts = [*wheel_molecules(300), *ODD, *UNUSABLE]
    one, two = (featurize(texts, FeatureSet("atom_codes", ("ecfp_counts",)), workers=n) for n in (1, 2))
    assert one.reasons == two.reasons
    rows = range(len(texts))
    assert_same_batch(one.batch(rows), two.batch(rows))


def test_cache_gives_the_same_store(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = featurize(TEXTS, MIXED, cache=tmp_path / "new")
    files = list((tmp_path / "new").iterdir())
    monkeypatch.setattr(graphs_module, "pack", None)  # nothing may be computed from here on
    found = featurize(TEXTS, MIXED, cache=tmp_path / "new")
    for cached in (made, found):
        assert cached.reasons == store.reasons
        assert_same_batch(cached.batch(range(len(TEXTS))), store.batch(range(len(TEXTS))))
    assert list((tmp_path / "new").iterdir()) == files
    assert len(files) == 1


def test_cache_is_another_one_for_other_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files() -> int:
        return len(list(tmp_path.iterdir()))

    featurize(["CC", "O"], FeatureSet("atom_codes"), cache=tmp_path)
    featurize(["C", "CO"], FeatureSet("atom_codes"), cache=tmp_path)
    assert files() == 2
    featurize(["CC", "O"], FeatureSet("atom_codes", ("ecfp_bits",)), cache=tmp_path)
    featurize(["CC", "O"], FeatureSet("atom_codes", (), "cleanup"), cache=tmp_path)
    assert files() == 4
    monkeypatch.setattr(AtomCodes, "version", 99)
    featurize(["CC", "O"], FeatureSet("atom_codes"), cache=tmp_path)
    assert files() == 5


@pytest.mark.parametrize("damage", ["cut", "empty", "one byte", "other file", "header"])
def test_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    features = FeatureSet("atom_codes", ("ecfp_counts", "rdkit_fast"))
    texts = ["CCO", "FAIL", "c1ccccc1"]
    good = featurize(texts, features)
    featurize(texts, features, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:-7],
            "empty": b"",
            "one byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "other file": b"PK\x03\x04" * 100,
            "header": content.replace(b"checksums", b"checksumz"),
        }[damage]
    )
    again = featurize(texts, features, cache=tmp_path)
    assert_same_batch(again.batch([0, 1, 2]), good.batch([0, 1, 2]))
    assert path.read_bytes() == content


def test_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="another folder"):
        featurize(["C"], FeatureSet("atom_codes"), cache=tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", [name for name in OWN_VECTORS if not featurizers.get(name).reads_stereo])
def test_light_reading_gives_the_same_fingerprint(name: str) -> None:
    generator = vector_featurizer(name)
    for text in [*wheel_molecules(500), *ODD]:
        full, light = (read_molecules([text], stereo=stereo)[0][0] for stereo in (True, False))
        assert (full is None) == (light is None)
        if full is not None:
            np.testing.assert_array_equal(generator(full), generator(light))


def test_batch_moves_to_a_device(store: GraphStore) -> None:
    batch = store.batch([0, 1])
    assert_same_batch(batch.to("cpu"), batch)
    assert batch.to("meta").atoms.device.type == "meta"
