"""A store as a data set of torch_geometric: the same numbers, and networks of others learn from them."""

import numpy as np
import pytest
import small
import torch
from torch.nn import functional
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GIN, global_mean_pool

from screening.errors import ConfigError
from screening.features.store import FeatureSet, featurize

ODD = ["C", "not a molecule", "[Na+].[Cl-]", "CCO", "c1ccccc1O"]


def test_a_batch_of_theirs_is_a_batch_of_ours() -> None:
    store = small.store(vectors=("ecfp_counts", "rdkit_fast"))
    rows = [5, 0, 149, 0]
    ours, theirs = store.batch(rows), Batch.from_data_list(list(store.to_pyg(rows=rows, vectors=True)))
    assert torch.equal(theirs.x, ours.atoms)
    assert torch.equal(theirs.edge_index, torch.stack([ours.source, ours.target]))
    assert torch.equal(theirs.edge_attr, ours.bonds)
    assert torch.equal(theirs.batch, ours.molecule)
    assert torch.equal(theirs.vectors.nan_to_num(9e9), ours.vectors.nan_to_num(9e9))
    assert theirs.row.tolist() == rows


def test_labels_and_names_stay_with_their_molecules() -> None:
    table, store = small.table(), small.store()
    data_set = store.to_pyg(table.labels, smiles=table.smiles, ids=table.ids)
    assert len(data_set) == len(table.smiles)
    for row in (0, 77, 149):
        one = data_set[row]
        assert (one.smiles, one.id, one.row.item()) == (table.smiles[row], table.ids[row], row)
        np.testing.assert_array_equal(one.y[0], table.labels[row])
        assert torch.equal(one.mask, ~one.y.isnan())
    assert bool(data_set[0].y.isnan().any())
    batch = next(iter(DataLoader(data_set, batch_size=4)))
    assert batch.smiles == table.smiles[:4]
    assert batch.y.shape == (4, 4)


def test_molecules_that_cannot_be_used_are_left_out_unless_asked_for() -> None:
    store = featurize(ODD, FeatureSet("atom_codes"), workers=0)
    labels = np.arange(5.0)[:, None]
    data_set = store.to_pyg(labels, smiles=ODD)
    assert [one.row.item() for one in data_set] == [0, 2, 3, 4]
    assert [one.y.item() for one in data_set] == [0, 2, 3, 4]
    assert [one.smiles for one in data_set] == [ODD[row] for row in (0, 2, 3, 4)]
    assert [one.edge_index.shape[1] for one in data_set] == [0, 0, 4, 14]
    assert store.to_pyg(rows=[1])[0].num_nodes == 0


def test_ones_stand_where_the_codes_say() -> None:
    store = featurize(["CC(=O)Nc1ccc(O)cc1"], FeatureSet("atom_codes_stereo"), workers=0)
    codes, ones = store.to_pyg()[0], store.to_pyg(one_hot=True)[0]
    assert ones.x.shape == (11, sum(store.atom_sizes))
    starts = torch.tensor((0, *store.atom_sizes[:-1])).cumsum(0)
    assert torch.equal(ones.x.nonzero()[:, 1].view(11, -1), codes.x + starts)
    assert ones.edge_attr.sum(1).eq(len(store.bond_sizes)).all()


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="labels has 3 rows: expected one for each of 150 molecules"):
        small.store().to_pyg(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="id has 1 rows"):
        small.store().to_pyg(ids=["M1"])
    with pytest.raises(ConfigError, match="no graphs"):
        small.store(graph=None).to_pyg()


def test_a_network_of_theirs_learns_in_an_epoch() -> None:
    torch.manual_seed(0)
    table, store = small.table(), small.store()
    data_set = store.to_pyg(table.labels, one_hot=True)
    network = GIN(data_set.num_features, 32, 3)
    heads = torch.nn.Linear(32, len(table.tasks))
    optimizer = torch.optim.Adam([*network.parameters(), *heads.parameters()], lr=0.01)

    def loss_of(batch: Batch) -> torch.Tensor:
        logits = heads(global_mean_pool(network(batch.x, batch.edge_index), batch.batch))
        cells = functional.binary_cross_entropy_with_logits(logits, batch.y.nan_to_num(), reduction="none")
        return cells[batch.mask].mean()

    whole = Batch.from_data_list(list(data_set))
    before = loss_of(whole).item()
    for batch in DataLoader(data_set, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss_of(batch).backward()
        optimizer.step()
    assert loss_of(whole).item() < 0.9 * before
