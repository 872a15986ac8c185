"""From the losses (and gradients) of T tasks to one update; for any training loop in PyTorch.

A balancer of a network with linear heads on labels with gaps; `LossGradients` is for any other losses.

Examples
--------
>>> import torch
>>> from torch import nn
>>> from screening.balancing import Gradients, PCGrad
>>> encoder, heads = nn.Linear(16, 8), nn.Linear(8, 3)
>>> balancer = PCGrad(["AhR", "ER", "p53"])
>>> labels = torch.tensor([[1.0, 0.0, float("nan")], [0.0, 1.0, 1.0]])
>>> look = Gradients(heads, balancer).look(encoder(torch.ones(2, 16)), labels)
>>> look.backward(balancer.decide(look.step))
>>> encoder.weight.grad.shape
torch.Size([8, 16])
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .chain import Chain as Chain
    from .chain import build_balancer as build_balancer
    from .contract import Balancer as Balancer
    from .contract import Scalariser as Scalariser
    from .contract import balancers as balancers
    from .contract import register as register
    from .gradients import Gradients as Gradients
    from .loss_gradients import LossGradients as LossGradients
    from .methods.aligned_mtl import AlignedMtl as AlignedMtl
    from .methods.autoscale import AutoScale as AutoScale
    from .methods.bmtl import Bmtl as Bmtl
    from .methods.cagrad import CaGrad as CaGrad
    from .methods.con_fig import ConFig as ConFig
    from .methods.cosmos import Cosmos as Cosmos
    from .methods.cov import Cov as Cov
    from .methods.cr_mogm import CrMogm as CrMogm
    from .methods.db_mtl import DbMtl as DbMtl
    from .methods.dualproj import DualProj as DualProj
    from .methods.dwa import Dwa as Dwa
    from .methods.equal import Equal as Equal
    from .methods.excess_mtl import ExcessMtl as ExcessMtl
    from .methods.fairgrad import FairGrad as FairGrad
    from .methods.famo import Famo as Famo
    from .methods.gls import Gls as Gls
    from .methods.go4align import Go4Align as Go4Align
    from .methods.graddrop import GradDrop as GradDrop
    from .methods.gradnorm import GradNorm as GradNorm
    from .methods.gradvac import GradVac as GradVac
    from .methods.imtl import Imtl as Imtl
    from .methods.imtl_g import ImtlG as ImtlG
    from .methods.imtl_l import ImtlL as ImtlL
    from .methods.krum import Krum as Krum
    from .methods.lbtw import Lbtw as Lbtw
    from .methods.log_loss import LogLoss as LogLoss
    from .methods.mgda import Mgda as Mgda
    from .methods.mldw import Mldw as Mldw
    from .methods.moco import MoCo as MoCo
    from .methods.modo import MoDo as MoDo
    from .methods.nash_mtl import NashMtl as NashMtl
    from .methods.nlw import Nlw as Nlw
    from .methods.pbi import Pbi as Pbi
    from .methods.pcgrad import PCGrad as PCGrad
    from .methods.rlw import Rlw as Rlw
    from .methods.rwlw import Rwlw as Rwlw
    from .methods.sdmgrad import SdmGrad as SdmGrad
    from .methods.slaw import Slaw as Slaw
    from .methods.slaw_unbiased import SlawUnbiased as SlawUnbiased
    from .methods.slw import Slw as Slw
    from .methods.softadapt import SoftAdapt as SoftAdapt
    from .methods.stch import Stch as Stch
    from .methods.trimmed_mean import TrimmedMean as TrimmedMean
    from .methods.uncertainty import Uncertainty as Uncertainty
    from .methods.upgrad import UpGrad as UpGrad
    from .methods.uw_so import UwSo as UwSo
    from .methods.wpcgrad import WPCGrad as WPCGrad
    from .step import Decision as Decision
    from .step import PresentStep as PresentStep
    from .step import Step as Step

_load, _, _shared = lazy(
    __name__,
    {
        "Balancer": "contract",
        "Chain": "chain",
        "Decision": "step",
        "Gradients": "gradients",
        "LossGradients": "loss_gradients",
        "PresentStep": "step",
        "Scalariser": "contract",
        "Step": "step",
        "balancers": "contract",
        "build_balancer": "chain",
        "register": "contract",
    },
)


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    if name.startswith("_") or name in _shared:
        return _load(name)
    classes = _methods()
    return classes[name] if name in classes else _load(name)


def __dir__() -> list[str]:
    return sorted([*_shared, *_methods()])


def _methods() -> dict[str, type]:
    """The class of every method that comes along, by its name, read off the registry."""
    from .contract import balancers

    ours = [name for name in balancers.names() if balancers.registration(name).is_ours]
    return {balancers.get(name).__name__: balancers.get(name) for name in ours}
