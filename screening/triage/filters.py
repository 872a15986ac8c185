"""Filters a chemist puts behind a score: structural alerts and rules on properties, each by name."""

from collections.abc import Callable
from functools import cache

from rdkit.Chem import FilterCatalog, Mol, rdMolDescriptors

from ..registry import Registry

Filter = Callable[[Mol], list[str]]
"""Molecule to what speaks against it, in words; [] = it passes."""

filters: Registry[Filter] = Registry("filter")
register = filters.register


@filters.register("pains")
def pains(mol: Mol) -> list[str]:
    """Pan-assay interference: structures that light up in many assays for no good reason.

    References
    ----------
    J. Baell, G. Holloway, J. Med. Chem. 53, 2719, 2010, https://doi.org/10.1021/jm901137j; RDKit's
    catalogues PAINS_A, B and C.
    """
    return _alerts(mol, "PAINS")


@filters.register("brenk")
def brenk(mol: Mol) -> list[str]:
    """Reactive, toxic or otherwise unwanted groups for a lead.

    References
    ----------
    R. Brenk et al., ChemMedChem 3, 435, 2008, https://doi.org/10.1002/cmdc.200700139.
    """
    return _alerts(mol, "BRENK")


@filters.register("nih")
def nih(mol: Mol) -> list[str]:
    """Reactive groups and medicinal chemistry exclusions of the NIH.

    References
    ----------
    A. Jadhav et al., J. Med. Chem. 53, 37, 2010, https://doi.org/10.1021/jm901070c.
    """
    return _alerts(mol, "NIH")


@filters.register("zinc")
def zinc(mol: Mol) -> list[str]:
    """Drug-likeness and unwanted groups as in the ZINC database.

    References
    ----------
    https://blaster.docking.org/filtering
    """
    return _alerts(mol, "ZINC")


@filters.register("chembl")
def chembl(mol: Mol) -> list[str]:
    """All sets of structural alerts that ChEMBL collects (BMS, Dundee, Glaxo, LINT, MLSMR and others).

    References
    ----------
    https://chembl.blogspot.com
    """
    return _alerts(mol, "CHEMBL")


@filters.register("lipinski")
def lipinski(mol: Mol) -> list[str]:
    """The rule of five: at most one of weight > 500, logP > 5, donors > 5, acceptors > 10.

    References
    ----------
    C. Lipinski et al., Adv. Drug Deliv. Rev. 46, 3, 2001, https://doi.org/10.1016/S0169-409X(00)00129-0.
    """
    broken = _broken(
        ("weight", rdMolDescriptors.CalcExactMolWt(mol), 500),
        ("logP", rdMolDescriptors.CalcCrippenDescriptors(mol)[0], 5),
        ("donors", rdMolDescriptors.CalcNumLipinskiHBD(mol), 5),
        ("acceptors", rdMolDescriptors.CalcNumLipinskiHBA(mol), 10),
    )
    return broken if len(broken) > 1 else []


@filters.register("veber")
def veber(mol: Mol) -> list[str]:
    """Oral availability: at most 10 rotatable bonds and 140 square angstrom of polar surface.

    References
    ----------
    D. Veber et al., J. Med. Chem. 45, 2615, 2002, https://doi.org/10.1021/jm020017n.
    """
    return _broken(
        ("rotatable bonds", rdMolDescriptors.CalcNumRotatableBonds(mol), 10),
        ("polar surface", rdMolDescriptors.CalcTPSA(mol), 140),
    )


def _broken(*limits: tuple[str, float, float]) -> list[str]:
    return [f"{name} {value:.4g} > {limit:g}" for name, value, limit in limits if value > limit]


def _alerts(mol: Mol, name: str) -> list[str]:
    alerts = [match.GetDescription() for match in _catalogue(name).GetMatches(mol)]
    return list(dict.fromkeys(alerts))


@cache
def _catalogue(name: str) -> FilterCatalog.FilterCatalog:
    parameters = FilterCatalog.FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalog.FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog.FilterCatalog(parameters)
