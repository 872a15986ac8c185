"""Every registered balancer: what must hold for all of them, then what each method promises.

A new balancer needs one `Case` line here; the general tests then run on it by themselves.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from screening.balancing import methods
from screening.balancing.chain import Chain, build_balancer
from screening.balancing.contract import Balancer, Scalariser, balancers
from screening.balancing.methods.pcgrad import project_conflicts
from screening.balancing.step import PresentStep, Step
from screening.errors import ConfigError
from screening.testing.balancers import CHECKS, build, step_of, steps_of, weights_of, without
from screening.testing.subjects import Check, Subject, statement

NAN = float("nan")
T = 5


@dataclass(frozen=True)
class Case:
    """A balancer with options, and the weights it must give after some steps."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    losses: list[list[float]] = field(default_factory=lambda: [[1.0, 2.0]])
    """One list per step; NaN = absent."""
    rows: list[list[float]] | None = None
    """Gradients of the tasks, the same in every step."""
    counts: list[float] | None = None
    """Labels per task in every step; None = 10."""
    expected: list[float] = field(default_factory=list)
    """Weights after the last step."""
    sums_to_n: bool = True
    """Whether weights are at least 0 and sum to the number of present tasks."""

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


# Balancers by gradients, in the order of their names

GRADIENT_CASES = [
    Case("aligned_mtl", rows=[[3.0, 0.0], [0.0, 1.0]], expected=[1 / 3, 1], sums_to_n=False),
    # the first step is the first phase; then 1 / |g| as 3 to 1
    Case(
        "autoscale",
        {"explore": 1},
        losses=[[1.0, 2.0]] * 2,
        rows=[[1.0, 0.0], [0.0, 3.0]],
        expected=[1.5, 0.5],
    ),
    # lengths 1 and 4 are watched once each: the absent second later, with weight 1 until then
    Case(
        "autoscale",
        {"explore": 1, "metric": "losses"},
        losses=[[1.0, NAN, 3.0], [9.0, 4.0, 9.0], [9.0, 9.0, NAN]],
        expected=[1.6, 0.4, 0],
    ),
    # eigenvalues 1, 4, 9: median 4, mean 14/3; orthogonal rows of length 1, 2, 3 all become s
    Case(
        "aligned_mtl",
        {"scale": "median"},
        losses=[[1.0] * 3],
        rows=[[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]],
        expected=[2, 1, 2 / 3],
        sums_to_n=False,
    ),
    Case(
        "aligned_mtl",
        {"scale": "rmse"},
        losses=[[1.0] * 3],
        rows=[[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]],
        expected=[(14 / 3) ** 0.5, (14 / 3) ** 0.5 / 2, (14 / 3) ** 0.5 / 3],
        sums_to_n=False,
    ),
    # g0 = (1/2, 1/2), |g0| = 1/sqrt(2): by symmetry d = (1 + c) g0, divided by 1 + c^2
    Case("cagrad", rows=[[1.0, 0.0], [0.0, 1.0]], expected=[1.2, 1.2], sums_to_n=False),
    Case("cagrad", {"c": 0.0}, rows=[[1.0, 0.0], [0.0, 2.0]], expected=[1, 1], sums_to_n=False),
    # v = (1, 1) / sqrt(2), (3 + 1) / sqrt(2) v = (2, 2)
    Case("con_fig", rows=[[3.0, 0.0], [0.0, 1.0]], expected=[2 / 3, 2], sums_to_n=False),
    # (2, -1) = a + b conflicts with b = (0, 1) alone: a + 2 b = (2, 0)
    Case("dualproj", rows=[[2.0, -2.0], [0.0, 1.0]], expected=[1, 2], sums_to_n=False),
    # (Gw)_i = |g_i|^2 w_i = w_i^(-1/2): w = |g|^(-4/3); |g| = 1, 8: w as 16 to 1, and w1 + 8 w2 = 9
    Case("fairgrad", rows=[[1.0, 0.0], [0.0, 8.0]], expected=[6, 3 / 8], sums_to_n=False),
    Case("fairgrad", {"alpha": 0.0}, rows=[[1.0, 0.0], [0.0, 8.0]], expected=[1, 1], sums_to_n=False),
    Case("fairgrad", {"alpha": 1.0}, rows=[[1.0, 0.0], [0.0, 3.0]], expected=[2, 2 / 3], sums_to_n=False),
    # first step: the gradients over the losses, (3, 0) and (0, 1/2); brought to the length 3 they are
    # weighed by 1 / 1 and 6 / 2
    Case("db_mtl", rows=[[3.0, 0.0], [0.0, 1.0]], expected=[1, 3], sums_to_n=False),
    # E = |g| at first, then g^2 / sqrt(2 g^2) = |g| / sqrt(2) for both: they stay equal
    Case("excess_mtl", losses=[[1.0, 2.0]] * 2, rows=[[3.0, 0.0], [0.0, 1.0]], expected=[1, 1]),
    # lengths 1 and 3, mean 2: Adam's first step moves the logarithms by lr up and down
    Case("gradnorm", rows=[[1.0, 0.0], [0.0, 3.0]], expected=[1, 1]),
    Case(
        "gradnorm",
        {"lr": 0.1},
        losses=[[1.0, 2.0]] * 2,
        rows=[[1.0, 0.0], [0.0, 3.0]],
        expected=[1 + math.tanh(0.1), 1 - math.tanh(0.1)],
    ),
    # without the absent one there is no disagreement: the sum
    Case(
        "graddrop", losses=[[1.0, NAN, 1.0]], rows=[[3.0], [-5.0], [1.0]], expected=[1, 0, 1], sums_to_n=False
    ),
    # equal parts along both; imtl_l starts with weights of 1
    Case("imtl", rows=[[3.0, 0.0], [0.0, 1.0]], expected=[1 / 2, 3 / 2], sums_to_n=False),
    # equal parts along both: w = 1/3 to 1, with the sum 2
    Case("imtl_g", rows=[[3.0, 0.0], [0.0, 1.0]], expected=[1 / 2, 3 / 2], sums_to_n=False),
    # the nearest are 1, 1 and 3 away, and two stay
    Case(
        "krum",
        {"selected": 2},
        losses=[[1.0] * 3],
        rows=[[0.0], [1.0], [4.0]],
        expected=[1.5, 1.5, 0],
    ),
    # one of 5 is faulty; sums of the 2 nearest squares: 5, 2, 5, 13 and 96^2 + 98^2
    Case(
        "krum",
        losses=[[1.0] * 5],
        rows=[[0.0], [1.0], [2.0], [4.0], [100.0]],
        expected=[1.25, 1.25, 1.25, 1.25, 0],
    ),
    # shortest point between (2, 0) and (0, 1): (2/5, 4/5) = 1/5 and 4/5 of them, times 2
    Case("mgda", rows=[[2.0, 0.0], [0.0, 1.0]], expected=[0.4, 1.6]),
    Case("mgda", {"normalise": "l2"}, rows=[[2.0, 0.0], [0.0, 1.0]], expected=[2 / 3, 4 / 3]),
    # losses 1 and 2: (2, 0) and (0, 1/2): 1/17 and 16/17, divided by the losses 1 to 8
    Case("mgda", {"normalise": "loss"}, rows=[[2.0, 0.0], [0.0, 1.0]], expected=[2 / 9, 16 / 9]),
    # (1, 0) and (0, 1/2): 1/5 and 4/5, divided by 2 and 2
    Case("mgda", {"normalise": "loss+"}, rows=[[2.0, 0.0], [0.0, 1.0]], expected=[0.4, 1.6]),
    # from (1/2, 1/2), step 0.1: (1/2 - 0.2, 1/2 - 0.05) and 0.125 more for both, times 2
    Case("moco", rows=[[2.0, 0.0], [0.0, 1.0]], expected=[0.85, 1.15]),
    # the second time from (0.425, 0.575), step 0.05 (decay 1): -0.05 (1.7, 0.575), both +0.056875
    Case(
        "moco",
        {"decay": 1.0},
        losses=[[1.0, 1.0]] * 2,
        rows=[[2.0, 0.0], [0.0, 1.0]],
        expected=[0.79375, 1.20625],
    ),
    # first step: no gradient before; second: as moco
    Case("modo", losses=[[1.0, 1.0]], rows=[[2.0, 0.0], [0.0, 1.0]], expected=[1, 1]),
    # shares (1/2, 1/2) - 0.1 (4 + 0.1, 1 + 0.1) / 2 = (0.295, 0.445), and 0.13 more for both, times 2
    Case("modo", losses=[[1.0, 1.0]] * 2, rows=[[2.0, 0.0], [0.0, 1.0]], expected=[0.85, 1.15]),
    # w_i |g_i| equal, with the sum 1 + 3
    Case("nash_mtl", rows=[[1.0, 0.0], [0.0, 3.0]], expected=[2, 2 / 3], sums_to_n=False),
    # update of length 1: 2 (g1 / sqrt(2), g2 / (3 sqrt(2))) / 2
    Case(
        "nash_mtl",
        {"max_norm": 1.0},
        rows=[[1.0, 0.0], [0.0, 3.0]],
        expected=[2**0.5, 2**0.5 / 3],
        sums_to_n=False,
    ),
    # products diag(4, 1), norm (2 + 1)/2: diag(16, 4)/9; slope at (1/2, 1/2) with g0: (16, 4)/9 * 0.5 * 1.3;
    # lr 0.1: shares 0.5 -/+ 0.1 * 0.65 * 6/9; times 2, plus 0.3, over 1.3
    Case(
        "sdmgrad",
        {"lr": 0.1, "iterations": 1},
        losses=[[1.0, 1.0]] * 2,
        rows=[[2.0, 0.0], [0.0, 1.0]],
        expected=[(1.3 - 2 * 0.065 * 6 / 9) / 1.3, (1.3 + 2 * 0.065 * 6 / 9) / 1.3],
    ),
    # the same gradient twice has no noise: the norms of the mean
    Case("slaw_unbiased", losses=[[1.0, 2.0]] * 2, rows=[[1.0, 0.0], [0.0, 3.0]], expected=[1.5, 0.5]),
    Case("slw", rows=[[1.0, 0.0], [0.0, 3.0]], expected=[1.5, 0.5]),
    Case("trimmed_mean", rows=[[1.0, 0.0], [0.0, 3.0]], expected=[1, 1]),
    Case("slw", {"eps": 2.0}, rows=[[1.0, 0.0], [0.0, 6.0]], expected=[1.5, 0.5]),
    # (2, -2) becomes (2, 0) = (2, -2) + 2 (0, 1); (0, 1) becomes (1/2, 1/2) = (0, 1) + (2, -2) / 4
    Case(
        "upgrad",
        {"tolerance": 1e-10},
        rows=[[2.0, -2.0], [0.0, 1.0]],
        expected=[1.25, 3],
        sums_to_n=False,
    ),
    # targets 0: PCGrad
    *(
        Case(
            "gradvac",
            {"order": order},
            rows=[[1.0, 0.0], [-0.6, 0.5]],
            expected=[1.6, 1 + 0.6 / 0.61],
            sums_to_n=False,
        )
        for order in ("cyclic", "shared")
    ),
    *(
        Case(
            "pcgrad",
            {"order": order},
            rows=[[1.0, 0.0], [-0.6, 0.5]],
            expected=[1.6, 1 + 0.6 / 0.61],
            sums_to_n=False,
        )
        for order in ("shared", "independent")
    ),
]
GRADIENT_BAD_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("aligned_mtl", {"scale": "max"}),
    ("autoscale", {"explore": 0}),
    ("autoscale", {"metric": "condition"}),
    ("cagrad", {"c": -0.1}),
    ("db_mtl", {"beta": 1.0}),
    ("db_mtl", {"decay": -1.0}),
    ("excess_mtl", {"eta": 0.0}),
    ("fairgrad", {"alpha": -1.0}),
    ("graddrop", {"leak": 1.5}),
    ("gradnorm", {"alpha": -1.0}),
    ("gradnorm", {"lr": 0.0}),
    ("imtl", {"lr": 0.0}),
    ("gradvac", {"beta": 1.5}),
    ("gradvac", {"order": "independent"}),
    ("krum", {"faulty": 0.5}),
    ("krum", {"selected": 0}),
    ("mgda", {"normalise": "l1"}),
    ("moco", {"beta": 0.0}),
    ("moco", {"gamma": 0.0}),
    ("moco", {"rho": -1.0}),
    ("moco", {"decay": 2.0}),
    ("modo", {"gamma": 0.0}),
    ("modo", {"rho": -1.0}),
    ("nash_mtl", {"max_norm": 0.0}),
    ("pcgrad", {"order": "random"}),
    ("sdmgrad", {"pull": -1.0}),
    ("sdmgrad", {"lr": 0.0}),
    ("sdmgrad", {"momentum": 1.0}),
    ("sdmgrad", {"iterations": 0}),
    ("slaw_unbiased", {"beta": 1.0}),
    ("slaw_unbiased", {"floor": -1.0}),
    ("slaw_unbiased", {"eps": 0.0}),
    ("slw", {"eps": 0.0}),
    ("trimmed_mean", {"trim": 0.5}),
    ("upgrad", {"tolerance": 0.5}),
]

CASES = [
    Case("equal", losses=[[1.0, NAN, 3.0]], expected=[1, 0, 1]),
    # 10 and 30 labels: shares 1/4 and 3/4 of 2 tasks
    Case(
        "equal", {"reduction": "micro"}, losses=[[1.0, NAN, 3.0]], counts=[10, 0, 30], expected=[0.5, 0, 1.5]
    ),
    # standard deviations of {1, 2} and {1, 4}: 1/2 and 3/2, so 1/s is as 3 to 1
    Case("slaw", losses=[[1.0, 1.0], [2.0, 4.0]], expected=[1.5, 0.5]),
    # the third task has one loss so far: weight 1
    Case("slaw", losses=[[1.0, 1.0, NAN], [2.0, 4.0, 7.0]], expected=[1.5, 0.5, 1]),
    # s = 1/2, 3/2, 25/2 and median 3/2: held within 3/4 and 3, 1/s is as 4 to 2 to 1
    Case("slaw", {"max_ratio": 4.0}, losses=[[0.0] * 3, [1.0, 3.0, 25.0]], expected=[12 / 7, 6 / 7, 3 / 7]),
    # s = 0 is raised to half of the median 3/2: 1/s is as 20 to 10 to 6
    Case(
        "slaw",
        {"relative_eps": 0.5},
        losses=[[0.0] * 3, [0.0, 3.0, 5.0]],
        expected=[60 / 36, 30 / 36, 18 / 36],
    ),
    Case("slaw", {"noise_correction": True}, losses=[[1.0, 1.0], [2.0, 4.0]], expected=[1.5, 0.5]),
    # g1.g2 = -0.6: g1 + 0.6/0.61 g2 and g2 + 0.6 g1, so w = (1.6, 1 + 0.6/0.61); update (.4098, .9918)
    Case(
        "pcgrad",
        rows=[[1.0, 0.0], [-0.6, 0.5]],
        expected=[1.6, 1 + 0.6 / 0.61],
        sums_to_n=False,
    ),
    *GRADIENT_CASES,
]
BAD_OPTIONS = [
    *GRADIENT_BAD_OPTIONS,
    ("equal", {"reduction": "median"}),
    ("slaw", {"beta": 1.0}),
    ("slaw", {"eps": 0.0}),
    ("slaw", {"relative_eps": -1.0}),
    ("slaw", {"max_ratio": 0.5}),
    ("pcgrad", {"seed": "now"}),
]

LOSS_CASES = [
    # exp(ln 3) to exp(0)
    Case("bmtl", {"temperature": 1.0}, losses=[[math.log(3), NAN, 0.0]], expected=[1.5, 0, 0.5]),
    Case(
        "bmtl",
        {"temperature": 2.0, "form": "raw"},
        losses=[[2 * math.log(3), 0.0]],
        expected=[1.5, 0.5],
        sums_to_n=False,
    ),
    # s starts at -log 2, so exp(-s)/2 = 1; the first step of Adam is one learning rate, down for L > 1/2
    Case(
        "uncertainty",
        {"lr": 0.1},
        losses=[[3.0, 0.25], [3.0, 0.25]],
        expected=[math.exp(-0.1), math.exp(0.1)],
        sums_to_n=False,
    ),
    Case(
        "imtl_l",
        {"lr": 0.1},
        losses=[[3.0, 0.25], [3.0, 0.25]],
        expected=[math.exp(-0.1), math.exp(0.1)],
        sums_to_n=False,
    ),
    # (1/L) / T = ln 2 and ln 4
    Case(
        "uw_so",
        {"temperature": 1.0},
        losses=[[1 / math.log(2), 1 / math.log(4)]],
        expected=[2 / 3, 4 / 3],
    ),
    Case("dwa", losses=[[1.0, NAN, 3.0]], expected=[1, 0, 1]),
    # r = (1/2, 1/2), L = (3, 1): cosine 2 / sqrt(5), its slope by L (-1, 3) / (10 sqrt(5)); times 2 sqrt(5)
    Case("cosmos", {"pull": 5**0.5}, losses=[[3.0, NAN, 1.0]], expected=[1.2, 0, 0.4], sums_to_n=False),
    # a tenth of these losses: ten times the slope; the third would be 1 - 2 * 3 / 4 = -1/2
    Case("cosmos", {"pull": 5**0.5 / 4}, losses=[[0.3, NAN, 0.1]], expected=[1.5, 0, 0], sums_to_n=False),
    # u = (1, 1) / sqrt(2), beside (1, -1): slopes (1, 1) / sqrt(2) + theta (1, -1) / sqrt(2), times sqrt(2)
    Case("pbi", losses=[[3.0, NAN, 1.0]], expected=[1.5, 0, 0.5], sums_to_n=False),
    Case("rlw", {"seed": 5}, losses=[[1.0, NAN]], expected=[1, 0]),
    Case("nlw", {"sigma": 0.0}, losses=[[1.0, NAN, 2.0]], expected=[1, 0, 1]),
    Case("nlw", losses=[[1.0, NAN]], expected=[1, 0]),
    Case("rwlw", {"sigma": 0.5}, losses=[[1.0, NAN]], expected=[1, 0]),
    # geometric mean 2 of {1, 4}
    Case("gls", losses=[[1.0, NAN, 4.0]], expected=[2, 0, 0.5], sums_to_n=False),
    Case("log_loss", losses=[[0.5, NAN, 4.0]], expected=[2, 0, 0.25], sums_to_n=False),
    # L / first: 1/4 and 1, square roots 1/2 and 1
    Case("lbtw", losses=[[4.0, 2.0], [1.0, 2.0]], expected=[2 / 3, 4 / 3]),
    # running means 2 -> 1 and 4 -> 1: p = 1/2 and 1/4, -(1-p) log p = ln 2 / 2 and 3/2 ln 2
    Case(
        "mldw",
        {"beta": 0.5, "gamma": 1.0},
        losses=[[2.0, 4.0, NAN], [0.0, -2.0, 7.0]],
        expected=[0.5, 1.5, 1],
    ),
    # l = 1, L2/L1 = 2 and 4: std/mean = 0.5/1.5 and 1.5/2.5
    Case(
        "cov",
        losses=[[1.0, 1.0, NAN], [2.0, 4.0, 1.0], [1.0, 1.0, 1.0]],
        expected=[5 / 7, 9 / 7, 1],
    ),
    # slopes ln 2 and ln 4
    Case(
        "softadapt",
        {"form": "original", "beta": 1.0},
        losses=[[1.0, 1.0], [1 + math.log(2), 1 + math.log(4)]],
        expected=[2 / 3, 4 / 3],
    ),
    # slopes 1 and -3, of sum 4 without signs; exp(beta s) = 4 and 1/64
    Case(
        "softadapt",
        {"form": "normalized", "beta": 4 * math.log(4)},
        losses=[[1.0, 4.0], [2.0, 1.0]],
        expected=[2 * 256 / 257, 2 / 257],
    ),
    # equal slopes, losses 1 and 3
    Case("softadapt", losses=[[2.0, 4.0], [1.0, 3.0]], expected=[0.5, 1.5]),
    Case("stch", losses=[[0.5, NAN, 4.0]], expected=[2, 0, 0.25], sums_to_n=False),
    # z = 1/2, 1/L as 4 to 1
    Case("famo", losses=[[1.0, NAN, 4.0]], expected=[1.6, 0, 0.4]),
    # scores sum(L) / (4 L) = 17/4 of 1, 1/2, 1/6, 1/8; the best two groups are the first and the rest
    Case(
        "go4align",
        {"groups": 2, "eta": 0.0},
        losses=[[1.0, 2.0, 6.0, NAN, 8.0]],
        expected=[17 / 4, 17 / 4 * 19 / 72, 17 / 4 * 19 / 72, 0, 17 / 4 * 19 / 72],
        sums_to_n=False,
    ),
    # SLAW's 1, 1 and then 1.5, 0.5
    Case(
        "cr_mogm",
        {"of": "slaw", "alpha": 0.75},
        losses=[[1.0, 1.0], [2.0, 4.0]],
        expected=[1.125, 0.875],
    ),
    Case(
        "cr_mogm",
        rows=[[1.0, 0.0], [-0.6, 0.5]],
        expected=[1.6, 1 + 0.6 / 0.61],
        sums_to_n=False,
    ),
    # all protection to the task with the larger loss, the second: the first gives way to it
    *(
        Case(
            "wpcgrad",
            {"reading": reading, "priority": {"name": "bmtl", "temperature": 1e-3}},
            rows=[[1.0, 0.0], [-0.6, 0.5]],
            expected=[1, 1 + 0.6 / 0.61],
            sums_to_n=False,
        )
        for reading in ("priority_order", "sequential", "anchor", "pairwise")
    ),
    Case(
        "wpcgrad",
        {"priority": "losses", "gamma": 0.5},
        rows=[[1.0, 0.0], [0.6, 0.5]],
        expected=[1, 1],
        sums_to_n=False,
    ),
]
LOSS_BAD_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("bmtl", {"temperature": 0.0}),
    ("bmtl", {"form": "soft"}),
    ("uncertainty", {"lr": 0.0}),
    ("uncertainty", {"start": 0.0}),
    ("imtl_l", {"lr": -1.0}),
    ("uw_so", {"temperature": 0.0}),
    ("dwa", {"temperature": 0.0}),
    ("cosmos", {"pull": -1.0}),
    ("cosmos", {"preferences": {"assay 1": -1.0}}),
    ("pbi", {"theta": -1.0}),
    ("pbi", {"ideal": NAN}),
    ("pbi", {"preferences": {"assay 7": 1.0}}),
    ("nlw", {"sigma": -1.0}),
    ("rwlw", {"sigma": -1.0}),
    ("lbtw", {"alpha": -0.5}),
    ("mldw", {"beta": 1.0}),
    ("mldw", {"gamma": -1.0}),
    ("softadapt", {"beta": NAN}),
    ("softadapt", {"form": "weighted"}),
    ("stch", {"mu": 0.0}),
    ("stch", {"warmup": 0}),
    ("famo", {"lr": 0.0}),
    ("famo", {"gamma": -1.0}),
    ("go4align", {"groups": 0}),
    ("go4align", {"eta": -1.0}),
    ("cr_mogm", {"of": 3}),
    ("cr_mogm", {"alpha": 1.0}),
    ("wpcgrad", {"reading": "both"}),
    ("wpcgrad", {"priority": "pcgrad"}),
    ("wpcgrad", {"gamma": -1.0}),
    ("wpcgrad", {"priorities": {"assay 7": 1.0}}),
    ("wpcgrad", {"priorities": {"assay 1": -1.0}}),
    ("wpcgrad", {"floor": 2.0}),
]
CASES += LOSS_CASES
BAD_OPTIONS += LOSS_BAD_OPTIONS
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def names(n_tasks: int) -> list[str]:
    return [f"assay {task}" for task in range(n_tasks)]


def make(case: Case, n_tasks: int = T) -> Balancer:
    return build(Subject(case.name, case.options), n_tasks)


def test_every_registered_name_has_a_case() -> None:
    assert {case.name for case in CASES} == set(balancers.names())


def test_every_name_is_that_of_its_file() -> None:
    folder = Path(methods.__file__).parent
    for name in balancers.names():
        assert (folder / f"{name}.py").exists()
        assert balancers.get(name).__module__ == f"screening.balancing.methods.{name}"


@every_case
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(case: Case, check: Check) -> None:
    check(Subject(case.name, case.options))


@every_case
def test_weights_are_those_worked_by_hand(case: Case) -> None:
    balancer = make(case, len(case.losses[0]))
    rows = None if case.rows is None else torch.tensor(case.rows)
    counts = None if case.counts is None else torch.tensor(case.counts)
    for number, losses in enumerate(case.losses):
        weights = balancer.weigh(step_of(torch.tensor(losses), rows, counts=counts, number=number))
    torch.testing.assert_close(weights, torch.tensor(case.expected).float())


@pytest.mark.parametrize("case", [case for case in CASES if case.sums_to_n], ids=str)
def test_weights_that_share_out_attention_sum_to_the_number_of_present_tasks(case: Case) -> None:
    weights = weights_of(make(case), [without(step, [1]) for step in steps_of()])
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.full((4,), T - 1.0))
    for scale in (1e-8, 1e8):
        sums = weights_of(make(case), steps_of(scale=scale)).sum(1)
        torch.testing.assert_close(sums, torch.full((4,), float(T)))
    torch.testing.assert_close(weights_of(make(case, 1), steps_of(2, 1)), torch.ones(2, 1))


@pytest.mark.parametrize(("name", "options"), BAD_OPTIONS, ids=str)
def test_option_out_of_range_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*{next(iter(options))}"):
        build_balancer({"name": name, **options}, names(2))


def test_every_option_but_seed_has_a_bad_value() -> None:
    covered = {(name, option) for name, options in BAD_OPTIONS for option in options}
    for name in balancers.names():
        for option, parameter in balancers.options(name).items():
            assert (name, option) in covered or option == "seed" or parameter.annotation is bool, (
                name,
                option,
            )


def test_unknown_balancer_and_option_are_suggested() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'pcgrad'"):
        build_balancer("pcgard", names(2))
    with pytest.raises(ConfigError, match="Did you mean 'beta'"):
        build_balancer({"name": "slaw", "betta": 0.5}, names(2))
    with pytest.raises(ConfigError, match="no name"):
        build_balancer({"beta": 0.5}, names(2))
    with pytest.raises(ConfigError, match="empty"):
        build_balancer([], names(2))


def test_step_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 tasks, the step 2"):
        build_balancer("equal", names(3)).weigh(step_of(torch.ones(2)))
    step = step_of(torch.ones(2))
    with pytest.raises(ValueError, match="needs gram"):
        build_balancer("pcgrad", names(2)).weigh(Step(step.losses, step.present, step.counts))
    with pytest.raises(TypeError, match="names"):
        build_balancer("equal", [])


class SumOfSquares(Scalariser):
    def scalarise(self, losses: Tensor, step: Step) -> Tensor:
        return (losses**2).sum() / 2


class Greedy(Balancer):
    """Reads the Gramian, or gradients, that it did not say it needs."""

    reads = "gram"

    def weigh_present(self, step: PresentStep) -> Tensor:
        return getattr(step, self.reads).sum(1)


@pytest.mark.parametrize("reads", ["gram", "rows"])
def test_method_that_reads_what_it_did_not_ask_for_is_told(reads: str) -> None:
    balancer, losses = Greedy(names(2)), torch.ones(2)
    balancer.reads = reads
    with pytest.raises(ValueError, match=f"says needs = '{reads}'"):
        balancer.weigh(Step(losses, losses > 0, losses))


def test_weights_of_a_scalariser_are_its_derivative() -> None:
    weights = SumOfSquares(names(3)).weigh(step_of(torch.tensor([1.0, NAN, 3.0])))
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0, 3.0]))


def test_chain_weighs_first_and_hands_on_weighed_losses_and_gradients() -> None:
    steps = [without(step, [3]) for step in steps_of(2)]
    chain = build_balancer(["slaw", "pcgrad"], names(T))
    assert isinstance(chain, Chain)
    assert (chain.needs, chain.weighs_heads, chain.second_look) == ("gram", True, False)
    slaw, pcgrad = build_balancer("slaw", names(T)), build_balancer("pcgrad", names(T))
    for step in steps:
        decision, before = chain.decide(step), slaw.weigh(step)
        losses = torch.where(step.present, before * step.losses, NAN)
        after = pcgrad.weigh(step_of(losses, before[:, None] * step.rows))
        torch.testing.assert_close(decision.weights, before * after)
        torch.testing.assert_close(decision.head_weights, before)


def test_chain_of_one_is_the_balancer_and_state_of_all_parts_is_saved() -> None:
    assert type(build_balancer(["slaw"], names(2))) is balancers.get("slaw")
    chain = build_balancer([{"name": "slaw", "beta": 0.5}, "slaw", "pcgrad"], names(2))
    weights_of(chain, steps_of(3, 2))
    other = build_balancer([{"name": "slaw", "beta": 0.5}, "slaw", "pcgrad"], names(2))
    other.load_state_dict(chain.state_dict())
    last = steps_of(4, 2)[3:]
    assert torch.equal(weights_of(other, last), weights_of(chain, last))


def test_chain_of_squares_scales_gradients_by_hand() -> None:
    # losses 1, 3 give weights 1, 3; the second sees losses 1, 9 and weighs by them: 1 * 1 and 3 * 9
    chain = Chain(SumOfSquares(names(2)), SumOfSquares(names(2)))
    assert chain.weigh(step_of(torch.tensor([1.0, 3.0]))).tolist() == [1, 27]


# SLAW


def test_slaw_starts_with_ones() -> None:
    weights = build_balancer("slaw", names(3)).weigh(step_of(torch.tensor([0.1, 5.0, 2.0])))
    assert weights.tolist() == [1, 1, 1]


def test_slaw_follows_the_scale_of_a_loss_and_not_its_level() -> None:
    factors, levels = torch.tensor([1.0, 10.0, 0.1]), torch.tensor([0.0, 3.0, 50.0])
    plain, scaled = build_balancer("slaw", names(3)), build_balancer("slaw", names(3))
    for step in steps_of(30, 3):
        weights = plain.weigh(step)
        other = scaled.weigh(step_of(factors * step.losses.double() + levels))
    ratio = other * factors / weights
    torch.testing.assert_close(ratio / ratio[0], torch.ones(3), rtol=1e-3, atol=0)


def test_slaw_of_linear_losses_finds_the_inverse_gradient_norms() -> None:
    generator = torch.Generator().manual_seed(0)
    norms = torch.logspace(-1, 1, 10)
    rows = norms[:, None] * torch.nn.functional.normalize(torch.randn(10, 400, generator=generator))
    balancer = build_balancer("slaw", names(10))
    total = torch.zeros(10)
    for number in range(2500):
        losses = 5 + rows @ (0.01 * torch.randn(400, generator=generator))
        weights = balancer.weigh(step_of(losses, number=number))
        total += weights if number >= 500 else 0
    ideal = 10 / norms / (1 / norms).sum()
    torch.testing.assert_close(total / 2000, ideal, rtol=0.05, atol=0)


def test_slaw_survives_a_constant_loss() -> None:
    balancer = build_balancer("slaw", names(2))
    for number in range(20):
        weights = balancer.weigh(step_of(torch.tensor([0.3, 1.0 + (number % 2)]), number=number))
    # s is eps = 1e-5 for the first and 1/2 for the second
    torch.testing.assert_close(weights, torch.tensor([2 / (1 + 2e-5), 4e-5]), rtol=1e-3, atol=0)


def test_slaw_is_arithmetic_first_and_exponential_afterwards() -> None:
    generator = torch.Generator().manual_seed(0)
    balancer = build_balancer({"name": "slaw", "beta": 0.9}, names(1))
    losses = torch.rand(30, generator=generator).double()
    expected = torch.zeros((), dtype=torch.float64)
    for number, loss in enumerate(losses):
        balancer.weigh(step_of(loss[None], number=number))
        loss = loss.float().double()
        expected = (
            losses[: number + 1].float().double().mean() if number < 10 else 0.9 * expected + 0.1 * loss
        )
        torch.testing.assert_close(balancer.mean[0], expected)


def test_slaw_counts_for_each_task_by_itself() -> None:
    balancer = build_balancer("slaw", names(2))
    for number in range(6):
        balancer.weigh(step_of(torch.tensor([1.0, 1.0 if number % 3 else NAN]), number=number))
    assert balancer.updates.tolist() == [6, 4]


def test_slaw_noise_correction_sees_through_small_samples() -> None:
    """Two tasks whose mean loss moves alike; the second is measured on few molecules."""
    generator = torch.Generator().manual_seed(0)
    plain = build_balancer({"name": "slaw", "beta": 0.999}, names(2))
    corrected = build_balancer({"name": "slaw", "beta": 0.999, "noise_correction": True}, names(2))
    for number in range(800):
        level = 5 + 0.2 * torch.randn(2, generator=generator)
        cells = [level[task] + torch.randn(n, generator=generator) for task, n in enumerate((400, 4))]
        step = step_of(
            torch.stack([cell.mean() for cell in cells]),
            counts=torch.tensor([400.0, 4.0]),
            variances=torch.stack([cell.var() for cell in cells]),
            number=number,
        )
        biased, fair = plain.weigh(step), corrected.weigh(step)
    assert biased[0] / biased[1] > 2.4  # sqrt(0.04 + 1/4) / 0.2 = 2.7
    assert 0.8 < fair[0] / fair[1] < 1.25


# PCGrad


def explicit_pcgrad(rows: Tensor, orders: Tensor) -> Tensor:
    """Algorithm 1 of the paper, gradient by gradient."""
    total = torch.zeros_like(rows[0])
    for i, order in enumerate(orders.tolist()):
        current = rows[i].clone()
        for j in order:
            product = current @ rows[j]
            if product < 0:
                current -= product / (rows[j] @ rows[j]) * rows[j]
        total += current
    return total


@pytest.mark.parametrize(("n_tasks", "width"), [(2, 2), (6, 3), (6, 40), (40, 7)])
def test_pcgrad_is_the_loop_over_explicit_gradients(n_tasks: int, width: int) -> None:
    generator = torch.Generator().manual_seed(n_tasks)
    rows = torch.randn(n_tasks, width, generator=generator, dtype=torch.float64)
    orders = torch.rand(n_tasks, n_tasks, generator=generator).fill_diagonal_(2).argsort(1)[:, :-1]
    coefficients = project_conflicts(rows @ rows.T, orders)
    torch.testing.assert_close(
        coefficients.sum(0) @ rows, explicit_pcgrad(rows, orders), rtol=1e-6, atol=1e-9
    )


def test_pcgrad_draws_every_order_of_the_others() -> None:
    balancer = build_balancer("pcgrad", names(T))
    rows = torch.randn(T, 3, generator=torch.Generator().manual_seed(1))
    updates = {tuple((balancer.weigh(step_of(torch.ones(T), rows)) @ rows).tolist()) for _ in range(20)}
    assert len(updates) > 10


def test_pcgrad_without_conflict_is_the_sum() -> None:
    rows = torch.rand(T, 3, generator=torch.Generator().manual_seed(0))
    assert build_balancer("pcgrad", names(T)).weigh(step_of(torch.ones(T), rows)).tolist() == [1] * T


def test_pcgrad_depends_on_the_seed_alone() -> None:
    def weights(seed: int) -> Tensor:
        return weights_of(build_balancer({"name": "pcgrad", "seed": seed}, names(T)), steps_of())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
