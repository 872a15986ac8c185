"""Which networks of a bundle are explained, what each counts, and what one of them tells."""

from collections.abc import Callable

import numpy as np
import torch
from rdkit.Chem import Mol

from ..bundle.bundle import Bundle
from ..bundle.member import Member
from ..bundle.reference import Reference
from ..errors import ConfigError, listed
from ..features.store import GraphStore
from ..models.network import ScreeningModel, inputs_of
from ..registry import did_you_mean
from .contributions import Contributions, Molecules, other_columns


def networks_of(bundle: Bundle, assay: str) -> list[tuple[ScreeningModel, int, float]]:
    """The networks that serve an assay, each with the column that does and its share; without baselines.

    Raises
    ------
    ConfigError : no such assay, or it is served by baselines alone.
    """
    if assay not in bundle.tasks:
        raise ConfigError(f"The run has no assay '{assay}'. {did_you_mean(assay, bundle.tasks)}")
    column = bundle.tasks.index(assay)
    serving = [member for member in bundle.members if column in member.columns]
    networks = [
        (member.model.network.eval(), member.columns.index(column), _weight(bundle, member, column))
        for member in serving
        if member.model.network is not None
    ]
    if not networks:
        raise ConfigError(
            f"Assay '{assay}' is predicted by the baseline '{serving[0].model.kind}': contributions of atoms "
            "are those of a network. Explain a run that was trained without model.baseline."
        )
    return networks


def _weight(bundle: Bundle, member: Member, column: int) -> float:
    """What a member's logit counts in an assay; not 0, so that networks without weight are explained too."""
    if bundle.blend is None:
        return member.weight
    part = bundle.part_of(member)
    return member.weight * max(bundle.blend.shares[part, column] * bundle.blend.slopes(part)[column], 1e-12)


def without_baselines(bundle: Bundle, column: int) -> list[str]:
    """What to say of the baselines beside the networks of an assay."""
    baselines = {member.model.kind for member in bundle.members if column in member.columns}
    baselines -= {ScreeningModel.kind}
    if not baselines:
        return []
    names = listed(sorted(baselines), 3, mark="")
    said = f"The score is the mean of networks and {names}: contributions are those of the networks alone."
    if bundle.blend is not None:
        labels = {part.label: place for place, part in enumerate(bundle.settings.blend)}
        parts = {member.part for member in bundle.members if member.model.network is not None}
        share = bundle.blend.shares[[labels[part] for part in parts], column].sum()
        said += f" Their share of the weights is {share:.0%}."
    return [said]


def told_by(
    method: Callable[[ScreeningModel, int, Molecules], Contributions],
    model: ScreeningModel,
    column: int,
    store: GraphStore,
    rows: torch.Tensor,
    mols: list[Mol],
    reference: Reference,
) -> Contributions:
    """Those of one network, with columns for all vectors of the store, also those that it does not see."""
    seen = store.with_vectors(model.vectors)
    told = method(model, column, Molecules.of(seen, rows, mols, reference.seen_by(model.vectors, store)))
    if model.vectors is None:
        return told
    places, own = other_columns(store)[0].numpy(), other_columns(seen)[0].numpy()
    columns = np.zeros((len(rows), len(places)))
    where = inputs_of(store).columns_of(model.vectors)[own]
    columns[:, np.searchsorted(places, where)] = told.columns
    return told._replace(columns=columns)
